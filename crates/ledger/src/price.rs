//! What an answer costs: LiteLLM's `generic_cost_per_token`, in integers.

mod effective;

use tollgate_wire::{Rates, Tier, Usage, card::TokenRates};

use self::effective::{Moment, effective};
use crate::{MoneyError, Nano};

/// Femto-USD in a nano-USD.
const FEMTO_PER_NANO: i128 = 1_000_000;
/// Factors are given in millionths.
const MILLION: i128 = 1_000_000;

/// The price of one request. `total` is what counts; the parts say where it comes from and are
/// rounded one by one, so their sum may differ from it by a few nano-USD.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Everything, rounded once.
    pub total: Nano,
    /// Prompt tokens that no other part names: text, audio, images, video.
    pub input: Nano,
    /// Answer tokens that no other part names: text, audio, images, video.
    pub output: Nano,
    /// Prompt tokens read from the provider's cache.
    pub cache_read: Nano,
    /// Prompt tokens written to the provider's cache, for whatever time.
    pub cache_write: Nano,
    /// Reasoning tokens.
    pub reasoning: Nano,
    /// Web searches.
    pub search: Nano,
    /// The price of a request as such.
    pub request: Nano,
}

/// Prices `usage`, each token once: the totals of [`Usage`] include their parts, so text is what
/// the parts leave over. Parts that exceed their total are cut down to it, in the order cache
/// read, cache writes, audio, images, video; reasoning, audio, images, video.
///
/// Which rates apply, the size of the prompt decides, the tier that the answer was served at, and,
/// with `at_s`, the hour: seconds since 1970. Without it no hour is off-peak.
///
/// Rounded half up to a nano-USD, once. Fails for negative rates and for more money than 64 bits
/// hold.
pub fn cost(usage: &Usage, rates: &Rates, at_s: Option<i64>) -> Result<Cost, MoneyError> {
    let moment = Moment { prompt: usage.input, tier: usage.tier.unwrap_or_default(), at_s };
    let token = effective(rates, &moment);
    let factors = factors(usage, rates);
    let (prompt, cache_read, cache_write) = prompt(usage, &token)?;
    let (answer, reasoning) = answer(usage, &token)?;
    let request = price(1, Some(rates.request), None)?;
    let search = search(usage, rates)?;
    let tokens = sum([prompt, cache_read, cache_write, answer, reasoning])?;
    let flat = sum([request, search])?;
    let scaled = |femto| rounded(femto, 0, &factors);
    Ok(Cost {
        total: rounded(tokens, flat, &factors)?,
        input: scaled(prompt)?,
        output: scaled(answer)?,
        cache_read: scaled(cache_read)?,
        cache_write: scaled(cache_write)?,
        reasoning: scaled(reasoning)?,
        search: rounded(0, search, &[])?,
        request: rounded(0, request, &[])?,
    })
}

/// Which service tiers a request may be served at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tiers {
    /// The usual one: it names no other.
    Usual,
    /// Any: it names one, or how fast or where it is to be served.
    Any,
}

/// The most that a text request may cost: all of the prompt uncached, and `max_output` tokens at
/// the dearer of the answer and the reasoning rate; the rates those of a prompt of this size, at
/// the dearest of the tiers and outside of off-peak hours. Rounded up.
///
/// Cache writes and searches can cost more; what was asked to be cached and how often is searched
/// is not known yet, so the difference is taken when the request is settled.
pub fn estimate(
    input_tokens: u64,
    max_output: u64,
    rates: &Rates,
    tiers: Tiers,
) -> Result<Nano, MoneyError> {
    let all: &[Tier] = match tiers {
        Tiers::Usual => &[Tier::Standard],
        Tiers::Any => &Tier::ALL,
    };
    let mut dearest = Nano::ZERO;
    for tier in all {
        let moment = Moment { prompt: input_tokens, tier: *tier, at_s: None };
        let token = effective(rates, &moment);
        let answer = token.reasoning.max(token.output);
        let femto =
            sum([price(input_tokens, token.input, None)?, price(max_output, answer, None)?])?;
        let served = Usage { tier: Some(*tier), us_only: tiers == Tiers::Any, ..Usage::default() };
        let factors = factors(&served, rates);
        let (femto, unit) = scaled(femto, rates.request.into(), &factors)?;
        let up = femto.checked_add(unit - 1).ok_or(MoneyError::Overflow)?;
        dearest = dearest.max(nano(up / unit)?);
    }
    Ok(dearest)
}

/// Prompt tokens that are neither, cache reads, cache writes.
fn prompt(usage: &Usage, rates: &TokenRates) -> Result<(i128, i128, i128), MoneyError> {
    let mut rest = usage.input;
    let read = take(&mut rest, usage.cache_read);
    let read_audio = usage.cache_read_audio.min(read);
    let cache_read = sum([
        price(read - read_audio, rates.cache_read, rates.input)?,
        price(read_audio, rates.cache_read_audio.or(rates.cache_read), rates.input)?,
    ])?;
    let cache_write = sum([
        price(take(&mut rest, usage.cache_write), rates.cache_write, rates.input)?,
        price(
            take(&mut rest, usage.cache_write_1h),
            rates.cache_write_1h.or(rates.cache_write),
            rates.input,
        )?,
        price(
            take(&mut rest, usage.cache_write_12h),
            rates.cache_write_12h.or(rates.cache_write),
            rates.input,
        )?,
    ])?;
    // Audio that came from the cache is charged above.
    let audio = usage.input_audio.saturating_sub(read_audio);
    let plain = sum([
        price(take(&mut rest, audio), rates.input_audio, rates.input)?,
        price(take(&mut rest, usage.input_image), rates.input_image, rates.input)?,
        price(take(&mut rest, usage.input_video), rates.input_video, rates.input)?,
        price(rest, rates.input, None)?,
    ])?;
    Ok((plain, cache_read, cache_write))
}

/// Answer tokens that are no reasoning, and reasoning.
fn answer(usage: &Usage, rates: &TokenRates) -> Result<(i128, i128), MoneyError> {
    let mut rest = usage.output;
    let reasoning = price(take(&mut rest, usage.reasoning), rates.reasoning, rates.output)?;
    let plain = sum([
        price(take(&mut rest, usage.output_audio), rates.output_audio, rates.output)?,
        price(take(&mut rest, usage.output_image), rates.output_image, rates.output)?,
        price(take(&mut rest, usage.output_video), rates.output_video, rates.output)?,
        price(rest, rates.output, None)?,
    ])?;
    Ok((plain, reasoning))
}

fn search(usage: &Usage, rates: &Rates) -> Result<i128, MoneyError> {
    let Some(search) = rates.rare.as_ref().and_then(|rare| rare.search) else { return Ok(0) };
    let count = if search.once { usage.searches.min(1) } else { usage.searches };
    price(count.into(), Some(search.of(usage.search_size)), None)
}

/// What the price of tokens is multiplied with, in millionths.
fn factors(usage: &Usage, rates: &Rates) -> [u32; 3] {
    const ONE: u32 = 1_000_000;
    let Some(rare) = &rates.rare else { return [ONE; 3] };
    let when = |is: bool, factor: Option<u32>| factor.filter(|_| is).unwrap_or(ONE);
    [
        when(usage.tier == Some(Tier::Fast), rare.factors.fast),
        when(usage.us_only, rare.factors.us_only),
        when(true, rare.factors.always),
    ]
}

/// Moves up to `part` tokens out of `rest`.
fn take(rest: &mut u64, part: u64) -> u64 {
    let taken = part.min(*rest);
    *rest -= taken;
    taken
}

fn price(count: u64, rate: Option<i64>, otherwise: Option<i64>) -> Result<i128, MoneyError> {
    let rate = rate.or(otherwise).unwrap_or(0);
    if rate < 0 {
        return Err(MoneyError::Negative);
    }
    i128::from(count).checked_mul(i128::from(rate)).ok_or(MoneyError::Overflow)
}

fn sum<const N: usize>(parts: [i128; N]) -> Result<i128, MoneyError> {
    parts
        .into_iter()
        .try_fold(0_i128, |sum, part| sum.checked_add(part))
        .ok_or(MoneyError::Overflow)
}

/// Femto-USD times factors, and others without, as an amount of which so many are a nano-USD.
fn scaled(femto: i128, flat: i128, factors: &[u32]) -> Result<(i128, i128), MoneyError> {
    let (mut femto, mut flat, mut unit) = (femto, flat, FEMTO_PER_NANO);
    for factor in factors.iter().filter(|factor| i128::from(**factor) != MILLION) {
        femto = femto.checked_mul(i128::from(*factor)).ok_or(MoneyError::Overflow)?;
        flat = flat.checked_mul(MILLION).ok_or(MoneyError::Overflow)?;
        unit *= MILLION;
    }
    if flat < 0 {
        return Err(MoneyError::Negative);
    }
    Ok((femto.checked_add(flat).ok_or(MoneyError::Overflow)?, unit))
}

fn rounded(femto: i128, flat: i128, factors: &[u32]) -> Result<Nano, MoneyError> {
    let (femto, unit) = scaled(femto, flat, factors)?;
    let half_up = femto.checked_add(unit / 2).ok_or(MoneyError::Overflow)?;
    nano(half_up / unit)
}

fn nano(amount: i128) -> Result<Nano, MoneyError> {
    i64::try_from(amount).map(Nano).map_err(|_| MoneyError::Overflow)
}

#[cfg(test)]
mod tests;
