use proptest::prelude::*;
use tollgate_wire::{Fault, FaultKind};

use super::*;
use crate::{Policy, fake, health::Cooling};

const PREFS: Prefs<'_> =
    Prefs { surface: Dialect::Openai, fallbacks: &[], num_retries: None, disable_fallbacks: false };

#[derive(Debug, Clone)]
struct Shape {
    weight: Option<f64>,
    rpm: Option<u64>,
    tpm: Option<u64>,
    order: Option<u32>,
    anthropic: bool,
    cooling: bool,
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let shape = (
        prop::option::of(prop_oneof![Just(0.0), 0.1..9.0]),
        prop::option::of(0..9u64),
        prop::option::of(0..9u64),
        prop::option::of(0..3u32),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(weight, rpm, tpm, order, anthropic, cooling)| Shape {
            weight,
            rpm,
            tpm,
            order,
            anthropic,
            cooling,
        });
    prop::collection::vec(shape, 1..9)
}

fn group(shapes: &[Shape]) -> Arc<Group> {
    let policy = Policy { allowed_fails: Some(0), ..Policy::default() };
    let members = shapes.iter().enumerate().map(|(at, shape)| {
        let dialect = if shape.anthropic { Dialect::Anthropic } else { Dialect::Openai };
        let target = fake::target(&at.to_string(), dialect, "m");
        let member = Member::new(Arc::new(target), Arc::default());
        if shape.cooling {
            let rules = Cooling::new(&policy, None, 2);
            member.health.record_failure(&Fault::new(FaultKind::Server, ""), rules, 0);
        }
        let Shape { weight, rpm, tpm, order, .. } = *shape;
        Member { weight, rpm, tpm, order, ..member }
    });
    Arc::new(Group { name: "g".into(), members: members.collect() })
}

proptest! {
    #[test]
    fn a_plan_is_every_healthy_member_once_level_by_level(shapes in shapes(), seed: u64) {
        let (table, group) = (fake::table(&[]), group(&shapes));
        let plan = plan(&table, &group, PREFS, 1, seed);
        let mut members = plan.order.to_vec();
        members.sort_unstable();
        let healthy: Vec<u16> =
            (0u16..).zip(&shapes).filter(|(_, s)| !s.cooling).map(|(at, _)| at).collect();
        prop_assert_eq!(members, healthy);
        let levels: Vec<u32> = plan.members().map(level).collect();
        prop_assert!(levels.is_sorted());
    }

    #[test]
    fn the_same_seed_gives_the_same_plan(shapes in shapes(), seed: u64) {
        let (table, group) = (fake::table(&[]), group(&shapes));
        let once = plan(&table, &group, PREFS, 1, seed);
        let twice = plan(&table, &group, PREFS, 1, seed);
        prop_assert_eq!(once.order, twice.order);
    }

    #[test]
    fn a_cooldown_moves_nobody_else(shapes in shapes(), seed: u64) {
        let table = fake::table(&[]);
        // A weight that is set stays set: leave the weighing alone.
        let warm: Vec<Shape> =
            shapes.iter().map(|s| Shape { cooling: false, ..s.clone() }).collect();
        let all = plan(&table, &group(&warm), PREFS, 1, seed).order;
        let some = plan(&table, &group(&shapes), PREFS, 1, seed).order;
        let expect: Vec<u16> =
            all.iter().copied().filter(|at| !shapes[usize::from(*at)].cooling).collect();
        prop_assert_eq!(&*some, expect);
    }

    #[test]
    fn without_weights_the_clients_dialect_comes_first(shapes in shapes(), seed: u64) {
        let shapes: Vec<Shape> = shapes
            .into_iter()
            .map(|s| Shape { weight: None, rpm: None, tpm: None, order: None, ..s })
            .collect();
        let (table, group) = (fake::table(&[]), group(&shapes));
        let plan = plan(&table, &group, PREFS, 1, seed);
        prop_assert!(plan.members().map(|m| !m.speaks(Dialect::Openai)).is_sorted());
    }
}

/// How often each member comes first in 10,000 plans.
fn first_places(shapes: &[Shape]) -> Vec<u32> {
    let (table, group) = (fake::table(&[]), group(shapes));
    let mut firsts = vec![0; shapes.len()];
    for seed in 0..10_000 {
        let plan = plan(&table, &group, PREFS, 1, seed);
        firsts[usize::from(plan.order[0])] += 1;
    }
    firsts
}

const PLAIN: Shape =
    Shape { weight: None, rpm: None, tpm: None, order: None, anthropic: false, cooling: false };

#[test]
fn the_first_field_that_anyone_sets_weighs() {
    let firsts = first_places(&[
        Shape { weight: Some(9.0), rpm: Some(1), ..PLAIN },
        Shape { weight: Some(1.0), rpm: Some(1_000), ..PLAIN },
        Shape { rpm: Some(1_000), ..PLAIN },
    ]);
    assert!((8_700..=9_300).contains(&firsts[0]), "{firsts:?}");
    assert_eq!(firsts[2], 0);

    let firsts = first_places(&[
        Shape { weight: Some(0.0), rpm: Some(3), ..PLAIN },
        Shape { rpm: Some(1), tpm: Some(1_000), ..PLAIN },
    ]);
    assert!((7_200..=7_800).contains(&firsts[0]), "{firsts:?}");

    let firsts = first_places(&[PLAIN, PLAIN]);
    assert!((4_700..=5_300).contains(&firsts[0]), "{firsts:?}");
}

#[test]
fn weights_that_were_set_count_more_than_the_dialect() {
    let firsts = first_places(&[
        Shape { weight: Some(1.0), anthropic: true, ..PLAIN },
        Shape { weight: Some(1.0), ..PLAIN },
    ]);
    assert!((4_700..=5_300).contains(&firsts[0]), "{firsts:?}");
}

#[test]
fn fallbacks_of_a_request_are_bounded() {
    let (table, group) = (fake::table(&[]), group(&[PLAIN]));
    let many = vec!["g".to_owned(); 100_000];
    let plan = plan(&table, &group, Prefs { fallbacks: &many, ..PREFS }, 1, 0);
    assert_eq!(plan.fallbacks.len(), MAX_CLIENT_FALLBACKS);
}

#[test]
fn retries_of_a_request_are_bounded() {
    let (table, group) = (fake::table(&[]), group(&[PLAIN]));
    let retries =
        |num_retries| plan(&table, &group, Prefs { num_retries, ..PREFS }, 1, 0).num_retries;
    assert_eq!(retries(None), 2);
    assert_eq!(retries(Some(0)), 0);
    assert_eq!(retries(Some(u32::MAX)), MAX_RETRIES);
}
