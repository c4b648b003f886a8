//! Model strings: `provider/model`.

use std::sync::Arc;

use tollgate_wire::{Provider, catalogue::Catalogue};

use crate::Error;

/// A model string, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LlmProvider {
    /// The provider, such as `apertis`.
    pub provider: String,
    /// The model's name at the provider.
    pub model: String,
    /// The provider's base URL in the catalogue.
    pub api_base: String,
}

/// Which provider a model string means.
///
/// `apertis/model-name` names it. A bare name is looked up among the models of the catalogue, and
/// an `api_base` among the providers' own addresses. Anything else is a
/// [`BadRequestError`](Error::BadRequestError), as in LiteLLM.
///
/// ```
/// let found = tollgate::get_llm_provider("apertis/gpt-4o", None)?;
/// assert_eq!((found.provider.as_str(), found.model.as_str()), ("apertis", "gpt-4o"));
/// assert!(tollgate::get_llm_provider("nobody-has-this", None).is_err());
/// # Ok::<(), tollgate::Error>(())
/// ```
pub fn get_llm_provider(model: &str, api_base: Option<&str>) -> Result<LlmProvider, Error> {
    let catalogue = tollgate_wire::catalogue::builtin();
    let (provider, model) = resolve(catalogue, model, None, api_base)?;
    Ok(LlmProvider {
        provider: provider.name.to_string(),
        model: model.to_owned(),
        api_base: provider.url.clone(),
    })
}

pub(crate) fn resolve<'m>(
    catalogue: &Catalogue,
    model: &'m str,
    custom_provider: Option<&str>,
    api_base: Option<&str>,
) -> Result<(Arc<Provider>, &'m str), Error> {
    if let Some(name) = custom_provider {
        let provider = catalogue.provider(name).ok_or_else(|| unknown(catalogue, model))?;
        let prefix = model.strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
        return Ok((provider.clone(), prefix.unwrap_or(model)));
    }
    if let Some((name, rest)) = model.split_once('/')
        && let Some(provider) = catalogue.provider(name)
        && !rest.is_empty()
    {
        return Ok((provider.clone(), rest));
    }
    let of_address =
        api_base.and_then(|base| catalogue.providers().find(|provider| provider.is_at(base)));
    let of_card = || {
        let cards = catalogue.cards_named(model);
        cards.iter().find_map(|card| catalogue.provider(&card.provider))
    };
    match of_address.or_else(of_card) {
        Some(provider) => Ok((provider.clone(), model)),
        None => Err(unknown(catalogue, model)),
    }
}

/// Worded as LiteLLM words it.
fn unknown(catalogue: &Catalogue, model: &str) -> Error {
    let names: Vec<&str> = catalogue.providers().map(|provider| &*provider.name).collect();
    Error::bad_request(
        model,
        format!(
            "LLM Provider NOT provided. Pass in the LLM provider you are trying to call. You \
             passed model={model}. Pass model as `provider/model`, for example \
             `apertis/model-name`; the providers are {}",
            names.join(", ")
        ),
    )
}
