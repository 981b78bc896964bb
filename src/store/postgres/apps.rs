//! [`AppRegistry`] on PostgreSQL.

use std::sync::Arc;

use sqlx::query;

use super::PostgresStore;
use super::rows::{column, instant};
use crate::app::CustomApp;
use crate::ids::ClientId;
use crate::store::sql::{Search, Searched, read_app, write_app};
use crate::store::{
    AppQuery, AppRegistry, AppsVersion, DeleteApp, InsertApp, Listing, Page, StoreError, UpdateApp,
};

/// The number of apps that one statement of [`PostgresStore::fill_searched`] writes.
const FILLED: usize = 500;

impl PostgresStore {
    /// Writes the columns for searches of the apps that a program without them has written.
    pub(super) async fn fill_searched(&self) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let unsearched = || {
                let unsearched = query(self.sql.unsearched_apps.clone());
                unsearched.bind(&after).bind(i64::try_from(FILLED).unwrap_or(i64::MAX))
            };
            let rows = self.run(unsearched).await.map_err(StoreError::new)?;
            let (mut ids, mut versions) = (Vec::new(), Vec::new());
            let (mut texts, mut marks) = (Vec::new(), Vec::new());
            for row in &rows {
                let Some(searched) = Searched::of_document(column(row, "document")?) else {
                    continue;
                };
                ids.push(column::<&str>(row, "client_id")?);
                versions.push(column::<i64>(row, "version")?);
                texts.push(searched.folded);
                marks.push(searched.marks);
            }
            let fill = || {
                let fill = query(self.sql.fill_searched.clone());
                fill.bind(ids.as_slice()).bind(versions.as_slice()).bind(&texts).bind(&marks)
            };
            if !ids.is_empty() {
                self.run(fill).await.map_err(StoreError::new)?;
            }
            match rows.last() {
                Some(last) if rows.len() == FILLED => after = column(last, "client_id")?,
                _ => return Ok(()),
            }
        }
    }
}

impl AppRegistry for PostgresStore {
    async fn find_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        let find = || query(self.sql.find_app.clone()).bind(self.names.write(client_id.as_str()));
        let row = self.one_row(find).await?;
        self.seen.learn(instant(&row, "seen")?);
        column::<Option<&str>>(&row, "document")?.map(read_app).transpose()
    }

    async fn insert_app(&self, app: CustomApp) -> Result<InsertApp, StoreError> {
        let (document, searched) = (write_app(&app)?, Searched::of(&app));
        let is_counted = !app.origin().is_self_described();
        let sql = if is_counted { &self.sql.insert_app } else { &self.sql.insert_described };
        let inserted = self
            .row(|| {
                query(sql.clone())
                    .bind(self.names.write(app.client_id().as_str()))
                    .bind(app.is_enabled())
                    .bind(app.version().cast_signed())
                    .bind(&document)
                    .bind(searched.folded.as_deref())
                    .bind(searched.marks)
            })
            .await?;
        Ok(if inserted.is_some() { InsertApp::Inserted } else { InsertApp::AlreadyExists })
    }

    async fn update_app(
        &self,
        app: CustomApp,
        expected_version: u64,
    ) -> Result<UpdateApp, StoreError> {
        let (document, searched) = (write_app(&app)?, Searched::of(&app));
        let updated = self
            .row(|| {
                query(self.sql.update_app.clone())
                    .bind(self.names.write(app.client_id().as_str()))
                    .bind(app.is_enabled())
                    .bind(app.version().cast_signed())
                    .bind(&document)
                    .bind(searched.folded.as_deref())
                    .bind(searched.marks)
                    .bind(expected_version.cast_signed())
            })
            .await?;
        if updated.is_some() {
            return Ok(UpdateApp::Updated);
        }
        // This read only tells the two refusals apart. It decides nothing.
        let found = self.find_app(app.client_id()).await?;
        Ok(if found.is_some() { UpdateApp::Conflict } else { UpdateApp::NotFound })
    }

    async fn delete_app(
        &self,
        client_id: &ClientId,
        expected_version: u64,
    ) -> Result<DeleteApp, StoreError> {
        // The foreign key deletes its consents too, even those that are being written.
        let delete = || {
            let delete = query(self.sql.delete_app.clone());
            delete.bind(self.names.write(client_id.as_str())).bind(expected_version.cast_signed())
        };
        if self.row(delete).await?.is_some() {
            return Ok(DeleteApp::Deleted);
        }
        // This read only tells the two refusals apart. It decides nothing.
        let found = self.find_app(client_id).await?;
        Ok(if found.is_some() { DeleteApp::Conflict } else { DeleteApp::NotFound })
    }

    async fn list_apps(
        &self,
        asked: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        let mut found: Vec<Arc<CustomApp>> = Vec::new();
        let mut after = page.after;
        let search = Search::of(asked);
        for read in AppQuery::reads(page.limit) {
            let make = || {
                query(self.sql.list_apps.clone())
                    .bind(match &after {
                        Some(after) => self.names.write(after.as_str()),
                        None => self.names.floor().into(),
                    })
                    .bind(asked.enabled)
                    .bind(i64::try_from(read).unwrap_or(i64::MAX))
                    .bind(self.names.ceiling())
                    .bind(search.text.as_deref())
                    .bind(search.mask)
                    .bind(search.marks)
            };
            let rows = self.run(make).await.map_err(StoreError::new)?;
            for row in &rows {
                let app = read_app(column(row, "document")?)?;
                after = Some(app.client_id().clone());
                if asked.admits(&app) {
                    found.push(app);
                }
            }
            if rows.len() < read || found.len() > page.limit {
                return Ok(Listing::first_of(found, page.limit, |last| last.client_id().clone()));
            }
        }
        Ok(Listing::new(found, after))
    }

    async fn count_self_registered_apps(&self, most: usize) -> Result<usize, StoreError> {
        let count = || {
            query(self.sql.count_self_registered.clone())
                .bind(self.names.floor())
                .bind(self.names.ceiling())
                .bind(i64::try_from(most).unwrap_or(i64::MAX))
        };
        let row = self.one_row(count).await?;
        Ok(usize::try_from(column::<i64>(&row, "apps")?).unwrap_or(usize::MAX))
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        // Once a process: the clock of the first request has to be known, too.
        if !self.seen.is_known() {
            self.apps_version().await?;
        }
        Ok(())
    }

    async fn apps_version(&self) -> Result<AppsVersion, StoreError> {
        let make = || match self.names.number() {
            None => query(self.sql.apps_version.clone()),
            Some(number) => query(self.sql.issuers.apps_version.clone()).bind(number),
        };
        let row = self.one_row(make).await?;
        let (version, seen) = (column::<i64>(&row, "counted")?, instant(&row, "seen")?);
        self.note_limits(&row)?;
        self.seen.learn(seen);
        Ok(AppsVersion { version: version.cast_unsigned(), seen })
    }
}
