//! [`DeviceStore`] on PostgreSQL, and its statements.

use sqlx::postgres::PgRow;
use sqlx::{Postgres, SqlStr, query};

use super::PostgresStore;
use super::grants::after;
use super::pruning::{Prune, prune};
use super::rows::{column, instant};
use super::run::Statement;
use super::statements::{INSERT_SINCE, REPLACE_REVOCATION, Tables, tick};
use crate::clock::UnixTime;
use crate::ids::GrantId;
use crate::store::sql::{
    self, DEVICE_COLUMNS, DONE, DeviceRow, FIRST_OF_GRANT, MAX_OTHERS, NONE, NOTIFIED, Names,
    REQUESTED, WipeColumns, reason_code, statement, write_target,
};
use crate::store::{
    AdvanceWipe, Device, DeviceFilter, DeviceKey, DeviceSighting, DeviceStore, Listing, Page,
    Pruned, RequestWipe, Revoked, SeeDevice, StoreError, WipeAdvance, WipeRequest, WipeStep,
};

/// The outcomes of an order, in the row of the device.
const ORDERED: i16 = 1;
const PENDING: i16 = 2;
const WIPED: i16 = 3;

/// The number of attempts to explain a refusal while the row keeps changing.
const MAX_LOOKS: usize = 20;

/// The statements of devices. Each begins with the parameters of the key.
pub(super) struct Statements {
    see: SqlStr,
    find: SqlStr,
    find_of_grant: SqlStr,
    list: String,
    request_wipe: SqlStr,
    advance_wipe: SqlStr,
    note_policy: SqlStr,
    prune: Prune,
    pub(super) erase: SqlStr,
}

impl Statements {
    pub(super) fn new(p: &Tables<'_>) -> Self {
        Self {
            see: statement(see(p)),
            find: statement(format!("SELECT {DEVICE_COLUMNS} FROM {p}devices WHERE {IS_NAMED}")),
            find_of_grant: statement(format!(
                "SELECT {DEVICE_COLUMNS} FROM {p}devices WHERE grant_id = $1 \
                 AND client_id > $2 AND ($3::text IS NULL OR client_id < $3) {FIRST_OF_GRANT}"
            )),
            list: format!("SELECT {DEVICE_COLUMNS} FROM {p}devices WHERE "),
            request_wipe: statement(request_wipe(p)),
            advance_wipe: statement(advance_wipe(p)),
            note_policy: statement(format!("UPDATE {p}devices SET policy = $4 WHERE {IS_NAMED}")),
            prune: prune(&format!("{p}devices"), "client_id, subject, device", "keep_until"),
            erase: statement(format!(
                "DELETE FROM {p}devices WHERE subject = $1 \
                 AND wipe NOT IN ({REQUESTED}, {NOTIFIED}) RETURNING 1"
            )),
        }
    }
}

/// The row with the key `$1` app, `$2` user, `$3` device.
const IS_NAMED: &str = "client_id = $1 AND subject = $2 AND device = $3";

/// `$4` name, `$5` now, `$6` grant, `$7` salt, `$8` until when the row is kept, `$9` date of the grant, `$10` the
/// greatest number of other devices. A row that exists is locked before its wipe is looked at, so no order is
/// missed. No row is returned if one is pending.
///
/// The devices that are crowded out are those of the beginning of the statement. A locked one stays until the
/// next sighting: its wipe may be ordered just now.
fn see(p: &Tables<'_>) -> String {
    let of_user = "client_id = $1 AND subject = $2";
    let is_idle = format!("wipe NOT IN ({REQUESTED}, {NOTIFIED})");
    format!(
        "WITH seen AS (INSERT INTO {p}devices AS d (client_id, subject, device, name, first_seen, \
             last_seen, installed_at, wipe, grant_id, salt_digest, keep_until) \
         VALUES ($1, $2, $3, $4, $5, $5, $9, {NONE}, $6, $7, $8) \
         ON CONFLICT (client_id, subject, device) DO UPDATE SET \
             name = COALESCE(EXCLUDED.name, d.name), \
             last_seen = GREATEST(d.last_seen, EXCLUDED.last_seen), \
             installed_at = CASE WHEN d.wipe = {NONE} \
                 THEN LEAST(d.installed_at, EXCLUDED.installed_at) \
                 ELSE EXCLUDED.installed_at END, \
             policy = CASE WHEN d.wipe = {NONE} THEN d.policy END, \
             wipe = {NONE}, ordered_at = NULL, ordered_by = NULL, wiped_at = NULL, \
             grant_id = EXCLUDED.grant_id, salt_digest = EXCLUDED.salt_digest, \
             keep_until = GREATEST(d.keep_until, EXCLUDED.keep_until) \
         WHERE d.{is_idle} RETURNING 1 AS is_seen), \
         crowd AS (SELECT device FROM {p}devices \
             WHERE {of_user} AND {is_idle} AND EXISTS (SELECT 1 FROM seen) AND device IN \
                 (SELECT device FROM {p}devices WHERE {of_user} AND device <> $3 AND {is_idle} \
                     ORDER BY last_seen DESC, device DESC OFFSET $10) \
             FOR UPDATE SKIP LOCKED), \
         gone AS (DELETE FROM {p}devices \
             WHERE {of_user} AND device IN (SELECT device FROM crowd) RETURNING 1) \
         SELECT is_seen FROM seen"
    )
}

/// `$4` the device as a target, `$5` why, `$6` the latest expiry of a token, `$7` now, `$8` who orders it, `$9`
/// until when the row is kept. The row of the device is locked before those of its grants.
fn request_wipe(p: &Tables<'_>) -> String {
    let is_pending = format!("$8::text IS NOT NULL AND d.wipe IN ({REQUESTED}, {NOTIFIED})");
    let stays = format!("(d.wipe = {DONE} OR ({is_pending}))");
    let insert = INSERT_SINCE.replace("{p}", &p.to_string());
    let tick = tick(p, "(SELECT count(*) FROM ended) >= 0 AND EXISTS (SELECT 1 FROM marked)");
    format!(
        "WITH marked AS (UPDATE {p}devices AS d SET \
             outcome = CASE WHEN d.wipe = {DONE} THEN {WIPED} WHEN {is_pending} THEN {PENDING} \
                 ELSE {ORDERED} END, \
             wipe = CASE WHEN {stays} THEN d.wipe WHEN $8 IS NULL THEN {DONE} \
                 ELSE {REQUESTED} END, \
             ordered_at = CASE WHEN $8 IS NULL OR {stays} THEN d.ordered_at ELSE $7 END, \
             ordered_by = CASE WHEN $8 IS NULL OR {stays} THEN d.ordered_by ELSE $8 END, \
             wiped_at = CASE WHEN {stays} THEN d.wiped_at WHEN $8 IS NULL THEN $7 END, \
             keep_until = CASE WHEN d.wipe = {DONE} THEN d.keep_until \
                 ELSE GREATEST(d.keep_until, $9) END \
             WHERE {IS_NAMED} RETURNING d.outcome), \
         ended AS (UPDATE {p}grants SET revoked_at = $7, revoked_why = $5 \
             WHERE grant_id IN (SELECT grant_id FROM {p}grants \
                 WHERE {IS_NAMED} AND revoked_at IS NULL AND EXISTS (SELECT 1 FROM marked) \
                 ORDER BY grant_id FOR UPDATE) \
             RETURNING 1), \
         tick AS ({tick}), \
         told AS ({insert} SELECT $4, tick.at, $5, $6 FROM tick {REPLACE_REVOCATION}) \
         SELECT marked.outcome, told.at FROM marked CROSS JOIN told"
    )
}

/// `$4` the next state, `$5` until when the row is kept, `$6` now, `$7` the instant of the order, `$8` whether the
/// device may have been told. `before` is the state that the statement saw when it began, if the order was the
/// same.
fn advance_wipe(p: &Tables<'_>) -> String {
    format!(
        "WITH turned AS (UPDATE {p}devices SET wipe = $4, \
             wiped_at = CASE WHEN $4 <> {NONE} THEN $6 END, \
             ordered_at = CASE WHEN $4 <> {NONE} THEN ordered_at END, \
             ordered_by = CASE WHEN $4 <> {NONE} THEN ordered_by END, \
             keep_until = GREATEST(keep_until, $5) \
             WHERE {IS_NAMED} AND ordered_at = $7 \
                 AND (wipe = {REQUESTED} OR (wipe = {NOTIFIED} AND $8)) \
             RETURNING 1) \
         SELECT EXISTS (SELECT 1 FROM turned) AS advanced, \
             (SELECT wipe FROM {p}devices WHERE {IS_NAMED} AND ordered_at = $7) AS before"
    )
}

/// Reads the device in a row, unless it is of another issuer.
fn device(names: &Names, row: &PgRow) -> Result<Option<Device>, StoreError> {
    DeviceRow {
        client_id: column(row, "client_id")?,
        subject: column(row, "subject")?,
        device: column(row, "device")?,
        name: column(row, "name")?,
        first_seen: column(row, "first_seen")?,
        last_seen: column(row, "last_seen")?,
        installed_at: column(row, "installed_at")?,
        wipe: WipeColumns {
            state: column(row, "wipe")?,
            ordered_at: column(row, "ordered_at")?,
            ordered_by: column(row, "ordered_by")?,
            wiped_at: column(row, "wiped_at")?,
        },
        policy: column(row, "policy")?,
        grant_id: column(row, "grant_id")?,
        salt_digest: column(row, "salt_digest")?,
        keep_until: column(row, "keep_until")?,
    }
    .into_device(names)
}

impl PostgresStore {
    /// Binds the key of a device as the first parameters of a statement.
    fn of_key<'q>(&'q self, sql: &SqlStr, key: &'q DeviceKey) -> Statement<'q> {
        query(sql.clone())
            .bind(self.names.write(key.client_id.as_str()))
            .bind(self.names.write(key.subject.as_str()))
            .bind(key.device_id.as_str())
    }
}

impl DeviceStore for PostgresStore {
    async fn see_device(&self, sighting: &DeviceSighting) -> Result<SeeDevice, StoreError> {
        let make = || {
            self.of_key(&self.sql.devices.see, &sighting.key)
                .bind(sighting.name.as_deref())
                .bind(sighting.now.as_millis())
                .bind(&sighting.grant_id.as_bytes()[..])
                .bind(&sighting.salt_digest.as_bytes()[..])
                .bind(sighting.keep_until.as_millis())
                .bind(sighting.authorized_at.as_millis())
                .bind(MAX_OTHERS)
        };
        let seen = self.row(make).await?;
        Ok(if seen.is_some() { SeeDevice::Seen } else { SeeDevice::ToBeWiped })
    }

    async fn find_device(&self, key: &DeviceKey) -> Result<Option<Device>, StoreError> {
        let row = self.row(|| self.of_key(&self.sql.devices.find, key)).await?;
        row.map(|row| device(&self.names, &row)).transpose().map(Option::flatten)
    }

    async fn find_device_of(&self, grant_id: &GrantId) -> Result<Option<Device>, StoreError> {
        let names = &self.names;
        let make = || {
            let find = query(self.sql.devices.find_of_grant.clone());
            let find = find.bind(&grant_id.as_bytes()[..]);
            find.bind(names.floor()).bind(names.ceiling())
        };
        let row = self.row(make).await?;
        row.map(|row| device(names, &row)).transpose().map(Option::flatten)
    }

    async fn list_devices(
        &self,
        filter: &DeviceFilter,
        page: Page<DeviceKey>,
    ) -> Result<Listing<Device, DeviceKey>, StoreError> {
        let (select, names) = (self.sql.devices.list.as_str(), &self.names);
        let text = sql::list_devices::<Postgres>(select, names, filter, &page);
        let rows = self.built(text).await?;
        let devices = rows.iter().filter_map(|row| device(names, row).transpose());
        let devices = devices.collect::<Result<_, _>>()?;
        Ok(Listing::first_of(devices, page.limit, |last: &Device| last.key.clone()))
    }

    async fn request_wipe(&self, request: &WipeRequest) -> Result<RequestWipe, StoreError> {
        let target = write_target(&self.names, &request.revocation().target);
        let make = || {
            self.of_key(&self.sql.devices.request_wipe, &request.key)
                .bind(target.as_str())
                .bind(reason_code(request.why))
                .bind(request.until.as_millis())
                .bind(request.now.as_millis())
                .bind(request.by.as_deref())
                .bind(request.keep_until.as_millis())
        };
        let Some(row) = self.row(make).await? else { return Ok(RequestWipe::Unknown) };
        let at = instant(&row, "at")?;
        self.seen.saw(after(at));
        let revoked = Revoked { at };
        Ok(match column::<i16>(&row, "outcome")? {
            WIPED => RequestWipe::Wiped(revoked),
            PENDING => RequestWipe::Pending(revoked),
            _ => RequestWipe::Requested(revoked),
        })
    }

    async fn advance_wipe(&self, advance: &WipeAdvance) -> Result<AdvanceWipe, StoreError> {
        let (next, also_notified) = match advance.step {
            WipeStep::Notify => (NOTIFIED, false),
            WipeStep::Finish => (DONE, true),
            WipeStep::Withdraw => (NONE, false),
            WipeStep::Abandon => (NONE, true),
        };
        let make = || {
            self.of_key(&self.sql.devices.advance_wipe, &advance.key)
                .bind(next)
                .bind(advance.keep_until.as_millis())
                .bind(advance.now.as_millis())
                .bind(advance.ordered_at.as_millis())
                .bind(also_notified)
        };
        // The row may change between the beginning of the statement and its lock.
        for _ in 0..MAX_LOOKS {
            let row = self.one_row(make).await?;
            if column(&row, "advanced")? {
                return Ok(AdvanceWipe::Advanced);
            }
            if let Some(answer) = sql::not_advanced(advance.step, column(&row, "before")?) {
                return Ok(answer);
            }
        }
        Err(StoreError::new("the device changes faster than it can be read"))
    }

    async fn note_policy(&self, key: &DeviceKey, version: &str) -> Result<(), StoreError> {
        let note = || self.of_key(&self.sql.devices.note_policy, key).bind(version);
        self.row(note).await.map(|_| ())
    }

    async fn prune_devices(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        let sql = &self.sql.devices.prune;
        let room = i64::try_from(limit).unwrap_or(i64::MAX);
        let remove = || query(sql.remove.clone()).bind(now.as_millis()).bind(room);
        let gone: i64 = column(&self.one_row(remove).await?, "gone")?;
        let removed = usize::try_from(gone).unwrap_or(usize::MAX);
        let is_left = || query(sql.is_left.clone()).bind(now.as_millis());
        let more = removed >= limit && column(&self.one_row(is_left).await?, "is_left")?;
        Ok(Pruned { removed, more })
    }
}
