//! Keeps secrets out of what is shown of a configuration.

/// What comes before what looks like a key.
const KEY_MARKS: [&str; 8] = ["sk-", "pk-", "xai-", "gsk_", "AIza", "AKIA", "ghp_", "hf_"];

/// A source line with its secrets replaced by `…`; `path` is the setting that is spoken of, empty
/// for a text that could not be read.
///
/// What follows a name such as `api_key` is masked to the end of the line, so are the password in a
/// URL and anything that looks like a key. References such as `os.environ/NAME` stay.
pub(super) fn line(source: &str, path: &str) -> String {
    let source = url_password(source);
    let source = match hidden_from(&source) {
        Some(at) => format!("{} …", source.get(..at).unwrap_or("")),
        None => source,
    };
    // The value of a secret on a line of its own.
    let name = path.rsplit('.').next().unwrap_or("");
    let is_reference = source.contains("os.environ/");
    if names_secret(name) && !is_reference && !names(&source).any(|(name, _)| names_secret(name)) {
        return "…".to_owned();
    }
    source
        .split_inclusive([' ', '"', '\'', ',', '[', ']', '{', '}', '(', ')'])
        .map(|word| {
            let secret = looks_like_key(word) || (path.is_empty() && looks_random(word));
            if secret { masked(word) } else { word.to_owned() }
        })
        .collect()
}

/// True for names such as `api_key`, `master_key`, `aws_secret_access_key`; not for `max_tokens`.
pub(crate) fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.replace("tokens", "").replace("per_token", "").replace("credential_name", "");
    let name = name.replace("credential_list", "");
    ["key", "secret", "password", "passwd", "token", "credential", "authorization", "database_url"]
        .iter()
        .any(|word| name.contains(word))
}

/// The names that a line gives values to, each with where its value begins.
fn names(source: &str) -> impl Iterator<Item = (&str, usize)> {
    source.match_indices(':').filter_map(|(at, _)| {
        let after = source.get(at + 1..)?;
        let before = source.get(..at)?.trim_end().trim_end_matches(['"', '\'']);
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let start = before.trim_end_matches(is_name).len();
        let ends = after.is_empty() || after.starts_with([' ', '\t', '"', '\'', '{', '[']);
        ends.then_some((before.get(start..)?, at + 1))
    })
}

/// Where the first value begins that is to be hidden.
fn hidden_from(source: &str) -> Option<usize> {
    names(source)
        .filter(|(name, _)| names_secret(name))
        .find(|(_, at)| source.get(*at..).is_some_and(hides_something))
        .map(|(_, at)| at)
}

/// References, numbers, booleans and what only opens a block are no secrets.
fn hides_something(value: &str) -> bool {
    let value = value.trim_start();
    let value = value.split(" #").next().unwrap_or(value);
    let value = value.split([',', '}']).next().unwrap_or(value);
    let value = value.trim().trim_matches(['"', '\'']);
    !(value.is_empty()
        || value.starts_with("os.environ/")
        || value.starts_with(['{', '*', '#'])
        || matches!(value, "|" | ">" | "|-" | ">-")
        || value.parse::<f64>().is_ok()
        || super::scalar::boolean(value).is_some())
}

fn looks_like_key(word: &str) -> bool {
    word.len() > 8 && KEY_MARKS.iter().any(|mark| word.starts_with(mark))
}

/// Long, with letters and digits, and no name of a variable or a place.
fn looks_random(word: &str) -> bool {
    word.len() >= 20
        && word.contains(|c: char| c.is_ascii_digit())
        && word.contains(|c: char| c.is_ascii_alphabetic())
        && !word.starts_with("os.environ/")
}

fn masked(word: &str) -> String {
    let start: String = word.chars().take(3).collect();
    let end = word.chars().last().filter(|c| !c.is_alphanumeric() && !matches!(c, '-' | '_'));
    format!("{start}…{}", end.map(String::from).unwrap_or_default())
}

/// `scheme://user:password@host` without the password.
fn url_password(source: &str) -> String {
    let Some((scheme, rest)) = source.split_once("://") else { return source.to_owned() };
    let authority = rest.split([' ', '"', '\'']).next().unwrap_or("");
    let Some((userinfo, _)) = authority.rsplit_once('@') else { return source.to_owned() };
    let tail = rest.get(userinfo.len()..).unwrap_or("");
    let user = userinfo.split(':').next().unwrap_or("");
    format!("{scheme}://{user}:…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_nothing_else() {
        for (source, expect) in [
            ("  api_key: os.environ/STIMA_API_KEY", "  api_key: os.environ/STIMA_API_KEY"),
            ("  api_key: abcdefgh", "  api_key: …"),
            ("  api_key: &anchor abcdefgh", "  api_key: …"),
            ("  \"api_key\": abcdefgh", "  \"api_key\": …"),
            ("  master_key: \"sk-1234\"", "  master_key: …"),
            ("g: {master_key: sk-1234, x: 1}", "g: {master_key: …"),
            ("g: {max_tokens: 5, api_key: a}", "g: {max_tokens: 5, api_key: …"),
            ("g: {api_key: os.environ/A, password: b}", "g: {api_key: os.environ/A, password: …"),
            ("  max_tokens: 4096 # many", "  max_tokens: 4096 # many"),
            ("  input_cost_per_token: 0.000001", "  input_cost_per_token: 0.000001"),
            ("  - [a, sk-abcdefghijk, b]", "  - [a, sk-…, b]"),
            ("  database_url: postgres://u:p@h/db", "  database_url: …"),
            ("  url: https://user:pa/ss@host/x", "  url: https://user:…@host/x"),
            ("  model: apertis/model-name  # note", "  model: apertis/model-name  # note"),
            ("  api_key: *shared", "  api_key: *shared"),
            ("  api_key: [a, b]", "  api_key: …"),
        ] {
            assert_eq!(line(source, "x.model"), expect);
        }
        assert_eq!(line("      naked-secret", "a.api_key"), "…");
        assert_eq!(line("  a8f5f167f44f4964e6c998dee827110c", ""), "  a8f…");
        assert_eq!(
            line("  os.environ/A_VARIABLE_1234567890", ""),
            "  os.environ/A_VARIABLE_1234567890"
        );
    }
}
