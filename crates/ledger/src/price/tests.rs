mod rare;

use proptest::prelude::*;
use tollgate_wire::{Rates, Usage};

use super::{Cost, Tiers};
use crate::{MoneyError, Nano};

fn cost(usage: &Usage, rates: &Rates) -> Result<Cost, MoneyError> {
    super::cost(usage, rates, None)
}

fn estimate(input_tokens: u64, max_output: u64, rates: &Rates) -> Result<Nano, MoneyError> {
    super::estimate(input_tokens, max_output, rates, Tiers::Usual)
}

/// 3 USD for a million prompt tokens, 15 for a million of the answer, and so on.
const RATES: Rates = Rates {
    input: 3_000_000_000,
    output: 15_000_000_000,
    cache_read: Some(300_000_000),
    cache_write: Some(3_750_000_000),
    cache_write_1h: Some(6_000_000_000),
    reasoning: Some(20_000_000_000),
    input_audio: Some(40_000_000_000),
    output_audio: Some(80_000_000_000),
    request: 0,
    rare: None,
};

#[test]
fn each_token_is_counted_once() {
    let usage = Usage {
        input: 1_000,
        cache_read: 500,
        cache_write: 200,
        cache_write_1h: 100,
        input_audio: 50,
        output: 100,
        reasoning: 60,
        output_audio: 10,
        ..Usage::default()
    };
    let expected = Cost {
        total: Nano(
            150_000 + 750_000 + 600_000 + 450_000 + 2_000_000 + 1_200_000 + 800_000 + 450_000,
        ),
        // 150 of text and 50 of audio.
        input: Nano(450_000 + 2_000_000),
        // 30 of text and 10 of audio.
        output: Nano(450_000 + 800_000),
        cache_read: Nano(150_000),
        cache_write: Nano(750_000 + 600_000),
        reasoning: Nano(1_200_000),
        search: Nano::ZERO,
        request: Nano::ZERO,
    };
    assert_eq!(cost(&usage, &RATES), Ok(expected));
}

#[test]
fn missing_rates_fall_back_to_their_side() {
    let plain =
        Rates { input: 1_000_000, output: 2_000_000, request: 7_000_000, ..Rates::default() };
    let usage = Usage {
        input: 10,
        cache_read: 1,
        cache_write: 2,
        cache_write_1h: 3,
        input_audio: 1,
        output: 5,
        reasoning: 2,
        output_audio: 1,
        estimated: true,
        ..Usage::default()
    };
    assert_eq!(cost(&usage, &plain).map(|cost| cost.total), Ok(Nano(10 + 10 + 7)));
    let with_write = Rates { cache_write: Some(4_000_000), ..plain };
    assert_eq!(cost(&usage, &with_write).map(|cost| cost.total), Ok(Nano(27 + 5 * 3)));
}

#[test]
fn parts_beyond_their_total_are_cut() {
    let usage = Usage {
        input: 10,
        cache_read: 8,
        cache_write: 8,
        output: 5,
        reasoning: 9,
        ..Usage::default()
    };
    let cut = Usage {
        input: 10,
        cache_read: 8,
        cache_write: 2,
        output: 5,
        reasoning: 5,
        ..Usage::default()
    };
    assert_eq!(cost(&usage, &RATES), cost(&cut, &RATES));
}

#[test]
fn a_total_is_rounded_half_up_once() {
    let rates = |input| Rates { input, output: input, ..Rates::default() };
    let usage = Usage { input: 1, output: 1, ..Usage::default() };
    // Each part is less than half a nano-USD, both together are more.
    let price = cost(&usage, &rates(300_000)).unwrap_or_default();
    assert_eq!((price.total, price.input, price.output), (Nano(1), Nano(0), Nano(0)));
    assert_eq!(cost(&usage, &rates(250_000)).map(|cost| cost.total), Ok(Nano(1)));
    assert_eq!(cost(&usage, &rates(249_999)).map(|cost| cost.total), Ok(Nano(0)));
}

#[test]
fn an_estimate_is_rounded_up_and_takes_the_dearer_answer() {
    let rates = Rates { input: 1, output: 1_000_000, ..Rates::default() };
    assert_eq!(estimate(1, 0, &rates), Ok(Nano(1)));
    assert_eq!(estimate(0, 3, &rates), Ok(Nano(3)));
    assert_eq!(estimate(0, 3, &Rates { reasoning: Some(2_000_000), ..rates.clone() }), Ok(Nano(6)));
    assert_eq!(estimate(0, 3, &Rates { reasoning: Some(0), ..rates }), Ok(Nano(3)));
    assert_eq!(estimate(u64::MAX, u64::MAX, &RATES), Err(MoneyError::Overflow));
}

#[test]
fn negative_rates_are_refused() {
    let usage = Usage::default();
    assert_eq!(cost(&usage, &Rates { input: -1, ..RATES }), Err(MoneyError::Negative));
    assert_eq!(cost(&usage, &Rates { reasoning: Some(-1), ..RATES }), Err(MoneyError::Negative));
}

prop_compose! {
    fn any_rates()(
        rates in [0..i64::MAX, 0..i64::MAX, 0..i64::MAX],
        parts in prop::array::uniform6(prop::option::of(0..i64::MAX)),
    ) -> Rates {
        let [input, output, request] = rates;
        let [cache_read, cache_write, cache_write_1h, reasoning, input_audio, output_audio] = parts;
        Rates { input, output, cache_read, cache_write, cache_write_1h, reasoning, input_audio, output_audio, request, rare: None }
    }
}

prop_compose! {
    /// Up to 10,000 USD for a million tokens.
    fn real_rates()(
        rates in [0..10_000_000_000_000_i64, 0..10_000_000_000_000],
        parts in prop::array::uniform6(prop::option::of(0..10_000_000_000_000_i64)),
    ) -> Rates {
        let [input, output] = rates;
        let [cache_read, cache_write, cache_write_1h, reasoning, input_audio, output_audio] = parts;
        Rates { input, output, cache_read, cache_write, cache_write_1h, reasoning, input_audio, output_audio, request: 0, rare: None }
    }
}

fn usage(
    [
        rest_in,
        cache_read,
        cache_write,
        cache_write_1h,
        input_audio,
        rest_out,
        reasoning,
        output_audio,
    ]: [u64; 8],
) -> Usage {
    let input = rest_in.saturating_add(cache_read).saturating_add(cache_write);
    let input = input.saturating_add(cache_write_1h).saturating_add(input_audio);
    let output = rest_out.saturating_add(reasoning).saturating_add(output_audio);
    Usage {
        input,
        cache_read,
        cache_write,
        cache_write_1h,
        input_audio,
        output,
        reasoning,
        output_audio,
        ..Usage::default()
    }
}

fn counts() -> impl Strategy<Value = [u64; 8]> {
    prop::array::uniform8(0..2_000_000_u64)
}

fn add(one: [u64; 8], other: [u64; 8]) -> [u64; 8] {
    let mut sum = one;
    for (sum, other) in sum.iter_mut().zip(other) {
        *sum += other;
    }
    sum
}

proptest! {
    #[test]
    fn nothing_panics_or_is_negative(
        counts in prop::array::uniform8(any::<u64>()),
        rates in any_rates(),
    ) {
        let [input, cache_read, cache_write, cache_write_1h, input_audio, output, reasoning, output_audio] = counts;
        let usage = Usage { input, cache_read, cache_write, cache_write_1h, input_audio, output, reasoning, output_audio, ..Usage::default() };
        if let Ok(cost) = cost(&usage, &rates) {
            for part in [cost.total, cost.input, cost.output, cost.cache_read, cost.cache_write, cost.reasoning, cost.request] {
                prop_assert!(Nano::ZERO <= part && part <= cost.total);
            }
        }
        let _ = estimate(input, output, &rates);
    }

    #[test]
    fn the_price_of_a_sum_is_the_sum_of_prices(
        all in prop::collection::vec(counts(), 1..8),
        rates in real_rates(),
    ) {
        let sum = all.iter().copied().fold([0; 8], add);
        let total = |counts| cost(&usage(counts), &rates).map(|cost| cost.total.0);
        let singly = all.iter().map(|counts| total(*counts)).sum::<Result<i64, _>>();
        let (singly, together) = (singly.unwrap_or(-1), total(sum).unwrap_or(-2));
        prop_assert!(singly.abs_diff(together) <= all.len() as u64, "{singly} {together}");
    }

    #[test]
    fn more_tokens_never_cost_less(
        counts in counts(), more in counts(), rates in real_rates(), place in 0_usize..8,
    ) {
        let mut grown = counts;
        if let (Some(count), Some(more)) = (grown.get_mut(place), more.get(place)) {
            *count += more;
        }
        let (less, more) = (cost(&usage(counts), &rates), cost(&usage(grown), &rates));
        let (less, more) = (less.ok(), more.ok());
        prop_assert!(less.is_some());
        prop_assert!(less.map(|cost| cost.total) <= more.map(|cost| cost.total));
    }

    #[test]
    fn larger_totals_never_cost_less(
        parts in counts(), input in 0..2_000_000_u64, output in 0..2_000_000_u64, rates in real_rates(),
    ) {
        // Here the parts may exceed their totals.
        let less = Usage { input, output, ..usage(parts) };
        let more = Usage { input: input + 1, output: output + 1, ..less };
        let total = |usage| cost(&usage, &rates).ok().map(|cost| cost.total);
        prop_assert!(total(less).is_some());
        prop_assert!(total(less) <= total(more));
    }

    #[test]
    fn the_parts_make_the_total(counts in counts(), rates in real_rates()) {
        let cost = cost(&usage(counts), &rates).unwrap_or_default();
        let parts = [cost.input, cost.output, cost.cache_read, cost.cache_write, cost.reasoning, cost.request];
        let sum: i64 = parts.iter().map(|part| part.0).sum();
        prop_assert!(sum.abs_diff(cost.total.0) <= 3, "{cost:?}");
    }

    #[test]
    fn an_estimate_covers_plain_text(
        input in 0..2_000_000_u64, output in 0..2_000_000_u64, reasoning in 0..2_000_000_u64,
        rates in real_rates(),
    ) {
        let usage = Usage { input, output, reasoning, ..Usage::default() };
        let held = estimate(input, output, &rates).ok();
        prop_assert!(held.is_some());
        prop_assert!(cost(&usage, &rates).ok().map(|cost| cost.total) <= held);
    }
}
