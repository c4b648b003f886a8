//! Reading usage rows back.

use tollgate_ledger::Nano;

use crate::{
    KeyHash, Page, Store, StoreError, SummaryBy, UsageFilter, UsageOrder, UsageRow, UsageSum,
    db::Row,
    filter::Where,
    record::{COLUMNS, Record},
};

/// How far a request's id may be from its start: the two are read from one clock, moments apart.
const ID_SLACK_MS: i64 = 60_000;
/// Rows deleted by one statement, so that others can write in between.
const DELETE_ROWS: i64 = 5_000;

impl Store {
    /// A page of usage rows and how many match.
    pub async fn usage(
        &self,
        filter: &UsageFilter,
        page: Page,
    ) -> Result<(Vec<UsageRow>, u64), StoreError> {
        let mut conditions = conditions(filter);
        let (clause, bound) = conditions.parts();
        let sql = format!("SELECT COUNT(*) FROM usage{clause}");
        let total = self.db.report(sql, bound, |row| row.count(0)).await?;
        let way = if filter.ascending { "ASC" } else { "DESC" };
        let order = match filter.order {
            UsageOrder::Started => format!("id {way}"),
            UsageOrder::Cost => format!("COALESCE(cost, -1) {way}, id {way}"),
            UsageOrder::Tokens => format!("input + output {way}, id {way}"),
        };
        let (limit, offset) = (conditions.bind(page.limit()), conditions.bind(page.offset));
        let (clause, bound) = conditions.parts();
        let sql = format!(
            "SELECT {COLUMNS} FROM usage{clause} ORDER BY {order} LIMIT {limit} OFFSET {offset}"
        );
        let rows = self.db.report(sql, bound, |row| Record::read(row)?.into_usage()).await?;
        Ok((rows, total.into_iter().next().unwrap_or(0)))
    }

    /// Sums over usage rows, dearest first (days: newest first), at most [`Page::MAX_ROWS`].
    pub async fn usage_summary(
        &self,
        filter: &UsageFilter,
        by: SummaryBy,
    ) -> Result<Vec<UsageSum>, StoreError> {
        let (name, order) = match by {
            SummaryBy::Key => ("key_hash", "cost DESC, name"),
            SummaryBy::Model => ("model_group", "cost DESC, name"),
            SummaryBy::Day => (DAY, "name DESC"),
        };
        let conditions = conditions(filter);
        let (clause, bound) = conditions.parts();
        // SUM of BIGINT is NUMERIC in PostgreSQL, hence the casts.
        let sql = format!(
            "SELECT {name} AS name, MAX(key_alias), COUNT(*), CAST(SUM(failed) AS BIGINT),
                CAST(SUM(input) AS BIGINT), CAST(SUM(output) AS BIGINT),
                CAST(COALESCE(SUM(cost), 0) AS BIGINT) AS cost
            FROM usage{clause} GROUP BY 1 ORDER BY {order} LIMIT {}",
            Page::MAX_ROWS
        );
        let read = |row: &Row<'_>| {
            Ok(UsageSum {
                name: match by {
                    SummaryBy::Key => {
                        hash(row.opt_bytes(0)?)?.map(|hash| hash.to_string()).unwrap_or_default()
                    }
                    SummaryBy::Model => row.text(0)?.to_owned(),
                    SummaryBy::Day => row.int(0)?.to_string(),
                },
                alias: match by {
                    SummaryBy::Key => row.opt_text(1)?.map(str::to_owned),
                    SummaryBy::Model | SummaryBy::Day => None,
                },
                requests: row.count(2)?,
                failed: row.count(3)?,
                input: row.count(4)?,
                output: row.count(5)?,
                cost: Nano(row.int(6)?),
            })
        };
        self.db.report(sql, bound, read).await
    }

    /// Deletes usage rows of requests that started before `before_us`; returns how many.
    pub async fn delete_usage_before(&self, before_us: i64) -> Result<u64, StoreError> {
        let filter = UsageFilter { until_us: Some(before_us), ..UsageFilter::default() };
        let conditions = conditions(&filter);
        let (clause, bound) = conditions.parts();
        let sql = format!(
            "DELETE FROM usage WHERE id IN (SELECT id FROM usage{clause} ORDER BY id LIMIT {DELETE_ROWS})"
        );
        let mut deleted = 0;
        loop {
            let part = self.db.execute(sql.clone(), bound.clone()).await?;
            deleted += part;
            if part == 0 {
                return Ok(deleted);
            }
        }
    }
}

/// The UTC day of a row, as its first µs.
const DAY: &str = "started_us / 86400000000 * 86400000000";

fn conditions(filter: &UsageFilter) -> Where {
    let mut all = Where::default();
    all.and_equal("id", filter.id.as_ref().map(|id| id.as_bytes().as_slice()));
    all.and_equal("key_hash", filter.key.as_ref());
    all.and_equal("key_alias", filter.key_alias.as_deref());
    all.and_equal("user_id", filter.user_id.as_deref());
    all.and_equal("team_id", filter.team_id.as_deref());
    all.and_equal("end_user", filter.end_user.as_deref());
    all.and_equal("failed", filter.success.map(|success| i64::from(!success)));
    if let Some(model) = filter.model.as_deref() {
        all.and("? IN (model_group, model)", model);
    }
    // Times are found by the primary key, whose first 48 bits are milliseconds, and then told
    // apart exactly.
    if let Some(from_us) = filter.from_us {
        all.and("id >= ?", id_floor(from_us, -ID_SLACK_MS).as_slice());
        all.and("started_us >= ?", from_us);
    }
    if let Some(until_us) = filter.until_us {
        all.and("id < ?", id_floor(until_us, ID_SLACK_MS).as_slice());
        all.and("started_us < ?", until_us);
    }
    if let Some(least) = filter.min_cost {
        all.and("cost >= ?", least.0);
    }
    if let Some(most) = filter.max_cost {
        all.and("cost <= ?", most.0);
    }
    all
}

/// The smallest UUIDv7 of a time.
fn id_floor(time_us: i64, slack_ms: i64) -> [u8; 16] {
    let time_ms = time_us.div_euclid(1_000).saturating_add(slack_ms).clamp(0, (1 << 48) - 1);
    (u128::from(time_ms.unsigned_abs()) << 80).to_be_bytes()
}

fn hash(bytes: Option<&[u8]>) -> Result<Option<KeyHash>, StoreError> {
    bytes.map(KeyHash::from_slice).transpose().map_err(StoreError::corrupt)
}
