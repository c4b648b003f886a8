//! A string that must not be seen.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
};

use http::HeaderValue;
use zeroize::Zeroizing;

/// A credential. It has no `Display`, its `Debug` shows nothing, it cannot be serialised, and its
/// memory is overwritten when the last clone goes (that of a header made of it is not).
#[derive(Clone)]
pub struct Secret(Arc<Inner>);

struct Inner {
    value: Zeroizing<String>,
    /// `Bearer <value>`, once that was asked for: most calls need it, and always the same.
    bearer: OnceLock<Option<HeaderValue>>,
}

impl Secret {
    /// Wraps `value`.
    pub fn new(value: impl Into<String>) -> Self {
        let value = Zeroizing::new(value.into());
        Self(Arc::new(Inner { value, bearer: OnceLock::new() }))
    }

    /// The value itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0.value
    }

    /// `Bearer <value>` as a header's value, marked sensitive; `None` if it cannot stand in one.
    pub fn bearer(&self) -> Option<HeaderValue> {
        let make = || {
            let text = Zeroizing::new(["Bearer ", self.expose()].concat());
            let mut value = HeaderValue::from_str(&text).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        self.0.bearer.get_or_init(make).clone()
    }
}

/// Tells credentials of our own apart. Not in constant time: never for what a stranger sent.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expose().hash(state);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
