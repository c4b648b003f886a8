//! Reads JSON objects member by member, keeps the unknown ones, and says where something is wrong.

use std::{borrow::Cow, fmt, marker::PhantomData, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    exchange::{Malformed, Payload},
    op::chat::{Extra, MAX_FIELDS},
};

/// Where a value stands; shown as `messages[2].content`.
#[derive(Debug, Clone, Copy)]
pub(super) enum At<'p> {
    /// The body itself.
    Body,
    /// A member of an object.
    Field(&'p At<'p>, &'p str),
    /// An item of a list.
    Item(&'p At<'p>, usize),
}

impl At<'_> {
    pub(super) fn wrong(&self, expected: &str) -> Malformed {
        match self {
            At::Body => Malformed::new(format!("expected {expected}")),
            At::Field(..) | At::Item(..) => {
                Malformed::at(self.to_string(), format!("`{self}`: expected {expected}"))
            }
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Body => Ok(()),
            At::Field(At::Body, name) => f.write_str(name),
            At::Field(up, name) => write!(f, "{up}.{name}"),
            At::Item(up, index) => write!(f, "{up}[{index}]"),
        }
    }
}

/// The members of an object. `null` counts as absent.
#[derive(Debug)]
pub(super) struct Fields<'a, 'p> {
    at: At<'p>,
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a, 'p> Fields<'a, 'p> {
    /// Of a whole body.
    pub(super) fn of_body(body: &'a [u8]) -> Result<Self, Malformed> {
        let raw = serde_json::from_slice::<&RawValue>(body)
            .map_err(|why| Malformed::new(format!("the body is not JSON: {why}")))?;
        Fields::of(raw, At::Body)
    }

    /// Of an object.
    pub(super) fn of(raw: &'a RawValue, at: At<'p>) -> Result<Self, Malformed> {
        match serde_json::from_str::<Members<'_>>(raw.get()) {
            Ok(Members(members)) => Ok(Fields { at, members }),
            Err(why) if why.is_data() && raw.get().starts_with('{') => Err(at.wrong(&format!(
                "an object of at most {MAX_FIELDS} fields, none of them given twice"
            ))),
            Err(_) => Err(at.wrong("an object")),
        }
    }

    /// Of an object that is not there.
    pub(super) fn none(at: At<'p>) -> Self {
        Fields { at, members: Vec::new() }
    }

    /// With names in camelCase where they came in snake_case: Google takes both.
    pub(super) fn camel(mut self) -> Result<Self, Malformed> {
        for (name, _) in &mut self.members {
            if name.contains('_') {
                *name = Cow::Owned(camel(name));
            }
        }
        for (index, (name, _)) in self.members.iter().enumerate() {
            if self.members.iter().take(index).any(|(other, _)| other == name) {
                return Err(self.wrong(name, "this field once, in one spelling"));
            }
        }
        Ok(self)
    }

    /// Leaves out the members that stand within `spans` of `body`.
    pub(super) fn leave_out(&mut self, body: &[u8], spans: &[Range<usize>]) {
        if spans.is_empty() {
            return;
        }
        let start = body.as_ptr().addr();
        self.members.retain(|(_, raw)| {
            let at = raw.get().as_ptr().addr().saturating_sub(start);
            !spans.iter().any(|span| span.contains(&at))
        });
    }

    /// Takes a member out.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.members.iter().position(|(key, _)| key == name)?;
        let (_, raw) = self.members.remove(at);
        (raw.get() != "null").then_some(raw)
    }

    /// A member, which stays.
    pub(super) fn peek(&self, name: &str) -> Option<&'a RawValue> {
        let (_, raw) = self.members.iter().find(|(key, _)| key == name)?;
        (raw.get() != "null").then_some(*raw)
    }

    /// Takes a member out and reads it.
    pub(super) fn get<T: DeserializeOwned>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Malformed> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        match serde_json::from_str(raw.get()) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(self.wrong(name, expected)),
        }
    }

    /// Takes a member out and reads it; it must be there.
    pub(super) fn need<T: DeserializeOwned>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<T, Malformed> {
        self.get(name, expected)?.ok_or_else(|| self.wrong(name, expected))
    }

    /// Takes a string out.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Malformed> {
        self.get(name, "a string")
    }

    /// Takes a string out; it must be there.
    pub(super) fn need_text(&mut self, name: &str) -> Result<String, Malformed> {
        self.need(name, "a string")
    }

    /// Takes `model` out. Where the path names it, the body need not.
    pub(super) fn model(&mut self, payload: &Payload) -> Result<String, Malformed> {
        match self.text("model")? {
            Some(model) => Ok(model),
            None if payload.peek.named => Ok(payload.peek.model.clone()),
            None => Err(self.wrong("model", "a string")),
        }
    }

    /// Takes a list out, of at most `most` items.
    pub(super) fn list(
        &mut self,
        name: &str,
        most: usize,
    ) -> Result<Option<Vec<&'a RawValue>>, Malformed> {
        self.take(name).map(|raw| list(raw, &At::Field(&self.at, name), most)).transpose()
    }

    /// Takes a whole member out as it is.
    pub(super) fn raw(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.take(name).map(ToOwned::to_owned)
    }

    /// What is wrong with a member.
    pub(super) fn wrong(&self, name: &str, expected: &str) -> Malformed {
        At::Field(&self.at, name).wrong(expected)
    }

    /// Where the object stands.
    pub(super) fn at(&self) -> At<'p> {
        self.at
    }

    /// True once every member was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.members.iter().all(|(_, raw)| raw.get() == "null")
    }

    /// What was not taken.
    pub(super) fn rest(self) -> Extra {
        self.members
            .into_iter()
            .filter(|(_, raw)| raw.get() != "null")
            .map(|(name, raw)| (name.into_owned().into_boxed_str(), raw.to_owned()))
            .collect()
    }
}

/// The items of a list.
pub(super) fn list<'a>(
    raw: &'a RawValue,
    at: &At<'_>,
    most: usize,
) -> Result<Vec<&'a RawValue>, Malformed> {
    let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| at.wrong("a list"))?;
    if items.len() > most {
        return Err(at.wrong(&format!("at most {most} items")));
    }
    Ok(items)
}

/// A string.
pub(super) fn string(raw: &RawValue, at: &At<'_>) -> Result<String, Malformed> {
    serde_json::from_str(raw.get()).map_err(|_| at.wrong("a string"))
}

/// `max_output_tokens` as `maxOutputTokens`.
fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for character in name.chars() {
        if character == '_' && !camel.is_empty() {
            upper = true;
        } else if std::mem::take(&mut upper) {
            camel.extend(character.to_uppercase());
        } else {
            camel.push(character);
        }
    }
    camel
}

/// Whether a value is a string.
pub(super) fn is_string(raw: &RawValue) -> bool {
    raw.get().starts_with('"')
}

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor(PhantomData))
    }
}

struct MembersVisitor<'a>(PhantomData<&'a ()>);

impl<'de> Visitor<'de> for MembersVisitor<'de> {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(8);
        while let Some(Name(name)) = map.next_key()? {
            if members.len() == MAX_FIELDS || members.iter().any(|(other, _)| *other == name) {
                return Err(A::Error::custom("too many or duplicate"));
            }
            members.push((name, map.next_value()?));
        }
        Ok(Members(members))
    }
}
