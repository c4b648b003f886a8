//! A request body that is being written: top-level fields in order, so that the configuration's
//! defaults and the provider's patches can be applied before it becomes bytes.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

use super::json;
use crate::{
    exchange::relay::edit::{clamped, says},
    provider::Patch,
    target::Target,
};

/// Top-level fields and their JSON text.
#[derive(Debug, Default)]
pub(super) struct Body {
    fields: Vec<(Cow<'static, str>, Bytes)>,
}

impl Body {
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(other, _)| other == name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Writes a field; `fill` writes the value.
    pub(super) fn put(&mut self, name: &'static str, fill: impl FnOnce(&mut BytesMut)) {
        let mut value = BytesMut::new();
        fill(&mut value);
        self.fields.push((name.into(), value.freeze()));
    }

    pub(super) fn text(&mut self, name: &'static str, value: &str) {
        self.put(name, |out| json::string(out, value));
    }

    pub(super) fn integer(&mut self, name: &'static str, value: u64) {
        self.put(name, |out| json::integer(out, value));
    }

    pub(super) fn flag(&mut self, name: &'static str, value: bool) {
        let text: &'static [u8] = if value { b"true" } else { b"false" };
        self.fields.push((name.into(), Bytes::from_static(text)));
    }

    /// A number in its own spelling, if there is one.
    pub(super) fn number(&mut self, name: &'static str, value: Option<&serde_json::Number>) {
        if let Some(value) = value {
            self.fields.push((name.into(), value.to_string().into()));
        }
    }

    /// JSON text as it is, under a name that the body does not have yet.
    pub(super) fn raw(&mut self, name: &str, value: &RawValue) {
        let value = Bytes::copy_from_slice(value.get().as_bytes());
        self.fields.push((Cow::Owned(name.to_owned()), value));
    }

    /// Takes a field out that turned out to be an object of nothing.
    pub(super) fn drop_empty(&mut self, name: &str) {
        self.fields.retain(|(other, value)| other != name || **value != *b"{}");
    }

    /// Leaves out every field but these.
    pub(super) fn keep(&mut self, names: &[&str]) {
        self.fields.retain(|(name, _)| names.contains(&&**name));
    }

    /// Adds the target's defaults, applies its provider's patches, and writes it all down.
    pub(super) fn finish(mut self, to: &Target) -> Bytes {
        for (name, value) in &to.defaults {
            self.fill(name, value.clone());
        }
        self.patched(to)
    }

    /// Applies the provider's patches, and writes it all down. For dialects in which the target's
    /// defaults are no top-level fields.
    pub(super) fn patched(mut self, to: &Target) -> Bytes {
        self.apply_patches(to);
        self.written()
    }

    /// Applies the provider's patches.
    pub(super) fn apply_patches(&mut self, to: &Target) {
        for patch in &to.provider.patch {
            self.patch(patch);
        }
    }

    /// Takes a field out that belongs elsewhere.
    pub(super) fn take(&mut self, name: &str) -> Option<Bytes> {
        let at = self.fields.iter().position(|(other, _)| other == name)?;
        Some(self.fields.remove(at).1)
    }

    /// Writes it all down.
    pub(super) fn written(&self) -> Bytes {
        let size = self.fields.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let mut out = BytesMut::with_capacity(size);
        json::object(&mut out, |o| {
            for (name, value) in &self.fields {
                o.key(name).put_slice(value);
            }
        });
        out.freeze()
    }

    fn patch(&mut self, patch: &Patch) {
        match patch {
            Patch::Drop(name) | Patch::Cut(name) => self.fields.retain(|(other, _)| other != name),
            Patch::CutValue(name, value) => {
                self.fields.retain(|(other, text)| other != name || !says(text, value));
            }
            Patch::RenameText(from, to) => {
                let text = |(name, value): &(Cow<'_, str>, Bytes)| {
                    name == from && value.starts_with(b"\"")
                };
                if self.fields.iter().any(text) {
                    self.patch(&Patch::Rename(from.clone(), to.clone()));
                }
            }
            Patch::Rename(from, to) => {
                if self.has(to) {
                    self.fields.retain(|(other, _)| other != from);
                }
                if let Some((name, _)) = self.fields.iter_mut().find(|(other, _)| other == from) {
                    *name = Cow::Owned(to.clone());
                }
            }
            Patch::Set(name, value) => match self.fields.iter_mut().find(|(n, _)| n == name) {
                Some((_, old)) => *old = value.to_string().into(),
                None => self.fill(name, value.to_string().into()),
            },
            Patch::Default(name, value) => self.fill(name, value.to_string().into()),
            // See `exchange/policy.rs`.
            Patch::Allow(_) => {}
            Patch::Clamp(name, least, most) => {
                if let Some((_, text)) = self.fields.iter_mut().find(|(other, _)| other == name)
                    && let Some(clamped) = clamped(text, *least, *most)
                {
                    *text = clamped;
                }
            }
        }
    }

    /// Adds all fields of another.
    pub(super) fn append(&mut self, mut other: Body) {
        self.fields.append(&mut other.fields);
    }

    /// Writes a field that the body does not have yet.
    pub(super) fn fill(&mut self, name: &str, value: Bytes) {
        if !self.has(name) {
            self.fields.push((Cow::Owned(name.to_owned()), value));
        }
    }
}
