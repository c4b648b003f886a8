//! "Did you mean": names that are close to one that nobody knows.

/// How close a name must be, from 0 to 1.
const CLOSE: f64 = 0.82;

/// The known name closest to `name`, if one is close.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = plain(name);
    known
        .map(|candidate| (likeness(&wanted, &plain(candidate)), candidate))
        .filter(|(score, _)| *score >= CLOSE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

fn likeness(a: &str, b: &str) -> f64 {
    // A name with a letter too many, too few or swapped is close whatever its length; a common
    // beginning is not enough.
    strsim::normalized_damerau_levenshtein(a, b)
}

/// `apiKey`, `api-key` and `API_KEY` differ from `api_key` by nothing.
fn plain(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    // No name that anybody knows is longer than this.
    for c in name.chars().take(96) {
        if c.is_ascii_uppercase() && out.ends_with(|c: char| c.is_ascii_lowercase()) {
            out.push('_');
        }
        out.push(if c == '-' || c == ' ' { '_' } else { c.to_ascii_lowercase() });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_close_and_other_words_are_not() {
        let known = ["api_key", "api_base", "num_retries", "model_name", "routing_strategy"];
        for (name, expect) in [
            ("apikey", Some("api_key")),
            ("apiKey", Some("api_key")),
            ("api-base", Some("api_base")),
            ("num_retires", Some("num_retries")),
            ("modelname", Some("model_name")),
            ("routing_stratagy", Some("routing_strategy")),
            ("enable_thinking", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, known.into_iter()), expect, "{name}");
        }
    }
}
