//! Model cards: what a model at a provider can do, and what it costs. Data.

use serde::{Deserialize, Serialize};

use crate::matrix::Operation;

/// A model at a provider. Prices are list prices of the provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Card {
    /// The provider's name in the catalogue.
    pub provider: String,
    /// The model's name at the provider.
    pub name: String,
    /// What the model is for, if known.
    pub mode: Option<Operation>,
    /// Most tokens a prompt may have, if known.
    pub max_input: Option<u64>,
    /// Most tokens an answer may have, if known.
    pub max_output: Option<u64>,
    /// Prices, if known. `None` is "we do not know", never "free".
    pub rates: Option<Rates>,
}

/// Prices per token in femto-USD (10⁻¹⁵ USD): 2.5 USD for a million tokens is 2 500 000 000.
///
/// A missing cache rate falls back to `input`, a missing reasoning rate to `output`, a missing
/// audio rate to the rate of its side (LiteLLM's `generic_cost_per_token`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rates {
    /// A prompt token.
    pub input: i64,
    /// An answer token.
    pub output: i64,
    /// A prompt token read from the cache.
    pub cache_read: Option<i64>,
    /// A prompt token written to the cache for five minutes.
    pub cache_write: Option<i64>,
    /// A prompt token written to the cache for an hour.
    pub cache_write_1h: Option<i64>,
    /// A reasoning token.
    pub reasoning: Option<i64>,
    /// An audio token in the prompt.
    pub input_audio: Option<i64>,
    /// An audio token in the answer.
    pub output_audio: Option<i64>,
    /// One request, whatever it consumes.
    pub request: i64,
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
