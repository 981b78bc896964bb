//! Remembered consents.

use sqlx::postgres::PgRow;
use sqlx::query;

use super::PostgresStore;
use super::rows::{column, instant};
use super::run::lacks_its_app;
use crate::ids::{ClientId, Resource, Subject};
use crate::store::{Consent, Listing, Page, StoreError};

impl PostgresStore {
    /// Remembers a consent, unless a revocation covers it or its app was deleted.
    pub(super) async fn keep_consent(&self, consent: Consent) -> Result<(), StoreError> {
        let make = || {
            query(self.sql.remember_consent.clone())
                .bind(self.names.write(consent.client_id.as_str()))
                .bind(self.names.write(consent.subject.as_str()))
                .bind(consent.scope.as_str())
                .bind(consent.given_at.as_millis())
                .bind(consent.resource.as_ref().map(Resource::as_str))
        };
        match self.run(make).await {
            Ok(_) => Ok(()),
            // The consents of a deleted app are not kept.
            Err(error) if lacks_its_app(&error) => Ok(()),
            Err(error) => Err(StoreError::new(error)),
        }
    }

    /// Finds the consent of a user to an app.
    pub(super) async fn consent_of(
        &self,
        client_id: &ClientId,
        subject: &Subject,
    ) -> Result<Option<Consent>, StoreError> {
        let make = || {
            query(self.sql.find_consent.clone())
                .bind(self.names.write(client_id.as_str()))
                .bind(self.names.write(subject.as_str()))
        };
        let row = self.row(make).await?;
        row.map(|row| read_consent(&row, client_id.clone(), subject.clone())).transpose()
    }

    /// Lists the consents of a user in the order of the apps.
    pub(super) async fn consents_of(
        &self,
        subject: &Subject,
        page: Page<ClientId>,
    ) -> Result<Listing<Consent, ClientId>, StoreError> {
        let after = page.after.as_ref().map_or("", ClientId::as_str);
        // One more than the page holds, to detect the last page.
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX).saturating_add(1);
        let make = || {
            query(self.sql.list_consents.clone())
                .bind(self.names.write(subject.as_str()))
                .bind(self.names.write(after))
                .bind(limit)
        };
        let rows = self.run(make).await.map_err(StoreError::new)?;
        let consent = |row: &PgRow| {
            let client_id = self.names.read(column(row, "client_id")?).unwrap_or_default();
            read_consent(row, client_id.parse().map_err(StoreError::new)?, subject.clone())
        };
        let consents = rows.iter().map(consent).collect::<Result<_, _>>()?;
        Ok(Listing::first_of(consents, page.limit, |last: &Consent| last.client_id.clone()))
    }
}

/// Reads the consent of a user to an app.
fn read_consent(row: &PgRow, client_id: ClientId, subject: Subject) -> Result<Consent, StoreError> {
    let resource: Option<&str> = column(row, "resource")?;
    Ok(Consent {
        client_id,
        subject,
        scope: column::<&str>(row, "scope")?.parse().map_err(StoreError::new)?,
        resource: resource.map(str::parse).transpose().map_err(StoreError::new)?,
        given_at: instant(row, "given_at")?,
    })
}
