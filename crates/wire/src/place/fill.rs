//! Templates and patterns.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _};

use super::{Path, Var};
use crate::Provider;

/// The variables that stay until a call is made: the model's name as one segment of a path, and, as
/// RFC 6570 writes it, as many as it has slashes.
pub(super) const MODELS: [&str; 2] = ["model", "+model"];

/// Puts a model's name into a path, percent-encoded.
pub fn with_model(template: &str, model: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        out.push_str(text);
        if name.starts_with('+') {
            let mut segments = model.split('/');
            encode(segments.next().unwrap_or_default(), &mut out);
            for segment in segments {
                out.push('/');
                encode(segment, &mut out);
            }
        } else {
            encode(model, &mut out);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Letters and digits, and what a segment of a path may have in it besides (RFC 3986, 3.3).
fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// The names between braces. `Err` where a brace is not closed.
pub(super) fn names(template: &str) -> Result<Vec<&str>, String> {
    let mut names = Vec::new();
    let mut rest = template;
    while let Some((_, after)) = rest.split_once('{') {
        let (name, after) =
            after.split_once('}').ok_or_else(|| format!("`{template}` has an open brace"))?;
        names.push(name);
        rest = after;
    }
    Ok(names)
}

/// Fills a template, the model left as it is. `Err` is the name that has no value.
pub(super) fn fill(template: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        out.push_str(text);
        if MODELS.contains(&name) {
            let _ = write!(out, "{{{name}}}");
        } else {
            out.push_str(values.get(name).ok_or_else(|| name.to_owned())?);
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Adds the variables that are made from others.
pub(super) fn derive(vars: &BTreeMap<String, Var>, values: &mut BTreeMap<String, String>) {
    for (name, var) in vars {
        if values.contains_key(name) {
            continue;
        }
        let Some(from) = var.from.as_ref().and_then(|from| values.get(from)) else { continue };
        let template = var.map.get(from).or(var.otherwise.as_ref());
        if let Some(value) = template.and_then(|template| fill(template, values).ok()) {
            values.insert(name.clone(), value);
        }
    }
}

/// What each `*` of `pattern` stands for in `text`, the shortest first; `None` if it is not like
/// it. A pattern has few stars: they bound the recursion.
pub(super) fn like(pattern: &str, text: &str) -> Option<Vec<String>> {
    let Some((head, tail)) = pattern.split_once('*') else {
        return (pattern == text).then(Vec::new);
    };
    let rest = text.strip_prefix(head)?;
    if tail.is_empty() {
        return Some(vec![rest.to_owned()]);
    }
    let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.into_iter().find_map(|at| {
        let (star, rest) = rest.split_at_checked(at)?;
        let mut captures = like(tail, rest)?;
        captures.insert(0, star.to_owned());
        Some(captures)
    })
}

/// `$1` to `$9` replaced by captures.
pub(super) fn captured(template: &str, captures: &[String]) -> String {
    let mut parts = template.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        let index = letters.next().and_then(|c| c.to_digit(10)).and_then(|n| n.checked_sub(1));
        match index.and_then(|index| captures.get(index as usize)) {
            Some(capture) => {
                out.push_str(capture);
                out.push_str(letters.as_str());
            }
            None => {
                out.push('$');
                out.push_str(part);
            }
        }
    }
    out
}

/// A base URL without the beginning of the provider's paths, should it end with that:
/// `https://host/openai/deployments/gpt` where the path is
/// `/openai/deployments/{model}/chat/completions`.
pub(super) fn without_overlap(root: &str, provider: &Provider) -> String {
    let own = provider.paths.values().flat_map(BTreeMap::values).map(Path::path);
    let cut = own.map(|path| overlap(root, &path)).max().unwrap_or(0);
    let mut base = root;
    for _ in 0..cut {
        base = base.rsplit_once('/').map_or(base, |(before, _)| before);
    }
    base.to_owned()
}

impl Path {
    fn path(&self) -> Cow<'_, str> {
        let path = self.of(false);
        path.split('?').next().unwrap_or(path).into()
    }
}

/// How many segments at the end of `root` are those that `path` begins with.
fn overlap(root: &str, path: &str) -> usize {
    let after = root.split_once("://").map_or(root, |(_, rest)| rest);
    let root: Vec<&str> = after.split('/').skip(1).collect();
    let path: Vec<&str> = path.split('/').skip(1).collect();
    let same = |(a, b): (&&str, &&str)| a == b || (b.contains("model}") && !a.is_empty());
    let most = root.len().min(path.len());
    (1..=most)
        .rev()
        .find(|n| {
            let end = root.iter().skip(root.len() - n);
            end.zip(path.iter()).all(same) && path.first().is_some_and(|s| !s.contains('{'))
        })
        .unwrap_or(0)
}
