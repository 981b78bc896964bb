//! Listings of grants.

use sqlx::postgres::PgRow;
use sqlx::query;

use super::PostgresStore;
use super::rows::{column, read_grant};
use crate::ids::GrantId;
use crate::store::{Grant, GrantFilter, Listing, Page, StoreError};

impl PostgresStore {
    pub(super) async fn page_of_grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        let mut text = sqlx::QueryBuilder::<sqlx::Postgres>::new(self.sql.list_grants.as_str());
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        let names = &self.names;
        text.push_bind(names.floor());
        if let Some(ceiling) = names.ceiling() {
            text.push(" AND client_id < ").push_bind(ceiling);
        }
        if let Some(after) = &page.after {
            text.push(" AND grant_id > ").push_bind(&after.as_bytes()[..]);
        }
        if let Some(client_id) = &filter.client_id {
            text.push(" AND client_id = ").push_bind(names.write(client_id.as_str()));
        }
        if let Some(subject) = &filter.subject {
            text.push(" AND subject = ").push_bind(names.write(subject.as_str()));
        }
        if let Some(device) = &filter.device {
            text.push(" AND device = ").push_bind(device.as_str());
        }
        if let Some(session) = &filter.session {
            text.push(" AND session = ").push_bind(session.as_str());
        }
        if let Some(live_at) = filter.live_at {
            text.push(" AND revoked_at IS NULL AND expires_at > ").push_bind(live_at.as_millis());
        }
        text.push(" ORDER BY grant_id LIMIT ").push_bind(limit.saturating_add(1));
        let rows = self.built(text).await?;
        let grants = rows.iter().filter_map(|row| read_grant(names, row).transpose());
        let grants = grants.collect::<Result<_, _>>()?;
        Ok(Listing::first_of(grants, page.limit, |last: &Grant| last.grant_id))
    }

    pub(super) async fn live_of(&self, grants: &[Grant]) -> Result<Vec<GrantId>, StoreError> {
        let ids: Vec<_> = grants.iter().map(|it| it.grant_id.as_bytes().to_vec()).collect();
        let make = || {
            let live = query(self.sql.live_among.clone()).bind(ids.as_slice());
            live.bind(self.names.floor()).bind(self.names.ceiling())
        };
        let rows = self.run(make).await.map_err(StoreError::new)?;
        let id = |row: &PgRow| -> Result<_, StoreError> {
            let id: &[u8] = column(row, "grant_id")?;
            Ok(GrantId::from_bytes(id.try_into().map_err(StoreError::new)?))
        };
        rows.iter().map(id).collect()
    }

    /// Runs a statement whose text depends on the filter.
    pub(super) async fn built(
        &self,
        mut text: sqlx::QueryBuilder<sqlx::Postgres>,
    ) -> Result<Vec<PgRow>, StoreError> {
        // It is not kept prepared, because there are as many texts as filters.
        let deadline = self.deadline();
        let mut lent = self.take(deadline).await.map_err(StoreError::new)?;
        let rows = self.run_as_it_is(&mut lent, text.build().persistent(false), deadline).await;
        rows.map_err(StoreError::new)
    }
}
