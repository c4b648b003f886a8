//! Answers that are still to be paid for.

use tollgate_ledger::Nano;
use tollgate_store::{Holding, KeyRow, Page, Pending, Store, UsageFilter, UsageRow};

use crate::database::{Database, EPOCH_US, hash, key, on_both, row};

fn pending(nth: u32, due_us: i64) -> Pending {
    let row = row(nth);
    Pending {
        id: row.id,
        answer: format!("resp_{nth}"),
        key: row.key,
        held: Nano(7),
        due_us,
        deadline_us: EPOCH_US,
        missed: 0,
        detail: r#"{"a":"\u0000 O'Neil"}"#.to_owned(),
    }
}

async fn spend(store: &Store, nth: u32) -> Nano {
    store.key(&hash(nth)).await.unwrap().unwrap().spend
}

async fn paid(store: &Store) -> u64 {
    store.usage(&UsageFilter::default(), Page::first(1)).await.unwrap().1
}

on_both!(an_answer_is_found_and_put_off, async |db: &Database| {
    let (one, two) = (pending(1, 10), pending(2, 20));
    assert_eq!(db.store.pending_count().await.unwrap(), (0, None));
    for pending in [&one, &two] {
        db.store.insert_pending(pending).await.unwrap();
    }
    let master = Pending { key: None, due_us: 30, ..pending(3, 0) };
    db.store.insert_pending(&master).await.unwrap();
    assert_eq!(db.store.pending_count().await.unwrap(), (3, Some(10)));
    assert_eq!(db.store.pending_answer("resp_2").await.unwrap(), Some(two.clone()));
    assert_eq!(db.store.pending_answer("resp_9").await.unwrap(), None);
    let mut holdings = db.store.pending_holdings().await.unwrap();
    holdings.sort_by_key(|holding| holding.id);
    let holding = |of: &Pending| Holding { id: of.id, key: of.key, held: of.held };
    assert_eq!(holdings, [&one, &two, &master].map(holding));

    // Who claims an answer has it alone until then.
    let claimed = async |now_us| db.store.claim_pending(now_us, 100, 2).await.unwrap();
    assert_eq!(claimed(9).await, []);
    assert_eq!(claimed(10).await, [Pending { due_us: 100, ..one.clone() }]);
    assert_eq!(claimed(99).await.len(), 2);
    assert_eq!(claimed(99).await, []);
    assert_eq!(claimed(100).await.len(), 2);
    db.store.put_pending_off(one.id, 50, 2).await.unwrap();
    let again = Pending { due_us: 50, missed: 2, ..one };
    assert_eq!(db.store.pending_answer("resp_1").await.unwrap(), Some(again));
});

on_both!(an_answer_is_claimed_by_one, async |db: &Database| {
    for nth in 0..40 {
        db.store.insert_pending(&pending(nth, 0)).await.unwrap();
    }
    let other = Store::open(&db.url).await.unwrap();
    let claims = (0..8).map(|nth| {
        let store = if nth % 2 == 0 { db.store.clone() } else { other.clone() };
        tokio::spawn(async move { store.claim_pending(0, 100, 10).await.unwrap() })
    });
    let mut seen = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        seen.extend(claim.await.unwrap().into_iter().map(|pending| pending.id));
    }
    // Two that want the same ones get them once; what neither got is there for the next.
    seen.extend(db.store.claim_pending(0, 100, 40).await.unwrap().into_iter().map(|it| it.id));
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((count, seen.len()), (40, 40));
    other.close().await;
});

on_both!(an_answer_is_paid_for_once, async |db: &Database| {
    let paying: Vec<UsageRow> = (0..2).map(row).collect();
    for nth in 0..2 {
        db.store.insert_key(&key(nth)).await.unwrap();
        db.store.insert_pending(&pending(nth, 0)).await.unwrap();
    }
    let before = spend(&db.store, 0).await;
    let own: Vec<&UsageRow> = paying.iter().filter(|row| row.key == Some(hash(0))).collect();
    assert!(own.first().is_some_and(|row| row.cost.is_some_and(|cost| cost.0 > 0)));
    let other = Store::open(&db.url).await.unwrap();
    for (nth, row) in paying.iter().enumerate() {
        let settles = (0..6).map(|n| {
            let store = if n % 2 == 0 { db.store.clone() } else { other.clone() };
            let row = row.clone();
            tokio::spawn(async move { store.settle_pending(&row).await.unwrap() })
        });
        let mut charged = 0;
        for settled in settles.collect::<Vec<_>>() {
            charged += u32::from(settled.await.unwrap());
        }
        assert_eq!(charged, 1);
        assert_eq!(paid(&db.store).await, nth as u64 + 1);
    }
    let cost: i64 = own.iter().filter_map(|row| row.cost).map(|cost| cost.0).sum();
    assert_eq!(spend(&db.store, 0).await, Nano(before.0 + cost));
    assert_eq!(db.store.pending_count().await.unwrap(), (0, None));
    other.close().await;
});

on_both!(an_answer_goes_with_its_key, async |db: &Database| {
    db.store.insert_key(&key(0)).await.unwrap();
    for nth in [0, 1] {
        db.store.insert_pending(&pending(nth, 0)).await.unwrap();
    }
    let new = KeyRow { hash: hash(7), ..key(0) };
    assert!(db.store.replace_key_hash(&hash(0), &new).await.unwrap());
    let mut keys: Vec<_> =
        db.store.pending_holdings().await.unwrap().iter().map(|holding| holding.key).collect();
    keys.sort();
    assert_eq!(keys, [Some(hash(1)), Some(hash(7))]);
    // Its row has the hash that it was asked with; the new key pays.
    assert!(db.store.settle_pending(&row(0)).await.unwrap());
    assert_eq!(Some(spend(&db.store, 7).await), row(0).cost);
});

on_both!(what_has_a_usage_row_costs_nothing_more, async |db: &Database| {
    db.store.insert_key(&key(0)).await.unwrap();
    db.store.insert_usage(&[row(0)]).await.unwrap();
    let before = spend(&db.store, 0).await;
    db.store.insert_pending(&pending(0, 0)).await.unwrap();
    assert!(!db.store.settle_pending(&row(0)).await.unwrap());
    assert_eq!(db.store.pending_count().await.unwrap(), (0, None));
    assert_eq!((spend(&db.store, 0).await, paid(&db.store).await), (before, 1));
    // And the journal of a process that died does not add it again.
    assert_eq!(db.store.insert_usage(&[row(0)]).await.unwrap(), 0);
    assert_eq!(spend(&db.store, 0).await, before);
});
