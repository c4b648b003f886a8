//! What an answer cost.

use http::HeaderMap;
use tollgate_ledger::{Nano, price};
use tollgate_wire::{Usage, catalogue};

use crate::{model, response::ChatCompletion};

/// What an answer cost in USD, at the provider's list price. `None` where no price is known,
/// which is not the same as free.
///
/// The price is that of the model that was called. An answer that was not called for here (read
/// from a file, say) is priced by its `model`, which must then be a `provider/model` string or a
/// name of the catalogue. LiteLLM's function of the same name.
pub fn completion_cost(answer: &ChatCompletion) -> Option<Nano> {
    if !answer.route.provider.is_empty() {
        return answer.route.cost;
    }
    let catalogue = catalogue::builtin();
    let (provider, name) = model::resolve(catalogue, &answer.model, None, None).ok()?;
    let card = catalogue.card(&provider.name, name);
    of_card(&answer.usage.as_ref()?.counts(), card.as_deref())
}

/// What a gateway says that the answer cost.
pub(crate) fn told(headers: &HeaderMap) -> Option<Nano> {
    Nano::from_usd_text(headers.get("x-litellm-response-cost")?.to_str().ok()?).ok()
}

/// The price of `usage`, where the card has one.
pub(crate) fn of_card(usage: &Usage, card: Option<&tollgate_wire::Card>) -> Option<Nano> {
    price::cost(usage, card?.rates.as_ref()?, None).ok().map(|cost| cost.total)
}
