//! Money and prices. Pure: no clock, no I/O, and no floating point anywhere, because a float
//! cannot hold a price per token exactly.
//!
//! Amounts are [`Nano`]s (10⁻⁹ USD), rates are femto-USD (10⁻¹⁵ USD) per unit, arithmetic between
//! them is checked `i128`, and a request's price is rounded once, at the end.

#![deny(clippy::float_arithmetic)]

mod decimal;
mod nano;
pub mod price;

pub use nano::Nano;
pub use price::Cost;

/// Why an amount could not be read or computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The text is no plain or scientific decimal number.
    #[error("expected a decimal number such as `0.5` or `2.5e-06`")]
    NotANumber,
    /// A price or rate below zero.
    #[error("expected an amount of at least zero")]
    Negative,
    /// The amount does not fit into 64 bits.
    #[error("the amount is too large")]
    Overflow,
}
