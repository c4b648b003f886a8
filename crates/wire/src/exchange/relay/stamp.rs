//! What an answer calls itself, in the words of the client: of responses, the model's name and the
//! ids by which the answer can be found again.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::{facts::Facts, items};
use crate::{
    exchange::{
        CannotAsk, Malformed, Payload, Unsupported,
        relay::edit::Edits,
        seal::{Place, Tenant},
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
    seal: Option<(Tenant, Place)>,
    /// The id of the answer before, as the client knows it, as JSON.
    previous: Option<Bytes>,
    /// The last item that an event was about: its id, and as the client knows it, both as JSON.
    last: Option<(Bytes, Bytes)>,
}

impl Stamp {
    /// For answers that are kept at this place.
    pub(in crate::exchange) fn of(tenant: &Tenant, place: Place) -> Self {
        Stamp { seal: Some((tenant.clone(), place)), ..Stamp::default() }
    }

    /// Puts the provider's own id of the answer before into the request. Without a tenant there is
    /// one account and one user: ids are the provider's.
    pub(super) fn ask(
        &mut self,
        edits: &mut Edits<'_>,
        payload: &Payload,
        to: &Target,
    ) -> Result<(), CannotAsk> {
        let Some(tenant) = &payload.peek.tenant else { return Ok(()) };
        let place = tenant.place(to);
        self.seal = Some((tenant.clone(), place));
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
        let input = edits.raw("input").map(|input| items::own(input, tenant, place, &to.model));
        if let Some(input) = input.transpose()?.flatten() {
            edits.set("input", input);
        }
        let Some(previous) = edits.string("previous_response_id") else { return Ok(()) };
        let Some((there, id)) = tenant.open(&previous) else {
            return Err(not_found(&previous).into());
        };
        if there != place {
            return Err(Unsupported {
                param: "previous_response_id".to_owned(),
                model: to.model.to_string(),
                why: "the answer is at another provider".to_owned(),
            }
            .into());
        }
        edits.replace("previous_response_id", &id);
        self.previous = serde_json::to_vec(&previous).ok().map(Bytes::from);
        Ok(())
    }

    /// Whether ids are bound to a tenant.
    pub(super) fn seals(&self) -> bool {
        self.seal.is_some()
    }

    /// An item's id as the client knows it, both as JSON. One item has many events.
    pub(super) fn item(&mut self, id: &[u8]) -> Option<Bytes> {
        if let Some((last, marked)) = &self.last
            && **last == *id
        {
            return Some(marked.clone());
        }
        let marked = self.marked(id)?;
        self.last = Some((Bytes::copy_from_slice(id), marked.clone()));
        Some(marked)
    }

    fn marked(&self, id: &[u8]) -> Option<Bytes> {
        let (tenant, place) = self.seal.as_ref()?;
        let id: String = serde_json::from_slice(id).ok()?;
        serde_json::to_vec(&tenant.mark_item(*place, &id)).ok().map(Bytes::from)
    }

    /// An answer, or an event that has it, with the client's names; `None` if they are the same.
    pub(in crate::exchange) fn stamped(&self, facts: &Facts, data: &[u8]) -> Option<Bytes> {
        let mut spans: Vec<(Range<usize>, Bytes)> = Vec::new();
        if let (Some(span), Some(model)) = (&facts.model, &self.model) {
            spans.push((span.clone(), model.clone()));
        }
        let [id, previous] = &facts.ids;
        for (span, known) in [(id, None), (previous, self.previous.clone())] {
            if let (Some(span), Some((tenant, place))) = (span, &self.seal) {
                let id: String = serde_json::from_slice(data.get(span.clone())?).ok()?;
                let sealed = || serde_json::to_vec(&tenant.seal(*place, &id)).ok();
                let known = known.or_else(|| sealed().map(Bytes::from));
                spans.push((span.clone(), known?));
            }
        }
        for span in &facts.items {
            let marked = data.get(span.clone()).and_then(|id| self.marked(id));
            spans.extend(marked.map(|marked| (span.clone(), marked)));
        }
        if spans.is_empty() {
            return None;
        }
        spans.sort_by_key(|(span, _)| span.start);
        let mut out = BytesMut::with_capacity(data.len() + 256);
        let mut at = 0;
        for (span, with) in spans {
            out.extend_from_slice(data.get(at..span.start)?);
            out.extend_from_slice(&with);
            at = span.end;
        }
        out.extend_from_slice(data.get(at..)?);
        Some(out.freeze())
    }
}

/// OpenAI's words.
fn not_found(id: &str) -> Malformed {
    let id: String = id.chars().filter(|c| !c.is_control()).take(200).collect();
    Malformed::at("previous_response_id", format!("Previous response with id '{id}' not found."))
}
