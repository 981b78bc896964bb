//! Transactions that a dropped future leaves open, over the host's tables of `examples/custom_sql_store`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use grantor::app::CustomApp;
use grantor::clock::UnixTime;
use grantor::ids::{ClientId, GrantId, Subject};
use grantor::store::conformance::{Kit, Runner};
use grantor::store::{
    AccessFacts, AppQuery, AppRegistry, AppsVersion, AssertionClaim, ClaimAssertion,
    CodeRedemption, Consent, DeleteApp, FeedCursor, Grant, GrantFilter, GrantStore, InsertApp,
    InsertGrant, Listing, Page, Pruned, RedeemCode, Revocation, RevocationFeed, Revoked, Rotate,
    Rotation, StoreError, UpdateApp,
};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use crate::sandbox::Folder;
use crate::store::HostStore;
use crate::support::Tokio;

/// A store that notes each rotation in a transaction of its own, with `BEGIN` and `COMMIT` as statements on a
/// pooled connection. If it is dropped between them, the pool gets the connection back as it is.
#[derive(Clone)]
struct NaiveStore(HostStore);

impl NaiveStore {
    async fn create(file: &std::path::Path) -> Result<Self, sqlx::Error> {
        let mut store = HostStore::create(file).await?;
        sqlx::raw_sql(
            "CREATE TABLE notes (note TEXT); INSERT INTO tenants (id, name) VALUES (1, 'The kit'); \
             CREATE TRIGGER users_sign_up AFTER INSERT ON applications BEGIN \
               INSERT OR IGNORE INTO users (public_id) VALUES ('user of ' || NEW.client_id); END;",
        )
        .execute(&store.writer)
        .await?;
        let options = SqliteConnectOptions::clone(&store.writer.connect_options());
        let pool = SqlitePoolOptions::new().max_connections(1).test_before_acquire(false);
        store.writer = pool.connect_with(options).await?;
        Ok(Self(store))
    }

    async fn note(&self) -> Result<(), sqlx::Error> {
        let mut connection = self.0.writer.acquire().await?;
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await?;
        // Suspends, however fast the database answers.
        tokio::task::yield_now().await;
        sqlx::raw_sql("INSERT INTO notes VALUES ('rotated')").execute(&mut *connection).await?;
        sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
        Ok(())
    }
}

#[derive(Clone)]
struct OnTokio(Arc<Tokio>, Arc<Mutex<Option<NaiveStore>>>);

impl Runner for OnTokio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn settle(&self) {
        let store = self.1.lock().unwrap().clone().unwrap();
        self.block_on(async { drop(store.0.writer.acquire().await) });
    }
}

/// Z38: the kit names an open transaction, in one line.
#[test]
fn the_kit_names_a_transaction_that_a_dropped_future_left_open() {
    let runner = OnTokio(Arc::new(Tokio::new()), Arc::default());
    let (maker, folder, made) = (runner.clone(), Folder::in_memory(), AtomicU32::new(0));
    let new_store = move || {
        let file = folder.file(&format!("{}.db", made.fetch_add(1, Ordering::Relaxed)));
        let store = maker.block_on(NaiveStore::create(&file)).unwrap();
        *maker.1.lock().unwrap() = Some(store.clone());
        store
    };
    let report = Kit::new(new_store).with_runner(runner).with_rounds(1).run();
    let text = report.to_string();
    let line =
        "the future has left a transaction open on its connection: an answered write is not there";
    assert!(text.ends_with(line), "{text}");
    assert!(report.failed("no_dropped_future_leaves_a_transaction_open"), "{text}");
    assert_eq!(report.failed.len(), 1, "{text}");
}

impl AppRegistry for NaiveStore {
    async fn find_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        self.0.find_app(client_id).await
    }

    async fn insert_app(&self, app: CustomApp) -> Result<InsertApp, StoreError> {
        self.0.insert_app(app).await
    }

    async fn update_app(&self, app: CustomApp, expected: u64) -> Result<UpdateApp, StoreError> {
        self.0.update_app(app, expected).await
    }

    async fn delete_app(&self, app: &ClientId, expected: u64) -> Result<DeleteApp, StoreError> {
        self.0.delete_app(app, expected).await
    }

    async fn list_apps(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        self.0.list_apps(query, page).await
    }

    async fn apps_version(&self) -> Result<AppsVersion, StoreError> {
        self.0.apps_version().await
    }
}

impl GrantStore for NaiveStore {
    fn seen(&self) -> UnixTime {
        self.0.seen()
    }

    fn reached(&self, instant: UnixTime) -> UnixTime {
        self.0.reached(instant)
    }

    async fn instant(&self, now: UnixTime) -> Result<UnixTime, StoreError> {
        self.0.instant(now).await
    }

    async fn insert_grant(&self, grant: Grant) -> Result<InsertGrant, StoreError> {
        self.0.insert_grant(grant).await
    }

    async fn redeem_code(&self, redemption: &CodeRedemption) -> Result<RedeemCode, StoreError> {
        self.0.redeem_code(redemption).await
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<Rotate, StoreError> {
        self.note().await.map_err(StoreError::new)?;
        self.0.rotate(rotation).await
    }

    async fn claim_assertion(&self, claim: &AssertionClaim) -> Result<ClaimAssertion, StoreError> {
        self.0.claim_assertion(claim).await
    }

    async fn find_grant(&self, grant_id: &GrantId) -> Result<Option<Grant>, StoreError> {
        self.0.find_grant(grant_id).await
    }

    async fn list_grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        self.0.list_grants(filter, page).await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<Revoked, StoreError> {
        self.0.revoke(revocation).await
    }

    async fn is_revoked(&self, facts: &AccessFacts<'_>) -> Result<bool, StoreError> {
        self.0.is_revoked(facts).await
    }

    async fn revocations_since(
        &self,
        cursor: FeedCursor,
        limit: usize,
        now: UnixTime,
    ) -> Result<RevocationFeed, StoreError> {
        self.0.revocations_since(cursor, limit, now).await
    }

    async fn remember_consent(&self, consent: Consent) -> Result<(), StoreError> {
        self.0.remember_consent(consent).await
    }

    async fn find_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
    ) -> Result<Option<Consent>, StoreError> {
        self.0.find_consent(client_id, subject).await
    }

    async fn list_consents(
        &self,
        subject: &Subject,
        page: Page<ClientId>,
    ) -> Result<Listing<Consent, ClientId>, StoreError> {
        self.0.list_consents(subject, page).await
    }

    async fn withdraw_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
        now: UnixTime,
        until: UnixTime,
    ) -> Result<Revoked, StoreError> {
        self.0.withdraw_consent(client_id, subject, now, until).await
    }

    async fn prune(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        self.0.prune(now, limit).await
    }
}
