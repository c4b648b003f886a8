//! What keys spend: added to them at once, or, where it is much and often, noted in a log that is
//! added to them every few seconds.

use tollgate_ledger::Nano;
use uuid::Uuid;

use crate::{
    KeyHash, Store, StoreError,
    bulk::{STATEMENT_ROWS, Statements},
    db::{Row, Tx, Value},
    record::Record,
};

/// Bytes of one key's spending in the log.
const ENTRY_BYTES: usize = 40;
/// Spending of fewer keys than this is added at once: that is cheap, and the database is then
/// up to date without delay.
pub(crate) const LOG_FROM_KEYS: usize = 64;

/// What each key has spent in these rows, in the order of the hashes, so that two nodes lock
/// keys in the same order.
pub(crate) fn by_key(rows: &[Record]) -> Vec<(KeyHash, Nano)> {
    let spent = rows.iter().filter_map(|row| Some((row.key?, row.cost?)));
    summed(spent.filter(|(_, cost)| *cost != Nano::ZERO).collect())
}

/// One sum for each key, in the order of the hashes.
fn summed(mut spent: Vec<(KeyHash, Nano)>) -> Vec<(KeyHash, Nano)> {
    // Hashes differ within their first bytes, which are compared as one number.
    spent.sort_unstable_by(|(a, _), (b, _)| a.first().cmp(&b.first()).then_with(|| a.cmp(b)));
    spent.dedup_by(|(key, cost), (kept, sum)| {
        let same = key == kept;
        if same {
            *sum = sum.saturating_add(*cost);
        }
        same
    });
    spent
}

/// Notes what keys have spent: in the log, unless they are few.
pub(crate) async fn note(tx: &mut Tx, spent: &[(KeyHash, Nano)]) -> Result<(), StoreError> {
    if spent.len() < LOG_FROM_KEYS {
        return add_to_keys(tx, spent).await;
    }
    let mut entries = Vec::with_capacity(spent.len() * ENTRY_BYTES);
    for (hash, amount) in spent {
        entries.extend_from_slice(&hash.0);
        entries.extend_from_slice(&amount.0.to_be_bytes());
    }
    let id = Uuid::now_v7();
    let values = vec![id.as_bytes().as_slice().into(), Value::Bytes(Some(entries))];
    tx.execute("INSERT INTO spend_log (id, spent) VALUES ($1, $2)", values).await?;
    Ok(())
}

/// Adds to the keys what is in the log. Whoever calls it, and however often: what it takes from
/// the log it adds in the same transaction.
pub(crate) async fn fold(tx: &mut Tx) -> Result<(), StoreError> {
    let logged = tx.rows("DELETE FROM spend_log RETURNING spent", vec![], read).await?;
    add_to_keys(tx, &summed(logged.into_iter().flatten().collect())).await
}

fn read(row: &Row<'_>) -> Result<Vec<(KeyHash, Nano)>, StoreError> {
    let (entries, rest) = row.bytes(0)?.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() {
        return Err(StoreError::corrupt("a row of spend_log is cut"));
    }
    let entry = |entry: &[u8; ENTRY_BYTES]| {
        let (hash, amount) = entry.split_at(ENTRY_BYTES - size_of::<i64>());
        let hash = KeyHash::from_slice(hash).map_err(StoreError::corrupt)?;
        let amount = amount.try_into().map_err(StoreError::corrupt)?;
        Ok((hash, Nano(i64::from_be_bytes(amount))))
    };
    entries.iter().map(entry).collect()
}

impl Store {
    /// Adds to the keys what they have spent and is only noted so far.
    pub(crate) async fn fold_spend(&self) -> Result<(), StoreError> {
        let waiting = self.db.rows("SELECT 1 FROM spend_log LIMIT 1", vec![], |_| Ok(())).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        fold(&mut tx).await?;
        tx.commit().await
    }
}

/// Adds what was spent to the keys.
pub(crate) async fn add_to_keys(tx: &mut Tx, spent: &[(KeyHash, Nano)]) -> Result<(), StoreError> {
    let mut rest = spent;
    for size in STATEMENT_ROWS {
        while let Some((part, after)) = rest.split_at_checked(size) {
            rest = after;
            let sql = Statements::of(tx).add_spend(part.len());
            let values = part.iter().flat_map(|(hash, amount)| [hash.into(), amount.0.into()]);
            if tx.execute(sql, values.collect()).await? < part.len() as u64 {
                add_to_successors(tx, part).await?;
            }
        }
    }
    Ok(())
}

/// Adds what was spent under hashes that no key has any more to the keys that took their place.
/// Spending of deleted keys is kept in the usage rows alone.
async fn add_to_successors(tx: &mut Tx, spent: &[(KeyHash, Nano)]) -> Result<(), StoreError> {
    const SUCCESSOR: &str = "WITH RECURSIVE line (hash, steps) AS (
            SELECT new_hash, 1 FROM key_successors
            WHERE old_hash = $1 AND NOT EXISTS (SELECT 1 FROM keys WHERE hash = $1)
            UNION ALL
            SELECT new_hash, steps + 1 FROM key_successors JOIN line ON old_hash = line.hash
            WHERE steps < 1000
        )
        UPDATE keys SET spend = spend + $2 WHERE hash IN (SELECT hash FROM line)";
    for (hash, amount) in spent {
        tx.execute(SUCCESSOR, vec![hash.into(), amount.0.into()]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_key_has_one_sum_and_they_are_in_order(
            // Few bytes differ, the first eight and the last among them, so that keys come twice.
            spent in prop::collection::vec((0..3_u8, 0..3_u8, -9_i64..99), 0..60),
        ) {
            let spent: Vec<(KeyHash, Nano)> = spent
                .into_iter()
                .map(|(first, last, cost)| {
                    let mut hash = [7; 32];
                    (hash[7], hash[31]) = (first, last);
                    (KeyHash(hash), Nano(cost))
                })
                .collect();
            let mut expected = BTreeMap::new();
            for (key, cost) in &spent {
                let sum: &mut Nano = expected.entry(*key).or_default();
                *sum = sum.saturating_add(*cost);
            }
            prop_assert_eq!(summed(spent), expected.into_iter().collect::<Vec<_>>());
        }
    }
}
