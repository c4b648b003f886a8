//! Which rates apply to a request.

use tollgate_wire::{
    Rates, Tier,
    card::{Kind, RareRates, TokenRates, Variant},
};

/// What the choice depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Tokens of the prompt, cached ones included.
    pub(super) prompt: u64,
    /// The tier it is served at.
    pub(super) tier: Tier,
    /// Seconds since 1970; without it no hour is off-peak.
    pub(super) at_s: Option<i64>,
}

/// The rates of a request. What is still missing falls back: caches to `input`, and so on.
pub(super) fn effective(rates: &Rates, moment: &Moment) -> TokenRates {
    let mut chosen = rates.tokens();
    let Some(rare) = rates.rare.as_deref() else {
        if moment.tier == Tier::Batch {
            halve(&mut chosen);
        }
        return chosen;
    };
    if rare.variants.iter().any(|variant| variant.whole) {
        step(&mut chosen, rare, moment);
    } else if moment.tier == Tier::Batch {
        batch(&mut chosen, rare, moment);
    } else {
        lay(&mut chosen, rare, moment);
    }
    if chosen.output == Some(0) && chosen.output_image.is_some() {
        // All that comes out is images.
        chosen.output = chosen.output_image;
    }
    if let (Some(off_peak), Some(at_s)) = (&rare.off_peak, moment.at_s)
        && off_peak.is_on(at_s)
    {
        chosen.lay(&off_peak.rates);
    }
    chosen
}

/// One step of a list that is nothing but steps gives all rates; only an answer's may be missing.
fn step(chosen: &mut TokenRates, rare: &RareRates, moment: &Moment) {
    let steps = || rare.variants.iter().filter(|variant| variant.whole);
    let found = steps().rfind(|step| step.above < moment.prompt).or_else(|| steps().next());
    let Some(step) = found else { return };
    let answers = step.rates.iter().any(|(kind, _)| *kind == Kind::Output);
    for kind in [Kind::CacheRead, Kind::CacheWrite, Kind::CacheWrite1h, Kind::CacheWrite12h] {
        *chosen.place(kind) = None;
    }
    if answers {
        chosen.reasoning = None;
    }
    chosen.lay(&step.rates);
    if moment.tier == Tier::Batch {
        halve(chosen);
    }
}

/// The tier's rates, then those of each threshold that the prompt is above, the tier's last.
fn lay(chosen: &mut TokenRates, rare: &RareRates, moment: &Moment) {
    if moment.tier != Tier::Standard {
        for variant in of(rare, moment.tier).filter(|variant| variant.above == 0) {
            if variant.rates.iter().any(|(kind, _)| *kind == Kind::Output) {
                // The tier has a price for answers, and thoughts belong to it.
                chosen.reasoning = None;
            }
            chosen.lay(&variant.rates);
        }
    }
    let crossed = |variant: &&Variant| {
        let above =
            moment.prompt > variant.above || (rare.at_threshold && moment.prompt == variant.above);
        variant.above > 0 && above
    };
    let mut last = None;
    for variant in rare.variants.iter().filter(crossed) {
        if last == Some(variant.above) {
            continue;
        }
        last = Some(variant.above);
        for tier in [Tier::Standard, moment.tier] {
            for same in of(rare, tier).filter(|same| same.above == variant.above) {
                chosen.lay(&same.rates);
            }
        }
    }
}

/// A batch has rates of its own, or all are half of the usual ones.
fn batch(chosen: &mut TokenRates, rare: &RareRates, moment: &Moment) {
    let own = || of(rare, Tier::Batch);
    if own().next().is_none() {
        lay(chosen, rare, &Moment { tier: Tier::Standard, ..*moment });
        halve(chosen);
        return;
    }
    halve(chosen);
    let input = own().any(|variant| variant.rates.iter().any(|(kind, _)| *kind == Kind::Input));
    let output = own().any(|variant| variant.rates.iter().any(|(kind, _)| *kind == Kind::Output));
    if input {
        // Where a batch has its own price of a prompt, it says what the cache is worth, too.
        for kind in [
            Kind::CacheRead,
            Kind::CacheReadAudio,
            Kind::CacheWrite,
            Kind::CacheWrite1h,
            Kind::CacheWrite12h,
        ] {
            *chosen.place(kind) = None;
        }
    }
    if output {
        chosen.reasoning = None;
    }
    for variant in own().filter(|variant| {
        variant.above == 0
            || moment.prompt > variant.above
            || (rare.at_threshold && moment.prompt == variant.above)
    }) {
        chosen.lay(&variant.rates);
    }
}

fn of(rare: &RareRates, tier: Tier) -> impl DoubleEndedIterator<Item = &Variant> + Clone {
    rare.variants.iter().filter(move |variant| variant.tier == tier && !variant.whole)
}

/// Half of each rate, rounded up to a femto-USD.
fn halve(rates: &mut TokenRates) {
    for kind in Kind::ALL {
        let place = rates.place(kind);
        *place = place.map(|rate| rate / 2 + rate % 2);
    }
}
