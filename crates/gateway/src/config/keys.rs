//! The table of keys, `keys.txt`: what becomes of everything that LiteLLM knows.

use std::{collections::HashMap, sync::LazyLock};

use super::{
    near,
    problem::{Mark, Report, Spot},
    yaml::{Node, Value},
};

/// What the table says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    Exact,
    Approximate,
    Default,
    Shown,
    Ignored,
    Off,
    On,
    Only(Vec<&'static str>),
    Unsupported,
}

/// One group of names of the table.
#[derive(Debug)]
struct Group {
    section: &'static str,
    status: Status,
    reason: &'static str,
    names: Vec<&'static str>,
}

/// The table, with an index of the names that are written out.
struct Table {
    groups: Vec<Group>,
    by_name: HashMap<(&'static str, &'static str), usize>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let groups = read(include_str!("keys.txt"));
    let by_name = groups
        .iter()
        .enumerate()
        .flat_map(|(index, group)| {
            group.names.iter().map(move |name| ((group.section, *name), index))
        })
        .collect();
    Table { groups, by_name }
});

fn read(source: &'static str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut section = "";
    for line in source.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if line.starts_with(' ') {
            if let Some(group) = groups.last_mut() {
                group.names.extend(line.split_whitespace());
            }
        } else {
            let (word, reason) = line.split_once(':').unwrap_or((line, ""));
            groups.push(Group {
                section,
                status: status(word),
                reason: reason.trim(),
                names: Vec::new(),
            });
        }
    }
    groups
}

fn status(word: &'static str) -> Status {
    match word {
        "exact" => Status::Exact,
        "approximate" => Status::Approximate,
        "default" => Status::Default,
        "shown" => Status::Shown,
        "ignored" => Status::Ignored,
        "off" => Status::Off,
        "on" => Status::On,
        word => match word.strip_prefix("only ") {
            Some(words) => Status::Only(words.split(' ').collect()),
            None => Status::Unsupported,
        },
    }
}

/// A key found in the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub status: &'static Status,
    pub reason: &'static str,
}

/// What the table says of a key, by its full name first, then by the patterns.
pub(super) fn look_up(section: &str, key: &str) -> Option<Known> {
    let written_out = TABLE.by_name.get(&(section, key)).and_then(|index| TABLE.groups.get(*index));
    written_out
        .or_else(|| {
            TABLE
                .groups
                .iter()
                .filter(|group| group.section == section)
                .find(|group| group.names.iter().any(|name| name.contains('*') && fits(name, key)))
        })
        .map(|group| Known { status: &group.status, reason: group.reason })
}

/// True if `key` is written out in the section, not only met by a pattern.
fn is_written_out(section: &str, key: &str) -> bool {
    TABLE.by_name.contains_key(&(section, key))
}

/// The names of a section, patterns left out.
pub(super) fn names(section: &str) -> impl Iterator<Item = &'static str> {
    TABLE
        .groups
        .iter()
        .filter(move |group| group.section == section)
        .flat_map(|group| group.names.iter().copied())
        .filter(|name| !name.contains('*'))
}

/// The names of a section that code must read.
#[cfg(test)]
pub(super) fn read_by_code(section: &str) -> Vec<&'static str> {
    let mut names: Vec<_> = TABLE
        .groups
        .iter()
        .filter(|g| g.section == section && matches!(g.status, Status::Exact | Status::Approximate))
        .flat_map(|g| g.names.iter().copied())
        .collect();
    names.sort_unstable();
    names
}

/// `*` stands for any letters. Patterns are ours and short: recursion is bounded by their stars.
fn fits(pattern: &str, key: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == key,
        Some((head, "")) => key.starts_with(head),
        Some((head, tail)) => key.strip_prefix(head).is_some_and(|rest| {
            rest.char_indices().any(|(i, _)| rest.get(i..).is_some_and(|rest| fits(tail, rest)))
        }),
    }
}

/// The sections whose keys are mistaken for one another's.
const SETTINGS: [&str; 5] =
    ["top", "litellm_settings", "router_settings", "general_settings", "tollgate"];

/// Where a key stands.
pub(super) struct Place<'a> {
    pub section: &'a str,
    /// The path of the key itself.
    pub path: &'a str,
    pub key: &'a str,
    pub at: Spot,
}

/// Gives the verdict of one key.
pub(super) fn judge(place: &Place<'_>, value: &Node, report: &mut Report) {
    let other = SETTINGS
        .iter()
        .filter(|s| SETTINGS.contains(&place.section) && **s != place.section)
        .find(|s| is_written_out(s, place.key));
    let known = look_up(place.section, place.key)
        .filter(|_| other.is_none() || is_written_out(place.section, place.key));
    match (known, other) {
        (Some(known), _) => judge_known(place, known, value, report),
        (None, Some(other)) => misplaced(place, other, report),
        (None, None) => unknown(place, report),
    }
}

fn judge_known(place: &Place<'_>, known: Known, value: &Node, report: &mut Report) {
    let off = value.is_off();
    let (mark, reason) = match known.status {
        Status::Exact => (Mark::Exact, known.reason),
        Status::Approximate => (Mark::Approximate, known.reason),
        Status::Default => (Mark::Exact, known.reason),
        Status::Shown => (Mark::Exact, "shown by /model/info"),
        Status::Ignored => (Mark::Ignored, known.reason),
        Status::Off if off => (Mark::Exact, "it is off"),
        Status::On if !off || value.value == Value::Null => (Mark::Exact, known.reason),
        Status::Only(words) if off || is_only(value, words) => (Mark::Exact, ""),
        Status::Unsupported if value.value == Value::Null => (Mark::Ignored, "it is empty"),
        Status::Off | Status::On | Status::Only(_) | Status::Unsupported => {
            (Mark::Unsupported, known.reason)
        }
    };
    if mark == Mark::Unsupported {
        let message = if let Status::Only(words) = known.status {
            let words = words.join("` and `");
            let reason = known.reason;
            format!("this value of `{}` is not supported, only `{words}`: {reason}", place.key)
        } else {
            format!("`{}` is not supported: {}", place.key, known.reason)
        };
        report.unsupported(place.at, place.path, message);
    }
    report.verdict(place.at, place.path.to_owned(), mark, reason);
}

fn is_only(value: &Node, words: &[&str]) -> bool {
    match &value.value {
        Value::Text(text) => words.contains(&text.text.as_str()),
        Value::List(items) => items.iter().all(|item| is_only(item, words)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Map(_) => false,
    }
}

fn misplaced(place: &Place<'_>, other: &str, report: &mut Report) {
    let message = format!("unknown key `{}`", shown(place.key));
    let help = match other {
        "top" => format!("`{}` belongs at the top of the file", place.key),
        other => format!("`{}` belongs under `{other}`", place.key),
    };
    report.error_help(place.at, place.path, message, help);
    report.verdict(place.at, place.path.to_owned(), Mark::Unsupported, "unknown here");
}

fn unknown(place: &Place<'_>, report: &mut Report) {
    if report.is_full() {
        return;
    }
    let message = format!("unknown key `{}`", shown(place.key));
    match near::nearest(place.key, names(place.section)) {
        Some(near) => {
            report.error_help(place.at, place.path, message, format!("did you mean `{near}`?"));
        }
        None => report.error(place.at, place.path, message),
    }
    report.verdict(place.at, place.path.to_owned(), Mark::Unsupported, "unknown");
}

/// A name as messages show it.
pub(super) fn shown(name: &str) -> String {
    let mut out: String = name.chars().take(64).flat_map(char::escape_debug).collect();
    if name.chars().count() > 64 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key of LiteLLM 1.109.1's types, module attributes and constructor arguments.
    #[test]
    fn the_table_has_every_key_that_litellm_knows() {
        let mut section = "";
        let mut missing = Vec::new();
        for line in include_str!("../../tests/litellm-1.109.1-keys.txt").lines() {
            match line.strip_prefix('[') {
                Some(name) => section = name.trim_end_matches(']'),
                None if line.starts_with('#') => {}
                None if look_up(section, line).is_none() => missing.push((section, line)),
                None => {}
            }
        }
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn no_name_is_twice_in_a_section_and_every_status_is_one() {
        for group in TABLE.groups.iter() {
            assert_ne!(group.status, Status::Unsupported, "{group:?}");
            for name in &group.names {
                let times = TABLE
                    .groups
                    .iter()
                    .filter(|g| g.section == group.section)
                    .flat_map(|g| g.names.iter())
                    .filter(|n| *n == name)
                    .count();
                assert_eq!(times, 1, "{} {name}", group.section);
            }
        }
    }

    #[test]
    fn patterns_fit() {
        assert!(fits("aws_*", "aws_region_name"));
        assert!(fits("*_above_*_tokens*", "input_cost_per_token_above_200k_tokens_flex"));
        assert!(!fits("*_above_*_tokens*", "input_cost_per_token"));
        assert!(fits("*_batches", "output_cost_per_token_batches"));
    }
}
