//! Copies of a sound store with one fault each, and one that suspends.
//!
//! Stores in production have had each of these faults.

mod devices;
mod pending;
mod trusted_issuers;

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use grantor::app::CustomApp;
use grantor::clock::UnixTime;
use grantor::ids::{ClientId, EvidenceIssuer, GrantId, Subject};
use grantor::protocol::Scope;
use grantor::secret::Digest;
use grantor::store::{
    AccessFacts, AppQuery, AppRegistry, AppsVersion, AssertionClaim, ClaimAssertion,
    CodeRedemption, Consent, DeleteApp, Device, DeviceKey, FeedCursor, Grant, GrantFilter,
    GrantRefusal, GrantStore, InsertApp, InsertGrant, IssuerRecord, Listing, Page, PendingRecord,
    Polling, Pruned, RedeemCode, Revocation, RevocationFeed, RevocationTarget, Revoked, Rotate,
    Rotation, StoreError, UpdateApp,
};

use crate::custom_store::{CustomStore, Tables};

/// The fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alteration {
    /// Sound: every call suspends before and after its one step, as a networked store does.
    Awaits,
    /// Reads the row in one step and writes it in another.
    ReadsThenWrites,
    /// Ignores expiry.
    ForgetsExpiry,
    /// Compares cutoffs with the instant at which a redemption or a rotation wrote the row.
    ComparesCutoffsWithTheRow,
    /// Clears `revoked_at` when a revoked grant is presented again, as `SET revoked_at = CASE WHEN
    /// generation = $1 THEN NULL ..` does without `WHERE revoked_at IS NULL`.
    RevivesTheRevoked,
    /// Claims the assertion in one step and makes its grant in another.
    ClaimsInTwoSteps,
    /// Revokes by `UPDATE grants`: without a row it is a no-op.
    ForgetsTombstones,
    /// Lets a reader continue from its own clock.
    ReadsTheFeedByTime,
    /// Removes an assertion as soon as it has expired.
    PrunesAssertionsEarly,
    /// Takes the instants of decisions and revocations from the host's clock unchecked.
    TrustsTheClock,
    /// Dates a grant by the moment at which the claim or the decision arrives.
    DatesByTheClaim,
    /// Dates a grant after a wait for a lock, by `clock_timestamp()`.
    DatesAfterTheWait,
    /// Dates a grant as it is told, and compares the date with no revocation.
    IgnoresOvertaking,
    /// Does not tell the process of its own revocations.
    ForgetsItsRevocations,
    /// Stores a decision without checking its app.
    DecidesForAnyApp,
    /// Stores a consent without checking for a later withdrawal.
    RemembersWhatWasWithdrawn,
    /// Counts changes of apps by a sequence that advances before the change.
    CountsBeforeItChanges,
    /// Counts changes of apps by reading the number and writing the next.
    CountsInTwoSteps,
    /// Counts the insertion of an app that describes itself.
    CountsDescribedApps,
    /// Counts the changes of an app that describes itself.
    CountsDescribedChanges,
    /// Leaves a change uncounted if the app describes itself afterwards.
    CountsByTheNewOrigin,
    /// Counts every app that describes itself as one that registered itself.
    CountsDocumentsAsRegistrations,
    /// Neither compares nor writes the key of a grant.
    IgnoresKeys,
    /// Rotates in one step and binds the grant to the key in another.
    BindsInTwoSteps,
    /// Has no column for the circumstances of a grant.
    DropsCircumstances,
    /// Revokes a device for every app and user.
    RevokesDevicesByName,
    /// Judges a derived token without its parents.
    IgnoresParents,
    /// Takes the sixth retry within the grace for reuse.
    CapsRetries,
    /// Takes each spent refresh token for reuse, also if it was spent while its request was under way.
    RevokesTheOvertaken,
    /// Updates and deletes an app if the expected version is not older than the stored one.
    ComparesVersionsByOrder,
    /// Keeps a pending row for as long as its refresh token would live.
    PrunesPendingRowsLate,
    /// Removes a pending row with its code, although its ticket may be shown again.
    PrunesPendingRowsEarly,
    /// Lists the consents of every user.
    ListsConsentsOfAll,
    /// Tells by its row whether a grant on a page has ended.
    ListsWhatWasCutOff,
    /// Orders the wipe of a device in one step and ends its access in another.
    RevokesAfterTheOrder,
    /// Ends the access of a device in one step and orders its wipe in another.
    OrdersAfterTheRevocation,
    /// Reads the row of a device in one step and writes it in another when a wipe advances.
    ReadsThenWritesDevices,
    /// Keeps a device that is to be wiped no longer than any other.
    PrunesDevicesEarly,
    /// Takes a step of any order as one of the pending order.
    TakesStepsOfOtherOrders,
    /// Keeps every device of a user.
    KeepsEveryDevice,
    /// Begins an installation with the first grant that the device ever had.
    ForgetsInstallations,
    /// Sees a device although it is to be wiped.
    SeesWhatIsToBeWiped,
    /// Has one row for a device id of all users.
    SharesDevicesAmongUsers,
    /// Gives a grant the device of its redemption without looking for a revocation of it.
    JudgesWithoutTheDevice,
    /// Takes a polled code that comes again for a replay.
    TakesPollsForReplays,
    /// Answers a polled code again without end.
    AnswersPollsForever,
    /// Looks for a pending record in one step and keeps it in another.
    KeepsInTwoSteps,
    /// Keeps a pending record in the place of another.
    OverwritesRecords,
    /// Finds a pending record that has expired.
    FindsExpiredRecords,
    /// Frees the key of a pending record when it is pruned.
    FreesKeysByPruning,
    /// Removes pending records that have not expired.
    PrunesRecordsEarly,
    /// Looks for expired records in one step, and removes their keys in another.
    PrunesRecordsInTwoSteps,
    /// Looks for the version of a trusted issuer in one step and stores its record in another.
    EditsIssuersInTwoSteps,
    /// Stores the record of a trusted issuer over any version.
    IgnoresIssuerVersions,
    /// Answers that a trusted issuer is removed, and keeps it.
    KeepsRemovedIssuers,
    /// Knows of every grant the scope of another.
    KnowsAnotherScope,
    /// Unfinished: rotation panics.
    Panics,
}

use Alteration::{
    AnswersPollsForever, Awaits, BindsInTwoSteps, CapsRetries, ClaimsInTwoSteps,
    ComparesCutoffsWithTheRow, ComparesVersionsByOrder, CountsBeforeItChanges,
    CountsByTheNewOrigin, CountsDescribedApps, CountsDescribedChanges,
    CountsDocumentsAsRegistrations, CountsInTwoSteps, DatesAfterTheWait, DatesByTheClaim,
    DecidesForAnyApp, DropsCircumstances, EditsIssuersInTwoSteps, FindsExpiredRecords,
    ForgetsExpiry, ForgetsInstallations, ForgetsItsRevocations, ForgetsTombstones,
    FreesKeysByPruning, IgnoresIssuerVersions, IgnoresKeys, IgnoresOvertaking, IgnoresParents,
    JudgesWithoutTheDevice, KeepsEveryDevice, KeepsInTwoSteps, KeepsRemovedIssuers,
    KnowsAnotherScope, ListsConsentsOfAll, ListsWhatWasCutOff, OrdersAfterTheRevocation,
    OverwritesRecords, Panics, PrunesAssertionsEarly, PrunesDevicesEarly, PrunesPendingRowsEarly,
    PrunesPendingRowsLate, PrunesRecordsEarly, PrunesRecordsInTwoSteps, ReadsTheFeedByTime,
    ReadsThenWrites, ReadsThenWritesDevices, RemembersWhatWasWithdrawn, RevivesTheRevoked,
    RevokesAfterTheOrder, RevokesDevicesByName, RevokesTheOvertaken, SeesWhatIsToBeWiped,
    SharesDevicesAmongUsers, TakesPollsForReplays, TakesStepsOfOtherOrders, TrustsTheClock,
};

impl Alteration {
    /// Checks whether it changes how the store keeps pending records.
    pub(crate) fn is_of_pending(self) -> bool {
        matches!(
            self,
            FindsExpiredRecords
                | FreesKeysByPruning
                | KeepsInTwoSteps
                | OverwritesRecords
                | PrunesRecordsEarly
                | PrunesRecordsInTwoSteps
        )
    }

    /// Checks whether it changes how the store keeps trusted issuers.
    pub(crate) fn is_of_trusted_issuers(self) -> bool {
        matches!(self, EditsIssuersInTwoSteps | IgnoresIssuerVersions | KeepsRemovedIssuers)
    }

    /// Checks whether it changes how the store keeps devices.
    pub(crate) fn is_of_devices(self) -> bool {
        matches!(
            self,
            Awaits
                | ForgetsInstallations
                | JudgesWithoutTheDevice
                | KeepsEveryDevice
                | OrdersAfterTheRevocation
                | PrunesDevicesEarly
                | ReadsThenWritesDevices
                | RevokesAfterTheOrder
                | SeesWhatIsToBeWiped
                | SharesDevicesAmongUsers
                | TakesStepsOfOtherOrders
        )
    }
}

/// The store of the example with a fault.
#[derive(Debug)]
pub(crate) struct AlteredStore {
    sound: CustomStore,
    alteration: Alteration,
    /// The instant at which the row of each grant was written, for the store that compares cutoffs
    /// with it.
    made_at: Mutex<HashMap<GrantId, UnixTime>>,
    /// Locked before the tables.
    devices: Mutex<BTreeMap<DeviceKey, Device>>,
    pending: Mutex<HashMap<Digest, PendingRecord>>,
    trusted: Mutex<BTreeMap<EvidenceIssuer, IssuerRecord>>,
}

impl AlteredStore {
    pub(crate) fn new(alteration: Alteration) -> Self {
        let (made_at, devices, pending) = (Mutex::default(), Mutex::default(), Mutex::default());
        let trusted = Mutex::default();
        Self { sound: CustomStore::default(), alteration, made_at, devices, pending, trusted }
    }

    fn is(&self, alteration: Alteration) -> bool {
        self.alteration == alteration
    }

    /// Gives a grant another date, in the stores that date wrongly.
    async fn redate(&self, grant: &mut Grant) {
        if self.is(DatesAfterTheWait) {
            yield_once().await;
        }
        if self.is(DatesByTheClaim) || self.is(DatesAfterTheWait) {
            let mut tables = self.sound.lock();
            let present = tables.reach(UnixTime::EPOCH);
            // Time passes.
            grant.authorized_at = tables.reach(present.plus(Duration::from_millis(1)));
        }
        if self.is(DatesByTheClaim) {
            yield_once().await;
        }
    }

    /// Awaits `step`. A store that suspends yields before and after it.
    async fn step<T>(&self, step: impl Future<Output = T>) -> T {
        if self.is(Awaits) {
            yield_once().await;
        }
        let answer = step.await;
        if self.is(Awaits) {
            yield_once().await;
        }
        answer
    }

    /// Does what `Tables::apply` of the sound store does, with the fault.
    #[expect(clippy::too_many_lines, reason = "an arm for each fault")]
    fn apply<T>(
        &self,
        grant_id: GrantId,
        redemption: Option<&CodeRedemption>,
        now: UnixTime,
        rule: impl FnOnce(&mut Grant, bool) -> T,
    ) -> Option<T> {
        let redemption = redemption.filter(|_| !self.is(JudgesWithoutTheDevice));
        let judged = |row: &Grant, tables: &Tables| {
            let facts = redemption.map_or_else(|| row.facts(), |it| row.facts_of_redemption(it));
            tables.is_void(&facts)
        };
        match self.alteration {
            ReadsThenWrites => {
                let (mut row, void) = {
                    let tables = self.sound.lock();
                    let row = tables.grants.get(&grant_id)?.clone();
                    let void = judged(&row, &tables);
                    (row, void)
                };
                let had_ended = row.revoked.is_some();
                let answer = rule(&mut row, void);
                std::thread::yield_now();
                let mut tables = self.sound.lock();
                if let (false, Some((at, why))) = (had_ended, row.revoked) {
                    let target = RevocationTarget::Grant(grant_id);
                    tables.enter(Revocation { target, at, why, until: row.expires_at });
                }
                tables.grants.insert(grant_id, row);
                Some(answer)
            }
            ForgetsExpiry => self.sound.lock().apply(grant_id, redemption, now, |row, void| {
                let expiry = (row.code_expires_at, row.expires_at);
                (row.code_expires_at, row.expires_at) = (UnixTime::MAX, UnixTime::MAX);
                let answer = rule(row, void);
                (row.code_expires_at, row.expires_at) = expiry;
                answer
            }),
            ComparesCutoffsWithTheRow => {
                let mut tables = self.sound.lock();
                let now_by_store = tables.reach(now);
                let mut made_at = self.made_at.lock().unwrap();
                let made_at = made_at.entry(grant_id).or_insert(now_by_store);
                let row = tables.grants.get(&grant_id)?;
                let facts = AccessFacts { authorized_at: *made_at, ..row.facts() };
                let void = tables.is_void(&facts);
                if !void {
                    *made_at = now_by_store;
                }
                tables.apply(grant_id, redemption, now, |row, _| rule(row, void))
            }
            RevivesTheRevoked => {
                let mut tables = self.sound.lock();
                let row = tables.grants.get(&grant_id)?;
                let cutoffs_only =
                    AccessFacts { grant_id: GrantId::from_bytes([0; 16]), ..row.facts() };
                let void = tables.is_void(&cutoffs_only);
                tables.apply(grant_id, redemption, now, |row, _| {
                    if row.generation > 0 {
                        row.revoked = None;
                    }
                    rule(row, void)
                })
            }
            Awaits
            | ClaimsInTwoSteps
            | CountsBeforeItChanges
            | CountsByTheNewOrigin
            | CountsDescribedApps
            | CountsDescribedChanges
            | CountsDocumentsAsRegistrations
            | CountsInTwoSteps
            | ForgetsTombstones
            | ReadsTheFeedByTime
            | PrunesAssertionsEarly
            | DatesByTheClaim
            | DatesAfterTheWait
            | IgnoresOvertaking
            | ForgetsItsRevocations
            | TrustsTheClock
            | DecidesForAnyApp
            | RemembersWhatWasWithdrawn
            | IgnoresKeys
            | BindsInTwoSteps
            | DropsCircumstances
            | RevokesDevicesByName
            | IgnoresParents
            | CapsRetries
            | RevokesTheOvertaken
            | KnowsAnotherScope
            | ComparesVersionsByOrder
            | PrunesPendingRowsLate
            | PrunesPendingRowsEarly
            | ListsConsentsOfAll
            | ListsWhatWasCutOff
            | RevokesAfterTheOrder
            | OrdersAfterTheRevocation
            | ReadsThenWritesDevices
            | PrunesDevicesEarly
            | TakesStepsOfOtherOrders
            | KeepsEveryDevice
            | ForgetsInstallations
            | SeesWhatIsToBeWiped
            | SharesDevicesAmongUsers
            | JudgesWithoutTheDevice
            | TakesPollsForReplays
            | AnswersPollsForever
            | KeepsInTwoSteps
            | OverwritesRecords
            | FindsExpiredRecords
            | FreesKeysByPruning
            | PrunesRecordsEarly
            | PrunesRecordsInTwoSteps
            | EditsIssuersInTwoSteps
            | IgnoresIssuerVersions
            | KeepsRemovedIssuers
            | Panics => self.sound.lock().apply(grant_id, redemption, now, rule),
        }
    }
}

/// Applies `rule` to a grant as if it were bound to no key.
fn without_key<T>(grant: &mut Grant, rule: impl FnOnce(&mut Grant) -> T) -> T {
    let key = grant.confirmation.take();
    let answer = rule(grant);
    grant.confirmation = key;
    answer
}

/// Lets other tasks run.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl AppRegistry for AlteredStore {
    async fn find_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        self.step(self.sound.find_app(client_id)).await
    }

    async fn insert_app(&self, app: CustomApp) -> Result<InsertApp, StoreError> {
        if self.is(ReadsThenWrites) {
            let taken = self.sound.lock().apps.contains_key(app.client_id());
            std::thread::yield_now();
            if !taken {
                let mut tables = self.sound.lock();
                tables.count_change_of(&app);
                tables.apps.insert(app.client_id().clone(), Arc::new(app));
                return Ok(InsertApp::Inserted);
            }
            return Ok(InsertApp::AlreadyExists);
        }
        if self.is(CountsDescribedApps) {
            self.sound.lock().apps_version += 1;
        }
        self.step(self.sound.insert_app(app)).await
    }

    async fn update_app(
        &self,
        app: CustomApp,
        expected_version: u64,
    ) -> Result<UpdateApp, StoreError> {
        if self.is(ComparesVersionsByOrder) {
            let stored = self.find_app(app.client_id()).await?.map_or(0, |stored| stored.version());
            if stored < expected_version {
                return self.sound.update_app(app, stored).await;
            }
        }
        if self.is(CountsDescribedChanges) {
            self.sound.lock().apps_version += 1;
        }
        if self.is(CountsByTheNewOrigin) && app.origin().is_self_described() {
            let before = self.sound.lock().apps_version;
            let updated = self.sound.update_app(app, expected_version).await;
            self.sound.lock().apps_version = before;
            return updated;
        }
        if !self.is(CountsBeforeItChanges) && !self.is(CountsInTwoSteps) {
            return self.step(self.sound.update_app(app, expected_version)).await;
        }
        let counted = self.sound.lock().apps_version + 1;
        if self.is(CountsBeforeItChanges) {
            self.sound.lock().apps_version = counted;
        }
        std::thread::yield_now();
        let updated = self.sound.update_app(app, expected_version).await?;
        if updated == UpdateApp::Updated {
            self.sound.lock().apps_version = counted;
        }
        Ok(updated)
    }

    async fn delete_app(
        &self,
        client_id: &ClientId,
        expected_version: u64,
    ) -> Result<DeleteApp, StoreError> {
        if self.is(CountsDescribedChanges) {
            self.sound.lock().apps_version += 1;
        }
        self.step(self.sound.delete_app(client_id, expected_version)).await
    }

    async fn list_apps(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        self.step(self.sound.list_apps(query, page)).await
    }

    async fn count_self_registered_apps(&self, most: usize) -> Result<usize, StoreError> {
        if self.is(CountsDocumentsAsRegistrations) {
            let query = AppQuery::all().self_described(true);
            let apps = self.sound.list_apps(&query, Page::first(Page::<()>::MAX_LIMIT)).await?;
            return Ok(apps.items.len().min(most));
        }
        self.step(self.sound.count_self_registered_apps(most)).await
    }

    async fn apps_version(&self) -> Result<AppsVersion, StoreError> {
        self.step(self.sound.apps_version()).await
    }
}

impl GrantStore for AlteredStore {
    fn seen(&self) -> UnixTime {
        if self.is(ForgetsItsRevocations) { UnixTime::EPOCH } else { self.sound.seen() }
    }

    fn reached(&self, instant: UnixTime) -> UnixTime {
        if self.is(TrustsTheClock) { instant } else { self.sound.reached(instant) }
    }

    async fn instant(&self, now: UnixTime) -> Result<UnixTime, StoreError> {
        if self.is(TrustsTheClock) {
            return Ok(now);
        }
        self.step(self.sound.instant(now)).await
    }

    async fn insert_grant(&self, mut grant: Grant) -> Result<InsertGrant, StoreError> {
        if self.is(DropsCircumstances) {
            grant.circumstances = None;
        }
        if self.is(ReadsThenWrites) && self.sound.lock().grants.contains_key(&grant.grant_id) {
            return Ok(InsertGrant::AlreadyDecided);
        }
        if self.is(ReadsThenWrites) {
            std::thread::yield_now();
            self.sound.lock().grants.remove(&grant.grant_id);
        }
        if self.is(TrustsTheClock) {
            let authorized_at = grant.authorized_at;
            let answer = self.sound.insert_grant(grant.clone()).await?;
            let mut tables = self.sound.lock();
            if let InsertGrant::Inserted { .. } = answer {
                tables.grants.insert(grant.grant_id, grant);
                return Ok(InsertGrant::Inserted { authorized_at });
            }
            return Ok(answer);
        }
        let active =
            self.sound.lock().apps.get(&grant.client_id).is_some_and(|app| app.is_enabled());
        if self.is(DecidesForAnyApp) && !active {
            let authorized_at = grant.authorized_at;
            self.sound.lock().grants.insert(grant.grant_id, grant);
            return Ok(InsertGrant::Inserted { authorized_at });
        }
        if self.is(IgnoresOvertaking) && active {
            let mut tables = self.sound.lock();
            let authorized_at = grant.authorized_at;
            if tables.grants.contains_key(&grant.grant_id) {
                return Ok(InsertGrant::AlreadyDecided);
            }
            tables.reach(authorized_at);
            tables.grants.insert(grant.grant_id, grant);
            return Ok(InsertGrant::Inserted { authorized_at });
        }
        self.redate(&mut grant).await;
        self.step(self.sound.insert_grant(grant)).await
    }

    async fn redeem_code(&self, redemption: &CodeRedemption) -> Result<RedeemCode, StoreError> {
        let keyless = CodeRedemption { confirmation: None, binds: false, ..redemption.clone() };
        let rule = |grant: &mut Grant, void| {
            if self.is(IgnoresKeys) {
                return without_key(grant, |grant| grant.redeem(&keyless, void));
            }
            let polling = match redemption.polling {
                Some(_) if self.is(TakesPollsForReplays) => None,
                Some(polling) if self.is(AnswersPollsForever) => {
                    Some(Polling { grace_millis: i64::MAX / 2, ..polling })
                }
                polling => polling,
            };
            grant.redeem(&CodeRedemption { polling, ..redemption.clone() }, void)
        };
        let applied =
            async { self.apply(redemption.grant_id, Some(redemption), redemption.now, rule) };
        let answer = self.step(applied).await;
        Ok(answer.unwrap_or(RedeemCode::Refused(GrantRefusal::Unknown)))
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<Rotate, StoreError> {
        assert!(!self.is(Panics), "this store is not finished");
        let keyless = Rotation { confirmation: None, binds: false, ..rotation.clone() };
        let unbinding = Rotation { binds: false, ..rotation.clone() };
        let rule = |grant: &mut Grant, void| {
            if self.is(IgnoresKeys) {
                return without_key(grant, |grant| grant.rotate(&keyless, void));
            }
            let no_more = Rotation { grace_millis: 0, ..rotation.clone() };
            if self.is(CapsRetries) && grant.retries >= 5 {
                return grant.rotate(&no_more, void);
            }
            if self.is(RevokesTheOvertaken) {
                return grant.rotate(&Rotation { proves_reuse: true, ..rotation.clone() }, void);
            }
            grant.rotate(if self.is(BindsInTwoSteps) { &unbinding } else { rotation }, void)
        };
        let applied = async { self.apply(rotation.grant_id, None, rotation.now, rule) };
        let answer = self.step(applied).await;
        if self.is(BindsInTwoSteps) && answer == Some(Rotate::Rotated) && rotation.binds {
            std::thread::yield_now();
            if let Some(row) = self.sound.lock().grants.get_mut(&rotation.grant_id)
                && row.confirmation.is_none()
                && rotation.confirmation.is_some()
            {
                row.confirmation = rotation.confirmation;
                row.bound_from = rotation.generation + 1;
            }
        }
        Ok(answer.unwrap_or(Rotate::Refused(GrantRefusal::Unknown)))
    }

    async fn claim_assertion(&self, claim: &AssertionClaim) -> Result<ClaimAssertion, StoreError> {
        if self.is(ReadsThenWrites) {
            let key = (claim.client_id.clone(), claim.purpose, claim.jti);
            let found = self.sound.lock().assertions.get(&key).copied();
            if found.is_some_and(|expires_at| expires_at >= claim.now) {
                return Ok(ClaimAssertion::Replayed);
            }
            std::thread::yield_now();
            self.sound.lock().assertions.remove(&key);
        }
        if let (ClaimsInTwoSteps, Some(grant)) = (self.alteration, &claim.grant) {
            let first = AssertionClaim { makes_row: false, ..claim.clone() };
            let answer = self.sound.claim_assertion(&first).await?;
            yield_once().await;
            if let ClaimAssertion::First { authorized_at } = answer
                && claim.makes_row
            {
                let mut grant = grant.clone();
                grant.authorized_at = authorized_at;
                self.sound.lock().grants.insert(grant.grant_id, grant);
            }
            return Ok(answer);
        }
        let mut claim = claim.clone();
        if let Some(grant) = &mut claim.grant {
            self.redate(grant).await;
        }
        self.step(self.sound.claim_assertion(&claim)).await
    }

    fn known_grant(&self, grant_id: &GrantId) -> Option<Grant> {
        let mut known = self.sound.lock().grants.get(grant_id).cloned()?;
        known.scope = Scope::parse("another").unwrap();
        Some(known).filter(|_| self.is(KnowsAnotherScope))
    }

    async fn find_grant(&self, grant_id: &GrantId) -> Result<Option<Grant>, StoreError> {
        self.step(self.sound.find_grant(grant_id)).await
    }

    async fn list_grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        self.step(self.sound.list_grants(filter, page)).await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<Revoked, StoreError> {
        let mut by_name = revocation.clone();
        if let RevocationTarget::Device(_, _, device) = &revocation.target
            && self.is(RevokesDevicesByName)
        {
            by_name.target = RevocationTarget::NamedDevice(device.clone());
        }
        let answer = self.step(self.sound.revoke(&by_name)).await?;
        let mut tables = self.sound.lock();
        if let RevocationTarget::Grant(grant_id) = &revocation.target
            && self.is(ForgetsTombstones)
            && !tables.grants.contains_key(grant_id)
        {
            tables.revocations.retain(|_, entry| entry.target != revocation.target);
        }
        if self.is(TrustsTheClock) {
            for entry in tables.revocations.values_mut().filter(|entry| entry.at == answer.at) {
                entry.at = revocation.at;
            }
            return Ok(Revoked { at: revocation.at });
        }
        Ok(answer)
    }

    async fn is_revoked(&self, facts: &AccessFacts<'_>) -> Result<bool, StoreError> {
        if self.is(IgnoresParents) {
            return self.sound.is_revoked(&AccessFacts { via: &[], ..*facts }).await;
        }
        self.step(self.sound.is_revoked(facts)).await
    }

    async fn live_among(&self, grants: &[Grant]) -> Result<Vec<GrantId>, StoreError> {
        if !self.is(ListsWhatWasCutOff) {
            return self.step(self.sound.live_among(grants)).await;
        }
        let mut live = Vec::new();
        for grant in grants {
            let row = self.sound.find_grant(&grant.grant_id).await?;
            live.extend(row.filter(|row| row.revoked.is_none()).map(|row| row.grant_id));
        }
        Ok(live)
    }

    async fn revocations_since(
        &self,
        cursor: FeedCursor,
        limit: usize,
        now: UnixTime,
    ) -> Result<RevocationFeed, StoreError> {
        let feed = self.step(self.sound.revocations_since(cursor, limit, now)).await?;
        if self.is(ReadsTheFeedByTime) && !feed.more {
            return Ok(RevocationFeed { next: FeedCursor { at: now, tie: 0 }, ..feed });
        }
        Ok(feed)
    }

    async fn remember_consent(&self, consent: Consent) -> Result<(), StoreError> {
        if self.is(RemembersWhatWasWithdrawn) {
            let key = (consent.client_id.clone(), consent.subject.clone());
            self.sound.lock().consents.insert(key, consent);
            return Ok(());
        }
        self.step(self.sound.remember_consent(consent)).await
    }

    async fn find_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
    ) -> Result<Option<Consent>, StoreError> {
        self.step(self.sound.find_consent(client_id, subject)).await
    }

    async fn list_consents(
        &self,
        subject: &Subject,
        page: Page<ClientId>,
    ) -> Result<Listing<Consent, ClientId>, StoreError> {
        if self.is(ListsConsentsOfAll) {
            let mut all: Vec<_> = self.sound.lock().consents.values().cloned().collect();
            all.sort_by(|one, other| one.client_id.cmp(&other.client_id));
            return Ok(Listing::new(all, None));
        }
        self.step(self.sound.list_consents(subject, page)).await
    }

    async fn withdraw_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
        now: UnixTime,
        until: UnixTime,
    ) -> Result<Revoked, StoreError> {
        self.step(self.sound.withdraw_consent(client_id, subject, now, until)).await
    }

    async fn prune(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        if self.is(PrunesAssertionsEarly) {
            self.sound.lock().assertions.retain(|_, expires_at| *expires_at > now);
        }
        let mut hidden = HashMap::new();
        if self.is(PrunesPendingRowsLate) {
            let mut tables = self.sound.lock();
            let is_kept = |grant: &Grant| grant.generation == 0 && grant.expires_at > now;
            hidden.extend(
                tables
                    .grants
                    .iter()
                    .filter(|(_, it)| is_kept(it))
                    .map(|(id, it)| (*id, it.clone())),
            );
            tables.grants.retain(|id, _| !hidden.contains_key(id));
        }
        if self.is(PrunesPendingRowsEarly) {
            let is_early = |it: &Grant| it.generation == 0 && it.code_expires_at <= now;
            self.sound.lock().grants.retain(|_, it| !is_early(it));
        }
        let pruned = self.step(self.sound.prune(now, limit)).await;
        self.sound.lock().grants.extend(hidden);
        pruned
    }
}
