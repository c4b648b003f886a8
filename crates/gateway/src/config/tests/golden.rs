//! One snapshot a file: what is drawn, what it resolves to, and the verdicts.

use std::fmt::Write as _;

use tollgate_router::Policy;

use super::*;

#[track_caller]
fn check(name: &str) {
    let text = std::fs::read_to_string(format!("{FIXTURES}/{name}.yaml")).unwrap();
    // Places are in the built-in catalogue; the others have one that new providers do not change.
    let catalogue = if name.starts_with("places") { &PLACES } else { &CATALOGUE };
    let outcome = load_from(catalogue, &format!("{name}.yaml"), &text, Strictness::Strict);
    let mut shown = String::new();
    let _ = writeln!(shown, "# problems\n{}", render(&outcome, false));
    match &outcome.config {
        Some(config) => dump(config, &mut shown),
        None => shown.push_str("# no configuration\n"),
    }
    let _ = writeln!(shown, "\n# verdicts\n{}", verdict_table(&outcome.verdicts));
    assert!(!shown.contains("secret-from-env"), "a secret is shown:\n{shown}");
    assert!(!shown.contains("hunter2"), "a secret is shown:\n{shown}");
    insta::with_settings!({snapshot_path => "snapshots", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(name, shown);
    });
}

fn dump(config: &Config, out: &mut String) {
    let table = &config.table;
    let _ = writeln!(out, "# models");
    let mut groups: Vec<_> = table.groups().collect();
    groups.sort_by_key(|group| group.name.clone());
    for group in groups {
        let _ = writeln!(out, "{}", group.name);
        for member in &group.members {
            let target = &member.target;
            let _ = writeln!(
                out,
                "  {} {} {} {} {}",
                target.id,
                target.provider.name,
                target.model,
                target.dialect.name(),
                target.base
            );
            for also in &member.also {
                let _ = writeln!(out, "    also {} {}", also.dialect.name(), also.base);
            }
            let _ = writeln!(
                out,
                "    credential {}  weight {:?} rpm {:?} tpm {:?} order {:?} cooldown {:?} parallel {:?} drop {}",
                target.credential.is_some(),
                member.weight,
                member.rpm,
                member.tpm,
                member.order,
                member.cooldown_ms,
                member.max_parallel,
                target.drop_params,
            );
            let _ = writeln!(out, "    {:?}", member.timeouts);
            if let Some(login) = &target.login {
                let _ = writeln!(out, "    login {login:?}");
            }
            if target.provider.site.is_some() {
                let paths = target.provider.paths.get(&target.dialect);
                let _ = writeln!(out, "    {:?} {paths:?}", target.provider.auth);
            }
            for (name, value) in &target.defaults {
                let _ = writeln!(out, "    default {name} = {}", String::from_utf8_lossy(value));
            }
            for (name, value) in &target.headers {
                let _ = writeln!(out, "    header {name}: {value:?}");
            }
            if let Some(card) = &target.card {
                let _ = writeln!(out, "    {}", tollgate_wire::catalogue::line::write(card));
            }
            if target.provider.patch.len() > 1 {
                let _ = writeln!(out, "    patch {:?}", target.provider.patch);
            }
        }
    }
    let sorted = |map: &tollgate_router::table::Fallbacks| {
        map.iter().map(|(k, v)| format!("{k}: {v:?}")).collect::<std::collections::BTreeSet<_>>()
    };
    let _ = writeln!(out, "\n# routing");
    let _ = writeln!(out, "fallbacks {:?}", sorted(&table.fallbacks));
    let _ = writeln!(out, "context window {:?}", sorted(&table.context_window_fallbacks));
    let _ = writeln!(out, "content policy {:?}", sorted(&table.content_policy_fallbacks));
    let _ = writeln!(out, "default {:?}", table.default_fallbacks);
    let aliases: std::collections::BTreeMap<_, _> = table.aliases.iter().collect();
    let _ = writeln!(out, "aliases {aliases:?}");
    changed(&Policy::default(), &table.policy, out);
    let _ = writeln!(out, "\n# general");
    changed(&General::default(), &config.general, out);
    for entry in &config.models {
        let params = serde_json::Value::from(entry.params.clone());
        let info = serde_json::Value::from(entry.info.clone());
        let _ = writeln!(out, "entry {} {} {params} {info}", entry.name, entry.id);
    }
}

/// The lines that differ from those of the defaults.
fn changed<T: std::fmt::Debug>(default: &T, now: &T, out: &mut String) {
    let default = format!("{default:#?}");
    let default: Vec<&str> = default.lines().collect();
    for line in format!("{now:#?}").lines().filter(|line| !default.contains(line)) {
        let _ = writeln!(out, "{line}");
    }
}

macro_rules! golden {
    ($($test:ident $name:literal)*) => {
        $(#[test]
        fn $test() {
            check($name);
        })*
    };
}

golden! {
    seed "seed"
    load_balancing "load-balancing"
    fallbacks "fallbacks"
    wildcards "wildcards"
    azure "azure"
    places "places"
    places_wrong "places-wrong"
    anchors "anchors"
    credentials "credentials"
    providers "providers"
    missing_env "missing-env"
    unknown_keys "unknown-keys"
    bad_types "bad-types"
    duplicates "duplicates"
    broken "broken"
    alias_bomb "alias-bomb"
    included "include"
}

#[test]
fn lenient_turns_what_is_missing_into_warnings() {
    let text = std::fs::read_to_string(format!("{FIXTURES}/azure.yaml")).unwrap();
    let outcome =
        load_with("azure.yaml", &text.replace("AZURE_API_KEY_EU", "A_NUMBER"), Strictness::Lenient);
    assert!(
        outcome.problems.iter().all(|p| p.severity == Severity::Warning),
        "{:#?}",
        outcome.problems
    );
    let config = outcome.config.unwrap();
    // The entries of providers that are not built are left out.
    let names: Vec<_> = config.models.iter().map(|m| (&*m.name, &*m.provider)).collect();
    let turbo = "gpt-3.5-turbo";
    assert_eq!(names, [(turbo, "azure"), ("bedrock-claude", "bedrock"), (turbo, "openai")]);
}
