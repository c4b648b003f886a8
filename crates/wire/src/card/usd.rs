//! Prices as decimal text, to femto-USD and back, exactly: no float on the way.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Femto-USD that is written as decimal USD: `"2.5e-06"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usd(pub(crate) i64);

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&usd_text(self.0))
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        femto_from_usd_text(&text).map(Usd).map_err(serde::de::Error::custom)
    }
}

/// Why a text is no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Not a decimal number.
    #[error("expected a decimal number of USD such as `2.5e-06`")]
    NotANumber,
    /// Less than nothing.
    #[error("a price cannot be negative")]
    Negative,
    /// More than an `i64` of femto-USD holds (9223 USD a unit).
    #[error("the price is too large: at most 9223 USD a unit can be said")]
    TooLarge,
}

/// USD as decimal text, with or without an exponent, to femto-USD, exactly: no float on the way.
/// What is finer than a femto-USD is rounded half to even.
///
/// ```
/// use tollgate_wire::card::femto_from_usd_text;
/// assert_eq!(femto_from_usd_text("2.5e-06"), Ok(2_500_000_000));
/// ```
pub fn femto_from_usd_text(text: &str) -> Result<i64, PriceError> {
    let text = text.trim();
    let (negative, number) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if !all_digits || (whole.is_empty() && fraction.is_empty()) {
        return Err(PriceError::NotANumber);
    }
    let digits = || whole.bytes().chain(fraction.bytes()).map(|b| i128::from(b - b'0'));
    if negative && digits().any(|d| d != 0) {
        return Err(PriceError::Negative);
    }
    // digits × 10^-fraction × 10^exponent USD, × 10^15 femto-USD.
    let fraction = i64::try_from(fraction.len()).map_err(|_| PriceError::TooLarge)?;
    scale(digits(), exponent.saturating_sub(fraction).saturating_add(15))
}

/// Femto-USD as the shortest decimal text of USD, in the spelling that price lists use: plain for
/// amounts of a hundredth of a cent and more, else with an exponent.
///
/// ```
/// use tollgate_wire::card::usd_text;
/// assert_eq!(usd_text(2_500_000_000), "2.5e-06");
/// assert_eq!(usd_text(40_000_000_000_000), "0.04");
/// ```
pub fn usd_text(femto: i64) -> String {
    if femto == 0 {
        return "0".to_owned();
    }
    let sign = if femto < 0 { "-" } else { "" };
    let all = femto.unsigned_abs().to_string();
    // The power of ten that the first digit stands for.
    let power = all.len() as i64 - 1 - 15;
    let digits = all.trim_end_matches('0');
    let (first, rest) = digits.split_at(1);
    if power < -4 {
        let point = if rest.is_empty() { "" } else { "." };
        return format!("{sign}{first}{point}{rest}e-{:02}", -power);
    }
    if power < 0 {
        let zeros = "0".repeat((-power - 1) as usize);
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole_digits = power as usize + 1;
    if digits.len() <= whole_digits {
        return format!("{sign}{digits}{}", "0".repeat(whole_digits - digits.len()));
    }
    let (whole, fraction) = digits.split_at(whole_digits);
    format!("{sign}{whole}.{fraction}")
}

/// An exponent as large as it may be without overflow later on; what is larger decides the same.
fn read_exponent(text: &str) -> Result<i64, PriceError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(PriceError::NotANumber);
    }
    const FAR: i64 = 1 << 40;
    let size = digits.parse().unwrap_or(FAR).min(FAR);
    Ok(if text.starts_with('-') { -size } else { size })
}

/// `digits` × 10^`shift`, rounded half to even.
fn scale(digits: impl Iterator<Item = i128> + Clone, shift: i64) -> Result<i64, PriceError> {
    let mut digits = digits.skip_while(|d| *d == 0).peekable();
    if digits.peek().is_none() {
        return Ok(0);
    }
    let count = digits.clone().count() as i64;
    // How many of the digits stand before the point; beyond 19 the number is too large anyway.
    let before = count.saturating_add(shift);
    if before > 19 {
        return Err(PriceError::TooLarge);
    }
    let mut value: i128 = 0;
    for _ in 0..before.max(0) {
        value = value * 10 + digits.next().unwrap_or(0);
    }
    if before < 0 {
        return Ok(0);
    }
    let half = digits.next().unwrap_or(0);
    let beyond = digits.any(|d| d != 0);
    let up = half > 5 || (half == 5 && (beyond || value % 2 == 1));
    i64::try_from(value + i128::from(up)).map_err(|_| PriceError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact() {
        for (text, femto) in [
            ("0", 0),
            ("-0.0", 0),
            ("2.5e-06", 2_500_000_000),
            ("0.0000025", 2_500_000_000),
            ("1.5E-7", 150_000_000),
            ("2.19e-06", 2_190_000_000),
            ("1e-15", 1),
            ("0.5", 500_000_000_000_000),
            ("+3", 3_000_000_000_000_000),
            ("9223.372036854775807", i64::MAX),
            (".5e-14", 5),
            ("100e-17", 1),
            // Half to even, and what is beyond the half.
            ("0.5e-15", 0),
            ("1.5e-15", 2),
            ("2.5e-15", 2),
            ("2.50001e-15", 3),
            ("0.49e-15", 0),
            ("0.51e-15", 1),
            ("9e-17", 0),
            ("1e-999999999999999999999", 0),
        ] {
            assert_eq!(femto_from_usd_text(text), Ok(femto), "{text}");
        }
    }

    #[test]
    fn texts_are_short_and_exact() {
        for (femto, text) in [
            (0, "0"),
            (1, "1e-15"),
            (2_500_000_000, "2.5e-06"),
            (150_000_000, "1.5e-07"),
            (40_000_000_000_000, "0.04"),
            (100_000_000_000, "0.0001"),
            (99_000_000_000, "9.9e-05"),
            (1_000_000_000_000_000, "1"),
            (30_000_000_000_000_000, "30"),
            (1_100_000_000_000_000, "1.1"),
            (i64::MAX, "9223.372036854775807"),
        ] {
            assert_eq!(usd_text(femto), text);
            assert_eq!(femto_from_usd_text(text), Ok(femto));
        }
    }

    proptest::proptest! {
        #[test]
        fn a_text_says_its_price(femto in 0..=i64::MAX) {
            proptest::prop_assert_eq!(femto_from_usd_text(&usd_text(femto)), Ok(femto));
        }
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for text in ["", ".", "e5", "1e", "1e+", "NaN", "inf", "1,5", "0x1", "1 2", "--1", "1.2.3"]
        {
            assert_eq!(femto_from_usd_text(text), Err(PriceError::NotANumber), "{text}");
        }
        assert_eq!(femto_from_usd_text("-1e-06"), Err(PriceError::Negative));
        for text in ["9223.372036854775808", "1e4", "1e999999999999999999999", &"9".repeat(400)] {
            assert_eq!(femto_from_usd_text(text), Err(PriceError::TooLarge), "{text}");
        }
    }
}
