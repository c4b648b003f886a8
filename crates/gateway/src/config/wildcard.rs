//! How the target of a wildcard becomes that of a concrete model.

use std::{collections::HashMap, sync::Arc};

use tollgate_router::table::Concrete;
use tollgate_wire::{
    Dialect, Provider, Secret, Target,
    catalogue::Catalogue,
    place::{Known, Site},
};

use super::{
    place::{self, Around, settled},
    provider::{ANY, checked, main_dialect, needs_key},
};

/// Where each provider is and what it knows us by, as the environment says: for entries that stand
/// for every provider.
pub(super) enum Place {
    Plain { base: String, credential: Option<Secret> },
    Site(Box<Site>),
}

/// The places that can be called, by the provider's name.
pub(super) type Places = HashMap<Arc<str>, Place>;

/// The providers whose key is in the environment, or that need none.
pub(super) fn places(catalogue: &Catalogue, around: &Around<'_>) -> Places {
    catalogue
        .providers()
        .filter_map(|provider| Some((provider.name.clone(), place(provider, around)?)))
        .collect()
}

/// Makes a wildcard's target concrete: the model's name and card, and for an entry that stands for
/// every provider (`model: "*"`) the provider that the model's name begins with.
pub(super) fn concrete(catalogue: &Arc<Catalogue>, places: Places) -> Concrete {
    let catalogue = Arc::clone(catalogue);
    Arc::new(move |target, model| {
        if &*target.provider.name == ANY {
            return of_any(target, model, &catalogue, &places);
        }
        let card = catalogue.card(&target.provider.name, model);
        // Prices that the entry sets itself count for all its models.
        let card = target.card.clone().or(card);
        match &target.provider.site {
            None => Some(Target { model: model.into(), card, ..target.clone() }),
            Some(site) => {
                let main = target.dialect == main_dialect(&target.provider);
                let found = at_site(target, site, model, main)?;
                Some(Target { card, ..found })
            }
        }
    })
}

/// The target for a model of a provider whose paths depend on it; `main` says whether the
/// provider's main dialect is wanted, or the target's own where that is another.
fn at_site(target: &Target, site: &Site, model: &str, main: bool) -> Option<Target> {
    let settled = settled(site, model, None).ok()?;
    let best = main_dialect(&settled.provider);
    let dialect = if main { best } else { target.dialect };
    if !main && dialect == best {
        return None;
    }
    let prefix = settled.provider.speaks.get(&dialect)?;
    Some(Target {
        base: format!("{}{prefix}", settled.base).into(),
        model: settled.model.as_str().into(),
        login: settled.login,
        dialect,
        provider: Arc::new(settled.provider),
        ..target.clone()
    })
}

/// `None` where the provider's key is missing.
fn place(provider: &Arc<Provider>, around: &Around<'_>) -> Option<Place> {
    if !provider.is_plain() {
        return place::from_env(provider, around).map(|site| Place::Site(Box::new(site)));
    }
    let env = around.env;
    let credential = env.first(&provider.key_env).map(|(_, key)| Secret::new(key.trim()));
    if credential.is_none() && needs_key(provider) {
        return None;
    }
    let base = match env.first(&provider.url_env) {
        Some((_, url)) => checked(&url, provider).ok()?,
        None if provider.url.is_empty() => return None,
        None => provider.url.clone(),
    };
    Some(Place::Plain { base, credential })
}

/// `target` is one of several: the first, of the OpenAI dialect, becomes a target of the provider's
/// main dialect; the others those of their dialects, where the provider speaks them.
fn of_any(target: &Target, model: &str, catalogue: &Catalogue, places: &Places) -> Option<Target> {
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
    let card = target.card.clone().or_else(|| catalogue.card(&provider.name, model));
    let main = target.dialect == Dialect::Openai;
    match places.get(&provider.name)? {
        Place::Site(site) => {
            let Known { credential, login, headers, .. } = site.known.clone();
            let headers = headers.into_iter().chain(target.headers.iter().cloned()).collect();
            let known = Target { credential, login, headers, card, ..target.clone() };
            at_site(&known, site, model, main)
        }
        Place::Plain { base, credential } => {
            let best = main_dialect(provider);
            let dialect = if main { best } else { target.dialect };
            if !main && dialect == best {
                return None;
            }
            let prefix = provider.speaks.get(&dialect)?;
            Some(Target {
                provider: provider.clone(),
                model: model.into(),
                dialect,
                base: format!("{base}{prefix}").into(),
                credential: credential.clone(),
                card,
                ..target.clone()
            })
        }
    }
}
