use super::*;
use crate::{card::Mode, matrix::Dialect, provider::Auth};

#[test]
fn the_embedded_catalogue_is_well_formed() {
    let catalogue = builtin();
    assert!(catalogue.providers().count() >= 25);
    for provider in catalogue.providers() {
        assert!(!provider.key_env.is_empty() || provider.login.is_some(), "{}", provider.name);
        let own = provider.url.is_empty() || provider.url.starts_with("http://localhost:");
        assert!(own || provider.url.starts_with("https://"), "{}", provider.name);
    }
}

#[test]
fn the_embedded_models_are_as_they_would_be_written() {
    let text = include_str!("../../../../catalog/models.jsonl");
    let mut before = Default::default();
    let mut priced = 0;
    let mut providers = std::collections::BTreeSet::new();
    for (i, line) in text.lines().enumerate() {
        let read = line::read(line);
        assert!(read.is_ok(), "line {}: {read:?}", i + 1);
        let card = read.unwrap();
        assert_eq!(line::write(&card), line, "line {}", i + 1);
        assert!(before < shelf::key(line), "line {} is not in its place", i + 1);
        before = shelf::key(line);
        if card.is_priced() {
            priced += 1;
            providers.insert(card.provider);
        }
    }
    assert!(priced >= 8_000, "{priced} priced models");
    assert!(providers.len() >= 175, "{} providers with a price", providers.len());
}

#[test]
fn each_embedded_card_is_found() {
    let catalogue = builtin();
    let mut seen = 0;
    for card in catalogue.cards() {
        assert_eq!(catalogue.card(&card.provider, &card.name).as_ref(), Some(&card));
        seen += 1;
    }
    assert!(seen >= 4_000);
    let named = catalogue.cards_named("gpt-4o");
    assert!(named.len() > 1);
    assert_eq!(named[0].provider, "openai");
    assert!(catalogue.has_card("anthropic", "claude-sonnet-4-5"));
    assert!(catalogue.cards_of("groq").all(|card| card.provider == "groq"));
    assert!(catalogue.cards_of("groq").count() > 5);
}

#[test]
fn what_lies_over_a_card_hides_it() {
    let line = r#"{"provider":"openai","name":"gpt-4o","input":"1","output":"2"}"#;
    let overlaid = builtin().overlay_models(line).unwrap();
    assert_eq!(overlaid.cards().count(), builtin().cards().count());
    let card = overlaid.card("openai", "gpt-4o").unwrap();
    assert_eq!((card.mode, card.max_input), (None, None));
    let own = overlaid.cards().filter(|card| card.provider == "openai" && card.name == "gpt-4o");
    assert_eq!(own.count(), 1);
    assert!(overlaid.models_jsonl().lines().is_sorted_by_key(shelf::key));
}

#[test]
fn a_provider_has_other_names() {
    let name = |catalogue: &Catalogue, name: &str| {
        catalogue.provider(name).map(|found| (found.name.to_string(), found.url.clone()))
    };
    for (alias, of) in [
        ("aiohttp_openai", "openai"),
        ("vertex_ai_beta", "vertex_ai"),
        ("sagemaker_nova", "sagemaker_chat"),
    ] {
        assert_eq!(name(builtin(), alias), name(builtin(), of), "{alias}");
    }
    let table = |name: &str, rest: &str| {
        format!(
            "[{name}]\nurl = \"https://{name}.example\"\nspeaks = {{ openai = \"\" }}\n{rest}\n"
        )
    };
    let of = |name: &str| Some((name.to_owned(), format!("https://{name}.example")));
    let two = builtin().overlay(&(table("one", "aliases = [\"it\"]") + &table("two", ""))).unwrap();
    assert_eq!(name(&two, "it"), of("one"));
    // A table of that name goes first, and what is replaced takes its aliases along.
    assert_eq!(name(&two.overlay(&table("it", "")).unwrap(), "it"), of("it"));
    assert_eq!(name(&two.overlay(&table("one", "")).unwrap(), "it"), None);
    assert!(builtin().overlay(&table("one", "aliases = [\"a/b\"]")).is_err());
}

#[test]
fn a_place_under_another_name_has_the_same_prices() {
    for (name, of, model) in [
        ("cohere_chat", "cohere", "command-a-03-2025"),
        ("text-completion-openai", "openai", "gpt-3.5-turbo-instruct"),
        ("ai21_chat", "ai21", "jamba-large-1.7"),
        ("oci_openai", "oci", "xai.grok-4"),
    ] {
        let card = builtin().card(of, model);
        assert!(card.as_ref().is_some_and(|card| card.rates.is_some()), "{of}/{model}");
        assert_eq!(builtin().card(name, model), card, "{name}");
        assert!(builtin().has_card(name, model));
        assert_eq!(builtin().cards_of(name).count(), builtin().cards_of(of).count(), "{name}");
    }
    // Its own card goes first, and is listed once.
    let line = r#"{"provider":"cohere_chat","name":"command-a-03-2025","input":"1","output":"2"}"#;
    let overlaid = builtin().overlay_models(line).unwrap();
    assert_eq!(overlaid.card("cohere_chat", "command-a-03-2025").unwrap().provider, "cohere_chat");
    assert_eq!(overlaid.card("cohere", "command-a-03-2025").unwrap().provider, "cohere");
    assert_eq!(overlaid.cards_of("cohere_chat").count(), builtin().cards_of("cohere").count());
    // Who lends its cards is a provider.
    let table = "[x]\ncards = \"cohre\"\nurl = \"https://x.example\"\nspeaks = { openai = \"\" }";
    let refused = builtin().overlay(table).unwrap_err().to_string();
    assert_eq!(refused, "provider `x`: `cards` names no provider: `cohre`");
}

#[test]
fn the_seed_provider() {
    let apertis = builtin().provider("apertis").unwrap();
    assert_eq!(&*apertis.name, "apertis");
    assert_eq!(apertis.url, "https://api.stima.tech/v1");
    assert_eq!(apertis.key_env, ["STIMA_API_KEY", "APERTIS_API_KEY"]);
    assert_eq!(apertis.auth, Auth::Bearer);
    assert_eq!(
        apertis.speaks.keys().copied().collect::<Vec<_>>(),
        [Dialect::Openai, Dialect::Anthropic, Dialect::Responses]
    );
}

#[test]
fn prices_are_exact() {
    let card = builtin().card("openai", "gpt-4o").unwrap();
    let rates = card.rates.as_ref().unwrap();
    assert_eq!(rates.input, 2_500_000_000);
    assert_eq!(rates.output, 10_000_000_000);
    assert_eq!(rates.cache_read, Some(1_250_000_000));
    assert_eq!(card.mode, Some(Mode::Chat));
    assert_eq!((card.max_input, card.max_output), (Some(128_000), Some(16_384)));
    let embed = builtin().card("openai", "text-embedding-3-small").unwrap();
    assert_eq!(embed.rates.as_ref().unwrap().output, 0);
    assert!(builtin().card("openai", "no-such-model").is_none());
    assert!(builtin().card("no-such-provider", "gpt-4o").is_none());
}

#[test]
fn an_overlay_replaces_and_adds() {
    let text = r#"
        [openai]
        url = "https://proxy.test/v1"
        speaks = { openai = "" }
        [mine]
        url_env = ["MINE_URL"]
        url = ""
        speaks = { anthropic = "/x" }
        auth = "x-api-key"
        patch = [{ set = ["store", false] }, { clamp = ["temperature", 0, 1] }]
    "#;
    let overlaid = builtin().overlay(text).unwrap();
    assert_eq!(overlaid.provider("openai").unwrap().url, "https://proxy.test/v1");
    assert!(overlaid.provider("openai").unwrap().key_env.is_empty());
    assert_eq!(overlaid.provider("mine").unwrap().patch.len(), 2);
    assert_eq!(builtin().provider("openai").unwrap().url, "https://api.openai.com/v1");
    let line = r#"{"provider":"mine","name":"m","mode":"chat","input":"1","output":"2"}"#;
    let overlaid = overlaid.overlay_models(line).unwrap();
    assert_eq!(
        overlaid.card("mine", "m").unwrap().rates.as_ref().unwrap().output,
        2_000_000_000_000_000
    );
}

#[test]
fn what_cannot_be_is_named() {
    let wrong = |text: &str| builtin().overlay(text).unwrap_err().to_string();
    assert_eq!(
        wrong("[x]\nurl = \"https://a.b/\"\nspeaks = { openai = \"\" }"),
        "provider `x`: `https://a.b/` must begin with https:// and end without a slash"
    );
    assert_eq!(
        wrong("[x]\nurl = \"\"\nspeaks = { openai = \"\" }"),
        "provider `x`: expected `url`, or `url_env` to take it from"
    );
    assert_eq!(
        wrong("[x]\nurl = \"https://a.b\"\nspeaks = {}"),
        "provider `x`: expected a dialect in `speaks`"
    );
    let unknown = wrong("[x]\nurl = \"https://a.b\"\nspeeks = {}");
    assert!(unknown.contains("unknown field `speeks`") && unknown.contains("line 3"), "{unknown}");
    let models = |text: &str| builtin().overlay_models(text).unwrap_err().to_string();
    assert_eq!(
        models("\n{\"provider\":\"x\",\"name\":\"y\",\"mode\":\"chat\",\"input\":\"a\"}"),
        "models, line 2: expected a decimal number of USD such as `2.5e-06`"
    );
    assert_eq!(
        models("{\"provider\":\"x\",\"name\":\"y\",\"mode\":\"chat\",\"input\":\"1\"}"),
        "models, line 1: expected both `input` and `output`, or neither"
    );
}
