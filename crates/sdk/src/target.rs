//! From a model string and the settings to a target that can be called.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tollgate_wire::{
    Auth, Card, Dialect, Operation, Provider, Secret, Target,
    catalogue::Catalogue,
    place::{self, Lookup},
};

use crate::{Error, client::Builder, error::Details, model, options::Options};

/// The name of the provider that stands for a gateway.
pub(crate) const GATEWAY: &str = "gateway";

/// The target that `model` means.
pub(crate) fn of(
    catalogue: &Catalogue,
    settings: &Builder,
    options: &Options,
    operation: Operation,
    model: &str,
) -> Result<Target, Error> {
    if let Some((url, key)) = &settings.gateway {
        all_asked("a gateway", &BTreeSet::new(), options, model)?;
        return Ok(gateway(url, key, options, model));
    }
    let base = options.api_base.as_deref();
    let (provider, name) = model::resolve(catalogue, model, options.provider.as_deref(), base)?;
    if !provider.is_plain() {
        return placed(catalogue, settings, options, operation, &provider, name);
    }
    all_asked(&provider.name, &BTreeSet::new(), options, model)?;
    let dialect = dialect(&provider, operation, model)?;
    let base = base_url(settings, options, &provider, model)?;
    let below = provider.speaks.get(&dialect).map(String::as_str).unwrap_or_default();
    Ok(Target {
        id: model.into(),
        credential: credential(settings, options, &provider, model)?,
        login: None,
        model: name.into(),
        dialect,
        base: format!("{}{below}", base.trim_end_matches('/')).into(),
        card: card(catalogue, options, &provider.name, name),
        defaults: Vec::new(),
        headers: options.headers.clone(),
        drop_params: options.drop_params.unwrap_or(settings.drop_params),
        provider,
    })
}

/// The target at a provider whose address, paths or credentials depend on more than a key. What is
/// not among the options comes from the environment.
fn placed(
    catalogue: &Catalogue,
    settings: &Builder,
    options: &Options,
    operation: Operation,
    provider: &Arc<Provider>,
    name: &str,
) -> Result<Target, Error> {
    let given = options.api_base.clone();
    let given = given.or_else(|| settings.api_bases.get(&*provider.name).cloned());
    let given = given.or_else(|| provider.url_env.iter().find_map(|name| (settings.env)(name)));
    if given.is_none() && provider.url.is_empty() {
        base_url(settings, options, provider, name)?;
    }
    let key = options.api_key.as_ref().or_else(|| settings.api_keys.get(&*provider.name));
    let asked = RefCell::new(BTreeSet::new());
    let param = |name: &str| match name {
        "api_key" => key.map(|key| key.expose().to_owned()),
        "api_base" => given.clone(),
        _ => {
            asked.borrow_mut().insert(name.to_owned());
            let client = || settings.settings.get(&(provider.name.to_string(), name.to_owned()));
            let found = options.settings.get(name).or_else(client);
            found.map(|value| value.expose().to_owned())
        }
    };
    let lookup = Lookup {
        param: &param,
        env: &|name| (settings.env)(name),
        read: &|path| std::fs::read_to_string(path).map_err(|error| error.to_string()),
    };
    let wrong = |problems: Vec<place::Problem>| {
        let texts: Vec<String> =
            problems.into_iter().map(|it| format!("{}: {}", it.message, it.help)).collect();
        Error::bad_request(name, texts.join("; "))
    };
    let site = place::prepare(provider, given.as_deref(), lookup).map_err(wrong)?;
    all_asked(&provider.name, &asked.borrow(), options, name)?;
    let settled = site.settle(name, None).map_err(wrong)?;
    let dialect = dialect(&settled.provider, operation, name)?;
    let below = settled.provider.speaks.get(&dialect).map(String::as_str).unwrap_or_default();
    let headers = site.known.headers.iter().chain(&options.headers).cloned().collect();
    Ok(Target {
        id: format!("{}/{name}", provider.name).into(),
        credential: site.known.credential.clone(),
        login: settled.login.clone(),
        model: settled.model.as_str().into(),
        dialect,
        base: format!("{}{below}", settled.base).into(),
        card: card(catalogue, options, &provider.name, name),
        defaults: Vec::new(),
        headers,
        drop_params: options.drop_params.unwrap_or(settings.drop_params),
        provider: Arc::new(settled.provider),
    })
}

/// Nothing that a call sets may do nothing. Models that only stand in need not know it.
fn all_asked(
    who: &str,
    asked: &BTreeSet<String>,
    options: &Options,
    model: &str,
) -> Result<(), Error> {
    let stands_in = |other: &String| other.ends_with(model);
    if options.fallbacks.iter().chain(&options.context_window_fallbacks).any(stands_in) {
        return Ok(());
    }
    match options.settings.keys().find(|name| !asked.contains(*name)) {
        Some(name) => {
            Err(Error::bad_request(model, format!("`{name}` is no setting that {who} looks at")))
        }
        None => Ok(()),
    }
}

/// The client's own dialect where the provider speaks it, so that bytes pass.
fn dialect(provider: &Provider, operation: Operation, model: &str) -> Result<Dialect, Error> {
    let can = |dialect: &&Dialect| tollgate_wire::matrix::has(operation, **dialect);
    let spoken = provider.speaks.keys().filter(can).min_by_key(|it| **it != Dialect::Openai);
    if let Some(dialect) = spoken.filter(|_| provider.ops.contains(&operation)) {
        return Ok(*dialect);
    }
    let message = format!("{} has no {} operation", provider.name, operation.name());
    Err(Error::bad_request(model, message))
}

fn base_url(
    settings: &Builder,
    options: &Options,
    provider: &Provider,
    model: &str,
) -> Result<String, Error> {
    let given = options.api_base.clone();
    let given = given.or_else(|| settings.api_bases.get(&*provider.name).cloned());
    let given = given.or_else(|| provider.url_env.iter().find_map(|name| (settings.env)(name)));
    let url = given.unwrap_or_else(|| provider.url.clone());
    if url.is_empty() {
        let message = format!(
            "{} has no address of its own: set {}, or give `api_base`",
            provider.name,
            provider.url_env.join(" or ")
        );
        return Err(Error::bad_request(model, message));
    }
    Ok(url)
}

fn credential(
    settings: &Builder,
    options: &Options,
    provider: &Provider,
    model: &str,
) -> Result<Option<Secret>, Error> {
    let given = options.api_key.clone();
    let given = given.or_else(|| settings.api_keys.get(&*provider.name).cloned());
    let of_env = || provider.key_env.iter().find_map(|name| (settings.env)(name)).map(Secret::new);
    let key = given.or_else(of_env);
    // A server of one's own, which has no address in the catalogue, often wants no key.
    let optional = provider.key_env.is_empty() || provider.url.is_empty();
    if key.is_some() || optional || provider.auth == Auth::None {
        return Ok(key);
    }
    Err(Error::AuthenticationError(Box::new(Details {
        status: 401,
        message: format!(
            "{} is not set, and no key was given: {} needs one",
            provider.key_env.join(" (or ") + &")".repeat(provider.key_env.len() - 1),
            provider.name,
        ),
        provider: provider.name.to_string(),
        model: model.to_owned(),
        ..Details::default()
    })))
}

/// The catalogue's card, with the caller's own prices where they are given.
fn card(catalogue: &Catalogue, options: &Options, provider: &str, name: &str) -> Option<Arc<Card>> {
    let known = catalogue.card(provider, name);
    let Some(rates) = options.rates.clone() else { return known };
    let card = known.map(|card| Card::clone(&card)).unwrap_or_default();
    Some(Arc::new(Card { rates: Some(rates), ..card }))
}

/// A gateway knows what a model string means, so it goes there as it is.
fn gateway(url: &str, key: &Secret, options: &Options, model: &str) -> Target {
    let url = url.trim_end_matches('/');
    let url = options.api_base.as_deref().unwrap_or(url).trim_end_matches('/');
    let base = if url.ends_with("/v1") { url.to_owned() } else { format!("{url}/v1") };
    let provider = Provider {
        name: GATEWAY.into(),
        url: base.clone(),
        key_env: Vec::new(),
        url_env: Vec::new(),
        auth: Auth::Bearer,
        speaks: BTreeMap::from([(Dialect::Openai, String::new())]),
        ops: vec![Operation::Chat, Operation::Embeddings],
        headers: BTreeMap::new(),
        patch: Vec::new(),
        ..Provider::default()
    };
    Target {
        id: model.into(),
        provider: Arc::new(provider),
        model: model.into(),
        dialect: Dialect::Openai,
        base: base.into(),
        credential: Some(options.api_key.clone().unwrap_or_else(|| key.clone())),
        login: None,
        card: None,
        defaults: Vec::new(),
        headers: options.headers.clone(),
        drop_params: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tollgate;

    const PROVIDERS: &str = r#"
        [apertis]
        url     = "https://api.stima.tech/v1"
        key_env = ["STIMA_API_KEY", "APERTIS_API_KEY"]
        url_env = ["STIMA_API_BASE"]
        speaks  = { openai = "", anthropic = "" }
        ops     = ["chat", "embeddings"]
        [claude]
        url     = "https://claude.test/v1"
        auth    = "x-api-key"
        key_env = ["CLAUDE_KEY"]
        speaks  = { anthropic = "/native" }
        [local]
        url     = ""
        url_env = ["LOCAL_URL"]
        speaks  = { openai = "" }
    "#;

    fn find(env: &[(&str, &str)], options: Options, model: &str) -> Result<Target, Error> {
        let env: BTreeMap<String, String> =
            env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let settings = Tollgate::builder().env(move |name| env.get(name).cloned());
        let catalogue = Catalogue::default().overlay(PROVIDERS).unwrap();
        of(&catalogue, &settings, &options, Operation::Chat, model)
    }

    #[test]
    fn keys_and_addresses_come_from_the_call_then_the_environment_then_the_catalogue() {
        let env = [("STIMA_API_KEY", "sk-env")];
        let target = find(&env, Options::default(), "apertis/a/b").unwrap();
        assert_eq!(&*target.model, "a/b");
        assert_eq!(&*target.base, "https://api.stima.tech/v1");
        assert_eq!(target.dialect, Dialect::Openai);
        assert_eq!(target.credential.unwrap().expose(), "sk-env");

        let env = [("APERTIS_API_KEY", "sk-2"), ("STIMA_API_BASE", "http://moved/v1/")];
        let target = find(&env, Options::default(), "apertis/m").unwrap();
        assert_eq!(&*target.base, "http://moved/v1");
        assert_eq!(target.credential.unwrap().expose(), "sk-2");

        let options = Options {
            api_key: Some(Secret::new("sk-call")),
            api_base: Some("http://call/v1".into()),
            ..Options::default()
        };
        let target = find(&env, options, "apertis/m").unwrap();
        assert_eq!(&*target.base, "http://call/v1");
        assert_eq!(target.credential.unwrap().expose(), "sk-call");
    }

    #[test]
    fn a_dialect_of_its_own_has_a_path_of_its_own() {
        let target = find(&[("CLAUDE_KEY", "k")], Options::default(), "claude/opus").unwrap();
        assert_eq!(target.dialect, Dialect::Anthropic);
        assert_eq!(&*target.base, "https://claude.test/v1/native");
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = find(&[], Options::default(), "apertis/m").unwrap_err();
        assert!(matches!(missing, Error::AuthenticationError(_)));
        assert_eq!(
            missing.to_string(),
            "AuthenticationError: apertis: STIMA_API_KEY (or APERTIS_API_KEY) is not set, and no \
             key was given: apertis needs one"
        );
        let nowhere = find(&[], Options::default(), "local/m").unwrap_err();
        assert!(nowhere.message().contains("LOCAL_URL"), "{nowhere}");
        let unknown = find(&[], Options::default(), "nobody/m").unwrap_err();
        assert!(matches!(unknown, Error::BadRequestError(_)));
        assert!(unknown.message().starts_with("LLM Provider NOT provided"), "{unknown}");
    }

    #[test]
    fn places_take_settings_from_the_call_then_the_client_then_the_environment() {
        let catalogue = tollgate_wire::catalogue::builtin();
        let settings = Tollgate::builder()
            .env(|name| (name == "AZURE_API_VERSION").then(|| "from-env".to_owned()))
            .api_key("azure", "k")
            .api_base("azure", "https://r.openai.azure.com")
            .api_key("bedrock", "k");
        let find = |settings: &Builder, settings_of_call: &[(&str, &str)], model: &str| {
            let options = Options {
                settings: settings_of_call
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), Secret::new(*value)))
                    .collect(),
                ..Options::default()
            };
            of(catalogue, settings, &options, Operation::Chat, model)
        };
        let version = |target: &Target| {
            let path = &target.provider.paths[&Dialect::Openai][&Operation::Chat];
            path.of(false).split_once("api-version=").unwrap().1.to_owned()
        };
        assert_eq!(version(&find(&settings, &[], "azure/gpt-4o").unwrap()), "from-env");
        let client = settings.clone().setting("azure", "api_version", "from-client");
        assert_eq!(version(&find(&client, &[], "azure/gpt-4o").unwrap()), "from-client");
        let call = find(&client, &[("api_version", "from-call")], "azure/gpt-4o").unwrap();
        assert_eq!(version(&call), "from-call");
        let region = [("aws_region_name", "eu-central-1")];
        let target = find(&settings, &region, "bedrock/amazon.nova-pro-v1:0").unwrap();
        assert_eq!(&*target.base, "https://bedrock-runtime.eu-central-1.amazonaws.com");
        // What does nothing is a mistake.
        for (model, name) in [("azure/gpt-4o", "aws_region_name"), ("groq/m", "api_version")] {
            let wrong = find(&client, &[(name, "x")], model).unwrap_err();
            assert!(wrong.message().contains(name), "{wrong}");
        }
        assert!(!format!("{:?}", client.build()).contains("from-client"));
    }

    #[test]
    fn an_address_of_the_catalogue_names_the_provider() {
        let options =
            Options { api_base: Some("https://api.stima.tech/v1".into()), ..Options::default() };
        let target = find(&[("STIMA_API_KEY", "k")], options, "gpt-4o").unwrap();
        assert_eq!(&*target.provider.name, "apertis");
        let options = Options { provider: Some("apertis".into()), ..Options::default() };
        let target = find(&[("STIMA_API_KEY", "k")], options, "gpt-4o").unwrap();
        assert_eq!(&*target.model, "gpt-4o");
    }
}
