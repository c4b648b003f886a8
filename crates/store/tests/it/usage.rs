//! Usage rows.

use std::{borrow::Cow, sync::Arc};

use tollgate_ledger::Nano;
use tollgate_store::{Outcome, Page, SummaryBy, UsageFilter, UsageOrder, UsageRow, UsageSum};

use crate::database::{Database, EPOCH_US, hash, key, on_both, row};

on_both!(a_row_is_read_as_it_was_written, async |db: &Database| {
    let plain = row(1);
    let mut odd = row(2);
    odd.key = None;
    odd.key_alias = None;
    odd.end_user = Some("O'Neil \"x\"\n\u{1f600}\u{1}".into());
    odd.group = "group\\\u{7f}".into();
    odd.outcome = Outcome::Cut;
    odd.status = 499;
    odd.error = Some(Cow::Borrowed("upstream_disconnected"));
    odd.cost = None;
    odd.cache_write = 1;
    odd.cache_write_1h = 2;
    odd.input_audio = 3;
    odd.output_audio = 4;
    odd.rare.input_image = 5;
    odd.rare.searches = 6;
    odd.rare.tier = "flex".into();
    odd.estimated = true;
    odd.first_byte_us = None;
    odd.upstream_started_us = None;
    odd.finish_reason = None;
    odd.attempts = 3;
    odd.fallbacks = 2;
    odd.tags = Arc::from(["a\"b".into(), "\0".into()]);
    odd.ip = None;
    db.store.insert_usage(&[plain.clone(), odd.clone()]).await.unwrap();
    let (rows, total) = db.store.usage(&UsageFilter::default(), Page::first(10)).await.unwrap();
    assert_eq!((rows, total), (vec![odd, plain], 2));
});

on_both!(a_text_with_nul_is_stored, async |db: &Database| {
    let mut odd = row(1);
    odd.end_user = Some("a\0b".into());
    db.store.insert_usage(&[odd]).await.unwrap();
    let (rows, _) = db.store.usage(&UsageFilter::default(), Page::first(1)).await.unwrap();
    assert_eq!(rows[0].end_user.as_deref(), Some("a\u{fffd}b"));
});

on_both!(a_row_counts_once, async |db: &Database| {
    for nth in 0..2 {
        db.store.insert_key(&key(nth)).await.unwrap();
    }
    let rows: Vec<UsageRow> = (0..400).map(row).collect();
    assert_eq!(db.store.insert_usage(&rows).await.unwrap(), 400);
    assert_eq!(db.store.insert_usage(&rows).await.unwrap(), 0);
    // Some known, some new, one twice.
    let mut mixed: Vec<UsageRow> = (390..410).map(row).collect();
    mixed.push(row(409));
    assert_eq!(db.store.insert_usage(&mixed).await.unwrap(), 10);
    let (_, total) = db.store.usage(&UsageFilter::default(), Page::first(1)).await.unwrap();
    assert_eq!(total, 410);
    for nth in 0..2 {
        let due: i64 = (0..410).filter(|row| row % 3 == nth).map(|row| 1_000 + row).sum();
        let spend = db.store.key(&hash(u32::try_from(nth).unwrap())).await.unwrap().unwrap().spend;
        assert_eq!(spend, Nano(due));
    }
});

async fn found(db: &Database, filter: UsageFilter) -> Vec<u32> {
    let (rows, total) = db.store.usage(&filter, Page::first(1_000)).await.unwrap();
    assert_eq!(rows.len() as u64, total);
    let nth = |row: &UsageRow| u32::try_from((row.started_us - EPOCH_US) / 1_000_000).unwrap();
    rows.iter().map(nth).collect()
}

on_both!(rows_are_found_by_each_filter, async |db: &Database| {
    let mut rows: Vec<UsageRow> = (0..6).map(row).collect();
    rows[4].outcome = Outcome::Failed;
    rows[4].cost = None;
    rows[5].end_user = Some("end".into());
    rows[5].user_id = Some("user".into());
    rows[5].group = "other".into();
    db.store.insert_usage(&rows).await.unwrap();
    let all = UsageFilter::default;
    assert_eq!(found(db, all()).await, [5, 4, 3, 2, 1, 0]);
    assert_eq!(found(db, UsageFilter { ascending: true, ..all() }).await, [0, 1, 2, 3, 4, 5]);
    assert_eq!(found(db, UsageFilter { id: Some(rows[2].id), ..all() }).await, [2]);
    assert_eq!(found(db, UsageFilter { key: Some(hash(1)), ..all() }).await, [4, 1]);
    let alias = Some("key 2".to_owned());
    assert_eq!(found(db, UsageFilter { key_alias: alias, ..all() }).await, [5, 2]);
    let user_id = Some("user".to_owned());
    assert_eq!(found(db, UsageFilter { user_id, ..all() }).await, [5]);
    let team_id = Some("nobody".to_owned());
    assert_eq!(found(db, UsageFilter { team_id, ..all() }).await, [0_u32; 0]);
    let end_user = Some("end".to_owned());
    assert_eq!(found(db, UsageFilter { end_user, ..all() }).await, [5]);
    let model = Some("public".to_owned());
    assert_eq!(found(db, UsageFilter { model, ..all() }).await, [4, 3, 2, 1, 0]);
    let model = Some("model 1".to_owned());
    assert_eq!(found(db, UsageFilter { model, ..all() }).await, [5, 3, 1]);
    assert_eq!(found(db, UsageFilter { success: Some(false), ..all() }).await, [4]);
    let (from_us, until_us) = (Some(rows[1].started_us), Some(rows[3].started_us));
    assert_eq!(found(db, UsageFilter { from_us, until_us, ..all() }).await, [2, 1]);
    let (min_cost, max_cost) = (Some(Nano(1_001)), Some(Nano(1_003)));
    assert_eq!(found(db, UsageFilter { min_cost, max_cost, ..all() }).await, [3, 2, 1]);
});

on_both!(rows_are_sorted_and_paged, async |db: &Database| {
    let mut rows: Vec<UsageRow> = (0..4).map(row).collect();
    rows[0].cost = Some(Nano(9_999));
    rows[1].cost = None;
    rows[2].output = 5_000;
    db.store.insert_usage(&rows).await.unwrap();
    let by = |order| UsageFilter { order, ..UsageFilter::default() };
    assert_eq!(found(db, by(UsageOrder::Cost)).await, [0, 3, 2, 1]);
    assert_eq!(found(db, by(UsageOrder::Tokens)).await, [2, 3, 1, 0]);
    let page = Page { offset: 1, limit: 2 };
    let (rows, total) = db.store.usage(&by(UsageOrder::Cost), page).await.unwrap();
    assert_eq!((rows.len(), total), (2, 4));
    assert_eq!(rows[0].cost, Some(Nano(1_003)));
});

on_both!(sums_are_made_by_key_model_and_day, async |db: &Database| {
    let mut rows: Vec<UsageRow> = (0..4).map(row).collect();
    rows[3].outcome = Outcome::Aborted;
    rows[3].key = None;
    rows[3].cost = None;
    rows[3].group = "other".into();
    let day_us = 86_400_000_000;
    rows[3].started_us += day_us;
    db.store.insert_usage(&rows).await.unwrap();
    let sums = async |by| db.store.usage_summary(&UsageFilter::default(), by).await.unwrap();
    let first = UsageSum {
        name: hash(2).to_string(),
        alias: Some("key 2".to_owned()),
        requests: 1,
        failed: 0,
        input: 102,
        output: 50,
        cost: Nano(1_002),
    };
    let by_key = sums(SummaryBy::Key).await;
    assert_eq!((by_key.len(), &by_key[0]), (4, &first));
    assert_eq!((by_key[3].name.as_str(), by_key[3].failed), ("", 1));
    let by_model = sums(SummaryBy::Model).await;
    assert_eq!((by_model[0].name.as_str(), by_model[0].requests), ("public", 3));
    assert_eq!((by_model[0].cost, by_model[1].cost), (Nano(3_003), Nano::ZERO));
    let by_day = sums(SummaryBy::Day).await;
    let days: Vec<i64> = by_day.iter().map(|sum| sum.name.parse().unwrap()).collect();
    assert_eq!(days, [EPOCH_US / day_us * day_us + day_us, EPOCH_US / day_us * day_us]);
});

on_both!(old_rows_are_deleted, async |db: &Database| {
    let rows: Vec<UsageRow> = (0..6_000).map(row).collect();
    for part in rows.chunks(1_000) {
        db.store.insert_usage(part).await.unwrap();
    }
    let deleted = db.store.delete_usage_before(rows[5_500].started_us).await.unwrap();
    assert_eq!(deleted, 5_500);
    let (_, total) = db.store.usage(&UsageFilter::default(), Page::first(1)).await.unwrap();
    assert_eq!(total, 500);
});
