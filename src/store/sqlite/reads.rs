//! Reads, concurrent with the writer.

use std::time::Duration;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{SqliteStore, rows};
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, GrantId, SessionId, Subject};
use crate::store::sql::write_target;
use crate::store::{
    AccessFacts, Consent, FeedCursor, Grant, GrantFilter, Listing, Page, RevocationFeed,
    RevocationTarget, StoreError,
};

/// The distance by which a reader of the feed that has seen everything is set back.
const OVERLAP: Duration = Duration::from_secs(5);
/// The greatest number of entries on a page of the feed.
const MAX_PAGE: usize = 1_000;

/// Reads the clock of the file. It is later than every committed revocation.
pub(super) async fn present(store: &SqliteStore) -> Result<UnixTime, StoreError> {
    let row = sqlx::query(store.sql.load_clock.clone()).fetch_one(store.readers()?).await;
    store.saw_clock(&row.map_err(StoreError::new)?)
}

pub(super) async fn find_grant(
    store: &SqliteStore,
    grant_id: &GrantId,
) -> Result<Option<Grant>, StoreError> {
    let found = sqlx::query(store.sql.find_grant.clone()).bind(&grant_id.as_bytes()[..]);
    let found = found.fetch_optional(store.readers()?).await.map_err(StoreError::new)?;
    let read = found.as_ref().map(|row| rows::grant(&store.names, row)).transpose();
    read.map(Option::flatten)
}

pub(super) async fn list_grants(
    store: &SqliteStore,
    filter: &GrantFilter,
    page: Page<GrantId>,
) -> Result<Listing<Grant, GrantId>, StoreError> {
    let names = &store.names;
    let sql = match (&filter.subject, &filter.client_id) {
        (Some(_), _) => &store.sql.list_grants_of_subject,
        (None, Some(_)) => &store.sql.list_grants_of_app,
        (None, None) => &store.sql.list_grants,
    };
    let after: &[u8] = page.after.as_ref().map_or(&[], |after| after.as_bytes());
    let mut list = sqlx::query(sql.clone())
        .bind(after)
        .bind(filter.client_id.as_ref().map(|app| names.write(app.as_str())))
        .bind(filter.device.as_ref().map(DeviceId::as_str))
        .bind(filter.live_at.map(UnixTime::as_millis))
        // One more than the page holds, to detect the last page.
        .bind(i64::try_from(page.limit.saturating_add(1)).unwrap_or(i64::MAX))
        .bind(filter.session.as_ref().map(SessionId::as_str));
    if let Some(subject) = &filter.subject {
        let subject = names.write(subject.as_str());
        list = list.bind(rows::subject_key(&subject)).bind(subject);
    } else if filter.client_id.is_none() {
        list = list.bind(names.floor()).bind(names.ceiling());
    }
    let found = list.fetch_all(store.readers()?).await.map_err(StoreError::new)?;
    let grants = found.iter().filter_map(|row| rows::grant(names, row).transpose());
    let grants = grants.collect::<Result<_, _>>()?;
    Ok(Listing::first_of(grants, page.limit, |last: &Grant| last.grant_id))
}

pub(super) async fn is_revoked(
    store: &SqliteStore,
    facts: &AccessFacts<'_>,
) -> Result<bool, StoreError> {
    let names = &store.names;
    let lineage;
    let statement = if facts.via.is_empty() {
        rows::bind_covered(names, sqlx::query(store.sql.is_revoked.clone()), facts)
            .bind(write_target(names, &RevocationTarget::Grant(facts.grant_id)))
            .bind(&facts.grant_id.as_bytes()[..])
    } else {
        let one = |facts: AccessFacts<'_>| rows::facts_as_json(names, &facts);
        lineage = serde_json::to_string(&facts.lineage().map(one).collect::<Vec<_>>())
            .map_err(StoreError::new)?;
        sqlx::query(store.sql.is_one_revoked.clone()).bind(lineage.as_str())
    };
    let row = statement.fetch_one(store.readers()?).await;
    row.and_then(|row| row.try_get("is_revoked")).map_err(StoreError::new)
}

pub(super) async fn live_among(
    store: &SqliteStore,
    grants: &[Grant],
) -> Result<Vec<GrantId>, StoreError> {
    let ids: Vec<_> = grants.iter().map(|it| hex(it.grant_id)).collect();
    let ids = serde_json::to_string(&ids).map_err(StoreError::new)?;
    let found = sqlx::query(store.sql.live_among.clone())
        .bind(ids)
        .bind(store.names.floor())
        .bind(store.names.ceiling())
        .fetch_all(store.readers()?)
        .await
        .map_err(StoreError::new)?;
    let id = |row: &SqliteRow| -> Result<_, StoreError> {
        let id: &[u8] = row.try_get("grant_id").map_err(StoreError::new)?;
        Ok(GrantId::from_bytes(id.try_into().map_err(StoreError::new)?))
    };
    found.iter().map(id).collect()
}

pub(super) fn hex(grant_id: GrantId) -> String {
    format!("{:032x}", u128::from_be_bytes(*grant_id.as_bytes()))
}

pub(super) async fn revocations_since(
    store: &SqliteStore,
    cursor: FeedCursor,
    limit: usize,
    now: UnixTime,
) -> Result<RevocationFeed, StoreError> {
    let limit = limit.clamp(1, MAX_PAGE);
    let found = sqlx::query(store.sql.read_feed.clone())
        .bind(cursor.at.as_millis())
        .bind(i64::try_from(cursor.tie).unwrap_or(i64::MAX))
        .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX))
        .bind(store.names.tag())
        .fetch_all(store.readers()?)
        .await
        .map_err(StoreError::new)?;
    let entry = |row| rows::entry(&store.names, row);
    let mut page = found.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    let more = page.len() > limit;
    page.truncate(limit);
    let last = page.last().map_or(cursor, |(cursor, _)| *cursor);
    // The one writer commits entries in the order of their cursors, so the last one is a safe cursor. The
    // caller's instant is not, because its clock may be ahead.
    let back = FeedCursor { at: now.minus(OVERLAP), tie: 0 };
    let next = if more { last } else { last.min(back) };
    let entries = page.into_iter().map(|(_, revocation)| revocation).collect();
    Ok(RevocationFeed { entries, next, more })
}

pub(super) async fn find_consent(
    store: &SqliteStore,
    client_id: &ClientId,
    subject: &Subject,
) -> Result<Option<Consent>, StoreError> {
    let names = &store.names;
    let found = sqlx::query(store.sql.find_consent.clone()).bind(names.write(client_id.as_str()));
    let found = found.bind(names.write(subject.as_str())).fetch_optional(store.readers()?);
    let row = found.await.map_err(StoreError::new)?;
    row.map(|row| rows::consent(&row, client_id.clone(), subject.clone())).transpose()
}

pub(super) async fn list_consents(
    store: &SqliteStore,
    subject: &Subject,
    page: Page<ClientId>,
) -> Result<Listing<Consent, ClientId>, StoreError> {
    let names = &store.names;
    let found = sqlx::query(store.sql.list_consents.clone())
        .bind(names.write(subject.as_str()))
        .bind(names.write(page.after.as_ref().map_or("", ClientId::as_str)))
        // One more than the page holds, to detect the last page.
        .bind(i64::try_from(page.limit.saturating_add(1)).unwrap_or(i64::MAX))
        .fetch_all(store.readers()?)
        .await
        .map_err(StoreError::new)?;
    let consent = |row: &SqliteRow| {
        let client_id: &str = row.try_get("client_id").map_err(StoreError::new)?;
        let client_id = names.read(client_id).unwrap_or_default();
        rows::consent(row, client_id.parse().map_err(StoreError::new)?, subject.clone())
    };
    let consents = found.iter().map(consent).collect::<Result<_, _>>()?;
    Ok(Listing::first_of(consents, page.limit, |last: &Consent| last.client_id.clone()))
}
