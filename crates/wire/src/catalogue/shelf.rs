//! Model cards as sorted text, of which a line is found by halving, without an index: what nobody
//! asks for costs no memory and no time.

use std::{cmp::Ordering, sync::Arc};

use super::line;
use crate::card::Card;

/// Lines sorted by provider and name, one for each.
#[derive(Debug, Clone)]
pub(super) enum Shelf {
    Embedded(&'static str),
    Loaded(Arc<str>),
}

impl Shelf {
    /// Of lines that are sorted, each as [`line::write`] spells it; a test says so.
    pub(super) const fn sorted(text: &'static str) -> Self {
        Shelf::Embedded(text)
    }

    /// Of cards in any order; of two with the same name the last counts.
    pub(super) fn of(cards: &[Card]) -> Self {
        let mut lines: Vec<String> = cards.iter().map(line::write).collect();
        // Stable: the last of those that are equal is the last one given.
        lines.sort_by(|a, b| key(a).cmp(&key(b)));
        let mut text = String::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
        for (i, line) in lines.iter().enumerate() {
            if lines.get(i + 1).is_none_or(|next| key(next) != key(line)) {
                text.push_str(line);
                text.push('\n');
            }
        }
        Shelf::Loaded(text.into())
    }

    fn text(&self) -> &str {
        match self {
            Shelf::Embedded(text) => text,
            Shelf::Loaded(text) => text,
        }
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.text().lines()
    }

    pub(super) fn card(&self, provider: &str, name: &str) -> Option<Card> {
        line::read(self.find(&member(provider), &member(name))?).ok()
    }

    pub(super) fn has(&self, provider: &str, name: &str) -> bool {
        self.find(&member(provider), &member(name)).is_some()
    }

    /// Whether there is a line of the same provider and name.
    pub(super) fn has_line(&self, line: &str) -> bool {
        let (provider, name) = key(line);
        self.find(provider, name).is_some()
    }

    fn find(&self, provider: &str, name: &str) -> Option<&str> {
        let text = self.text();
        // The line is within `text[low..high]`, both at the beginning of a line.
        let (mut low, mut high) = (0, text.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let before = text.as_bytes().get(low..middle).unwrap_or_default();
            let start = memchr::memrchr(b'\n', before).map_or(low, |at| low + at + 1);
            let rest = text.get(start..high)?;
            let line = rest.lines().next()?;
            match key(line).cmp(&(provider, name)) {
                Ordering::Equal => return Some(line),
                Ordering::Less => low = start + line.len() + 1,
                Ordering::Greater => high = start,
            }
        }
        None
    }
}

const PROVIDER: &str = "{\"provider\":";
const NAME: &str = "\"name\":";

/// Provider and name of a line as JSON strings with their quotes, which sort as they do.
pub(super) fn key(line: &str) -> (&str, &str) {
    let read = || {
        let rest = line.strip_prefix(PROVIDER)?;
        let (provider, rest) = rest.split_once(",\"name\":")?;
        let name = rest.get(..1 + end_of_string(rest.get(1..)?)?)?;
        Some((provider, name))
    };
    read().unwrap_or_default()
}

/// Where a JSON string ends, its quote included.
fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map(|at| at + 1)
}

/// A text as a JSON string.
fn member(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// What the lines of a provider begin with.
pub(super) fn provider_member(provider: &str) -> String {
    format!("{PROVIDER}{},", member(provider))
}

/// What the lines of a model's name have in them.
pub(super) fn name_member(name: &str) -> String {
    format!(",{NAME}{}", member(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(provider: &str, name: &str, max_input: u64) -> Card {
        Card {
            provider: provider.to_owned(),
            name: name.to_owned(),
            max_input: Some(max_input),
            ..Card::default()
        }
    }

    #[test]
    fn each_is_found_and_nothing_else() {
        let names: Vec<String> = (0..97).map(|i| format!("m{}\"\\{}", i * 7 % 97, i)).collect();
        for count in 0..names.len() as u64 {
            let named = (0..count).zip(&names);
            let cards: Vec<Card> =
                named.map(|(i, name)| card(&format!("p{}", i % 5), name, i)).collect();
            let shelf = Shelf::of(&cards);
            assert_eq!(shelf.lines().count() as u64, count);
            for one in &cards {
                assert_eq!(shelf.card(&one.provider, &one.name).as_ref(), Some(one));
                assert!(shelf.card("p9", &one.name).is_none());
                assert!(shelf.card(&one.provider, "m").is_none());
            }
        }
    }

    #[test]
    fn of_two_the_last_counts() {
        let shelf = Shelf::of(&[card("p", "a", 1), card("p", "b", 2), card("p", "a", 3)]);
        assert_eq!(shelf.lines().count(), 2);
        assert_eq!(shelf.card("p", "a").unwrap().max_input, Some(3));
    }
}
