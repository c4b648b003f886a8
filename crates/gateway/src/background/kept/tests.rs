use proptest::prelude::*;
use tollgate_ledger::price::{self, Tiers};
use tollgate_store::KeyHash;
use tollgate_wire::{Rates, catalogue};
use uuid::Uuid;

use super::*;

fn kept(rates: Option<Rates>, prompt_bytes: u64, output: u64) -> Kept {
    let card = rates.map(|rates| Card {
        provider: "openai".to_owned(),
        name: "gpt-5".to_owned(),
        rates: Some(rates),
        ..Card::default()
    });
    let row = UsageRow {
        id: Uuid::from_u128(7),
        key: Some(KeyHash([3; 32])),
        group: "public".into(),
        target: "target".into(),
        operation: "chat".into(),
        status: 200,
        started_us: 1_790_000_000_000_000,
        ..UsageRow::default()
    };
    let card = card.as_ref().map(line::write);
    Kept { answer: "resp_1".to_owned(), row, card, prompt_bytes, output }
}

/// As it is written down.
fn pending(kept: &Kept) -> Pending {
    Pending {
        id: kept.row.id,
        answer: String::new(),
        key: None,
        held: Default::default(),
        due_us: 0,
        deadline_us: 0,
        missed: 0,
        detail: kept.write(),
    }
}

/// As a process that has died wrote it, and the next one reads it.
fn read_back(kept: &Kept) -> Kept {
    Kept::of(&pending(kept)).unwrap()
}

fn ended(how: How, usage: Usage) -> Ended {
    Ended { how, usage, finish: None, background: true }
}

/// Every price that there is survives being written down.
#[test]
fn a_card_is_kept_whole() {
    let mut priced = 0;
    for card in catalogue::builtin().cards() {
        let again = line::read(&line::write(&card)).unwrap();
        assert_eq!(again.rates, card.rates, "{}/{}", card.provider, card.name);
        priced += u32::from(card.rates.is_some());
    }
    assert!(priced > 500, "{priced}");
}

#[test]
fn an_end_says_how_it_was() {
    let usage = Usage { input: 1, output: 2, ..Usage::default() };
    for (how, outcome, error) in [
        (How::Completed, Outcome::Ok, None),
        (How::Incomplete, Outcome::Ok, None),
        (How::Failed, Outcome::Failed, Some("answer_failed")),
        (How::Cancelled, Outcome::Aborted, Some("answer_cancelled")),
    ] {
        let kept = kept(None, 0, 0);
        let begun = kept.row.clone();
        let row = kept.ended(&ended(how, usage), begun.started_us + 5);
        assert_eq!((row.outcome, row.error.as_deref()), (outcome, error));
        assert_eq!((row.id, row.key, row.status), (begun.id, begun.key, 200));
        // Without a price it is not free: nobody knows.
        assert_eq!((row.cost, row.ended_us), (None, begun.started_us + 5));
    }
    // A clock that was set back makes no time negative.
    let row = kept(None, 0, 0).lost("answer_lost", 0);
    assert_eq!(row.ended_us, row.started_us);
}

/// A newer Tollgate may know of more than the one that wrote it down, and of less.
#[test]
fn what_another_version_wrote_is_read() {
    let kept = kept(None, 400, 10);
    let mut json: serde_json::Value = serde_json::from_str(&kept.write()).unwrap();
    let row = json["row"].as_object_mut().unwrap();
    for name in ["rare", "fallbacks", "tags", "finish_reason", "reasoning"] {
        assert!(row.remove(name).is_some(), "{name}");
    }
    row.insert("later".to_owned(), true.into());
    let again: Kept = serde_json::from_value(json).unwrap();
    assert_eq!(again.row, kept.row);
}

#[test]
fn what_was_changed_by_hand_is_left_alone() {
    let mut pending = pending(&kept(None, 0, 0));
    assert!(Kept::of(&pending).is_some());
    pending.detail.truncate(20);
    assert!(Kept::of(&pending).is_none());
}

prop_compose! {
    fn rates()(
        input in 0_i64..100_000_000_000,
        output in 0_i64..400_000_000_000,
        cache_read in proptest::option::of(0_i64..50_000_000_000),
        reasoning in proptest::option::of(0_i64..400_000_000_000),
        request in 0_i64..1_000_000_000_000,
    ) -> Rates {
        Rates { input, output, cache_read, reasoning, request, ..Rates::default() }
    }
}

prop_compose! {
    fn usages()(
        input in 0_u64..2_000_000,
        cached in 0_u64..2_000_000,
        output in 0_u64..200_000,
        reasoning in 0_u64..200_000,
        estimated in any::<bool>(),
    ) -> Usage {
        Usage {
            input,
            cache_read: cached.min(input),
            output,
            reasoning: reasoning.min(output),
            estimated,
            ..Usage::default()
        }
    }
}

proptest! {
    /// An answer in the background costs what the same answer costs at once, whoever pays for it
    /// and whenever.
    #[test]
    fn an_answer_costs_what_it_costs_at_once(rates in rates(), usage in usages(), later in 0_i64..1 << 40) {
        let kept = kept(Some(rates.clone()), 400, 10);
        let at_s = Some(kept.row.started_us / 1_000_000);
        let at_once = price::cost(&usage, &rates, at_s).unwrap().total;
        let now_us = kept.row.started_us + later;
        let row = read_back(&kept).ended(&ended(How::Completed, usage), now_us);
        prop_assert_eq!(row.cost, Some(at_once));
        prop_assert_eq!((row.input, row.output), (usage.input, usage.output));
        prop_assert_eq!(row.estimated, usage.estimated);
        // Whoever else comes to it makes the same row.
        prop_assert_eq!(kept.ended(&ended(How::Completed, usage), now_us), row);
    }

    /// What nobody can say the price of is not free, and costs no more than was set aside for it.
    #[test]
    fn a_lost_answer_costs_what_was_set_aside(
        rates in rates(),
        prompt_bytes in 0_u64..4_000_000,
        output in 0_u64..200_000,
    ) {
        let held = price::estimate(prompt_bytes / 4, output, &rates, Tiers::Usual).unwrap();
        let row = read_back(&kept(Some(rates.clone()), prompt_bytes, output)).lost("answer_lost", 0);
        let cost = row.cost.unwrap();
        prop_assert!(row.estimated && cost <= held, "{:?} of {:?}", cost, held);
        prop_assert_eq!((row.input, row.output), (prompt_bytes / 4, output));
        let some = (row.input > 0 && rates.input > 1_000_000) || (output > 0 && rates.output > 1_000_000);
        prop_assert!(!some || cost.0 > 0);
    }
}
