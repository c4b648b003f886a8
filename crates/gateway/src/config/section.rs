//! Reads the values of one map by name, each as what it has to be.

use std::time::Duration;

use tollgate_wire::Secret;

use super::{
    keys::{self, Place},
    mask,
    problem::{Report, Spot},
    scalar,
    yaml::{Entry, Node, Value},
};

/// What is not there.
pub(super) static NOTHING: Node =
    Node { at: Spot { file: 0, line: 1, column: 1, width: 1 }, value: Value::Null };

/// A map of the configuration, and which part of the table of keys is about it.
pub(super) struct Section<'a> {
    /// The section of the table.
    pub name: &'static str,
    /// Where it is, such as `model_list[0].litellm_params`.
    pub path: String,
    pub at: Spot,
    entries: Vec<&'a Entry>,
}

impl<'a> Section<'a> {
    /// The map `node`; empty where there is none or something else, which is an error.
    pub(super) fn new(
        name: &'static str,
        path: impl Into<String>,
        node: &'a Node,
        report: &mut Report,
    ) -> Self {
        let path = path.into();
        let entries = match &node.value {
            Value::Map(entries) => entries.iter().collect(),
            Value::Null => Vec::new(),
            Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
                report.error(node.at, &path, format!("expected a map, found {}", node.kind()));
                Vec::new()
            }
        };
        Section { name, path, at: node.at, entries }
    }

    /// The map under a key of `parent`, judged by the table.
    pub(super) fn of(parent: &'a Node, key: &'static str, report: &mut Report) -> Self {
        let section = Section::new(key, key, parent.get(key).unwrap_or(&NOTHING), report);
        section.judge(report);
        section
    }

    /// Gives every key its verdict.
    pub(super) fn judge(&self, report: &mut Report) {
        for entry in &self.entries {
            self.judge_one(entry, report);
        }
    }

    /// Gives one key its verdict.
    pub(super) fn judge_one(&self, entry: &Entry, report: &mut Report) {
        let path = self.path_of(&entry.key);
        let place = Place { section: self.name, path: &path, key: &entry.key, at: entry.at };
        keys::judge(&place, &entry.value, report);
    }

    /// Adds the entries of another map, where this one has none of that name.
    pub(super) fn fill_from(&mut self, entries: impl Iterator<Item = &'a Entry>) {
        for entry in entries {
            if !self.entries.iter().any(|own| own.key == entry.key) {
                self.entries.push(entry);
            }
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().copied()
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        let key = keys::shown(key);
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }

    /// The entry of a key, if it has a value.
    pub(super) fn entry(&self, key: &str) -> Option<&'a Entry> {
        #[cfg(test)]
        asked::note(self.name, key);
        let entry = self.entries.iter().copied().find(|entry| entry.key == key)?;
        (entry.value.value != Value::Null).then_some(entry)
    }

    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Where the value of a key stands, or else the map.
    pub(super) fn spot(&self, key: &str) -> Spot {
        self.entries.iter().find(|entry| entry.key == key).map_or(self.at, |entry| entry.value.at)
    }

    fn wrong(&self, entry: &Entry, expected: &str, report: &mut Report) {
        let shown = !mask::names_secret(&entry.key);
        let found = match &entry.value.value {
            Value::Text(text) if text.hidden => "what the environment variable holds".to_owned(),
            Value::Text(text) if shown => format!("`{}`", keys::shown(&text.text)),
            Value::Number(number) if shown => format!("`{number}`"),
            Value::Text(_)
            | Value::Number(_)
            | Value::Null
            | Value::Bool(_)
            | Value::List(_)
            | Value::Map(_) => entry.value.kind().to_owned(),
        };
        let message = format!("`{}`: expected {expected}, found {found}", entry.key);
        report.error(entry.value.at, &self.path_of(&entry.key), message);
    }

    /// A text. A number or boolean counts as its spelling.
    pub(super) fn text(&self, key: &str, report: &mut Report) -> Option<String> {
        let entry = self.entry(key)?;
        let text = plain_text(&entry.value);
        if text.is_none() {
            self.wrong(entry, "a text", report);
        }
        // What is missing in the environment has been reported.
        text.filter(|text| !text.is_empty())
    }

    pub(super) fn secret(&self, key: &str, report: &mut Report) -> Option<Secret> {
        self.text(key, report).map(|text| Secret::new(text.trim()))
    }

    pub(super) fn boolean(&self, key: &str, report: &mut Report) -> Option<bool> {
        let entry = self.entry(key)?;
        match &entry.value.value {
            Value::Bool(on) => return Some(*on),
            Value::Text(text) => {
                if let Some(on) = scalar::boolean(text.text.trim()) {
                    return Some(on);
                }
            }
            Value::Null | Value::Number(_) | Value::List(_) | Value::Map(_) => {}
        }
        self.wrong(entry, "true or false", report);
        None
    }

    /// A number, exact, as JSON spells it.
    pub(super) fn number(&self, key: &str, report: &mut Report) -> Option<String> {
        let entry = self.entry(key)?;
        let number = plain_text(&entry.value).and_then(|text| scalar::json_number(text.trim()));
        if number.is_none() {
            self.wrong(entry, "a number", report);
        }
        number
    }

    /// A whole number from `least` up. `12.0` is one.
    pub(super) fn whole<T>(&self, key: &str, least: u64, report: &mut Report) -> Option<T>
    where
        T: TryFrom<u64>,
    {
        let entry = self.entry(key)?;
        let number = plain_text(&entry.value).and_then(|text| scalar::json_number(text.trim()));
        let whole = number.and_then(|n| {
            let n = n
                .split_once('.')
                .filter(|(_, f)| f.chars().all(|c| c == '0'))
                .map_or(n.as_str(), |(w, _)| w);
            n.parse::<u64>().ok()
        });
        let value = whole.filter(|n| *n >= least).and_then(|n| T::try_from(n).ok());
        if value.is_none() {
            self.wrong(entry, &format!("a whole number, at least {least}"), report);
        }
        value
    }

    /// A number of at least zero that may have a fraction.
    pub(super) fn share(&self, key: &str, report: &mut Report) -> Option<f64> {
        let entry = self.entry(key)?;
        let number = plain_text(&entry.value).and_then(|text| scalar::json_number(text.trim()));
        let value =
            number.and_then(|n| n.parse::<f64>().ok()).filter(|n| *n >= 0.0 && n.is_finite());
        if value.is_none() {
            self.wrong(entry, "a number, at least 0", report);
        }
        value
    }

    /// Seconds, with a fraction or not, as milliseconds.
    pub(super) fn millis(&self, key: &str, report: &mut Report) -> Option<u64> {
        let entry = self.entry(key)?;
        let number = plain_text(&entry.value).and_then(|text| scalar::json_number(text.trim()));
        let length = number
            .and_then(|n| n.parse::<f64>().ok())
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .and_then(|length| u64::try_from(length.as_millis()).ok())
            // A thousand years is a slip, and would overflow clocks.
            .filter(|ms| *ms <= 1_000 * 60 * 60 * 24 * 366);
        if length.is_none() {
            self.wrong(entry, "a number of seconds, at most a year", report);
        }
        length
    }

    /// Seconds above zero, as milliseconds.
    pub(super) fn positive_millis(&self, key: &str, report: &mut Report) -> Option<u64> {
        let ms = self.millis(key, report)?;
        if ms == 0
            && let Some(entry) = self.entry(key)
        {
            self.wrong(entry, "a time limit above 0 seconds", report);
            return None;
        }
        Some(ms)
    }

    /// A list of texts; a single text is a list of one.
    pub(super) fn texts(&self, key: &str, report: &mut Report) -> Option<Vec<(String, Spot)>> {
        let entry = self.entry(key)?;
        let items = match &entry.value.value {
            Value::List(items) => items.iter().collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {
                vec![&entry.value]
            }
        };
        let texts: Option<Vec<_>> =
            items.into_iter().map(|item| plain_text(item).map(|text| (text, item.at))).collect();
        if texts.is_none() {
            self.wrong(entry, "a list of names", report);
        }
        texts
    }

    /// A price in USD as femto-USD, exactly.
    pub(super) fn price(&self, key: &str, report: &mut Report) -> Option<i64> {
        let number = self.number(key, report)?;
        match tollgate_wire::card::femto_from_usd_text(&number) {
            Ok(femto) => Some(femto),
            Err(why) => {
                report.error(self.spot(key), &self.path_of(key), format!("`{key}`: {why}"));
                None
            }
        }
    }
}

/// The spelling of a text, number or boolean.
pub(super) fn plain_text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.text.clone()),
        Value::Number(number) => Some(number.clone()),
        Value::Bool(on) => Some(on.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// The JSON of a value.
pub(super) fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(on) => (*on).into(),
        Value::Number(number) => {
            serde_json::from_str(number).unwrap_or_else(|_| number.clone().into())
        }
        Value::Text(text) => text.text.clone().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries.iter().map(|e| (e.key.clone(), json(&e.value))).collect(),
    }
}

/// Which keys the code asks for, to be compared with the table.
#[cfg(test)]
pub(super) mod asked {
    use std::{cell::RefCell, collections::BTreeSet};

    thread_local! {
        static ASKED: RefCell<BTreeSet<(String, String)>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(in crate::config) fn note(section: &str, key: &str) {
        ASKED.with_borrow_mut(|asked| asked.insert((section.to_owned(), key.to_owned())));
    }

    pub(in crate::config) fn take() -> BTreeSet<(String, String)> {
        ASKED.take()
    }
}
