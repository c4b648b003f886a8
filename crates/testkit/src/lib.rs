//! What the tests run against, so that no test needs the internet:
//!
//! * [`ScriptedUpstream`]: a provider that speaks OpenAI's and Anthropic's HTTP APIs as strictly as
//!   the originals, records every request and answers by script, always the same way.
//! * [`EvilUpstream`]: a raw TCP peer that cuts, drips, garbles, stalls and floods.
//! * [`Issuer`]: token endpoints, as strict about signatures and fields as the originals.
//! * [`Canary`]: a listener that nobody may ever connect to.
//! * [`Tollgate`]: the real binary as a child process, killed on drop.
//! * [`mod@call`]: a small HTTP client that keeps the chunks of an answer apart.
//!
//! Everything here panics when it cannot do its work: a test that has no upstream has failed.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "test support: a broken fixture must fail the test at once, on real sockets and real time"
)]

pub mod call;
pub mod canary;
pub mod evil;
pub mod issuer;
pub mod process;
pub mod scripted;

pub use call::{Answer, Open, call, get, open, post};
pub use canary::Canary;
pub use evil::{EvilUpstream, Step};
pub use issuer::{Issuer, Trouble};
pub use process::{Builder, Tollgate};
pub use scripted::{Place, Recorded, Reply, ScriptedUpstream};
