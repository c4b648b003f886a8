//! Plans and attempts: which target is asked for a request, how often, and over which connection.
//!
//! Four pure modules decide: [`table`] knows the groups, [`mod@plan`] orders their members for one
//! request, `walk` goes from attempt to attempt, and [`decide`] says what follows a fault.
//! [`attempt`] is the only one that waits, [`client`] the only one that opens sockets. This crate
//! knows nothing of clients' keys, money or storage, and has no provider's name in it.

#![cfg_attr(test, expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may"))]

mod answer;
pub mod attempt;
pub mod body;
pub mod client;
pub mod decide;
mod fan;
pub mod fetch;
mod follow;
pub mod health;
mod pattern;
mod place;
pub mod plan;
pub mod policy;
pub mod refuse;
pub mod sign;
pub mod stored;
pub mod table;
mod walk;

#[cfg(test)]
mod fake;

/// A future that is compiled here and nowhere else.
type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

pub use attempt::{Answer, Ask, Failed, Live, first_answer};
pub use body::UpstreamBody;
pub use client::{Client, Headers, Tls};
pub use fetch::fetch;
pub use health::{Health, HealthMap};
pub use plan::{Plan, Prefs, plan};
pub use policy::{ByClass, Policy};
pub use refuse::refusal;
pub use sign::Tokens;
pub use table::{Alias, Found, Group, Member, Rules, Table, Timeouts};
