//! What a client asks for in `anthropic-beta` headers, where the target speaks another dialect.
//! <https://platform.claude.com/docs/en/api/beta-headers>
//!
//! Coding agents send a dozen of them with every request. Most do no more than open a member of the
//! body, or a kind of tool: that is translated, refused or named by itself, and the header says nothing
//! beside it. A few say who asks. The others change the answer alone (`context-1m`,
//! `interleaved-thinking`), and so may those that nobody here has heard of.

/// Those that open a member, by their names without the date: members, tools, sources.
const OPEN: &[&str] = &[
    "advanced-tool-use",
    "advisor-tool",
    "code-execution",
    "compact",
    "computer-use",
    "context-management",
    "effort",
    "extended-cache-ttl",
    "fast-mode",
    "files-api",
    "mcp-client",
    "mid-conversation-system",
    "pdfs",
    "prompt-caching",
    "prompt-caching-scope",
    "skills",
    "structured-outputs",
    "task-budgets",
    "token-counting",
    "tool-examples",
    "tool-search-tool",
    "web-fetch",
    "web-search",
];
/// Those that say who asks.
const CALLERS: &[&str] = &["claude-code", "oauth"];

/// Whether something is lost with it that nothing else tells of.
pub(crate) fn tells_more(beta: &str) -> bool {
    let name = undated(beta);
    !OPEN.contains(&name) && !CALLERS.contains(&name)
}

/// `context-1m` of `context-1m-2025-08-07`, `claude-code` of `claude-code-20250219`.
fn undated(beta: &str) -> &str {
    let name = beta.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    let date = beta.get(name.len()..).unwrap_or_default();
    let digits = date.bytes().filter(u8::is_ascii_digit).count();
    if digits == 8 && date.starts_with('-') { name } else { beta }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_header_alone_says_is_told() {
        for beta in [
            "context-1m-2025-08-07",
            "interleaved-thinking-2025-05-14",
            "fine-grained-tool-streaming-2025-05-14",
            "something-new-2027-01-01",
            "effort-v2",
            "effort-1",
            "2025-05-14",
        ] {
            assert!(tells_more(beta), "{beta}");
        }
        for beta in [
            "claude-code-20250219",
            "oauth-2025-04-20",
            "effort-2025-11-24",
            "effort-2029-12-31",
            "context-management-2025-06-27",
            "advanced-tool-use-2025-11-20",
            "effort",
        ] {
            assert!(!tells_more(beta), "{beta}");
        }
    }
}
