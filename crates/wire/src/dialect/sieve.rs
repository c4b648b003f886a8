//! What a target cannot do is refused or, where that is allowed, left out and named.

use crate::{
    exchange::{CannotAsk, Unsupported},
    target::Target,
};

/// Most names that are kept of what was left out.
const MAX_DROPPED: usize = 64;

/// Where the parts of a request are put that its target cannot take.
pub(super) struct Sieve<'a> {
    to: &'a Target,
    dropped: &'a mut Vec<String>,
}

impl<'a> Sieve<'a> {
    pub(super) fn new(to: &'a Target, dropped: &'a mut Vec<String>) -> Self {
        Sieve { to, dropped }
    }

    /// Something that would change the answer: an error, unless `drop_params` is set.
    pub(super) fn refuse(&mut self, param: &str, why: &str) -> Result<(), CannotAsk> {
        if self.to.drop_params {
            self.hint(param);
            return Ok(());
        }
        Err(self.unsupported(param, why).into())
    }

    /// The error itself, for what cannot be left out.
    pub(super) fn unsupported(&self, param: &str, why: &str) -> Unsupported {
        Unsupported {
            param: param.to_owned(),
            model: self.to.model.to_string(),
            why: why.to_owned(),
        }
    }

    /// Something that the answer does not depend on (a cache mark, a name): left out and named.
    pub(super) fn hint(&mut self, param: &str) {
        if self.dropped.len() < MAX_DROPPED && !self.dropped.iter().any(|other| other == param) {
            self.dropped.push(param.to_owned());
        }
    }
}
