use proptest::prelude::*;
use tollgate_wire::Dialect;

use super::*;
use crate::{Policy, Prefs, Rules, fake};

const PREFS: Prefs<'_> =
    Prefs { surface: Dialect::Openai, fallbacks: &[], num_retries: None, disable_fallbacks: false };

/// The calls of a request for the group `g` when every one fails with the kind given for its
/// group, as `group/id` and, after a wait, `@`.
fn calls(rules: Rules, prefs: Prefs<'_>, kind: impl Fn(&str) -> FaultKind) -> Vec<String> {
    let table = Table::new(rules);
    let group = table.group("g").unwrap().group;
    let plan = plan::plan(&table, &group, prefs, 0, 7);
    let mut walk = Walk::new(&table, &plan);
    let mut calls = Vec::new();
    let mut next = walk.first(0);
    while let Some(step) = next {
        let wait = if step.after_ms > 0 { "@" } else { "" };
        calls.push(format!("{}/{}{wait}", step.group.name, step.member().unwrap().target.id));
        assert!(calls.len() < 1_000, "a walk ends");
        next = walk.failed(&Fault::new(kind(&step.group.name), ""), 0);
    }
    assert_eq!(walk.attempts as usize, calls.len());
    assert!(walk.attempts <= 1 + walk.retries + walk.fallbacks);
    calls
}

fn server(_: &str) -> FaultKind {
    FaultKind::Server
}

#[test]
fn f02_the_only_target_is_asked_again_after_waits() {
    assert_eq!(calls(fake::rules(&[("g", "a")]), PREFS, server), ["g/a", "g/a@", "g/a@"]);
    let never = Prefs { num_retries: Some(0), ..PREFS };
    assert_eq!(calls(fake::rules(&[("g", "a")]), never, server), ["g/a"]);
}

#[test]
fn other_targets_are_asked_at_once_and_the_oldest_again_after_a_wait() {
    let got = calls(fake::rules(&[("g", "a"), ("g", "b")]), PREFS, server);
    assert_eq!(got.len(), 3);
    assert_ne!(got[0], got[1]);
    assert_eq!(got[2], format!("{}@", got[0]));
}

#[test]
fn f09_a_request_that_timed_out_goes_elsewhere_or_nowhere() {
    let timeout = |_: &str| FaultKind::FirstByteTimeout;
    assert_eq!(calls(fake::rules(&[("g", "a")]), PREFS, timeout), ["g/a"]);
    assert_eq!(calls(fake::rules(&[("g", "a"), ("g", "b")]), PREFS, timeout).len(), 2);
}

#[test]
fn the_only_target_is_left_at_once_where_there_is_a_fallback() {
    let mut rules = fake::rules(&[("g", "a"), ("h", "b")]);
    rules.fallbacks.insert("g".into(), fake::names(&["h"]));
    assert_eq!(calls(rules, PREFS, server), ["g/a", "h/b", "h/b@", "h/b@"]);
}

#[test]
fn levels_come_before_groups_and_have_their_own_retries() {
    let mut rules = fake::rules(&[("g", "a"), ("g", "b"), ("g", "c"), ("h", "d")]);
    rules.members[0].1.order = Some(1);
    rules.members[1].1.order = Some(2);
    rules.members[2].1.order = Some(2);
    rules.fallbacks.insert("g".into(), fake::names(&["h"]));
    let got = calls(rules, Prefs { num_retries: Some(1), ..PREFS }, server);
    assert_eq!(got[0], "g/a");
    assert_eq!(got[3..], ["h/d", "h/d@"]);
}

#[test]
fn which_list_is_used() {
    let lists = || {
        let mut rules = fake::rules(&[
            ("g", "a"),
            ("window", "b"),
            ("policy", "c"),
            ("own", "d"),
            ("star", "e"),
            ("default", "f"),
            ("client", "h"),
        ]);
        rules.context_window_fallbacks.insert("g".into(), fake::names(&["window"]));
        rules.content_policy_fallbacks.insert("g".into(), fake::names(&["policy"]));
        rules.fallbacks.insert("g".into(), fake::names(&["own"]));
        rules.fallbacks.insert("*".into(), fake::names(&["star"]));
        rules.default_fallbacks = fake::names(&["default"]);
        rules.policy = Policy { max_fallbacks: 1, ..Policy::default() };
        rules
    };
    let second = |rules, prefs, kind| calls(rules, prefs, |_| kind).get(1).cloned();
    let is = |got: Option<String>, expect: &str| assert_eq!(got.as_deref(), Some(expect));
    is(second(lists(), PREFS, FaultKind::ContextWindow), "window/b");
    is(second(lists(), PREFS, FaultKind::ContentPolicy), "policy/c");
    is(second(lists(), PREFS, FaultKind::BadRequest), "own/d");
    let client = ["client".to_owned()];
    let prefs = Prefs { fallbacks: &client, ..PREFS };
    is(second(lists(), prefs, FaultKind::ContextWindow), "client/h");
    let mut rules = lists();
    rules.fallbacks.remove("g");
    is(second(rules, PREFS, FaultKind::ContextWindow), "window/b");
    let mut rules = lists();
    rules.fallbacks.remove("g");
    is(second(rules, PREFS, FaultKind::NotFound), "star/e");
    let mut rules = lists();
    rules.fallbacks.clear();
    is(second(rules, PREFS, FaultKind::Credential), "default/f");
    let prefs = Prefs { disable_fallbacks: true, ..PREFS };
    assert_eq!(second(lists(), prefs, FaultKind::BadRequest), None);
}

#[test]
fn a_fallback_has_fallbacks_of_its_own_and_circles_end() {
    let mut rules = fake::rules(&[("g", "a"), ("h", "b"), ("i", "c"), ("j", "d")]);
    rules.fallbacks.insert("g".into(), fake::names(&["h", "j", "nobody"]));
    rules.fallbacks.insert("h".into(), fake::names(&["g", "i"]));
    rules.fallbacks.insert("i".into(), fake::names(&["h", "g"]));
    let got = calls(rules, PREFS, |_| FaultKind::BadRequest);
    assert_eq!(got, ["g/a", "h/b", "i/c", "j/d"]);
}

#[test]
fn a_target_is_asked_once_though_it_is_in_both_groups() {
    let mut rules = fake::rules(&[("g", "a"), ("h", "a"), ("h", "b")]);
    rules.fallbacks.insert("g".into(), fake::names(&["h"]));
    assert_eq!(calls(rules, PREFS, |_| FaultKind::BadRequest), ["g/a", "h/b"]);
}

#[test]
fn a_full_or_unable_target_is_passed_over_without_a_retry() {
    let mut rules = fake::rules(&[("g", "a"), ("g", "b"), ("h", "c")]);
    rules.fallbacks.insert("g".into(), fake::names(&["h"]));
    let table = Table::new(rules);
    let group = table.group("g").unwrap().group;
    let plan = plan::plan(&table, &group, PREFS, 0, 7);
    let mut walk = Walk::new(&table, &plan);
    walk.first(0).unwrap();
    walk.pass_over(0).unwrap();
    let last = walk.pass_over(0).unwrap();
    assert_eq!(&*last.group.name, "h");
    assert_eq!((walk.attempts, walk.retries, walk.fallbacks), (1, 0, 1));
    assert!(walk.pass_over(0).is_none());
}

#[test]
fn a_group_that_cools_is_left_for_its_fallback_without_a_call() {
    let mut rules = fake::rules(&[("g", "a"), ("h", "b")]);
    rules.fallbacks.insert("g".into(), fake::names(&["h"]));
    let policy = Policy { allowed_fails: Some(0), ..Policy::default() };
    let cooling = crate::health::Cooling::new(&policy, None, 1);
    rules.members[0].1.health.record_failure(&Fault::new(FaultKind::Server, ""), cooling, 0);
    assert_eq!(calls(rules, PREFS, |_| FaultKind::BadRequest), ["h/b"]);
}

proptest! {
    /// Whatever the groups, lists and faults: a walk ends, calls no target of a fault that blames
    /// it twice, and stays within its limits.
    #[test]
    fn a_walk_ends_within_its_limits(
        members in prop::collection::vec((0..5usize, 0..8u32, 0..3u32), 1..20),
        lists in prop::collection::vec((0..5usize, prop::collection::vec(0..5usize, 0..4)), 0..5),
        faults in prop::collection::vec(0..fake::KINDS.len(), 5),
        num_retries in 0..4u32,
        max_fallbacks in 0..6u32,
    ) {
        const GROUPS: [&str; 5] = ["g", "h", "i", "j", "k"];
        let mut rules = fake::rules(&[("g", "home")]);
        for (group, id, order) in members {
            let mut member = fake::member(&format!("t{id}"));
            member.order = Some(order);
            rules.members.push((GROUPS[group].to_owned(), member));
        }
        let levels = rules.members.len();
        for (group, list) in lists {
            let list: Vec<&str> = list.into_iter().map(|at| GROUPS[at]).collect();
            rules.fallbacks.insert(GROUPS[group].into(), fake::names(&list));
        }
        rules.policy = Policy { max_fallbacks, ..Policy::default() };
        let prefs = Prefs { num_retries: Some(num_retries), ..PREFS };
        let kind = |group: &str| {
            fake::KINDS[faults[GROUPS.iter().position(|name| *name == group).unwrap()]]
        };
        let got = calls(rules, prefs, kind);
        let groups: Vec<&str> = got.iter().filter_map(|call| call.split('/').next()).collect();
        let mut hops = groups.clone();
        hops.dedup();
        prop_assert!(hops.len() <= 1 + max_fallbacks as usize);
        prop_assert!(got.len() <= (1 + num_retries as usize) * levels);
        let mut at_once: Vec<&String> = got.iter().filter(|call| !call.ends_with('@')).collect();
        let ids = |call: &&String| call.split('/').nth(1).unwrap_or_default().to_owned();
        at_once.sort_by_key(ids);
        let before = at_once.len();
        at_once.dedup_by_key(|call| ids(&&**call));
        prop_assert_eq!(at_once.len(), before, "a target is called once, but for waits: {:?}", got);
    }
}
