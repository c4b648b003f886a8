//! An amount of money.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{MoneyError, decimal};

/// An amount in nano-USD (10⁻⁹ USD). Serialised as the bare integer.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Nano(pub i64);

impl Nano {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// One US dollar.
    pub const USD: Self = Self(1_000_000_000);

    /// The sum, or `None` if it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` if it does not fit.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The sum, stopping at the largest amount: for totals that must not fail.
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// USD as a plain decimal without exponent and trailing zeros, which is also a valid JSON
    /// number: `0.0000125`, `2`, `-0.5`.
    pub fn usd_text(self) -> String {
        let magnitude = self.0.unsigned_abs();
        let (whole, fraction) = (magnitude / 1_000_000_000, magnitude % 1_000_000_000);
        let mut text = String::with_capacity(24);
        if self.0 < 0 {
            text.push('-');
        }
        let mut digits = itoa::Buffer::new();
        text.push_str(digits.format(whole));
        if fraction > 0 {
            // With a one before it, it has all of its zeros; the point takes the place of the one.
            let fraction = digits.format(1_000_000_000 + fraction).trim_end_matches('0');
            text.push('.');
            text.push_str(fraction.split_at(1).1);
        }
        text
    }

    /// Reads USD as decimal text (`0.5`, `100`, `1e-3`); what is below a nano-USD is rounded half
    /// to even.
    pub fn from_usd_text(text: &str) -> Result<Self, MoneyError> {
        decimal::scaled(text, 9).map(Self)
    }
}

impl fmt::Display for Nano {
    /// USD with all nine decimals: `0.000012500`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:09}", magnitude / 1_000_000_000, magnitude % 1_000_000_000)
    }
}
