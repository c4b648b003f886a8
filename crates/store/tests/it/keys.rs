//! Keys.

use tollgate_ledger::Nano;
use tollgate_store::{KeyFilter, Page, StoreError};

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
