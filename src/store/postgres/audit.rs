//! The rows of the audit log and of usage, and their statements.

use sqlx::postgres::PgRow;
use sqlx::{SqlStr, query};

use super::PostgresStore;
use super::pruning::Prune;
use super::rows::column;
use super::statements::Tables;
use crate::store::sql::{Names, counter_code, statement};
use crate::store::{
    AuditFilter, AuditRow, DAY_MILLIS, DayRow, HistoryRows, Pruned, StoreError, UsageRow, UsageStep,
};

/// The kind of a change that deletes the app's usage.
const FORGOTTEN: i16 = -1;

/// The statements of the log.
pub(super) struct Statements {
    append: SqlStr,
    find: String,
    find_usage: SqlStr,
    find_history: SqlStr,
    prune: Prune,
    prune_days: Prune,
    pub(super) erase: SqlStr,
}

impl Statements {
    pub(super) fn new(p: &Tables<'_>) -> Self {
        Self {
            append: statement(append(p)),
            find: format!(
                "SELECT event_id, at, client_id, subject, severity, event FROM {p}audit \
                 WHERE "
            ),
            find_usage: statement(format!(
                "SELECT client_id, kind, counted, last_at FROM {p}usage WHERE client_id = ANY($1)"
            )),
            find_history: statement(format!(
                "SELECT NULL::bigint AS day, kind, counted, last_at FROM {p}usage \
                     WHERE client_id = $1 \
                 UNION ALL SELECT day, kind, counted, 0 FROM {p}usage_days \
                     WHERE client_id = $1 AND day >= $2 AND day <= $3"
            )),
            prune: prune(&format!("{p}audit")),
            prune_days: prune_days(&format!("{p}usage_days")),
            erase: statement(format!(
                "DELETE FROM {p}audit WHERE event_id IN \
                 (SELECT event_id FROM {p}audit WHERE subject = $1 ORDER BY event_id LIMIT $2) \
                 RETURNING 1"
            )),
        }
    }
}

/// Returns the statement that appends events. `$1` to `$6` are the columns of the events, `$7` the app
/// whose usage an event changes, `$8` the kind that it counts, or [`FORGOTTEN`] for a deletion, which comes
/// alone, and `$9` how many it counts; `$10` the number of the issuer. An event that the log already has counts nothing. Counters are locked
/// in one order.
fn append(p: &Tables<'_>) -> String {
    format!(
        "WITH offered AS (SELECT * FROM UNNEST($1::bytea[], $2::bigint[], $3::text[], $4::text[], \
             $5::smallint[], $6::text[], $7::text[], $8::smallint[], $9::bigint[]) \
             AS o (event_id, at, client_id, subject, severity, event, app, kind, times)), \
         born AS (INSERT INTO {p}audit \
                 (event_id, at, client_id, subject, severity, event, issuer) \
             SELECT event_id, at, client_id, subject, severity, event, $10::int4 FROM offered \
             ORDER BY event_id ON CONFLICT (event_id) DO NOTHING RETURNING event_id), \
         change AS (SELECT o.app, o.kind, sum(o.times)::bigint AS counted, max(o.at) AS last_at \
             FROM offered o JOIN born b ON b.event_id = o.event_id \
             WHERE o.app IS NOT NULL GROUP BY o.app, o.kind ORDER BY o.app, o.kind), \
         counted AS (INSERT INTO {p}usage AS u (client_id, kind, counted, last_at) \
             SELECT app, kind, counted, last_at FROM change WHERE kind <> {FORGOTTEN} \
             ORDER BY app, kind \
             ON CONFLICT (client_id, kind) DO UPDATE SET counted = u.counted + EXCLUDED.counted, \
                 last_at = GREATEST(u.last_at, EXCLUDED.last_at)), \
         forgotten AS (DELETE FROM {p}usage WHERE client_id IN \
             (SELECT app FROM change WHERE kind = {FORGOTTEN})), \
         days AS (SELECT o.app, floor(o.at / {DAY_MILLIS}.0)::bigint AS day, o.kind, \
                 sum(o.times)::bigint AS counted \
             FROM offered o JOIN born b ON b.event_id = o.event_id \
             WHERE o.app IS NOT NULL AND o.kind <> {FORGOTTEN} GROUP BY 1, 2, 3), \
         counted_days AS (INSERT INTO {p}usage_days AS d (client_id, day, kind, counted) \
             SELECT app, day, kind, counted FROM days ORDER BY app, day, kind \
             ON CONFLICT (client_id, day, kind) DO UPDATE SET counted = d.counted + EXCLUDED.counted), \
         forgotten_days AS (DELETE FROM {p}usage_days WHERE client_id IN \
             (SELECT app FROM change WHERE kind = {FORGOTTEN})) \
         SELECT count(*) AS appended FROM born"
    )
}

/// `$1` is the id before which events are old, the last parameter the number of the issuer, and `$2` the
/// greatest number of rows.
fn prune(table: &str) -> Prune {
    Prune {
        remove: statement(format!(
            "WITH old AS (SELECT event_id FROM {table} WHERE event_id < $1 \
                 AND issuer IS NOT DISTINCT FROM $3::int4 ORDER BY event_id LIMIT $2 FOR UPDATE SKIP LOCKED) \
             DELETE FROM {table} WHERE event_id IN (SELECT event_id FROM old) RETURNING 1"
        )),
        is_left: statement(format!(
            "SELECT EXISTS (SELECT 1 FROM {table} WHERE event_id < $1 \
                 AND issuer IS NOT DISTINCT FROM $2::int4) AS is_left"
        )),
    }
}

/// `$1` is the first day that stays, `$2` the greatest number of rows, and the last two parameters are the range
/// of the issuer's client ids.
fn prune_days(table: &str) -> Prune {
    Prune {
        remove: statement(format!(
            "WITH old AS (SELECT client_id, day, kind FROM {table} WHERE day < $1 \
                 AND client_id > $3 AND ($4::text IS NULL OR client_id < $4) \
                 ORDER BY day LIMIT $2 FOR UPDATE SKIP LOCKED) \
             DELETE FROM {table} WHERE (client_id, day, kind) IN (SELECT * FROM old) RETURNING 1"
        )),
        is_left: statement(format!(
            "SELECT EXISTS (SELECT 1 FROM {table} WHERE day < $1 \
                 AND client_id > $2 AND ($3::text IS NULL OR client_id < $3)) AS is_left"
        )),
    }
}

impl PostgresStore {
    pub(crate) async fn append_audit(&self, rows: Vec<AuditRow>) -> Result<(), StoreError> {
        let rows = AuditRow::distinct(rows);
        // A statement that deletes counters cannot also count.
        let is_deletion = |row: &AuditRow| matches!(row.usage, Some(UsageStep::Forget { .. }));
        for rows in rows.chunk_by(|one, next| !is_deletion(one) && !is_deletion(next)) {
            self.append_at_once(rows).await?;
        }
        Ok(())
    }

    async fn append_at_once(&self, rows: &[AuditRow]) -> Result<(), StoreError> {
        let names = &self.names;
        let changes = rows.iter().map(|row| match &row.usage {
            Some(UsageStep::Count { client_id, issued, times }) => {
                (Some(names.write(client_id)), Some(counter_code(*issued)), *times)
            }
            Some(UsageStep::Forget { client_id }) => {
                (Some(names.write(client_id)), Some(FORGOTTEN), 0)
            }
            None => (None, None, 0),
        });
        let (apps, kinds, times): (Vec<_>, Vec<_>, Vec<_>) = changes.collect();
        let written =
            |name: &Option<String>| name.as_deref().map(|it| names.write(it).into_owned());
        let append = || {
            query(self.sql.audit.append.clone())
                .bind(rows.iter().map(|row| row.event_id.to_vec()).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.at).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| written(&row.client_id)).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| written(&row.subject)).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.severity).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.event.clone()).collect::<Vec<_>>())
                .bind(apps.as_slice())
                .bind(kinds.as_slice())
                .bind(times.as_slice())
                .bind(names.number())
        };
        self.row(append).await.map(|_| ())
    }

    pub(crate) async fn find_audit(
        &self,
        filter: &AuditFilter<'_>,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let names = filter.names(&self.names);
        let filter = names.of(filter);
        let rows = self.built(filter.select(&self.sql.audit.find, &self.names)).await?;
        rows.iter().map(|row| read(row, &self.names)).collect()
    }

    pub(crate) async fn find_usage(
        &self,
        client_ids: &[&str],
    ) -> Result<Vec<(String, UsageRow)>, StoreError> {
        let names: Vec<_> = client_ids.iter().map(|it| self.names.write(it)).collect();
        let make = || query(self.sql.audit.find_usage.clone()).bind(names.as_slice());
        let rows = self.run(make).await.map_err(StoreError::new)?;
        let read = |row: &PgRow| {
            let client_id: &str = column(row, "client_id")?;
            Ok((self.names.read(client_id).unwrap_or_default().to_owned(), usage(row)?))
        };
        rows.iter().map(read).collect()
    }

    pub(crate) async fn find_history(
        &self,
        client_id: &str,
        (first, last): (i64, i64),
    ) -> Result<HistoryRows, StoreError> {
        let client_id = self.names.write(client_id);
        let make = || {
            let find = query(self.sql.audit.find_history.clone()).bind(&*client_id);
            find.bind(first).bind(last)
        };
        let (mut total, mut days) = (Vec::new(), Vec::new());
        for row in &self.run(make).await.map_err(StoreError::new)? {
            match column(row, "day")? {
                Some(day) => {
                    let kind = column::<i16>(row, "kind")?.into();
                    days.push(DayRow::read(day, kind, column(row, "counted")?)?);
                }
                None => total.push(usage(row)?),
            }
        }
        Ok((total, days))
    }

    pub(crate) async fn prune_audit(
        &self,
        before: [u8; 16],
        before_day: i64,
        limit: usize,
    ) -> Result<Pruned, StoreError> {
        let room = |limit| i64::try_from(limit).unwrap_or(i64::MAX);
        let (sql, issuer) = (&self.sql.audit.prune, self.names.number());
        let remove = || query(sql.remove.clone()).bind(&before[..]).bind(room(limit)).bind(issuer);
        let mut removed = self.run(remove).await.map_err(StoreError::new)?.len();
        if removed == limit {
            let is_left = || query(sql.is_left.clone()).bind(&before[..]).bind(issuer);
            if column(&self.one_row(is_left).await?, "is_left")? {
                return Ok(Pruned { removed, more: true });
            }
        }
        let (sql, left) = (&self.sql.audit.prune_days, limit - removed);
        let (floor, ceiling) = (self.names.floor(), self.names.ceiling());
        let remove = || {
            let remove = query(sql.remove.clone()).bind(before_day).bind(room(left));
            remove.bind(floor).bind(ceiling)
        };
        let days = self.run(remove).await.map_err(StoreError::new)?.len();
        removed += days;
        if days < left {
            return Ok(Pruned { removed, more: false });
        }
        let is_left = || query(sql.is_left.clone()).bind(before_day).bind(floor).bind(ceiling);
        Ok(Pruned { removed, more: column(&self.one_row(is_left).await?, "is_left")? })
    }
}

fn usage(row: &PgRow) -> Result<UsageRow, StoreError> {
    let kind = column::<i16>(row, "kind")?.into();
    UsageRow::read(kind, column(row, "counted")?, column(row, "last_at")?)
}

fn read(row: &PgRow, names: &Names) -> Result<AuditRow, StoreError> {
    let name = |text: Option<&str>| text.and_then(|it| names.read(it)).map(ToOwned::to_owned);
    let event_id: Vec<u8> = column(row, "event_id")?;
    Ok(AuditRow {
        event_id: event_id.try_into().map_err(|_| StoreError::new("an event id is malformed"))?,
        at: column(row, "at")?,
        client_id: name(column(row, "client_id")?),
        subject: name(column(row, "subject")?),
        severity: column(row, "severity")?,
        event: column(row, "event")?,
        usage: None,
    })
}
