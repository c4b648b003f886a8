//! What holds of any text.

use proptest::prelude::*;

use super::*;

/// Every problem says where it is, and the place exists.
fn is_placed(text: &str) -> Outcome {
    let outcome = load_with("any.yaml", text, Strictness::Strict);
    assert!(
        outcome.config.is_none()
            || outcome.problems.iter().all(|p| p.severity == Severity::Warning)
    );
    assert!(
        outcome.config.is_some() || outcome.problems.iter().any(|p| p.severity == Severity::Error)
    );
    let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    let lines = u32::try_from(text.split(breaks).count()).unwrap();
    for problem in &outcome.problems {
        assert!(problem.line >= 1 && problem.column >= 1 && problem.width >= 1, "{problem:?}");
        assert!(!problem.message.is_empty() && !problem.file.is_empty(), "{problem:?}");
        assert!(problem.line <= lines + 1, "{problem:?}");
    }
    let _ = render(&outcome, true);
    let _ = verdict_table(&outcome.verdicts);
    outcome
}

/// Pieces that a configuration is made of, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "model_list",
        "litellm_params",
        "model_name",
        "model",
        "general_settings",
        "tollgate",
        "router_settings",
        "fallbacks",
        "api_key",
        "os.environ/OPENAI_API_KEY",
        "os.environ/",
        "openai/gpt-4o",
        "*",
        "&a ",
        "*a",
        "<<",
        ": ",
        ":",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "\n- ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\"",
        "'",
        "|\n",
        ">\n",
        "#",
        "!!str ",
        "!x ",
        "? ",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "\t",
        "1",
        "-0.5",
        "1e-6",
        "yes",
        "~",
        "é",
        "\u{2028}",
        "\r\n",
        "\\u0000",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,300}") {
        is_placed(&text);
    }

    #[test]
    fn any_pieces_are_read_or_refused(text in pieces()) {
        is_placed(&text);
    }

    #[test]
    fn a_changed_file_is_read_or_refused(
        name in prop::sample::select(vec!["load-balancing", "bad-types", "credentials", "anchors"]),
        at in any::<prop::sample::Index>(),
        length in 0usize..20,
        with in "[ -~\n]{0,8}",
    ) {
        let text = std::fs::read_to_string(format!("{FIXTURES}/{name}.yaml")).unwrap();
        let chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        let end = (at + length).min(chars.len());
        let changed: String =
            chars[..at].iter().copied().chain(with.chars()).chain(chars[end..].iter().copied()).collect();
        is_placed(&changed);
    }
}

/// Depth, width and length that a reader without bounds would choke on.
#[test]
fn large_and_deep_texts_are_refused() {
    let many = |piece: &str, n: usize| piece.repeat(n);
    for (name, text) in [
        ("brackets", many("[", 100_000)),
        ("braces", many("{", 100_000)),
        ("dashes", many("- ", 100_000)),
        ("questions", many("? ", 100_000)),
        ("keys", (0..50_000).map(|i| format!("k{i}: 1\n")).collect()),
        ("nested", (0..2_000).map(|i| format!("{}k:\n", " ".repeat(i))).collect()),
        ("items", format!("model_list:\n{}", many("- a\n", 100_000))),
        ("anchors", many("&a ", 50_000)),
        ("tags", many("!!str ", 50_000)),
        ("quotes", format!("a: \"{}", many("x", 1_000_000))),
        ("line", many("x", 1_000_000)),
        ("colons", many(":", 100_000)),
        ("flow", format!("[{}]", many("a: 1,", 50_000))),
        ("nul", many("\0", 10_000)),
        ("large", many("#", yaml::MAX_BYTES + 1)),
    ] {
        let outcome = is_placed(&text);
        assert!(outcome.config.is_none(), "{name}");
    }
}
