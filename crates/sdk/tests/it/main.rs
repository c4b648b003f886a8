//! The SDK against a scripted provider.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may")]

mod anthropic;
mod chat;
mod errors;
mod examples;
mod streams;

use testkit::ScriptedUpstream;
use tollgate::Tollgate;
use tollgate_testkit as testkit;

/// A client that knows nothing but the upstream.
fn client(upstream: &ScriptedUpstream) -> Tollgate {
    Tollgate::builder()
        .env(|_| None)
        .api_base("apertis", format!("{}/v1", upstream.url()))
        .api_key("apertis", "sk-upstream")
        .build()
}
