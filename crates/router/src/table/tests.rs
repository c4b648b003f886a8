use super::*;
use crate::fake;

fn found(table: &Table, model: &str) -> Option<(String, String)> {
    table.group(model).map(|found| {
        (found.group.name.to_string(), found.group.members[0].target.model.to_string())
    })
}

fn check(pattern: &str, target: &str, model: &str, expect: Option<&str>) {
    let mut rules = Rules::default();
    let target = fake::target("t", Dialect::Openai, target);
    rules.members.push((pattern.into(), Member::new(Arc::new(target), Arc::default())));
    let got = found(&Table::new(rules), model).map(|(_, model)| model);
    assert_eq!(got.as_deref(), expect, "{pattern} -> {model}");
}

#[test]
fn captures_fill_the_stars_of_the_target() {
    check("acme/*", "*", "acme/gpt-4o", Some("gpt-4o"));
    check("acme/*", "fixed", "acme/gpt-4o", Some("fixed"));
    check("acme/*", "*-latest", "acme/sonnet", Some("sonnet-latest"));
    check("*/x/*", "*:*", "a/b/x/c/x/d", Some("a/b/x/c:d"));
    check("acme/*", "*", "acme/", None);
    check("acme/*", "*", "other/gpt", None);
    check("ab*ba", "*", "aba", None);
    check("a*b", "*", "a\nb", None);
    check("*", "*", &"x".repeat(300), None);
}

#[test]
fn more_captures_than_stars_give_the_whole_name_without_the_provider() {
    check("acme/*/*", "*", "acme/a/b", Some("a/b"));
    check("other/*/*", "*", "other/a/b", Some("other/a/b"));
    check("acme/*", "*/*", "acme/a", Some("a/*"));
}

#[test]
fn exact_names_win_then_aliases_then_the_longest_pattern() {
    let mut rules = fake::rules(&[("gpt", "a"), ("g*", "b"), ("gp*", "c"), ("*", "d")]);
    let alias = |group: &str, hidden| Alias { group: group.into(), hidden };
    rules.aliases.insert("shown".into(), alias("gpt", false));
    rules.aliases.insert("hidden".into(), alias("gpx", true));
    rules.aliases.insert("gp-alias".into(), alias("gpt", true));
    let table = Table::new(rules);
    let id = |model: &str| table.group(model).unwrap().group.members[0].target.id.to_string();
    assert_eq!(id("gpt"), "a");
    assert_eq!(id("gp-alias"), "a");
    assert_eq!(id("hidden"), "c");
    assert_eq!(id("gpx"), "c");
    assert_eq!(id("gx"), "b");
    assert_eq!(id("x"), "d");
    assert_eq!(table.group("").map(|_| ()), None);
    assert_eq!(table.names().collect::<Vec<_>>(), ["gpt", "g*", "gp*", "*", "shown"]);
}

#[test]
fn equal_ranks_keep_the_order_of_the_file_and_escapes_count() {
    // `.` is escaped in the expression, so the second is the longer one.
    let table = fake::table(&[("ab*", "a"), ("a.*", "b"), ("*bc", "c")]);
    let id = |model: &str| table.group(model).unwrap().group.members[0].target.id.to_string();
    assert_eq!(id("abc"), "a");
    assert_eq!(id("a.bc"), "b");
}

#[test]
fn concrete_groups_are_kept_share_health_and_are_bounded() {
    let table = fake::table(&[("acme/*", "a"), ("acme/*", "b")]);
    let first = table.group("acme/x").unwrap().group;
    assert!(Arc::ptr_eq(&first, &table.group("acme/x").unwrap().group));
    let other = table.group("acme/y").unwrap().group;
    assert_eq!(first.members.len(), 2);
    assert!(Arc::ptr_eq(&first.members[0].health, &other.members[0].health));
    for n in 0..3 * MAX_CONCRETE {
        assert!(table.group(&format!("acme/{n}")).is_some());
    }
    assert!(table.made.read().unwrap().len() <= MAX_CONCRETE);
}

#[test]
fn a_closure_finds_the_card_or_refuses_the_model() {
    let mut rules = fake::rules(&[("acme/*", "a")]);
    rules.members[0].1.target = Arc::new(fake::target("a", Dialect::Openai, "*"));
    rules.concrete = Arc::new(|target, model| {
        let card = Some(Arc::new(Card { name: model.to_owned(), ..Card::default() }));
        (model != "no").then(|| Target { model: model.into(), card, ..target.clone() })
    });
    let table = Table::new(rules);
    let group = table.group("acme/yes").unwrap().group;
    assert_eq!(group.members[0].target.card.as_ref().unwrap().name, "yes");
    assert!(table.group("acme/no").is_none());
}

#[test]
fn near_names_are_offered() {
    let mut rules = fake::rules(&[("gpt-4o", "a"), ("gpt-4o-mini", "b"), ("claude", "c")]);
    rules.members.push(("acme/*".into(), fake::member("d")));
    let table = Table::new(rules);
    assert_eq!(table.near("GPT4o"), ["gpt-4o", "gpt-4o-mini"]);
    assert_eq!(table.near("cluade"), ["claude"]);
    assert!(table.near("zzz").is_empty());
    assert!(table.near(&"x".repeat(100_000)).is_empty());
}

#[test]
fn the_target_in_the_clients_dialect_is_chosen() {
    let mut member = fake::member("a");
    member.also.push(Arc::new(fake::target("a", Dialect::Anthropic, "m")));
    assert_eq!(member.target_for(Dialect::Anthropic).dialect, Dialect::Anthropic);
    assert_eq!(member.target_for(Dialect::Openai).dialect, Dialect::Openai);
    member.also.clear();
    assert_eq!(member.target_for(Dialect::Anthropic).dialect, Dialect::Openai);
}
