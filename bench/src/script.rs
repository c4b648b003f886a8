//! What an answer is to be like: read from the model's name, because that is the one thing which
//! every gateway passes on.

use std::time::Duration;

/// Content events of a streamed answer whose model name does not say.
pub const EVENTS: usize = 100;

/// No more content events than this, whatever a name says.
const MOST_EVENTS: usize = 100_000;

/// Pace and length of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// Before the first byte.
    pub delay: Duration,
    /// Between the events of a stream. Zero: back to back, each still flushed on its own.
    pub gap: Duration,
    /// Content events of a stream.
    pub events: usize,
}

impl Script {
    /// Reads a name such as `bench-d50-g10-c20`: 50 ms until the first byte, 10 ms between events,
    /// 20 events. Any word may be left out; words that mean nothing here are passed over.
    pub fn of(model: &str) -> Script {
        let mut script = Script { delay: Duration::ZERO, gap: Duration::ZERO, events: EVENTS };
        for word in model.split('-').skip(1) {
            let Some((kind, number)) = word.split_at_checked(1) else { continue };
            let Ok(number) = number.parse::<u32>() else { continue };
            match kind {
                "d" => script.delay = Duration::from_millis(number.into()),
                "g" => script.gap = Duration::from_millis(number.into()),
                "c" => script.events = usize::try_from(number).unwrap_or(0).min(MOST_EVENTS),
                _ => {}
            }
        }
        script
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_sets_pace_and_length() {
        let script = Script::of("bench-d50-g10-c20");
        let ms = Duration::from_millis;
        assert_eq!(script, Script { delay: ms(50), gap: ms(10), events: 20 });
    }

    #[test]
    fn other_names_mean_the_usual() {
        for name in ["bench", "", "gpt-4o-mini", "c20", "bench-x1-g", "bench-€5"] {
            let usual = Script { delay: Duration::ZERO, gap: Duration::ZERO, events: EVENTS };
            assert_eq!(Script::of(name), usual, "{name}");
        }
    }
}
