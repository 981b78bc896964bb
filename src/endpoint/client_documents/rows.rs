//! The rows of described apps: written with the consent of a user, and bounded in number.

use std::sync::Arc;
use std::time::Duration;

use async_lock::Mutex;

use super::{FoundApp, Standing};
use crate::app::{AppOrigin, CustomApp, DocumentProblem};
use crate::audit::{Action, Actor, AuditEvent};
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::error::{EndpointError, Rejection};
use crate::ids::{Source, Subject};
use crate::observe::Outcome;
use crate::rate_limit::RetryAfter;
use crate::store::{
    AppQuery, AppRegistry, Grant, InsertApp, InsertGrant, Page, Store, StoreError, UpdateApp,
};

/// How long a count is used. Other processes write and prune rows meanwhile.
const LIFETIME: Duration = Duration::from_mins(5);
/// The `Retry-After` if there are as many rows as allowed: some may be pruned by then.
const WHEN_FULL: RetryAfter = RetryAfter { seconds: 300 };

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Writes the row of an app as it describes itself, before the approval of `subject` becomes a grant. Returns the
    /// app as its row has it. Consents count from now on: an earlier one was given to another description.
    pub(crate) async fn keep_described(
        &self,
        found: FoundApp,
        subject: &Subject,
        source: Option<&Source>,
    ) -> Result<Arc<CustomApp>, EndpointError> {
        let FoundApp { app, standing } = found;
        if standing == Standing::Stored {
            return Ok(app);
        }
        let now = self.clock.now();
        let since = self.store.instant(now).await?;
        let new = Arc::unwrap_or_clone(app).with_consents_since(since);
        let written = match standing {
            Standing::Changed { version } => self.write_change(&new, version).await?,
            Standing::Stored | Standing::New => {
                self.insert_described(&new, now).await?.then_some(Action::RegisterApp)
            }
        };
        let Some(action) = written else { return self.other_row(&new).await };
        let actor = Actor::User(subject.clone());
        let event = AuditEvent::new(now, actor, action, Outcome::Success);
        self.record_event(event.with_app(new.client_id()).with_source(source));
        Ok(Arc::new(new))
    }

    /// Inserts the row of an app that has none. Returns false if there is one by now.
    async fn insert_described(
        &self,
        app: &CustomApp,
        now: UnixTime,
    ) -> Result<bool, EndpointError> {
        let documents = self.documents.as_deref().ok_or(Rejection::UnknownClient)?;
        let most = documents.settings.max_apps;
        if !documents.rows.reserve(&self.store, most, now).await? {
            let full = Rejection::ClientDocument(DocumentProblem::TooManyApps);
            return Err(EndpointError::limited(full, WHEN_FULL));
        }
        let inserted = self.store.insert_app(app.clone()).await? == InsertApp::Inserted;
        if !inserted {
            documents.rows.forget(1).await;
        }
        Ok(inserted)
    }

    /// Replaces the row of this version by another description. Returns `None` if the row has changed meanwhile.
    async fn write_change(
        &self,
        app: &CustomApp,
        version: u64,
    ) -> Result<Option<Action>, EndpointError> {
        let before = self.store.read_app(app.client_id()).await?;
        let Some(before) = before.filter(|before| before.version() == version) else {
            return Ok(None);
        };
        let changed = before.settings().changes_to(app.settings());
        let updated = self.store.update_app(app.clone(), version).await?;
        Ok((updated == UpdateApp::Updated).then_some(Action::EditApp { changed }))
    }

    /// Returns the row that another request wrote first, if it has the same description.
    async fn other_row(&self, app: &CustomApp) -> Result<Arc<CustomApp>, EndpointError> {
        let other = self.store.read_app(app.client_id()).await?;
        match other {
            Some(other) if !other.is_enabled() => Err(Rejection::AppDisabled.into()),
            Some(other) if other.settings() == app.settings() => Ok(other),
            _ => Err(Rejection::ClientDocument(DocumentProblem::Changed).into()),
        }
    }

    /// Inserts the row of a user's decision. If the prune has meanwhile removed the row of a described app, because it
    /// had no grant, both are inserted. If an administrator has, its revocation covers the decision, and neither is.
    pub(crate) async fn insert_decided(
        &self,
        app: &CustomApp,
        grant: &Grant,
    ) -> Result<InsertGrant, EndpointError> {
        let inserted = self.store.insert_grant(grant.clone()).await?;
        if inserted != InsertGrant::AppInactive {
            return Ok(inserted);
        }
        let Some(version) = self.restore_described(app).await? else { return Ok(inserted) };
        let inserted = self.store.insert_grant(grant.clone()).await?;
        if inserted == InsertGrant::Revoked {
            self.store.delete_app(app.client_id(), version).await?;
        }
        Ok(inserted)
    }

    /// Writes the row of a described app again, if the prune has removed it since it was read. Returns its version, or
    /// `None` if the row is there.
    async fn restore_described(&self, app: &CustomApp) -> Result<Option<u64>, EndpointError> {
        if !self.is_without_row(app).await? {
            return Ok(None);
        }
        let version = CustomApp::first_version(&*self.random)?;
        let inserted = self.store.insert_app(app.clone().with_first_version(version)).await?;
        Ok((inserted == InsertApp::Inserted).then_some(version))
    }

    /// Checks whether an app that a document describes has lost its row.
    pub(crate) async fn is_without_row(&self, app: &CustomApp) -> Result<bool, EndpointError> {
        Ok(app.metadata_document().is_some()
            && self.store.read_app(app.client_id()).await?.is_none())
    }
}

/// The number of rows of apps that a document describes, as this process knows it.
#[derive(Debug, Default)]
pub(super) struct RowCount(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    rows: usize,
    /// When the store was asked.
    at: Option<UnixTime>,
}

impl RowCount {
    /// Takes the place of one more row. Returns false if there are `most` already. Of several callers one counts, and
    /// the others wait for it.
    async fn reserve<S: AppRegistry>(
        &self,
        store: &S,
        most: usize,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let mut counted = self.0.lock().await;
        let age = counted.at.map(|at| Duration::from_millis(now.millis_since(at).unsigned_abs()));
        if age.is_none_or(|age| age >= LIFETIME) {
            *counted = Counted { rows: count(store, most).await?, at: Some(now) };
        }
        if counted.rows >= most {
            return Ok(false);
        }
        counted.rows = counted.rows.saturating_add(1);
        Ok(true)
    }

    /// Gives places back.
    pub(super) async fn forget(&self, rows: usize) {
        let mut counted = self.0.lock().await;
        counted.rows = counted.rows.saturating_sub(rows);
    }
}

/// Counts the rows, to `most`.
async fn count<S: AppRegistry>(store: &S, most: usize) -> Result<usize, StoreError> {
    let query = AppQuery::all().self_described(true);
    let mut rows = 0_usize;
    let mut next = Some(Page::first(Page::<()>::MAX_LIMIT));
    while let Some(page) = next.filter(|_| rows < most) {
        let listing = store.list_apps(&query, page.clone()).await?;
        let own = listing.items.iter().filter(|app| app.origin() == AppOrigin::Document);
        rows = rows.saturating_add(own.count());
        next = listing.next.map(|last| page.after(last));
    }
    Ok(rows)
}
