//! What an answer costs.

use tollgate_wire::{Rates, Usage};

use crate::{MoneyError, Nano};

/// Femto-USD in a nano-USD.
const FEMTO_PER_NANO: i128 = 1_000_000;

/// The price of one request. `total` is what counts; the parts say where it comes from and are
/// rounded one by one, so their sum may differ from it by a few nano-USD.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Everything, rounded once.
    pub total: Nano,
    /// Prompt tokens that no other part names: text and audio.
    pub input: Nano,
    /// Answer tokens that no other part names: text and audio.
    pub output: Nano,
    /// Prompt tokens read from the provider's cache.
    pub cache_read: Nano,
    /// Prompt tokens written to the provider's cache, for whatever time.
    pub cache_write: Nano,
    /// Reasoning tokens.
    pub reasoning: Nano,
    /// The price of a request as such.
    pub request: Nano,
}

/// Prices `usage`, each token once: the totals of [`Usage`] include their parts, so text is what
/// the parts leave over. Parts that exceed their total are cut down to it, in the order cache
/// read, cache write, cache write for an hour, audio; reasoning, audio.
///
/// Rounded half up to a nano-USD, once. Fails for negative rates and for more money than 64 bits
/// hold.
pub fn cost(usage: &Usage, rates: &Rates) -> Result<Cost, MoneyError> {
    let mut prompt = usage.input;
    let cache_read = price(take(&mut prompt, usage.cache_read), rates.cache_read, rates.input)?;
    let write = price(take(&mut prompt, usage.cache_write), rates.cache_write, rates.input)?;
    let write_1h = rates.cache_write_1h.or(rates.cache_write);
    let write_1h = price(take(&mut prompt, usage.cache_write_1h), write_1h, rates.input)?;
    let audio_in = price(take(&mut prompt, usage.input_audio), rates.input_audio, rates.input)?;
    let text_in = price(prompt, None, rates.input)?;

    let mut answer = usage.output;
    let reasoning = price(take(&mut answer, usage.reasoning), rates.reasoning, rates.output)?;
    let audio_out = take(&mut answer, usage.output_audio);
    let audio_out = price(audio_out, rates.output_audio, rates.output)?;
    let text_out = price(answer, None, rates.output)?;

    let request = price(1, None, rates.request)?;
    let cache_write = sum([write, write_1h])?;
    let input = sum([text_in, audio_in])?;
    let output = sum([text_out, audio_out])?;
    let total = sum([cache_read, cache_write, input, reasoning, output, request])?;
    Ok(Cost {
        total: rounded(total)?,
        input: rounded(input)?,
        output: rounded(output)?,
        cache_read: rounded(cache_read)?,
        cache_write: rounded(cache_write)?,
        reasoning: rounded(reasoning)?,
        request: rounded(request)?,
    })
}

/// The most that a text request may cost: all of the prompt uncached, and `max_output` tokens at
/// the dearer of the answer and the reasoning rate. Rounded up.
///
/// Cache writes can cost more than plain input; what was asked to be cached is not known yet, so
/// the difference is taken when the request is settled.
pub fn estimate(input_tokens: u64, max_output: u64, rates: &Rates) -> Result<Nano, MoneyError> {
    let dearest = rates.reasoning.unwrap_or(rates.output).max(rates.output);
    let femto = sum([
        price(input_tokens, None, rates.input)?,
        price(max_output, None, dearest)?,
        price(1, None, rates.request)?,
    ])?;
    let up = femto.checked_add(FEMTO_PER_NANO - 1).ok_or(MoneyError::Overflow)?;
    nano(up / FEMTO_PER_NANO)
}

/// Moves up to `part` tokens out of `rest`.
fn take(rest: &mut u64, part: u64) -> u64 {
    let taken = part.min(*rest);
    *rest -= taken;
    taken
}

fn price(tokens: u64, rate: Option<i64>, otherwise: i64) -> Result<i128, MoneyError> {
    let rate = rate.unwrap_or(otherwise);
    if rate < 0 {
        return Err(MoneyError::Negative);
    }
    i128::from(tokens).checked_mul(i128::from(rate)).ok_or(MoneyError::Overflow)
}

fn sum<const N: usize>(parts: [i128; N]) -> Result<i128, MoneyError> {
    parts
        .into_iter()
        .try_fold(0_i128, |sum, part| sum.checked_add(part))
        .ok_or(MoneyError::Overflow)
}

fn rounded(femto: i128) -> Result<Nano, MoneyError> {
    let half_up = femto.checked_add(FEMTO_PER_NANO / 2).ok_or(MoneyError::Overflow)?;
    nano(half_up / FEMTO_PER_NANO)
}

fn nano(amount: i128) -> Result<Nano, MoneyError> {
    i64::try_from(amount).map(Nano).map_err(|_| MoneyError::Overflow)
}

#[cfg(test)]
mod tests;
