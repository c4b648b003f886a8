//! Long prompts, service tiers, hours, factors, searches.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may")]

use proptest::prelude::*;
use tollgate_wire::{
    Rates, SearchSize, Tier, Usage,
    card::{Factors, Hours, Kind, OffPeak, RareRates, SearchRates, Variant},
};

use super::super::{Tiers, cost, estimate};
use crate::Nano;

/// A micro-USD a token and less, so that a nano-USD is a thousandth of a token.
const MICRO: i64 = 1_000_000_000;

fn variant(tier: Tier, above: u64, rates: &[(Kind, i64)]) -> Variant {
    Variant { tier, above, whole: false, rates: rates.into() }
}

fn rates(rare: RareRates) -> Rates {
    Rates {
        input: 2 * MICRO,
        output: 10 * MICRO,
        cache_read: Some(MICRO),
        reasoning: Some(12 * MICRO),
        rare: Some(Box::new(rare)),
        ..Rates::default()
    }
}

fn total(usage: &Usage, rates: &Rates) -> i64 {
    cost(usage, rates, None).unwrap().total.0 / 1_000
}

fn usage(input: u64, tier: Tier) -> Usage {
    Usage { input, output: 10, tier: Some(tier), ..Usage::default() }
}

#[test]
fn long_prompts_are_dearer_as_a_whole() {
    let long = [(Kind::Input, 4 * MICRO), (Kind::Output, 15 * MICRO)];
    let longer = [(Kind::Input, 6 * MICRO)];
    let mut rare = RareRates {
        variants: Box::new([
            variant(Tier::Standard, 100, &long),
            variant(Tier::Standard, 200, &longer),
        ]),
        ..RareRates::default()
    };
    let priced = rates(rare.clone());
    assert_eq!(total(&usage(100, Tier::Standard), &priced), 100 * 2 + 10 * 10);
    assert_eq!(total(&usage(101, Tier::Standard), &priced), 101 * 4 + 10 * 15);
    // The second threshold says nothing of the answer: the first one's rate stays.
    assert_eq!(total(&usage(201, Tier::Standard), &priced), 201 * 6 + 10 * 15);
    // Cached tokens count for the size, and keep a rate that no threshold changes.
    let cached = Usage { cache_read: 100, ..usage(101, Tier::Standard) };
    assert_eq!(total(&cached, &priced), 4 + 100 + 10 * 15);
    rare.at_threshold = true;
    assert_eq!(total(&usage(100, Tier::Standard), &rates(rare)), 100 * 4 + 10 * 15);
}

#[test]
fn a_tier_has_rates_of_its_own() {
    let priced = rates(RareRates {
        variants: Box::new([
            variant(Tier::Priority, 0, &[(Kind::Input, 4 * MICRO), (Kind::Output, 20 * MICRO)]),
            variant(Tier::Flex, 0, &[(Kind::Input, MICRO)]),
            variant(Tier::Standard, 100, &[(Kind::Input, 5 * MICRO)]),
            variant(Tier::Priority, 100, &[(Kind::Input, 9 * MICRO)]),
        ]),
        ..RareRates::default()
    });
    assert_eq!(total(&usage(50, Tier::Priority), &priced), 50 * 4 + 10 * 20);
    assert_eq!(total(&usage(50, Tier::Flex), &priced), 50 + 10 * 10);
    // Above the threshold the tier's rate counts, else the standard one.
    assert_eq!(total(&usage(101, Tier::Priority), &priced), 101 * 9 + 10 * 20);
    assert_eq!(total(&usage(101, Tier::Flex), &priced), 101 * 5 + 10 * 10);
    // Thoughts belong to the price of answers: where a tier has one, they follow it.
    let thought = |tier| Usage { reasoning: 10, ..usage(0, tier) };
    assert_eq!(total(&thought(Tier::Standard), &priced), 10 * 12);
    assert_eq!(total(&thought(Tier::Priority), &priced), 10 * 20);
    assert_eq!(total(&thought(Tier::Flex), &priced), 10 * 12);
}

#[test]
fn a_batch_is_half_price_unless_it_has_its_own() {
    let plain = Rates { rare: None, ..rates(RareRates::default()) };
    assert_eq!(total(&usage(100, Tier::Batch), &plain), 100 + 10 * 5);
    let long = variant(Tier::Standard, 100, &[(Kind::Input, 4 * MICRO)]);
    let half = rates(RareRates { variants: Box::new([long.clone()]), ..RareRates::default() });
    assert_eq!(total(&usage(101, Tier::Batch), &half), 101 * 2 + 10 * 5);
    let own = [variant(Tier::Batch, 0, &[(Kind::Input, MICRO / 2)]), long];
    let own = rates(RareRates { variants: Box::new(own), ..RareRates::default() });
    // The prompt at the batch's price whatever its size, what is cached too; the answer at half.
    let cached = Usage { cache_read: 50, ..usage(200, Tier::Batch) };
    assert_eq!(total(&cached, &own), 200 / 2 + 10 * 5);
}

#[test]
fn a_list_of_steps_has_all_rates() {
    let step = |above, rates: &[(Kind, i64)]| Variant {
        whole: true,
        ..variant(Tier::Standard, above, rates)
    };
    let priced = rates(RareRates {
        variants: Box::new([
            step(0, &[(Kind::Input, 3 * MICRO), (Kind::Output, 9 * MICRO)]),
            step(100, &[(Kind::Input, 6 * MICRO), (Kind::CacheRead, MICRO)]),
        ]),
        ..RareRates::default()
    });
    let cached = |input| Usage { cache_read: 50, ..usage(input, Tier::Standard) };
    // A step without a price for cached tokens charges them as any others.
    assert_eq!(total(&cached(100), &priced), 100 * 3 + 10 * 9);
    assert_eq!(total(&cached(150), &priced), 100 * 6 + 50 + 10 * 10);
}

#[test]
fn hours_factors_and_searches() {
    let off_peak = OffPeak {
        hours: Box::new([Hours { days: 0b111_1111, from: 60, until: 120 }]),
        rates: Box::new([(Kind::Input, MICRO)]),
    };
    let search = SearchRates { low: MICRO, medium: 2 * MICRO, high: 3 * MICRO, once: false };
    let factors = Factors { fast: Some(6_000_000), us_only: Some(1_100_000), ..Factors::default() };
    let rare = RareRates {
        off_peak: Some(off_peak),
        search: Some(search),
        factors,
        ..RareRates::default()
    };
    let priced = rates(rare.clone());
    let plain = usage(100, Tier::Standard);
    let at = |at_s| cost(&plain, &priced, at_s).unwrap().total.0 / 1_000;
    assert_eq!((at(None), at(Some(3_599))), (300, 300));
    assert_eq!((at(Some(3_600)), at(Some(7_199)), at(Some(7_200))), (200, 200, 300));
    let fast = Usage { us_only: true, ..usage(100, Tier::Fast) };
    assert_eq!(total(&fast, &priced), 300 * 66 / 10);
    // Searches are not multiplied.
    let searched = |search_size| Usage { searches: 3, search_size, ..fast };
    assert_eq!(total(&searched(SearchSize::Medium), &priced), 300 * 66 / 10 + 6);
    assert_eq!(total(&searched(SearchSize::High), &priced), 300 * 66 / 10 + 9);
    let once = SearchRates { once: true, ..search };
    let once = rates(RareRates { search: Some(once), ..rare });
    assert_eq!(total(&searched(SearchSize::Low), &once), 300 * 66 / 10 + 1);
}

#[test]
fn rare_kinds_of_tokens() {
    let priced = rates(RareRates {
        tokens: Box::new([
            (Kind::CacheReadAudio, 3 * MICRO),
            (Kind::CacheWrite12h, 7 * MICRO),
            (Kind::InputImage, 5 * MICRO),
            (Kind::OutputImage, 30 * MICRO),
        ]),
        ..RareRates::default()
    });
    let usage = Usage {
        input: 100,
        cache_read: 10,
        cache_read_audio: 4,
        // Four of them are cached.
        input_audio: 9,
        cache_write_12h: 5,
        input_image: 20,
        output: 50,
        output_image: 40,
        ..Usage::default()
    };
    assert_eq!(total(&usage, &priced), 6 + 4 * 3 + 5 * 7 + 20 * 5 + 65 * 2 + 40 * 30 + 10 * 10);
    // A model that answers in images alone has no price of text.
    let images = Rates { output: 0, ..priced };
    assert_eq!(total(&Usage { output: 2, ..Usage::default() }, &images), 60);
}

#[test]
fn an_estimate_knows_tiers_only_if_they_are_named() {
    let priced = rates(RareRates {
        variants: Box::new([
            variant(Tier::Priority, 0, &[(Kind::Input, 20 * MICRO)]),
            variant(Tier::Standard, 100, &[(Kind::Input, 4 * MICRO)]),
        ]),
        ..RareRates::default()
    });
    let held = |input, tiers| estimate(input, 10, &priced, tiers).unwrap().0 / 1_000;
    assert_eq!(held(50, Tiers::Usual), 50 * 2 + 10 * 12);
    assert_eq!(held(101, Tiers::Usual), 101 * 4 + 10 * 12);
    assert_eq!(held(50, Tiers::Any), 50 * 20 + 10 * 12);
}

prop_compose! {
    fn any_pairs()(pairs in prop::collection::vec((0..Kind::ALL.len(), 0..i64::MAX), 0..5))
        -> Box<[(Kind, i64)]> {
        pairs.into_iter().filter_map(|(i, rate)| Some((*Kind::ALL.get(i)?, rate))).collect()
    }
}

prop_compose! {
    fn any_rates()(
        flat in prop::array::uniform3(0..i64::MAX),
        tokens in any_pairs(),
        variants in prop::collection::vec(
            (0..Tier::ALL.len(), 0..1_000_u64, any::<bool>(), any_pairs()), 0..6),
        factors in prop::array::uniform3(prop::option::of(any::<u32>())),
        search in prop::option::of(0..i64::MAX),
        at_threshold in any::<bool>(),
    ) -> Rates {
        let [input, output, request] = flat;
        let [fast, us_only, always] = factors;
        let mut variants: Vec<Variant> = variants
            .into_iter()
            .map(|(tier, above, whole, rates)| Variant { tier: Tier::ALL[tier], above, whole, rates })
            .collect();
        variants.sort_by_key(|variant| variant.above);
        Rates {
            input, output, request,
            rare: Some(Box::new(RareRates {
                tokens,
                variants: variants.into(),
                at_threshold,
                search: search.map(|low| SearchRates { low, medium: low, high: low, once: false }),
                factors: Factors { fast, us_only, always, ..Factors::default() },
                ..RareRates::default()
            })),
            ..Rates::default()
        }
    }
}

proptest! {
    #[test]
    fn nothing_panics_or_is_negative(
        rates in any_rates(),
        counts in prop::array::uniform8(any::<u64>()),
        searches in any::<u32>(),
        tier in prop::option::of(0..Tier::ALL.len()),
        small in any::<bool>(),
    ) {
        let [input, cache_read, input_image, input_video, output, output_image, cache_read_audio, input_audio] =
            if small { counts.map(|count| count % 2_000) } else { counts };
        let usage = Usage {
            input, cache_read, cache_read_audio, input_audio, input_image, input_video, output,
            output_image, searches,
            tier: tier.map(|tier| Tier::ALL[tier]),
            us_only: small,
            ..Usage::default()
        };
        if let Ok(cost) = cost(&usage, &rates, Some(7)) {
            for part in [cost.total, cost.input, cost.output, cost.cache_read, cost.search, cost.request] {
                prop_assert!(Nano::ZERO <= part && part.0 <= cost.total.0 + 1);
            }
        }
        let _ = estimate(input, output, &rates, Tiers::Any);
    }

    #[test]
    fn an_estimate_covers_every_tier_it_is_for(
        input in 0..2_000_u64, output in 0..2_000_u64, tier in 0..Tier::ALL.len(),
        dearer in prop::array::uniform4(1..50_i64),
    ) {
        let [a, b, c, d] = dearer.map(|rate| rate * MICRO);
        let rates = rates(RareRates {
            variants: Box::new([
                variant(Tier::Priority, 0, &[(Kind::Input, a), (Kind::Output, b)]),
                variant(Tier::Flex, 0, &[(Kind::Output, c)]),
                variant(Tier::Standard, 1_000, &[(Kind::Input, d)]),
            ]),
            factors: Factors { fast: Some(2_000_000), ..Factors::default() },
            ..RareRates::default()
        });
        let usage = Usage { input, output, tier: Some(Tier::ALL[tier]), ..Usage::default() };
        let held = estimate(input, output, &rates, Tiers::Any).unwrap();
        prop_assert!(cost(&usage, &rates, None).unwrap().total <= held);
    }
}
