//! Keys.

use tollgate_ledger::Nano;
use tollgate_store::{KeyFilter, Page, Recorder, StoreError};

use crate::database::{Database, hash, key, on_both, row};

on_both!(a_key_is_read_as_it_was_written, async |db: &Database| {
    let mut stored = key(1);
    stored.spend = Nano(77);
    db.store.insert_key(&stored).await.unwrap();
    assert_eq!(db.store.key(&hash(1)).await.unwrap(), Some(stored.clone()));
    assert_eq!(db.store.key_by_alias("key 1").await.unwrap(), Some(stored));
    assert_eq!(db.store.key(&hash(2)).await.unwrap(), None);
    assert_eq!(db.store.key_by_alias("key 2").await.unwrap(), None);
});

on_both!(an_update_leaves_the_spend_alone, async |db: &Database| {
    db.store.insert_key(&key(1)).await.unwrap();
    assert!(db.store.set_spend(&hash(1), Nano(500)).await.unwrap());
    let mut changed = key(1);
    changed.blocked = true;
    changed.alias = None;
    changed.models.clear();
    changed.rpm = None;
    assert!(db.store.update_key(&changed).await.unwrap());
    let stored = db.store.key(&hash(1)).await.unwrap().unwrap();
    assert!(stored.blocked && stored.alias.is_none() && stored.models.is_empty());
    assert_eq!((stored.rpm, stored.spend), (None, Nano(500)));
    assert!(!db.store.update_key(&key(2)).await.unwrap());
    assert!(!db.store.set_spend(&hash(2), Nano(1)).await.unwrap());
});

on_both!(no_two_keys_share_a_hash_or_an_alias, async |db: &Database| {
    db.store.insert_key(&key(1)).await.unwrap();
    let mut same_alias = key(2);
    same_alias.alias = key(1).alias;
    let conflict = |result: Result<(), StoreError>| match result {
        Err(StoreError::Conflict { what }) => what,
        other => panic!("expected a conflict, got {other:?}"),
    };
    assert_eq!(conflict(db.store.insert_key(&same_alias).await), "alias");
    let mut same_hash = key(1);
    same_hash.alias = None;
    assert_eq!(conflict(db.store.insert_key(&same_hash).await), "hash");
    db.store.insert_key(&key(2)).await.unwrap();
    assert_eq!(conflict(db.store.update_key(&same_alias).await.map(drop)), "alias");
    // Any number of keys have no alias.
    for nth in [3, 4] {
        let mut nameless = key(nth);
        nameless.alias = None;
        db.store.insert_key(&nameless).await.unwrap();
    }
});

on_both!(deleting_says_what_was_there, async |db: &Database| {
    db.store.insert_key(&key(1)).await.unwrap();
    let deleted = db.store.delete_keys(&[hash(1), hash(2)]).await.unwrap();
    assert_eq!(deleted, [hash(1)]);
    assert_eq!(db.store.key(&hash(1)).await.unwrap(), None);
});

on_both!(keys_are_listed_by_page, async |db: &Database| {
    for nth in 0..5 {
        db.store.insert_key(&key(nth)).await.unwrap();
    }
    let all = KeyFilter::default();
    let (page, total) = db.store.list_keys(&all, Page { offset: 1, limit: 2 }).await.unwrap();
    assert_eq!(total, 5);
    assert_eq!(page.iter().map(|key| key.hash).collect::<Vec<_>>(), [hash(1), hash(2)]);
    let users = KeyFilter { user_id: Some("user 1".to_owned()), ..KeyFilter::default() };
    let (page, total) = db.store.list_keys(&users, Page::first(10)).await.unwrap();
    assert_eq!((page.len(), total), (2, 2));
    let one = KeyFilter {
        hash: Some(hash(3)),
        alias: Some("key 3".to_owned()),
        blocked: Some(false),
        ..KeyFilter::default()
    };
    assert_eq!(db.store.list_keys(&one, Page::first(10)).await.unwrap().1, 1);
    let none = KeyFilter { team_id: Some("' OR 1 = 1 --".to_owned()), ..one };
    assert_eq!(db.store.list_keys(&none, Page::first(10)).await.unwrap().1, 0);
});

on_both!(each_key_visits_all_chunks, async |db: &Database| {
    assert_eq!(db.store.each_key(|_| panic!("there is no key")).await.unwrap(), 0);
    for nth in 0..2_100 {
        db.store.insert_key(&key(nth)).await.unwrap();
    }
    let mut seen = Vec::new();
    let visited = db.store.each_key(|key| seen.push(key.hash)).await.unwrap();
    assert_eq!(visited, 2_100);
    assert_eq!(seen, (0..2_100).map(hash).collect::<Vec<_>>());
});

on_both!(a_replaced_key_inherits_what_the_old_one_spends, async |db: &Database| {
    db.store.insert_key(&key(0)).await.unwrap();
    db.store.insert_usage(&[row(0)]).await.unwrap();
    let mut new = key(0);
    for next in [10, 11] {
        let old = new.hash;
        new.hash = hash(next);
        new.spend = Nano(999_999);
        assert!(db.store.replace_key_hash(&old, &new).await.unwrap());
        assert!(!db.store.replace_key_hash(&old, &new).await.unwrap());
    }
    assert_eq!(db.store.key(&hash(0)).await.unwrap(), None);
    let spend = async || db.store.key(&hash(11)).await.unwrap().unwrap().spend;
    assert_eq!(spend().await, Nano(1_000));
    // Of a request that was under way: two steps behind.
    db.store.insert_usage(&[row(3)]).await.unwrap();
    assert_eq!(spend().await, Nano(1_000 + 1_003));
});

on_both!(a_window_is_reset_once, async |db: &Database| {
    db.store.insert_key(&key(0)).await.unwrap();
    let spend = async || db.store.key(&hash(0)).await.unwrap().unwrap().spend;
    db.store.insert_usage(&[row(0)]).await.unwrap();
    assert!(db.store.reset_budget(&hash(0), 100, Some(200)).await.unwrap());
    assert_eq!(spend().await, Nano::ZERO);
    db.store.insert_usage(&[row(3)]).await.unwrap();
    assert!(!db.store.reset_budget(&hash(0), 100, Some(200)).await.unwrap());
    assert!(!db.store.reset_budget(&hash(0), 50, Some(150)).await.unwrap());
    assert_eq!(spend().await, Nano(1_003));
    assert!(db.store.reset_budget(&hash(0), 200, None).await.unwrap());
    let stored = db.store.key(&hash(0)).await.unwrap().unwrap();
    assert_eq!((stored.spend, stored.budget_reset_us), (Nano::ZERO, None));
});

/// A batch of rows of so many keys that what they spend is noted first.
fn of_many_keys(times: u32) -> Vec<tollgate_store::UsageRow> {
    (0..times * MANY)
        .map(|nth| tollgate_store::UsageRow { key: Some(hash(nth % MANY)), ..row(nth) })
        .collect()
}

const MANY: u32 = 200;

/// What a key has spent in those rows.
fn due(key: u32, times: u32) -> Nano {
    Nano((0..times).map(|time| 1_000 + i64::from(time * MANY + key)).sum())
}

on_both!(what_is_noted_is_added_once, async |db: &Database| {
    for nth in 0..MANY {
        db.store.insert_key(&key(nth)).await.unwrap();
    }
    let spend = async |nth| db.store.key(&hash(nth)).await.unwrap().unwrap().spend;
    let rows = of_many_keys(3);
    assert_eq!(db.store.insert_usage(&rows).await.unwrap(), rows.len() as u64);
    assert_eq!(spend(7).await, Nano::ZERO, "it is noted, and cheap");
    // Each of these begins by adding it, and so does every start of a recorder.
    for _ in 0..2 {
        let (recorder, pens) =
            Recorder::start(db.store.clone(), db.folder.path(), 1).await.unwrap();
        for nth in 0..MANY {
            assert_eq!(spend(nth).await, due(nth, 3));
        }
        drop(pens);
        recorder.shutdown().await.unwrap();
    }
    // Rows that are there already are noted no second time.
    assert_eq!(db.store.insert_usage(&rows).await.unwrap(), 0);
    assert!(db.store.set_spend(&hash(0), Nano(5)).await.unwrap());
    assert_eq!((spend(0).await, spend(1).await), (Nano(5), due(1, 3)));
});

on_both!(what_is_noted_belongs_to_the_old_window, async |db: &Database| {
    db.store.insert_key(&key(0)).await.unwrap();
    db.store.insert_usage(&of_many_keys(1)).await.unwrap();
    assert!(db.store.reset_budget(&hash(0), 100, Some(200)).await.unwrap());
    db.store.insert_usage(&of_many_keys(2)[MANY as usize..]).await.unwrap();
    assert!(!db.store.reset_budget(&hash(0), 100, Some(200)).await.unwrap());
    let spent = db.store.key(&hash(0)).await.unwrap().unwrap().spend;
    assert_eq!(spent, Nano(1_000 + i64::from(MANY)));
});

on_both!(a_recorder_adds_what_many_keys_spend, async |db: &Database| {
    for nth in 0..MANY {
        db.store.insert_key(&key(nth)).await.unwrap();
    }
    let (recorder, mut pens) =
        Recorder::start(db.store.clone(), db.folder.path(), 1).await.unwrap();
    for row in of_many_keys(6) {
        pens[0].write(row).unwrap();
    }
    recorder.flush().await;
    for nth in 0..MANY {
        assert_eq!(db.store.key(&hash(nth)).await.unwrap().unwrap().spend, due(nth, 6));
    }
    drop(pens);
    recorder.shutdown().await.unwrap();
});
