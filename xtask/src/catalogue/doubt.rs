//! What is doubted of a list that people of many places write by hand: a figure in the wrong unit or
//! line shows beside what others say.

use std::collections::BTreeMap;

use tollgate_wire::{Card, Rates, card::usd_text, catalogue::genai::PriceList};

/// Times that two prices of the same may differ.
const FAR: i64 = 3;
/// Other providers whose prices of a model have to be known to doubt another's.
const WITNESSES: usize = 2;

/// Models that both have a price of, but one far from the other's.
pub(super) fn apart(map: &[Card], list: &[Card]) -> Vec<String> {
    let known: BTreeMap<(&str, &str), &Rates> = map
        .iter()
        .filter_map(|card| Some(((&*card.provider, &*card.name), card.rates.as_ref()?)))
        .collect();
    let mut apart = Vec::new();
    for card in list {
        let Some(rates) = &card.rates else { continue };
        let Some(ours) = known.get(&(&*card.provider, &*card.name)) else { continue };
        for (what, ours, theirs) in
            [("prompt", ours.input, rates.input), ("answer", ours.output, rates.output)]
        {
            if ours > theirs.saturating_mul(FAR) || theirs > ours.saturating_mul(FAR) {
                apart.push(format!(
                    "{}/{}: the {what} {}, not {}",
                    card.provider,
                    card.name,
                    usd_text(ours),
                    usd_text(theirs)
                ));
            }
        }
    }
    apart
}

/// Takes the prices from a list's cards that are far below the cheapest or far above the dearest that
/// other providers have of a model of that name, and says so.
pub(super) fn unlikely(map: &[Card], list: &mut PriceList) {
    let mut asked: BTreeMap<String, Vec<(String, i64, i64)>> = BTreeMap::new();
    for card in map.iter().chain(&list.cards) {
        if let Some(rates) = card.rates.as_ref().filter(|rates| rates.input > 0) {
            let price = (card.provider.clone(), rates.input, rates.output);
            asked.entry(model(&card.name)).or_default().push(price);
        }
    }
    for card in &mut list.cards {
        let (Some(rates), Some(all)) = (&card.rates, asked.get(&model(&card.name))) else {
            continue;
        };
        let others: Vec<_> = all.iter().filter(|(who, ..)| *who != card.provider).collect();
        if others.len() < WITNESSES {
            continue;
        }
        let inputs = others.iter().map(|(_, input, _)| *input);
        let outputs = others.iter().map(|(.., output)| *output);
        let far =
            far("prompt", rates.input, inputs).or_else(|| far("answer", rates.output, outputs));
        if let Some(why) = far {
            list.skipped.push((format!("{}/{}", card.provider, card.name), why));
            card.rates = None;
        }
    }
}

fn far(what: &str, price: i64, others: impl Iterator<Item = i64> + Clone) -> Option<String> {
    let (least, most) = (others.clone().min()?, others.max()?);
    let far = price.saturating_mul(FAR) < least || price > most.saturating_mul(FAR);
    far.then(|| {
        format!(
            "its price of the {what} is {}, of others {} to {}: left without prices",
            usd_text(price),
            usd_text(least),
            usd_text(most)
        )
    })
}

/// What a model is called wherever it is: `Qwen3-32B` of `Qwen/Qwen3-32B`.
fn model(name: &str) -> String {
    name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(provider: &str, name: &str, input: i64, output: i64) -> Card {
        Card {
            provider: provider.to_owned(),
            name: name.to_owned(),
            rates: Some(Rates { input, output, ..Rates::default() }),
            ..Card::default()
        }
    }

    #[test]
    fn of_two_prices_far_ones_are_named() {
        let map = [card("p", "a", 100, 400), card("p", "b", 100, 400), card("q", "c", 1, 1)];
        let list = [card("p", "a", 300, 134), card("p", "b", 301, 133), card("p", "c", 9, 9)];
        assert_eq!(
            apart(&map, &list),
            ["p/b: the prompt 1e-13, not 3.01e-13", "p/b: the answer 4e-13, not 1.33e-13"]
        );
    }

    #[test]
    fn what_nobody_else_asks_is_no_price() {
        let map = [card("p", "Org/Model", 100, 400), card("q", "model", 200, 800)];
        let mut list = PriceList {
            cards: vec![
                card("cheap", "model", 34, 134),
                card("cheaper", "model", 33, 134),
                card("dear", "x/MODEL", 600, 2_400),
                card("dearer", "model", 600, 2_401),
                card("alone", "other", 1, 1),
            ],
            skipped: Vec::new(),
        };
        // Each is a witness for the others, so the range is theirs, too.
        unlikely(&map, &mut list);
        assert!(list.skipped.is_empty(), "{:?}", list.skipped);
        let mut list = PriceList {
            cards: vec![card("wrong", "model", 20_000, 800), card("free", "model", 150, 0)],
            skipped: Vec::new(),
        };
        unlikely(&map, &mut list);
        assert!(list.cards.iter().all(|card| card.rates.is_none()));
        let why = "its price of the prompt is 2e-11, of others 1e-13 to 2e-13: left without prices";
        assert_eq!(list.skipped.first(), Some(&("wrong/model".to_owned(), why.to_owned())));
        assert_eq!(list.skipped.len(), 2);
    }
}
