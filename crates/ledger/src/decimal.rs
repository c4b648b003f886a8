//! Exact reading of decimal text, without floats.

use crate::MoneyError;

/// Longest text that is looked at; longer ones are no amount that anybody means.
const MAX_TEXT_BYTES: usize = 128;
/// Powers of ten beyond this are zero or an overflow, whatever the digits.
const MAX_EXPONENT: i64 = 1_000;

/// Reads a decimal such as `12`, `-0.5`, `.5`, `2.5e-06` as a whole number of 10^-`scale`.
///
/// What lies beyond the last unit is rounded half to even.
pub(crate) fn scaled(text: &str, scale: u32) -> Result<i64, MoneyError> {
    let number = Number::read(text.trim())?;
    let magnitude = number.scaled(scale)?;
    let signed = if number.negative { -magnitude } else { magnitude };
    i64::try_from(signed).map_err(|_| MoneyError::Overflow)
}

/// `digits` × 10^`exponent`, digits as ASCII without the point.
struct Number {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Number {
    fn read(text: &str) -> Result<Self, MoneyError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(MoneyError::NotANumber);
        }
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(MoneyError::NotANumber);
        }
        let places = i64::try_from(fraction.len()).map_err(|_| MoneyError::NotANumber)?;
        Ok(Self { negative, digits, exponent: exponent - places })
    }

    fn scaled(&self, scale: u32) -> Result<i128, MoneyError> {
        let shift = self.exponent + i64::from(scale);
        let kept = match usize::try_from(-shift) {
            Ok(dropped) => self.digits.len().checked_sub(dropped),
            Err(_) => Some(self.digits.len()),
        };
        // More places dropped than there are digits: less than a tenth of a unit.
        let Some(kept) = kept else { return Ok(0) };
        let (kept, dropped) = self.digits.split_at_checked(kept).unwrap_or((&self.digits, &[]));
        let mut value = 0_i128;
        for digit in kept {
            value = push_digit(value, *digit)?;
        }
        for _ in 0..shift.max(0) {
            if value == 0 {
                break;
            }
            value = push_digit(value, b'0')?;
        }
        Ok(if rounds_up(dropped, value) { value + 1 } else { value })
    }
}

fn push_digit(value: i128, digit: u8) -> Result<i128, MoneyError> {
    value
        .checked_mul(10)
        .and_then(|value| value.checked_add(i128::from(digit - b'0')))
        .filter(|value| *value <= i128::from(u64::MAX))
        .ok_or(MoneyError::Overflow)
}

/// Half to even, for the digits after the last one kept.
fn rounds_up(dropped: &[u8], kept: i128) -> bool {
    let Some((first, rest)) = dropped.split_first() else { return false };
    match first {
        b'0'..=b'4' => false,
        b'5' if rest.iter().all(|digit| *digit == b'0') => kept % 2 == 1,
        _ => true,
    }
}

fn read_exponent(text: &str) -> Result<i64, MoneyError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(MoneyError::NotANumber);
    }
    let magnitude = digits.parse::<i64>().unwrap_or(MAX_EXPONENT).min(MAX_EXPONENT);
    Ok(if text.starts_with('-') { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests;
