//! Just enough of Rust's lexical rules to tell code from comments and strings.

/// A source text with its comments, and where asked the inside of its strings, replaced by spaces.
/// Lines and columns stay where they are.
pub(super) fn blank(text: &str, strings: Strings) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let rest = chars.get(at..).unwrap_or_default();
        let (length, keep) = match (c, rest.get(1)) {
            ('/', Some('/')) => (until_newline(rest), false),
            ('/', Some('*')) => (block_comment(rest), false),
            ('"', _) => (quoted(rest), strings == Strings::Keep),
            ('r' | 'b' | 'c', _) if !follows_word(&chars, at) => match raw_string(rest) {
                Some(length) => (length, strings == Strings::Keep),
                None => (1, true),
            },
            ('\'', _) => (char_literal(rest), true),
            _ => (1, true),
        };
        for &c in rest.iter().take(length) {
            out.push(if keep || c == '\n' { c } else { ' ' });
        }
        at += length.max(1);
    }
    out
}

/// What happens to strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strings {
    Keep,
    Blank,
}

fn follows_word(chars: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| chars.get(before));
    before.is_some_and(|c| c.is_alphanumeric() || *c == '_')
}

fn until_newline(rest: &[char]) -> usize {
    rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(c) = rest.get(at) {
        match (c, rest.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of a string that begins here, with its quotes.
fn quoted(rest: &[char]) -> usize {
    let mut at = 1;
    while let Some(c) = rest.get(at) {
        match c {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of `r"…"`, `br#"…"#`, … where one begins here.
fn raw_string(rest: &[char]) -> Option<usize> {
    let prefix = rest.iter().take_while(|c| "rbc".contains(**c)).count();
    if !rest.get(..prefix)?.contains(&'r') || prefix > 2 {
        return None;
    }
    let hashes = rest.get(prefix..)?.iter().take_while(|c| **c == '#').count();
    if rest.get(prefix + hashes) != Some(&'"') {
        return None;
    }
    let mut at = prefix + hashes + 1;
    while at < rest.len() {
        let closes = rest.get(at) == Some(&'"')
            && rest
                .get(at + 1..)
                .unwrap_or_default()
                .iter()
                .take(hashes)
                .filter(|c| **c == '#')
                .count()
                == hashes;
        at += 1;
        if closes {
            return Some(at + hashes);
        }
    }
    Some(rest.len())
}

/// The length of a character literal, or 1 for the tick of a lifetime.
fn char_literal(rest: &[char]) -> usize {
    match (rest.get(1), rest.get(2)) {
        (Some('\\'), _) => {
            let end = rest.iter().skip(3).position(|c| *c == '\'');
            end.map_or(1, |end| end + 4)
        }
        (Some(_), Some('\'')) => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::{Strings, blank};

    #[test]
    fn tells_code_from_comments_and_strings() {
        let cases = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x // y") // z"#, "f(        )     "),
            (r##"f(r#"a " b"#, 'x')"##, "f(          , 'x')"),
            ("fn f<'a>(x: &'a str) { '\"' }", "fn f<'a>(x: &'a str) { '\"' }"),
            (r#"g('\'', "\"todo!()")"#, r#"g('\'',            )"#),
        ];
        for (text, code) in cases {
            assert_eq!(blank(text, Strings::Blank), code);
        }
        assert_eq!(blank("\"a\" // b", Strings::Keep), "\"a\"     ");
    }
}
