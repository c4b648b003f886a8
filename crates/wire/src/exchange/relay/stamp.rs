//! What an answer calls itself, in the words of the client: the model's name, of responses the ids by
//! which the answer can be found again, and the names of containers and files.

use std::{cell::LazyCell, ops::Range};

use bytes::Bytes;

use super::{
    facts::Facts,
    ids::{self, By, Named},
    items,
};
use crate::{
    Dialect,
    exchange::{
        CannotAsk, Malformed, Payload, Unsupported,
        relay::edit::{Edits, replaced},
        seal::{Place, Tenant, Thing},
    },
    target::Target,
};

/// What asks for an answer in the background.
pub(super) const BACKGROUND: &str = "background";

/// What is replaced.
#[derive(Debug, Default)]
pub(in crate::exchange) struct Stamp {
    /// The model's name as JSON, if the upstream knows another one.
    pub(super) model: Option<Bytes>,
    /// Without a tenant there is one account and one user: ids are the provider's.
    seal: Option<Box<Seal>>,
}

/// Whose the ids are, and what the request says of them.
#[derive(Debug)]
struct Seal {
    dialect: Dialect,
    tenant: Tenant,
    /// Made out when there is an id: most requests and answers of messages have none.
    place: LazyCell<Place, Box<dyn FnOnce() -> Place + Send>>,
    /// The id of the answer before, as the client knows it, as JSON.
    previous: Option<Bytes>,
    /// Files that the request names by the provider's ids.
    files: Vec<String>,
    /// What it names by ids of the tenant's: the provider's, and the tenant's.
    opened: Vec<(String, String)>,
    /// The last item that an event was about: its id, and as the client knows it, both as JSON.
    last: Option<(Bytes, Bytes)>,
}

impl Seal {
    fn new(
        dialect: Dialect,
        tenant: &Tenant,
        place: impl FnOnce() -> Place + Send + 'static,
    ) -> Box<Self> {
        Box::new(Seal {
            dialect,
            tenant: tenant.clone(),
            place: LazyCell::new(Box::new(place)),
            previous: None,
            files: Vec::new(),
            opened: Vec::new(),
            last: None,
        })
    }

    /// Puts the provider's own ids of containers and files into the request.
    fn open(&mut self, edits: &mut Edits<'_>, body: &[u8], model: &str) -> Result<(), CannotAsk> {
        if !ids::may_be_in(body) {
            return Ok(());
        }
        let named = ids::read(self.dialect, By::Client, body)
            .map_err(|why| Malformed::new(why.to_string()))?;
        let mut spans = Vec::new();
        for Named { span, thing } in named {
            let text = body.get(span.clone()).unwrap_or_default();
            let Ok(id) = serde_json::from_slice::<String>(text) else {
                return Err(CannotAsk::NotFound(missing(thing, "")));
            };
            match self.tenant.find(thing, &id) {
                Some((place, own)) if place == *self.place => {
                    spans.push((span, json(&own)));
                    self.opened.push((own, id));
                }
                Some(_) => {
                    return Err(Unsupported {
                        param: param(thing).to_owned(),
                        model: model.to_owned(),
                        why: "it is at another provider".to_owned(),
                    }
                    .into());
                }
                // The operator's own, as far as the provider knows it.
                None if thing == Thing::File && !id.starts_with(thing.prefix()) => {
                    self.files.push(id);
                }
                None => return Err(CannotAsk::NotFound(missing(thing, &id))),
            }
        }
        edits.put(&spans);
        Ok(())
    }

    /// Puts the provider's own ids of items and of the answer before into the request.
    fn open_stored(&mut self, edits: &mut Edits<'_>, to: &Target) -> Result<(), CannotAsk> {
        let model = &*to.model;
        if edits.says("conversation") {
            let why = "conversations are not kept apart by tenant: send the items";
            let message = format!("`conversation` is not served: {why}");
            return Err(Malformed::at("conversation", message).into());
        }
        // Whoever asks in the background is answered at once and pays later: the client must know.
        if to.defaults.iter().any(|(name, value)| name == BACKGROUND && **value != *b"false")
            && edits.raw(BACKGROUND).is_none()
        {
            let message = "`background` is not served where only the configuration asks for it: \
                           send it with the request";
            return Err(Malformed::at(BACKGROUND, message).into());
        }
        let input = edits.raw("input");
        let input = input.map(|input| items::own(&input, &self.tenant, *self.place, model));
        if let Some(input) = input.transpose()?.flatten() {
            edits.set("input", input);
        }
        let Some(previous) = edits.string("previous_response_id") else { return Ok(()) };
        let Some((there, id)) = self.tenant.open(&previous) else {
            return Err(not_found(&previous).into());
        };
        if there != *self.place {
            return Err(Unsupported {
                param: "previous_response_id".to_owned(),
                model: model.to_owned(),
                why: "the answer is at another provider".to_owned(),
            }
            .into());
        }
        edits.replace("previous_response_id", &id);
        self.previous = Some(json(&previous));
        Ok(())
    }

    /// The ids of containers and files in what the provider says, as the client knows them.
    fn hidden(&self, data: &[u8]) -> Vec<(Range<usize>, Bytes)> {
        let mut spans = Vec::new();
        if !ids::may_be_in(data) {
            return spans;
        }
        for Named { span, thing } in ids::read(self.dialect, By::Provider, data).unwrap_or_default()
        {
            let id = data.get(span.clone()).and_then(|id| serde_json::from_slice(id).ok());
            let Some(id): Option<String> = id.filter(|id: &String| !id.is_empty()) else {
                continue;
            };
            if thing == Thing::Container || !self.files.contains(&id) {
                spans.push((span, json(&self.tenant.hide(thing, *self.place, &id))));
            }
        }
        spans
    }

    /// An item's id as the client knows it, as JSON.
    fn marked(&self, id: &[u8]) -> Option<Bytes> {
        let id: String = serde_json::from_slice(id).ok()?;
        Some(json(&self.tenant.mark_item(*self.place, &id)))
    }
}

impl Stamp {
    /// For answers of responses that are kept at this place.
    pub(in crate::exchange) fn of(tenant: &Tenant, place: Place) -> Self {
        let seal = Seal::new(Dialect::Responses, tenant, move || place);
        Stamp { seal: Some(seal), ..Stamp::default() }
    }

    /// Puts the provider's own ids into the request of a tenant.
    pub(super) fn ask(
        &mut self,
        dialect: Dialect,
        edits: &mut Edits<'_>,
        payload: &Payload,
        to: &Target,
    ) -> Result<(), CannotAsk> {
        let Some(tenant) = &payload.peek.tenant else { return Ok(()) };
        let whose = tenant.clone();
        let (provider, base, key) = (to.provider.clone(), to.base.clone(), to.credential.clone());
        let place = move || whose.place_at(&provider.name, &base, key.as_ref());
        let seal = self.seal.insert(Seal::new(dialect, tenant, place));
        seal.open(edits, &payload.body, &to.model)?;
        if dialect == Dialect::Responses {
            seal.open_stored(edits, to)?;
        }
        Ok(())
    }

    /// Whether ids are bound to a tenant.
    pub(super) fn seals(&self) -> bool {
        self.seal.is_some()
    }

    /// Whether an answer may repeat a name that the request says in the tenant's words.
    pub(super) fn has_opened(&self) -> bool {
        self.seal.as_ref().is_some_and(|seal| !seal.opened.is_empty())
    }

    /// What the provider says about the request, with the names that the client knows.
    pub(super) fn reworded(&self, message: String) -> String {
        let opened = self.seal.iter().flat_map(|seal| &seal.opened);
        opened.fold(message, |message, (own, known)| match own.is_empty() {
            true => message,
            false => message.replace(own, known),
        })
    }

    /// An item's id as the client knows it, both as JSON. One item has many events.
    pub(super) fn item(&mut self, id: &[u8]) -> Option<Bytes> {
        let seal = self.seal.as_mut()?;
        if let Some((last, marked)) = &seal.last
            && **last == *id
        {
            return Some(marked.clone());
        }
        let marked = seal.marked(id)?;
        seal.last = Some((Bytes::copy_from_slice(id), marked.clone()));
        Some(marked)
    }

    /// An event of messages with the client's names, if it names a container or a file.
    pub(super) fn hidden(&self, facts: &Facts, data: &[u8]) -> Option<Bytes> {
        let mut spans = self.seal.as_ref()?.hidden(data);
        if spans.is_empty() {
            return None;
        }
        spans.extend(facts.model.clone().zip(self.model.clone()));
        Some(replaced(data, spans))
    }

    /// An answer, or an event that has it, with the client's names; `None` if they are the same.
    pub(in crate::exchange) fn stamped(&self, facts: &Facts, data: &[u8]) -> Option<Bytes> {
        let mut spans: Vec<(Range<usize>, Bytes)> = Vec::new();
        if let (Some(span), Some(model)) = (&facts.model, &self.model) {
            spans.push((span.clone(), model.clone()));
        }
        if let Some(seal) = &self.seal {
            let [id, previous] = &facts.ids;
            for (span, known) in [(id, None), (previous, seal.previous.clone())] {
                let Some(span) = span else { continue };
                let id: String = serde_json::from_slice(data.get(span.clone())?).ok()?;
                let sealed = || json(&seal.tenant.seal(*seal.place, &id));
                spans.push((span.clone(), known.unwrap_or_else(sealed)));
            }
            for span in &facts.items {
                let marked = data.get(span.clone()).and_then(|id| seal.marked(id));
                spans.extend(marked.map(|marked| (span.clone(), marked)));
            }
            spans.extend(seal.hidden(data));
        }
        (!spans.is_empty()).then(|| replaced(data, spans))
    }
}

fn json(text: &str) -> Bytes {
    serde_json::to_vec(text).unwrap_or_default().into()
}

fn param(thing: Thing) -> &'static str {
    match thing {
        Thing::Container => "container",
        Thing::File => "file_id",
    }
}

/// OpenAI's words.
fn not_found(id: &str) -> Malformed {
    Malformed::at(
        "previous_response_id",
        format!("Previous response with id '{}' not found.", shown(id)),
    )
}

fn missing(thing: Thing, id: &str) -> Malformed {
    let what = match thing {
        Thing::Container => "Container",
        Thing::File => "File",
    };
    Malformed::at(param(thing), format!("{what} with id '{}' not found.", shown(id)))
}

fn shown(id: &str) -> String {
    id.chars().filter(|c| !c.is_control()).take(200).collect()
}
