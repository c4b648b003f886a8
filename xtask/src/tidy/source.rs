//! Rules about one Rust file.

use super::{
    Finding,
    lex::{Strings, blank},
};

/// Longest file.
const MOST_LINES: usize = 800;

/// Files that may be longer, with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Files that may compare with a provider's name, with the reason.
const NAMES_PROVIDERS: &[(&str, &str)] = &[
    ("crates/wire/src/matrix.rs", "the names of dialects: `openai` and `anthropic` are both"),
    ("crates/testkit/", "it plays the providers"),
    ("bench/", "it plays a provider"),
];

/// Words that say nothing, as a part of a type's name.
const BANNED_ANYWHERE: &[&str] = &["Manager", "Helper", "Helpers", "Util", "Utils"];

/// Words that say nothing, as the end of a type's name.
const BANNED_AT_END: &[&str] = &["Data", "Info", "Service"];

/// Module names that say nothing.
const BANNED_MODULES: &[&str] =
    &["util", "utils", "helper", "helpers", "manager", "misc", "common"];

/// Code that is not to be, with the reason.
const BANNED_CODE: &[(&str, &str)] = &[
    ("todo!", "finish it or leave it out"),
    ("unimplemented!", "finish it or leave it out"),
    ("dbg!", "left over from debugging"),
    ("#[ignore", "a test that does not run is no test"),
    ("#[serial", "tests do not share what they could disturb"),
    (
        "#[allow(",
        "use `#[expect(lint, reason = \"…\")]`, which tells when it is not needed any more",
    ),
    (
        "#![allow(",
        "use `#![expect(lint, reason = \"…\")]`, which tells when it is not needed any more",
    ),
    ("unbounded_channel", "everything that can grow has a limit"),
    ("mpsc::unbounded", "everything that can grow has a limit"),
    ("std::sync::mpsc::channel", "everything that can grow has a limit: use `sync_channel`"),
    ("mem::forget", "holds, permits and guards end by being dropped"),
];

/// Code that is not to be in the crates, or files, that begin so; tests apart.
const BANNED_BELOW: &[(&str, &[&str], &str)] = &[
    (
        "crates/wire/src/",
        &[
            "std::env",
            "std::fs",
            "std::net",
            "std::thread",
            "std::process",
            "std::io::std",
            "tokio::",
        ],
        "wire does no I/O",
    ),
    (
        "crates/ledger/src/",
        &[
            "std::env",
            "std::fs",
            "std::net",
            "std::thread",
            "std::process",
            "std::io::std",
            "tokio::",
        ],
        "ledger does no I/O",
    ),
    ("crates/ledger/src/", &["f64", "f32"], "no float touches money"),
    ("crates/wire/src/", CLOCKS, "wire has no clock"),
    ("crates/ledger/src/", CLOCKS, "ledger has no clock"),
    ("crates/router/src/plan", CLOCKS, "a plan is a pure function: take `now_ms`"),
    ("crates/router/src/decide", CLOCKS, "a decision is a pure function"),
    ("crates/router/src/plan", UNSEEDED, "a plan is a pure function: take `seed`"),
    ("crates/router/src/decide", UNSEEDED, "a decision is a pure function"),
    ("crates/gateway/src/", &["axum::"], "the gateway knows no HTTP framework"),
];

/// Waiting, and dice that nobody seeded.
const UNSEEDED: &[&str] = &[
    "async fn",
    "Rng::new",
    "fastrand::bool",
    "fastrand::usize",
    "fastrand::u64",
    "fastrand::shuffle",
];

const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now", "jiff::Timestamp::now", "Zoned::now"];

/// A Rust file, ready to be looked at.
pub(super) struct File<'a> {
    name: &'a str,
    lines: usize,
    /// Code without comments and the inside of strings.
    code: String,
    /// Code without comments.
    spoken: String,
    /// The first line that belongs to the tests, counted from 1; all of a test file.
    tests_from: usize,
}

impl<'a> File<'a> {
    pub(super) fn new(name: &'a str, text: &str) -> Self {
        let code = blank(text, Strings::Blank);
        let whole =
            name.contains("/tests/") || name.ends_with("/tests.rs") || name.contains("/testkit/");
        // By convention the tests come last in a file.
        let module = code.lines().position(|line| line.trim() == "#[cfg(test)]");
        let tests_from = if whole { 1 } else { module.map_or(usize::MAX, |at| at + 1) };
        let spoken = blank(text, Strings::Keep);
        File { name, lines: text.lines().count(), code, spoken, tests_from }
    }

    fn at(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding { file: self.name.to_owned(), line, message: message.into() }
    }

    /// Lines of code that are not tests, counted from 1.
    fn product(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.code.lines().enumerate().map(|(at, line)| (at + 1, line));
        numbered.take_while(|(at, _)| *at < self.tests_from)
    }
}

fn excused(list: &[(&str, &str)], name: &str) -> bool {
    list.iter().any(|(prefix, _)| name.starts_with(prefix))
}

/// Every broken rule of one file.
pub(super) fn check(file: &File<'_>, providers: &[String]) -> Vec<Finding> {
    let mut out = Vec::new();
    if file.lines > MOST_LINES && !excused(LONG_FILES, file.name) {
        let lines = file.lines;
        out.push(file.at(0, format!("{lines} lines: split it by meaning (at most {MOST_LINES})")));
    }
    names(file, &mut out);
    banned(file, &mut out);
    if !excused(NAMES_PROVIDERS, file.name) && file.name.starts_with("crates/") {
        provider_matches(file, providers, &mut out);
    }
    out
}

fn names(file: &File<'_>, out: &mut Vec<Finding>) {
    let stem = file.name.rsplit('/').next().and_then(|name| name.strip_suffix(".rs"));
    if stem.is_some_and(|stem| BANNED_MODULES.contains(&stem)) {
        out.push(file.at(0, "a module's name says what is in it"));
    }
    for (line, text) in file.code.lines().enumerate() {
        let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let mut pairs = words.windows(2);
        while let Some([before, name]) = pairs.next() {
            match *before {
                "struct" | "enum" | "trait" | "type" => {
                    if let Some(word) = banned_word(name) {
                        out.push(file.at(
                            line + 1,
                            format!("`{name}`: a `{word}` can be anything; name what it is"),
                        ));
                    }
                }
                "fn" if name.starts_with("process_") => {
                    out.push(file.at(
                        line + 1,
                        format!("`{name}`: everything is processed; say what is done"),
                    ));
                }
                _ => {}
            }
        }
    }
}

fn banned_word(name: &str) -> Option<&'static str> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    let anywhere = BANNED_ANYWHERE.iter().find(|banned| words.iter().any(|word| word == *banned));
    // A bare `Data` or `Service` is an associated type of somebody else's trait.
    let end = words.last().filter(|_| words.len() > 1);
    let last = || BANNED_AT_END.iter().find(|banned| end.is_some_and(|word| word == *banned));
    anywhere.or_else(last).copied()
}

fn banned(file: &File<'_>, out: &mut Vec<Finding>) {
    for (at, line) in file.code.lines().enumerate() {
        for (code, why) in BANNED_CODE {
            if contains_word(line, code) {
                out.push(file.at(at + 1, format!("`{code}`: {why}")));
            }
        }
    }
    for (prefix, list, why) in BANNED_BELOW {
        if !file.name.starts_with(prefix) {
            continue;
        }
        for (at, line) in file.product() {
            for code in list.iter().filter(|code| contains_word(line, code)) {
                out.push(file.at(at, format!("`{code}`: {why}")));
            }
        }
    }
}

/// Whether a line holds this code, not as the end of a longer word.
fn contains_word(line: &str, code: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(code).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at + code.len()..).and_then(|after| after.chars().next());
        let joined =
            |side: Option<char>, end: Option<char>| side.is_some_and(word) && end.is_some_and(word);
        !joined(before, code.chars().next()) && !joined(after, code.chars().next_back())
    })
}

/// `"openai" =>`, `"openai" |`, `== "openai"`: code that branches on who the provider is.
fn provider_matches(file: &File<'_>, providers: &[String], out: &mut Vec<Finding>) {
    for (at, line) in file.spoken.lines().enumerate() {
        if at + 1 >= file.tests_from {
            break;
        }
        for provider in providers {
            let quoted = format!("\"{provider}\"");
            let branches = line.match_indices(&quoted).any(|(at, _)| {
                let before = line.get(..at).unwrap_or_default().trim_end();
                let after = line.get(at + quoted.len()..).unwrap_or_default().trim_start();
                before.ends_with("==")
                    || before.ends_with("!=")
                    || after.starts_with("=>")
                    || after.starts_with("==")
                    || (after.starts_with('|') && !after.starts_with("||"))
            });
            if branches {
                let message = format!(
                    "a branch on the provider `{provider}`: what is special about it belongs in \
                     catalog/providers.toml"
                );
                out.push(file.at(at + 1, message));
            }
        }
    }
}

/// Where a function is called `handle`.
pub(super) fn handles(file: &File<'_>) -> Vec<Finding> {
    let found = file.product().filter(|(_, line)| contains_word(line, "fn handle"));
    found.map(|(at, _)| file.at(at, "more than one function is called `handle`")).collect()
}

/// There is one `handle`: the life of a request.
pub(super) fn too_many_handles(handles: Vec<Finding>) -> Vec<Finding> {
    if handles.len() > 1 { handles } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::{File, check, handles, too_many_handles};

    fn broken(name: &str, text: &str) -> Vec<String> {
        let providers = ["openai".to_owned(), "apertis".to_owned()];
        check(&File::new(name, text), &providers).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn good_code_passes() {
        let text = "//! todo! in a comment, f64 too.\n/// A `KeyManager` of old.\npub struct Key;\n\
                    fn f() -> &'static str { \"unbounded_channel dbg! == openai\" }\n";
        assert_eq!(broken("crates/ledger/src/key.rs", text), Vec::<String>::new());
    }

    #[test]
    fn each_rule_can_fail() {
        let long = "\n".repeat(801);
        let cases = [
            ("crates/wire/src/a.rs", long.as_str(), "a.rs: 801 lines"),
            ("crates/wire/src/utils.rs", "", "utils.rs: a module's name"),
            ("crates/wire/src/a.rs", "pub struct KeyManager;", "a.rs:1: `KeyManager`"),
            ("crates/wire/src/a.rs", "\nenum UtilKind {}", "a.rs:2: `UtilKind`"),
            ("crates/wire/src/a.rs", "trait BillingService {}", "`BillingService`"),
            ("crates/wire/src/a.rs", "type ModelInfo = ();", "`ModelInfo`"),
            ("crates/wire/src/a.rs", "fn process_request() {}", "`process_request`"),
            ("crates/wire/src/a.rs", "fn f() { todo!() }", "`todo!`"),
            ("crates/wire/src/a.rs", "fn f() { unimplemented!() }", "`unimplemented!`"),
            ("crates/wire/tests/it/a.rs", "#[ignore]\nfn f() {}", "`#[ignore`"),
            ("crates/wire/src/a.rs", "#[allow(dead_code)]", "`#[allow(`"),
            (
                "crates/store/src/a.rs",
                "let (a, b) = mpsc::unbounded_channel();",
                "unbounded_channel",
            ),
            ("crates/wire/src/a.rs", "use std::fs;", "wire does no I/O"),
            ("crates/wire/src/a.rs", "let t = Instant::now();", "wire has no clock"),
            ("crates/ledger/src/a.rs", "let x: f64 = 0;", "no float touches money"),
            ("crates/router/src/decide.rs", "let t = Instant::now();", "pure function"),
            ("crates/router/src/a.rs", "match p { \"openai\" => 1, _ => 2 }", "provider `openai`"),
            ("crates/router/src/a.rs", "if name == \"apertis\" {}", "provider `apertis`"),
            ("crates/router/src/a.rs", "matches!(p, \"x\" | \"apertis\" | \"y\")", "`apertis`"),
        ];
        for (name, text, expected) in cases {
            let found = broken(name, text);
            assert!(found.iter().any(|line| line.contains(expected)), "{expected}: {found:?}");
        }
    }

    #[test]
    fn tests_may_have_a_clock_and_name_a_provider() {
        let text =
            "fn f() {}\n#[cfg(test)]\nmod tests { fn g() { Instant::now(); x == \"openai\" } }";
        assert_eq!(broken("crates/wire/src/a.rs", text), Vec::<String>::new());
    }

    #[test]
    fn there_is_one_handle() {
        let file = File::new(
            "crates/gateway/src/handle.rs",
            "pub async fn handle() {}\nfn handle_it() {}",
        );
        assert_eq!(handles(&file).len(), 1);
        assert!(too_many_handles(handles(&file)).is_empty());
        let two = handles(&file).into_iter().chain(handles(&file)).collect();
        assert_eq!(too_many_handles(two).len(), 2);
    }
}
