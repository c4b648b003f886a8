//! The card of an entry: the catalogue's, with the entry's own prices and limits laid over it.

use std::sync::Arc;

use tollgate_wire::{Card, Mode, Rates, card::RareRates, catalogue::Catalogue};

use super::{problem::Report, section::Section};

/// The card for a provider's model, or for what `base_model` names instead.
pub(super) fn card(
    provider: &str,
    model: &str,
    params: &Section<'_>,
    info: &Section<'_>,
    catalogue: &Catalogue,
    report: &mut Report,
) -> Option<Arc<Card>> {
    let base_model = info.text("base_model", report);
    let base_model = base_model.or_else(|| params.text("base_model", report));
    let found = match &base_model {
        Some(name) => named(name, provider, catalogue),
        None => catalogue.card(provider, model),
    };
    if let (None, Some(name)) = (&found, &base_model) {
        let message = format!("`{}` is no model that we have a price of", super::keys::shown(name));
        let section = if info.node("base_model").is_some() { info } else { params };
        let path = section.path_of("base_model");
        report.warning(section.spot("base_model"), &path, message, None);
    }
    let mut card = found.as_deref().cloned().unwrap_or_default();
    let before = card.clone();
    provider.clone_into(&mut card.provider);
    model.clone_into(&mut card.name);
    limits(&mut card, info, report);
    card.rates = rates(card.rates.take(), params, info, report);
    let changed = card.rates != before.rates
        || (card.max_input, card.max_output, card.mode)
            != (before.max_input, before.max_output, before.mode);
    match found {
        Some(found) if !changed && base_model.is_none() => Some(found),
        None if !changed => None,
        Some(_) | None => Some(Arc::new(card)),
    }
}

/// `provider/model`, or a model of the same provider, or of the only one that has it.
fn named(name: &str, provider: &str, catalogue: &Catalogue) -> Option<Arc<Card>> {
    let split = name.split_once('/').and_then(|(p, m)| catalogue.card(p, m));
    split.or_else(|| catalogue.card(provider, name)).or_else(|| {
        let cards = catalogue.cards_named(name);
        let first = cards.first()?;
        (first.bare || cards.len() == 1).then(|| first.clone())
    })
}

fn limits(card: &mut Card, info: &Section<'_>, report: &mut Report) {
    let max_tokens = info.whole("max_tokens", 1, report);
    if let Some(most) = info.whole("max_output_tokens", 1, report).or(max_tokens) {
        card.max_output = Some(most);
    }
    if let Some(most) = info.whole("max_input_tokens", 1, report) {
        card.max_input = Some(most);
    }
    if let Some(mode) = info.text("mode", report).as_deref().and_then(Mode::of_litellm) {
        card.mode = Some(mode);
    }
}

/// The prices in `litellm_params`, else in `model_info`, over the card's own.
fn rates(
    own: Option<Rates>,
    params: &Section<'_>,
    info: &Section<'_>,
    report: &mut Report,
) -> Option<Rates> {
    let mut price = |key: &str| {
        let of_info = info.price(key, report);
        params.price(key, report).or(of_info)
    };
    let input = price("input_cost_per_token");
    let output = price("output_cost_per_token");
    let parts = [
        price("cache_read_input_token_cost"),
        price("cache_creation_input_token_cost"),
        price("cache_creation_input_token_cost_above_1hr"),
        price("output_cost_per_reasoning_token"),
        price("input_cost_per_audio_token"),
        price("output_cost_per_audio_token"),
    ];
    if input.is_none() && output.is_none() && parts.iter().all(Option::is_none) {
        return own;
    }
    // What LiteLLM does not find costs nothing there; here somebody should know.
    if own.is_none() && (input.is_none() || output.is_none()) {
        let (given, free) =
            if input.is_some() { ("prompts", "answers") } else { ("answers", "prompts") };
        let message = match (input, output) {
            (None, None) => "prompts and answers have no price and are counted as free".to_owned(),
            _ => format!("only {given} have a price: {free} are counted as free"),
        };
        report.warning(params.at, &params.path, message, None);
    }
    let mut base = own.unwrap_or_default();
    // A price of one's own stands for all tokens of its side: the list's rates for cached or audio
    // tokens belong to the list's price.
    if input.is_some() {
        base = Rates {
            cache_read: None,
            cache_write: None,
            cache_write_1h: None,
            input_audio: None,
            ..base
        };
    }
    if output.is_some() {
        base = Rates { reasoning: None, output_audio: None, ..base };
    }
    // So do its rates for long prompts, for service tiers, for certain hours and places.
    let rare = base.rare.take().map(|rare| match input.or(output) {
        Some(_) => Box::new(RareRates { search: rare.search, ..RareRates::default() }),
        None => rare,
    });
    let [cache_read, cache_write, cache_write_1h, reasoning, input_audio, output_audio] = parts;
    Some(Rates {
        input: input.unwrap_or(base.input),
        output: output.unwrap_or(base.output),
        cache_read: cache_read.or(base.cache_read),
        cache_write: cache_write.or(base.cache_write),
        cache_write_1h: cache_write_1h.or(base.cache_write_1h),
        reasoning: reasoning.or(base.reasoning),
        input_audio: input_audio.or(base.input_audio),
        output_audio: output_audio.or(base.output_audio),
        request: base.request,
        rare,
    })
}
