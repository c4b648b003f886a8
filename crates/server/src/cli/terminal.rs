//! What commands write on: two streams, with colours where a person is looking.

use std::io::{self, IsTerminal, Write};

use tollgate::Nano;

use crate::serve::env;

/// Standard output and error, or two buffers in a test.
pub(crate) struct Terminal<'a> {
    /// The command's result.
    pub(crate) out: &'a mut dyn Write,
    /// What is said beside it.
    pub(crate) err: &'a mut dyn Write,
    /// For `out`.
    pub(crate) out_paint: Paint,
    /// For `err`.
    pub(crate) err_paint: Paint,
}

/// Colours, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Nobody is looking, or they asked for none.
    Plain,
    /// ANSI escapes.
    Colours,
}

impl Paint {
    /// Colours on a terminal, unless `NO_COLOR` is set to anything (no-color.org) or the terminal
    /// is a dumb one.
    pub(crate) fn of(stream: &impl IsTerminal) -> Self {
        let refused = env("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env("TERM").is_some_and(|value| value == "dumb");
        if stream.is_terminal() && !refused && !dumb { Paint::Colours } else { Paint::Plain }
    }

    /// Something that matters.
    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// Something that matters less.
    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// Something to copy.
    pub(crate) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Colours => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

/// A stream whose reader may leave before the end, as `head` does.
pub(crate) struct Readers<W>(pub(crate) W);

/// The reader has left. Nobody is to be told: there is nobody.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads any more")]
pub(crate) struct NobodyReads;

impl<W: Write> Write for Readers<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(left)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(left)
    }
}

fn left(why: io::Error) -> io::Error {
    match why.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(io::ErrorKind::BrokenPipe, NobodyReads),
        _ => why,
    }
}

/// Whether a command failed only because nobody reads its result any more.
pub(crate) fn nobody_reads(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.get_ref().is_some_and(|inner| inner.is::<NobodyReads>()))
}

/// Runs `work` on the process's own streams.
pub(crate) async fn on_terminal<T>(work: impl AsyncFnOnce(&mut Terminal<'_>) -> T) -> T {
    let (out, mut err) = (io::stdout(), io::stderr());
    let (out_paint, err_paint) = (Paint::of(&out), Paint::of(&err));
    let mut out = Readers(out);
    work(&mut Terminal { out: &mut out, err: &mut err, out_paint, err_paint }).await
}

/// An amount as people write it: `$0.0000125`, without zeros that say nothing.
pub(crate) fn usd(amount: Nano) -> String {
    let text = amount.usd_text();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let sign = if whole.starts_with('-') { "-" } else { "" };
    format!("{sign}${}.{fraction:0<2}", whole.trim_start_matches('-'))
}

/// A count with a comma before every three digits.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time as people write it: `31 ms`, `1.4 s`.
pub(crate) fn duration(time: std::time::Duration) -> String {
    match time.as_millis() {
        ms @ 0..1_000 => format!("{ms} ms"),
        ms => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn figures_are_written_as_people_write_them() {
        assert_eq!(usd(Nano(12_500)), "$0.0000125");
        assert_eq!(usd(Nano(0)), "$0.00");
        assert_eq!(usd(Nano(-1_500_000_000)), "-$1.50");
        assert_eq!(usd(Nano(3_000_000_000)), "$3.00");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(duration(Duration::from_millis(31)), "31 ms");
        assert_eq!(duration(Duration::from_millis(1_449)), "1.4 s");
    }

    #[test]
    fn plain_is_plain() {
        assert_eq!(Paint::Plain.bold("x"), "x");
        assert_eq!(Paint::Colours.bold("x"), "\u{1b}[1mx\u{1b}[0m");
    }
}
