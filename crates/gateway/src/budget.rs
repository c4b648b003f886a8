//! Budget periods: how long they are and when they end. All in UTC, aligned as LiteLLM aligns
//! them: a day ends at midnight, seven days on Monday, thirty days or a month on the first.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use jiff::{Span, Timestamp, ToSpan, Zoned, civil::Weekday, tz::TimeZone};
use tollgate_ledger::Nano;
use tracing::{info, warn};

use crate::{core::Gateway, keys::Key, now::Now};

/// A length of time as LiteLLM writes it: `30s`, `15m`, `24h`, `7d`, `2w`, `1mo`, or `hourly`,
/// `daily`, `weekly`, `monthly`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Duration {
    count: i64,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

/// A text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no duration: write a number with s, m, h, d, w or mo, such as `30d`")]
pub struct NotADuration(String);

impl std::str::FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        let bad = || NotADuration(text.chars().take(40).collect());
        let text = match text.trim() {
            "hourly" => "1h",
            "daily" => "1d",
            "weekly" => "7d",
            "monthly" => "1mo",
            other => other,
        };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or_else(bad)?;
        let count: i64 = number.parse().map_err(|_| bad())?;
        let unit = match unit {
            "s" => Unit::Second,
            "m" => Unit::Minute,
            "h" => Unit::Hour,
            "d" => Unit::Day,
            "w" => Unit::Week,
            "mo" => Unit::Month,
            _ => return Err(bad()),
        };
        // A century is as good as for ever, and keeps every sum below within range.
        let longest = match unit {
            Unit::Second => 3_155_760_000,
            Unit::Minute => 52_596_000,
            Unit::Hour => 876_600,
            Unit::Day => 36_525,
            Unit::Week => 5_217,
            Unit::Month => 1_200,
        };
        if count < 1 || count > longest {
            return Err(bad());
        }
        Ok(Duration { count, unit })
    }
}

impl Duration {
    fn span(self) -> Span {
        match self.unit {
            Unit::Second => self.count.seconds(),
            Unit::Minute => self.count.minutes(),
            Unit::Hour => self.count.hours(),
            Unit::Week => self.count.weeks(),
            Unit::Month => self.count.months(),
            Unit::Day => self.count.days(),
        }
    }

    /// The moment this long after `from_us`, both in µs since the epoch.
    pub fn after_us(self, from_us: i64) -> i64 {
        moment(from_us)
            .and_then(|from| from.checked_add(self.span()).ok())
            .map_or(i64::MAX, |end| end.timestamp().as_microsecond())
    }

    /// When the budget period that holds `now_us` ends, aligned.
    pub fn period_end_us(self, now_us: i64) -> i64 {
        let aligned = || -> Option<Zoned> {
            let now = moment(now_us)?;
            let today = now.start_of_day().ok()?;
            match (self.unit, self.count) {
                (Unit::Day, 7) | (Unit::Week, 1) => {
                    let mut day = today.checked_add(1.day()).ok()?;
                    while day.weekday() != Weekday::Monday {
                        day = day.checked_add(1.day()).ok()?;
                    }
                    Some(day)
                }
                (Unit::Day, 30) | (Unit::Month, 1) => {
                    today.with().day(1).build().ok()?.checked_add(1.month()).ok()
                }
                (Unit::Month, n) => today.with().day(1).build().ok()?.checked_add(n.months()).ok(),
                (Unit::Day | Unit::Week, _) => today.checked_add(self.span()).ok(),
                (Unit::Hour, 1) => {
                    let hour = now.round(
                        jiff::ZonedRound::new()
                            .smallest(jiff::Unit::Hour)
                            .mode(jiff::RoundMode::Trunc),
                    );
                    hour.ok()?.checked_add(1.hour()).ok()
                }
                (Unit::Hour | Unit::Minute | Unit::Second, _) => now.checked_add(self.span()).ok(),
            }
        };
        aligned().map_or(i64::MAX, |end| end.timestamp().as_microsecond())
    }
}

fn moment(us: i64) -> Option<Zoned> {
    Some(Timestamp::from_microsecond(us).ok()?.to_zoned(TimeZone::UTC))
}

/// Starts a new budget period where the old one has ended. Exactly one request does it.
pub(crate) fn roll(gw: &Gateway, key: &Arc<Key>, now: Now) {
    let end = key.meters.budget_reset_us.load(Relaxed);
    if end == 0 || now.unix_us < end {
        return;
    }
    let Some(length) = key.terms.budget_duration else { return };
    let next = length.period_end_us(now.unix_us);
    let mine = key.meters.budget_reset_us.compare_exchange(end, next, Relaxed, Relaxed).is_ok();
    if !mine {
        return;
    }
    key.meters.set_spend(Nano(0));
    let (store, hash, name) = (gw.store.clone(), key.hash, key.name.clone());
    gw.cold_task(async move {
        match store.reset_budget(&hash, end, Some(next)).await {
            Ok(_) => info!(key.name = %name, "key `{name}` began a new budget period"),
            Err(error) => warn!(key.name = %name, %error, "the new budget period of key `{name}` was not stored"),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    fn check(duration: &str, now: &str, end: &str) {
        let duration: Duration = duration.parse().unwrap();
        assert_eq!(duration.period_end_us(us(now)), us(end), "{duration:?} from {now}");
    }

    #[test]
    fn periods_are_aligned_as_litellm_aligns_them() {
        check("1d", "2026-11-22T12:30:00Z", "2026-11-23T00:00:00Z");
        check("7d", "2026-11-22T12:30:00Z", "2026-11-23T00:00:00Z"); // a Sunday
        check("7d", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"); // a Monday
        check("30d", "2026-12-05T12:30:00Z", "2027-01-01T00:00:00Z");
        check("1mo", "2026-11-22T12:30:00Z", "2026-12-01T00:00:00Z");
        check("monthly", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        check("1h", "2026-11-22T12:30:00Z", "2026-11-22T13:00:00Z");
        check("90s", "2026-11-22T12:30:00Z", "2026-11-22T12:31:30Z");
        check("3d", "2026-11-22T12:30:00Z", "2026-11-25T00:00:00Z");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in
            ["", "30", "d", "-1d", "0d", "1y", "1.5h", "99999999999999999999d", "9999999999s"]
        {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
        let long = "37000d".parse::<Duration>();
        assert!(long.is_err());
    }
}
