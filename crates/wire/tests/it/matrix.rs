//! `docs/matrix.md` says who can speak to whom, made from the matrix, the catalogue and the
//! fixtures: no cell without a fixture that proves it.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use tollgate_wire::{Dialect, Operation, catalogue, exchange::relay::Relay, matrix};

use crate::fixtures::{Case, cases, surfaces, upstreams};

const OPERATIONS: [Operation; 3] = [Operation::Chat, Operation::Embeddings, Operation::CountTokens];

fn page() -> String {
    let mut page = String::from(
        "# Who speaks to whom\n\nMade by a test from `crates/wire/src/matrix.rs`, the catalogue and \
         `fixtures/`; write it anew with\n`TOLLGATE_WRITE_DOCS=1 cargo test -p tollgate-wire matrix`.\n\n",
    );
    pairs(&mut page);
    operations(&mut page);
    providers(&mut page);
    page
}

/// How many recorded requests, answers and streams go through a pair in the golden tests.
fn proofs(cases: &[Case], surface: Dialect, upstream: Dialect) -> usize {
    let proves = |case: &&Case| {
        let asks = case.request(surface).is_some();
        asks || case.reply(upstream).is_some() || case.stream(upstream).is_some()
    };
    cases.iter().filter(proves).count()
}

fn pairs(page: &mut String) {
    let cases = cases();
    page.push_str(
        "## Chat: clients' dialects and providers'\n\nEvery client's dialect reaches every \
         provider's. *relay*: bytes pass as they are; else requests and\nanswers are translated, \
         event by event. The number counts the fixtures that go through the pair.\n\n| client ↓ provider → |",
    );
    for upstream in upstreams() {
        write!(page, " {} |", upstream.name()).unwrap();
    }
    page.push_str("\n|---|");
    page.push_str(&"---|".repeat(upstreams().count()));
    for surface in surfaces() {
        write!(page, "\n| {} |", surface.name()).unwrap();
        for upstream in upstreams() {
            let count = proofs(&cases, surface, upstream);
            assert!(count >= 25, "{} to {}: {count} fixtures", surface.name(), upstream.name());
            let relayed = surface == upstream && Relay::serves(surface);
            let how = if relayed { "relay, " } else { "" };
            write!(page, " {how}{count} |").unwrap();
        }
    }
    page.push_str("\n\n");
}

fn operations(page: &mut String) {
    page.push_str(
        "## Operations by provider's dialect\n\n| operation | dialects | path below the base URL |\n|---|---|---|\n",
    );
    for operation in OPERATIONS {
        for dialect in Dialect::ALL.into_iter().filter(|it| matrix::has(operation, *it)) {
            let path = matrix::upstream(operation, dialect, "MODEL", false).unwrap();
            let (name, dialect) = (operation.name(), dialect.name());
            writeln!(page, "| {name} | {dialect} | `{path}` |").unwrap();
        }
    }
    page.push('\n');
}

fn providers(page: &mut String) {
    let catalogue = catalogue::builtin();
    let providers: Vec<_> = catalogue.providers().collect();
    let models: BTreeSet<_> =
        catalogue.cards().map(|card| (card.provider.clone(), card.name.clone())).collect();
    write!(
        page,
        "## Providers\n\n{} places; {} models with their prices are in the catalogue. More of either: \
         [models](models.md),\n[the catalogue](catalogue.md).\n\n| provider | speaks | operations | models | key |\n|---|---|---|---|---|\n",
        providers.len(),
        models.len(),
    )
    .unwrap();
    for provider in providers {
        let speaks: Vec<&str> = provider.speaks.keys().map(|dialect| dialect.name()).collect();
        let ops: Vec<&str> = provider.ops.iter().map(|operation| operation.name()).collect();
        let of = |whose: &str| models.iter().filter(|(name, _)| **name == *whose).count();
        let own = match (of(&provider.name), provider.cards.as_deref()) {
            (0, Some(lender)) => of(lender),
            (own, _) => own,
        };
        let key = provider.key_env.first().map(|name| format!("`{name}`")).unwrap_or_default();
        let (speaks, ops, name) = (speaks.join(", "), ops.join(", "), &provider.name);
        writeln!(page, "| {name} | {speaks} | {ops} | {own} | {key} |").unwrap();
    }
}

/// What is sent to each dialect is in the golden tests of every pair; what each says itself is here.
#[test]
fn each_dialect_has_its_own_fixtures() {
    const LEAST: usize = 25;
    let cases = cases();
    let enough = |dialect: Dialect, what: &str, has: &dyn Fn(&Case) -> bool| {
        let count = cases.iter().filter(|case| has(case)).count();
        assert!(count >= LEAST, "{}: {count} {what}", dialect.name());
    };
    for upstream in upstreams() {
        enough(upstream, "answers", &|case| {
            case.reply(upstream).is_some() || case.stream(upstream).is_some()
        });
    }
    for surface in surfaces() {
        enough(surface, "requests", &|case| case.request(surface).is_some());
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how the page is written anew")]
fn the_page_is_fresh() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/matrix.md");
    let page = page();
    if std::env::var_os("TOLLGATE_WRITE_DOCS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(written == page, "docs/matrix.md is out of date; its first lines say how to renew it");
}
