//! The tools of a request for a provider that knows functions alone, and of those no more than what
//! they are called, what they do and what they take.

use super::sieve::Sieve;
use crate::{
    exchange::CannotAsk,
    op::chat::{Function, Request, Tool},
};

/// Gives each function to `take`, with its place among the tools. Refuses or names what `provider`, as
/// it is called in messages, has no place for.
pub(super) fn each<'a>(
    ask: &'a Request,
    provider: &str,
    sieve: &mut Sieve<'_>,
    mut take: impl FnMut(&'a Function, usize) -> Result<(), CannotAsk>,
) -> Result<(), CannotAsk> {
    for (index, tool) in ask.tools.iter().enumerate() {
        match tool {
            Tool::Function(function) => {
                check(function, provider, sieve)?;
                take(function, index)?;
            }
            Tool::Other { kind, .. } => {
                let why = format!("{provider} has no tools of type `{kind}`");
                sieve.refuse(&format!("tools[{index}]"), &why)?;
            }
        }
    }
    Ok(())
}

fn check(function: &Function, provider: &str, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    if function.cache.is_some() {
        sieve.hint("cache_control");
    }
    for (name, _) in function.extra.iter().filter(|(name, _)| **name != *"type") {
        sieve.hint(&format!("tools[].{name}"));
    }
    if function.strict == Some(true) {
        let why = format!("{provider} does not hold arguments to a schema");
        sieve.refuse("tools[].function.strict", &why)?;
    }
    Ok(())
}
