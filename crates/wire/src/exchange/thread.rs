//! Anthropic's message threads: a conversation that the provider holds, gone on from by the id of its
//! last answer. It holds them for our account and not for one of our clients, any of whom could go on
//! with another's; and no other provider has them. So they are refused, in the words that tell
//! Anthropic's SDKs to send the whole conversation instead.
//! <https://platform.claude.com/docs/en/build-with-claude/message-threads>

use super::{Malformed, Payload};
use crate::{Dialect, json::Scan};

/// The parameter.
pub(crate) const THREAD: &str = "thread";

/// An error, if the request is of a thread. It is nothing that could be dropped or allowed: what a
/// thread holds is part of the question.
pub(super) fn refuse(surface: Dialect, payload: &Payload) -> Result<(), Malformed> {
    if surface != Dialect::Anthropic {
        return Ok(());
    }
    let text = |span: &std::ops::Range<usize>| payload.body.get(span.clone()).unwrap_or_default();
    let threaded = payload.peek.members.iter().any(|member| {
        let name = Scan::new(text(&member.key)).string().ok();
        text(&member.value) != b"null"
            && name.and_then(|name| name.resolve().map(|name| name == THREAD)) == Some(true)
    });
    if !threaded {
        return Ok(());
    }
    let message = "`thread` is not supported: no conversations are held for the gateway's clients; \
        send the whole conversation without it";
    Err(Malformed::at(THREAD, message.to_owned()))
}
