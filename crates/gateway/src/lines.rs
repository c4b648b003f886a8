//! The headers of an answer.

use std::cell::RefCell;

use http::{HeaderMap, HeaderName, HeaderValue};

thread_local! {
    /// The headers of this core's last answer, with no values.
    static LAST: RefCell<HeaderMap> = RefCell::default();
}

/// Headers in the order in which they are sent. A map hashes each name, and an answer has some
/// twenty long ones; but they are mostly those of the answer before, whose map is used again.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<(HeaderName, HeaderValue)>);

impl Lines {
    /// None yet.
    pub(crate) fn new() -> Self {
        Lines(Vec::with_capacity(32))
    }

    /// Adds one.
    pub(crate) fn push(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push((name, value));
    }

    /// As a map.
    pub(crate) fn into_map(self) -> HeaderMap {
        LAST.with(|last| {
            let mut last = last.borrow_mut();
            if self.are_those_of(&last) {
                // Values come in the same order as names.
                let mut map = last.clone();
                map.values_mut().zip(self.0).for_each(|(slot, (_, value))| *slot = value);
                return map;
            }
            let mut map = HeaderMap::with_capacity(self.0.len());
            for (name, value) in self.0 {
                map.append(name, value);
            }
            *last = map.clone();
            last.values_mut().for_each(|value| *value = HeaderValue::from_static(""));
            map
        })
    }

    fn are_those_of(&self, map: &HeaderMap) -> bool {
        map.len() == self.0.len()
            && map.iter().zip(&self.0).all(|((theirs, _), (ours, _))| same(theirs, ours))
    }
}

/// Whether two names are the same. Most are the very same text, which need not be read.
fn same(one: &HeaderName, other: &HeaderName) -> bool {
    let (a, b) = (one.as_str(), other.as_str());
    std::ptr::eq(a, b) || a == b
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_map_has_what_was_pushed_whatever_came_before(
            answers in prop::collection::vec(
                prop::collection::vec(("[a-d]{1,2}", "[a-z]{0,4}"), 0..8), 1..6,
            ),
        ) {
            // Each twice, so that the map before is used again.
            for answer in answers.iter().flat_map(|answer| [answer, answer]) {
                let (mut lines, mut expected) = (Lines::new(), HeaderMap::new());
                for (name, value) in answer {
                    let name = HeaderName::try_from(name).unwrap();
                    let value = HeaderValue::try_from(value).unwrap();
                    lines.push(name.clone(), value.clone());
                    expected.append(name, value);
                }
                prop_assert_eq!(lines.into_map(), expected);
            }
        }
    }
}
