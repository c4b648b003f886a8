//! What a YAML scalar means: PyYAML's rules for plain scalars (YAML 1.1), apart from what
//! `yaml.rs` lists.

use super::yaml::{Text, Value};

/// A scalar's value; `tag` is the suffix of a tag of the core schema.
pub(super) fn value(source: &str, plain: bool, tag: Option<&str>) -> Result<Value, String> {
    match tag {
        Some("str") => Ok(text(source)),
        Some(tag @ ("int" | "float")) => {
            number(source).ok_or_else(|| format!("`!!{tag}` on what is no number"))
        }
        Some("bool") => boolean(source)
            .map(Value::Bool)
            .ok_or_else(|| "`!!bool` on what is no boolean".to_owned()),
        Some("null") => Ok(Value::Null),
        Some(tag) => Err(format!("the tag `!!{tag}` means nothing here")),
        None if plain => Ok(plain_value(source)),
        None => Ok(text(source)),
    }
}

/// A text that may be shown.
pub(super) fn text(source: &str) -> Value {
    Value::Text(Text { text: source.to_owned(), hidden: false })
}

fn plain_value(source: &str) -> Value {
    if matches!(source, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    if let Some(on) = boolean(source) {
        return Value::Bool(on);
    }
    number(source).unwrap_or_else(|| text(source))
}

/// YAML 1.1 booleans, as PyYAML reads them (`y` and `n` are texts).
pub(super) fn boolean(source: &str) -> Option<bool> {
    match source {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// A number in JSON's spelling: decimal, hexadecimal, octal with a leading zero, binary, with
/// underscores between digits.
fn number(source: &str) -> Option<Value> {
    json_number(source).map(Value::Number)
}

/// The JSON spelling of a number, or `None`. Also used for texts where a number is wanted.
pub(super) fn json_number(source: &str) -> Option<String> {
    let (sign, rest) = match source.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", source.strip_prefix('+').unwrap_or(source)),
    };
    if !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') || rest.len() > 100 {
        return None;
    }
    let digits: String = rest.chars().filter(|c| *c != '_').collect();
    for (prefix, radix) in [("0x", 16), ("0b", 2), ("0", 8)] {
        if let Some(tail) = digits.strip_prefix(prefix)
            && !tail.is_empty()
            && tail.chars().all(|c| c.is_digit(radix))
        {
            return u128::from_str_radix(tail, radix).ok().map(|n| format!("{sign}{n}"));
        }
    }
    decimal(&digits).map(|text| format!("{sign}{text}"))
}

/// `12`, `1.5`, `.5`, `1.`, `1e-6`, `1.5E+3` in JSON's spelling.
fn decimal(digits: &str) -> Option<String> {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let all_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let both_empty = whole.is_empty() && fraction.is_none_or(str::is_empty);
    // `089` is no octal number and no decimal one either.
    let zero_led = whole.len() > 1 && whole.starts_with('0') && fraction.is_none();
    if both_empty || zero_led || !all_digits(whole) || !all_digits(fraction.unwrap_or("")) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let mut out = if whole.is_empty() { "0".to_owned() } else { whole.to_owned() };
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(if fraction.is_empty() { "0" } else { fraction });
    }
    if let Some(exponent) = exponent {
        let bare = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if bare.is_empty() || bare.len() > 4 || !all_digits(bare) {
            return None;
        }
        out.push('e');
        out.push_str(exponent);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expect: &str) {
        let shown = match value(source, true, None) {
            Ok(Value::Null) => "null".to_owned(),
            Ok(Value::Bool(on)) => on.to_string(),
            Ok(Value::Number(n)) => format!("#{n}"),
            Ok(Value::Text(t)) => format!("'{}'", t.text),
            other => format!("{other:?}"),
        };
        assert_eq!(shown, expect, "{source}");
    }

    #[test]
    fn plain_scalars_mean_what_pyyaml_says() {
        for (source, expect) in [
            ("", "null"),
            ("~", "null"),
            ("NULL", "null"),
            ("nULL", "'nULL'"),
            ("yes", "true"),
            ("Off", "false"),
            ("y", "'y'"),
            ("oFF", "'oFF'"),
            ("0", "#0"),
            ("12", "#12"),
            ("-3", "#-3"),
            ("+3", "#3"),
            ("010", "#8"),
            ("0x1F", "#31"),
            ("0b101", "#5"),
            ("1_000_000", "#1000000"),
            ("089", "'089'"),
            ("1.5", "#1.5"),
            (".5", "#0.5"),
            ("1.", "#1.0"),
            ("0.0000025", "#0.0000025"),
            ("00.5", "#0.5"),
            ("1e-6", "#1e-6"),
            ("2.5E+3", "#2.5e+3"),
            ("1e99999", "'1e99999'"),
            (".", "'.'"),
            ("1.2.3", "'1.2.3'"),
            (".inf", "'.inf'"),
            (".nan", "'.nan'"),
            ("12:30", "'12:30'"),
            ("2026-01-31", "'2026-01-31'"),
            ("gpt-4", "'gpt-4'"),
            ("0xZZ", "'0xZZ'"),
        ] {
            check(source, expect);
        }
    }

    #[test]
    fn numbers_are_numbers_to_json() {
        for source in
            ["12", "010", "00.5", ".5", "1.", "1e-6", "-0x10", "2.5E+3", "0.0", "00", "0e1"]
        {
            let text = json_number(source).unwrap_or_default();
            assert!(serde_json::from_str::<serde_json::Number>(&text).is_ok(), "{source} {text}");
        }
    }
}
