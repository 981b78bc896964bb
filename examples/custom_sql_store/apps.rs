//! [`AppRegistry`] over the host's table of applications.

use std::sync::Arc;

use grantor::app::CustomApp;
use grantor::clock::UnixTime;
use grantor::ids::ClientId;
use grantor::store::{
    AppQuery, AppRegistry, AppsVersion, DeleteApp, InsertApp, Listing, Page, StoreError, UpdateApp,
};
use sqlx::Row as _;

use crate::store::{HostStore, commit, from_json, to_json};

/// The columns of an app, extracted from its JSON in `?1`.
const NAME: &str = "?1 ->> '$.settings.name'";
const RECORD: &str = "json_remove(?1, '$.client_id', '$.settings.name', '$.enabled', '$.version')";

impl AppRegistry for HostStore {
    async fn find_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        let found = sqlx::query("SELECT document FROM live_applications WHERE client_id = ?1")
            .bind(client_id.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::new)?;
        found.map(|row| from_json(&row, "document")).transpose()
    }

    /// Inserts the row. The unique index decides between concurrent inserts, and the number of rows
    /// is the result.
    async fn insert_app(&self, app: CustomApp) -> Result<InsertApp, StoreError> {
        let insert = format!(
            "INSERT INTO applications (client_id, name, is_enabled, version, record) \
             VALUES (?1 ->> 'client_id', {NAME}, ?1 ->> 'enabled', ?1 ->> 'version', {RECORD}) \
             ON CONFLICT (client_id) WHERE deleted_at IS NULL DO NOTHING"
        );
        let done = sqlx::query(sqlx::AssertSqlSafe(insert))
            .bind(to_json(&app)?)
            .execute(&self.writer)
            .await;
        let inserted = done.map_err(StoreError::new)?.rows_affected() > 0;
        Ok(if inserted { InsertApp::Inserted } else { InsertApp::AlreadyExists })
    }

    /// Compares the version and replaces the app in one statement. It names its columns: a
    /// `REPLACE` would make a new row without the host's columns.
    async fn update_app(
        &self,
        app: CustomApp,
        expected_version: u64,
    ) -> Result<UpdateApp, StoreError> {
        let update = format!(
            "UPDATE applications SET name = {NAME}, is_enabled = ?1 ->> 'enabled', \
             version = ?1 ->> 'version', record = {RECORD} \
             WHERE client_id = ?1 ->> 'client_id' AND deleted_at IS NULL AND version = ?2"
        );
        let update = sqlx::query(sqlx::AssertSqlSafe(update))
            .bind(to_json(&app)?)
            .bind(expected_version.cast_signed());
        let done = update.execute(&self.writer).await.map_err(StoreError::new)?;
        if done.rows_affected() > 0 {
            return Ok(UpdateApp::Updated);
        }
        // Only distinguishes the two refusals. Nothing depends on it.
        let found = self.find_app(app.client_id()).await?;
        Ok(if found.is_some() { UpdateApp::Conflict } else { UpdateApp::NotFound })
    }

    /// Deletes the consents in the same transaction. The row stays, disabled and without secrets.
    /// An app registered again gets another row and inherits nothing.
    async fn delete_app(
        &self,
        client_id: &ClientId,
        expected_version: u64,
    ) -> Result<DeleteApp, StoreError> {
        let mut transaction = self.begin().await?;
        let deleted = sqlx::query(
            "UPDATE applications SET is_enabled = 0, record = '{}', \
             deleted_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') \
             WHERE client_id = ?1 AND deleted_at IS NULL AND version = ?2 RETURNING id",
        )
        .bind(client_id.as_str())
        .bind(expected_version.cast_signed())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(StoreError::new)?;
        let Some(deleted) = deleted else {
            drop(transaction);
            // Only distinguishes the two refusals. Nothing depends on it.
            let found = self.find_app(client_id).await?;
            return Ok(if found.is_some() { DeleteApp::Conflict } else { DeleteApp::NotFound });
        };
        sqlx::query("DELETE FROM consents WHERE application_id = ?1")
            .bind(deleted.try_get::<i64, _>("id").map_err(StoreError::new)?)
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::new)?;
        commit(transaction).await?;
        Ok(DeleteApp::Deleted)
    }

    /// Searches in Rust, because apps are few and SQLite folds the case of ASCII letters only.
    async fn list_apps(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        let rows = sqlx::query(
            "SELECT document FROM live_applications \
             WHERE client_id > ?1 AND (?2 IS NULL OR is_enabled = ?2) ORDER BY client_id",
        )
        .bind(page.after.as_ref().map_or("", ClientId::as_str))
        .bind(query.enabled)
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::new)?;
        let mut apps = Vec::new();
        for row in &rows {
            let app: Arc<CustomApp> = from_json(row, "document")?;
            apps.extend(query.admits(&app).then_some(app));
        }
        Ok(Listing::first_of(apps, page.limit, |last| last.client_id().clone()))
    }

    async fn apps_version(&self) -> Result<AppsVersion, StoreError> {
        let row = sqlx::query("SELECT app_changes, at FROM store_clock").fetch_one(&self.readers);
        let row = row.await.map_err(StoreError::new)?;
        let counted: i64 = row.try_get("app_changes").map_err(StoreError::new)?;
        let seen = self.saw(UnixTime::from_millis(row.try_get("at").map_err(StoreError::new)?));
        Ok(AppsVersion { version: counted.cast_unsigned(), seen })
    }
}
