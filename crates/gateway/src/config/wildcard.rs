//! How the target of a wildcard becomes that of a concrete model.

use std::{collections::HashMap, sync::Arc};

use tollgate_router::table::Concrete;
use tollgate_wire::{Dialect, Provider, Secret, Target, catalogue::Catalogue};

use super::{
    environment::Environment,
    provider::{ANY, checked, main_dialect},
};

/// Where each provider is and what it knows us by, as the environment says: for entries that stand
/// for every provider.
struct Place {
    base: String,
    credential: Option<Secret>,
}

/// Makes a wildcard's target concrete: the model's name and card, and for an entry that stands for
/// every provider (`model: "*"`) the provider that the model's name begins with.
pub(super) fn concrete(catalogue: &Catalogue, env: &Environment<'_>) -> Concrete {
    let catalogue = catalogue.clone();
    let places: HashMap<std::sync::Arc<str>, Place> = catalogue
        .providers()
        .filter_map(|provider| Some((provider.name.clone(), place(provider, env)?)))
        .collect();
    Arc::new(move |target, model| {
        if &*target.provider.name == ANY {
            return of_any(target, model, &catalogue, &places);
        }
        let card = catalogue.card(&target.provider.name, model);
        // Prices that the entry sets itself count for all its models.
        let card = target.card.clone().or(card);
        Some(Target { model: model.into(), card, ..target.clone() })
    })
}

/// `None` where the provider's key is missing.
fn place(provider: &Provider, env: &Environment<'_>) -> Option<Place> {
    let credential = env.first(&provider.key_env).map(|(_, key)| Secret::new(key.trim()));
    if credential.is_none() && !provider.key_env.is_empty() {
        return None;
    }
    let base = match env.first(&provider.url_env) {
        Some((_, url)) => checked(&url, provider).ok()?,
        None if provider.url.is_empty() => return None,
        None => provider.url.clone(),
    };
    Some(Place { base, credential })
}

/// `target` is one of two: the first, of the OpenAI dialect, becomes a target of the provider's
/// main dialect; the second one of the other dialect, where the provider speaks it.
fn of_any(
    target: &Target,
    model: &str,
    catalogue: &Catalogue,
    places: &HashMap<std::sync::Arc<str>, Place>,
) -> Option<Target> {
    let (provider, model) = match model.split_once('/') {
        Some((name, rest)) if !rest.is_empty() => (catalogue.provider(name)?, rest),
        Some(_) => return None,
        None => {
            let mut known = catalogue.providers().filter(|provider| {
                places.contains_key(&provider.name) && catalogue.has_card(&provider.name, model)
            });
            (known.next()?, model)
        }
    };
    let place = places.get(&provider.name)?;
    let main = main_dialect(provider);
    let dialect = if target.dialect == Dialect::Openai { main } else { target.dialect };
    if target.dialect != Dialect::Openai && dialect == main {
        return None;
    }
    let prefix = provider.speaks.get(&dialect)?;
    Some(Target {
        provider: provider.clone(),
        model: model.into(),
        dialect,
        base: format!("{}{prefix}", place.base).into(),
        credential: place.credential.clone(),
        card: target.card.clone().or_else(|| catalogue.card(&provider.name, model)),
        ..target.clone()
    })
}
