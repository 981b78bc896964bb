//! Storage of grants, cutoffs, assertions and consents: the atomic half of the contract.

use std::sync::Arc;
use std::time::Duration;

use super::{
    AccessFacts, AssertionClaim, ClaimAssertion, CodeRedemption, Consent, FeedCursor, Grant,
    GrantFilter, InsertGrant, Listing, Page, Pruned, RedeemCode, Revocation, RevocationFeed,
    Revoked, Rotate, Rotation, StoreError,
};
use crate::clock::UnixTime;
use crate::ids::{ClientId, GrantId, Subject};
use crate::server_secret::{RootPrint, RootsClaim};

/// Storage of the grants, cutoffs, assertions and consents of one issuer. Every method but `list_grants`
/// and `list_consents` reads and writes the primary.
///
/// Several issuers may share a database. A store then is the view of one of them: it neither finds nor
/// lists nor ends anything of another.
pub trait GrantStore: Send + Sync {
    /// Returns the newest instant of the store's clock that this process knows, without a call to the
    /// database.
    ///
    /// # Contract
    ///
    /// * Every revocation before the instant was in force when this process learned of it. Every
    ///   revocation that is called from now on is at or after it.
    /// * It is later than every [revocation](Self::revoke), [withdrawal](Self::withdraw_consent) and
    ///   [order to wipe](super::DeviceStore::request_wipe) that this value has answered, except those of
    ///   single grants, and than every one that a look-up of an app or
    ///   [`apps_version`](super::AppRegistry::apps_version) has seen.
    fn seen(&self) -> UnixTime;

    /// Returns `instant`, or the latest instant before it that the store's clock is known to have reached,
    /// without a call to the database.
    ///
    /// # Contract
    ///
    /// Every revocation that is called from now on is at or after the returned instant. A store with a clock
    /// of its own advances the last instant that it has read by the machine's monotonic clock. A store that
    /// takes its time from the caller makes `instant` an instant of its clock.
    fn reached(&self, instant: UnixTime) -> UnixTime;

    /// Asks for the present instant of the store's clock. `now` is the present instant by the host's clock.
    ///
    /// # Contract
    ///
    /// The instant is later than every revocation that was answered before the call. Every revocation that is
    /// called after the answer is at or after it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell.
    fn instant(&self, now: UnixTime) -> impl Future<Output = Result<UnixTime, StoreError>> + Send;

    /// Returns how much the clocks of two hosts that share the store may differ: zero, the default, if one
    /// process or one machine uses it.
    ///
    /// The server passes it to [`rotate`](Self::rotate) as
    /// [`skew_millis`](super::Rotation::skew_millis).
    fn clock_skew(&self) -> Duration {
        Duration::ZERO
    }

    /// Stores the decision of the user, approved or denied, as a row.
    ///
    /// # Contract
    ///
    /// * Of any number of calls with one grant id exactly one answers [`InsertGrant::Inserted`]; the
    ///   others change nothing. The id comes from a ticket that travelled through a browser.
    /// * If the app is not enabled at the instant at which the row is made, the answer is
    ///   [`InsertGrant::AppInactive`]: enabling it later revives no decision.
    /// * [`authorized_at`](Grant::authorized_at), in the call an instant of the store's clock from before
    ///   the first check behind the decision, is the date of the grant. The row has it unchanged, or an
    ///   earlier instant if the store's clock has not reached it: the instant at which the call began, or the
    ///   one after the newest revocation. Neither the instant of the row nor one after a wait for a lock will
    ///   do: a revocation that was answered meanwhile has to cover the grant.
    /// * If a revocation in force covers the date, the answer is [`InsertGrant::Revoked`], unless the grant
    ///   is revoked anyway (a denial).
    /// * Every other member of the grant comes back from [`find_grant`](Self::find_grant) as it was
    ///   given.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the row may or may not exist. Repeating the call tells.
    fn insert_grant(
        &self,
        grant: Grant,
    ) -> impl Future<Output = Result<InsertGrant, StoreError>> + Send;

    /// Redeems the code of a grant: generation 0 becomes 1.
    ///
    /// # Contract
    ///
    /// As [`Grant::redeem`], in one atomic step, with the grant void if a cutoff covers it or its
    /// app is disabled or deleted. In particular:
    ///
    /// * Exactly one caller ever gets [`RedeemCode::Redeemed`].
    /// * [`RedeemCode::AlreadyRedeemed`] means that the grant is revoked when the call returns.
    /// * Wrong bindings or a wrong key burn nothing, but are counted; after
    ///   [`MAX_MISMATCHES`](super::MAX_MISMATCHES) the code is void.
    /// * The [`confirmation`](Grant::confirmation) of the row is compared and written in the same step.
    /// * So is the [`device`](CodeRedemption::device): the grant gets it, and a cutoff that covers the grant with
    ///   this device voids it.
    /// * A [polled](CodeRedemption::polling) code that was redeemed before revokes nothing. While generation 1 is
    ///   live and its age is within the grace, as for [`rotate`](Self::rotate), every call answers
    ///   [`RedeemCode::Retried`]; later, [`RedeemCode::Spent`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the code may or may not have been redeemed.
    fn redeem_code(
        &self,
        redemption: &CodeRedemption,
    ) -> impl Future<Output = Result<RedeemCode, StoreError>> + Send;

    /// Rotates the refresh token of a grant: generation *n* becomes *n* + 1.
    ///
    /// # Contract
    ///
    /// As [`Grant::rotate`], in one atomic step, with the grant void if a cutoff covers it or its
    /// app is disabled or deleted. In particular:
    ///
    /// * At most one generation is live, ever; of any number of calls with the live generation
    ///   exactly one answers [`Rotate::Rotated`].
    /// * [`Rotate::Retried`] is answered only to the immediate predecessor of the live generation,
    ///   while its age is under the grace plus `skew_millis` and above -5 s or `-skew_millis`, the lower of
    ///   the two. Then every call gets it, however many there are, and nothing is revoked;
    ///   [`Grant::retries`] counts them and stays at 255.
    /// * [`Rotate::Reused`] means that the grant is revoked when the call returns.
    /// * A spent generation revokes the grant only if the rotation
    ///   [proves reuse](super::Rotation::proves_reuse). Otherwise the answer is [`Rotate::Overtaken`] and
    ///   nothing changes, however late the call is and at every age of the live generation.
    /// * The [`confirmation`](Grant::confirmation) of the row is compared, and written if the rotation
    ///   binds it, in the same step. [`Rotate::WrongKey`] changes nothing.
    /// * A grant that has ended gives nothing and is not revived.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the rotation may or may not have happened. The client asks again and
    /// gets the same successor.
    fn rotate(
        &self,
        rotation: &Rotation,
    ) -> impl Future<Output = Result<Rotate, StoreError>> + Send;

    /// Claims the single use of an assertion and, if it gives access with a refresh token, makes the row of
    /// the grant.
    ///
    /// # Contract
    ///
    /// * Of any number of calls with one app, purpose and `jti` exactly one answers
    ///   [`ClaimAssertion::First`] until `expires_at` has passed; pruning waits an hour more.
    /// * The grant exists from that same instant, and does not exist otherwise.
    /// * If the app is not enabled at that instant, the answer is [`ClaimAssertion::AppInactive`].
    /// * A grant is dated as by [`insert_grant`](Self::insert_grant), with or without a row. If a revocation
    ///   in force covers the date, the answer is [`ClaimAssertion::Revoked`], and the assertion is unused.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the claim may or may not stand, or if a row with the id of the grant exists.
    fn claim_assertion(
        &self,
        claim: &AssertionClaim,
    ) -> impl Future<Output = Result<ClaimAssertion, StoreError>> + Send;

    /// Finds a grant as it is now. The answer may be stale when it arrives, so it decides nothing
    /// final.
    ///
    /// # Contract
    ///
    /// The answer is not older than the call: it shows every rotation that was answered before.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell.
    fn find_grant(
        &self,
        grant_id: &GrantId,
    ) -> impl Future<Output = Result<Option<Grant>, StoreError>> + Send;

    /// Returns what this process knows of a grant that it has rotated, without asking the store. A refresh of the
    /// generation that is known to be live then spares [`find_grant`](Self::find_grant).
    ///
    /// The default knows none. A store within the process has nothing to spare.
    ///
    /// # Contract
    ///
    /// * What neither a rotation nor a revocation changes is as in the row: the app, the user, the flow, the actor, the
    ///   scope, the APIs, the device, the circumstances, the date and the expiry.
    /// * [`generation`](Grant::generation) is one that [`rotate`](Self::rotate) has made. It may have been spent since.
    ///   Every other member may be older still. So it decides nothing, and no answer of another method comes from it.
    fn known_grant(&self, grant_id: &GrantId) -> Option<Grant> {
        let _ = grant_id;
        None
    }

    /// Lists grants in the order of their ids. May read a replica.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell.
    fn list_grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> impl Future<Output = Result<Listing<Grant, GrantId>, StoreError>> + Send;

    /// Ends access, with one statement however many tokens it covers.
    ///
    /// # Contract
    ///
    /// * When it returns, nothing of the target that was authorized before lives, whenever it is
    ///   issued: no redemption, rotation or claim that overlaps the call leaves a survivor.
    /// * It spares everything else: a [`Device`](super::RevocationTarget::Device) of another user or app
    ///   with the same device id, for example.
    /// * Idempotent; a later instant replaces an earlier one, never the reverse.
    /// * A grant without a row leaves a tombstone until `until`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it may or may not be in force. Repeating the call settles it.
    fn revoke(
        &self,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<Revoked, StoreError>> + Send;

    /// Checks whether a token with these facts is void: the single predicate.
    ///
    /// # Contract
    ///
    /// * A token is void by its grant, by a tombstone, by a cutoff, or because its app is disabled or
    ///   deleted.
    /// * A derived token is void if any of its [`lineage`](AccessFacts::lineage) is, by the same rule.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell. The token is then refused.
    fn is_revoked(
        &self,
        facts: &AccessFacts<'_>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns the ids of those of `grants` that nothing has ended, for a page that lists grants. Their
    /// expiry does not matter.
    ///
    /// The default calls [`is_revoked`](Self::is_revoked) for each. A store on a database asks once.
    ///
    /// # Contract
    ///
    /// `grants` have been read from this store, at most 200. The answer has the id of each grant for which
    /// [`is_revoked`](Self::is_revoked) answers false, and no other. A grant whose row has been removed since
    /// may be missing.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell.
    fn live_among(
        &self,
        grants: &[Grant],
    ) -> impl Future<Output = Result<Vec<GrantId>, StoreError>> + Send {
        async move {
            let mut live = Vec::with_capacity(grants.len());
            for grant in grants {
                if !self.is_revoked(&grant.facts()).await? {
                    live.push(grant.grant_id);
                }
            }
            Ok(live)
        }
    }

    /// Reads the next page of the feed of revocations: cutoffs, revoked grants and tombstones that can
    /// still void a live token.
    ///
    /// # Contract
    ///
    /// * From [`FeedCursor::default`] a reader that goes on while
    ///   [`more`](RevocationFeed::more) sees every revocation in force.
    /// * At least once: an answer with `more == false` sets the cursor some seconds back, so that
    ///   an entry that was being written is read the next time.
    /// * A page holds at most `limit` entries (1 to 1,000).
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell.
    fn revocations_since(
        &self,
        cursor: FeedCursor,
        limit: usize,
        now: UnixTime,
    ) -> impl Future<Output = Result<RevocationFeed, StoreError>> + Send;

    /// Remembers a consent. It replaces the one of the same app and user.
    ///
    /// # Contract
    ///
    /// Nothing is stored if a revocation of everything, of the app, of the user, or of the app as
    /// that user is at or after [`given_at`](Consent::given_at), as [`Revocation::ends`], in one
    /// step with the check: a consent given before a withdrawal is not written after it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it may or may not be remembered.
    fn remember_consent(
        &self,
        consent: Consent,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Finds the consent of a user to an app.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell. The server then asks the user.
    fn find_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
    ) -> impl Future<Output = Result<Option<Consent>, StoreError>> + Send;

    /// Lists the consents of a user in the order of their apps' client ids. May read a replica.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell.
    fn list_consents(
        &self,
        subject: &Subject,
        page: Page<ClientId>,
    ) -> impl Future<Output = Result<Listing<Consent, ClientId>, StoreError>> + Send;

    /// Forgets the consent of a user and revokes the access of the app as that user, in one step.
    ///
    /// # Contract
    ///
    /// As [`revoke`](Self::revoke) with [`RevocationTarget::AppAndSubject`](super::RevocationTarget::AppAndSubject), and
    /// [`find_consent`](Self::find_consent) answers `None` from that instant. `now` and `until` as
    /// [`Revocation::at`] and [`Revocation::until`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it may or may not be in force. Repeating the call settles it.
    fn withdraw_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
        now: UnixTime,
        until: UnixTime,
    ) -> impl Future<Output = Result<Revoked, StoreError>> + Send;

    /// Returns the version of the tables that this program reads and writes, for an operator, such as
    /// `PostgreSQL, version 2, revision 3, additions 1`. The default is `None`, for a store without tables.
    fn schema(&self) -> Option<String> {
        None
    }

    /// Remembers the roots under which a server writes, and returns those that the server lacks. A server
    /// with a missing root must not start: it could open nothing that they sealed.
    ///
    /// The default remembers nothing, for a store that ends with its process.
    ///
    /// # Contract
    ///
    /// As [`RootsClaim::apply`] on the fingerprints that are stored, in one atomic step. A durable store
    /// keeps them as long as its grants and apps.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if they may or may not be remembered. Repeating the call settles it.
    fn claim_roots(
        &self,
        claim: &RootsClaim,
    ) -> impl Future<Output = Result<Vec<RootPrint>, StoreError>> + Send {
        let _ = claim;
        std::future::ready(Ok(Vec::new()))
    }

    /// Removes a bounded batch of inert rows.
    ///
    /// # Contract
    ///
    /// * Removes at most `limit` rows: grants that are inert by [`Grant::inert_at`], with
    ///   `authorized_at` as given or as stored; revocations past their `until`; assertions an hour past
    ///   their expiry. Nothing else. A redeemed grant may stay a minute longer. It may remove those of other issuers in the same database, too.
    /// * [`Pruned::more`] tells whether the same call would remove more.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if some of the batch may not have been removed.
    fn prune(
        &self,
        now: UnixTime,
        limit: usize,
    ) -> impl Future<Output = Result<Pruned, StoreError>> + Send;
}

impl<T: GrantStore> GrantStore for Arc<T> {
    fn seen(&self) -> UnixTime {
        T::seen(self)
    }

    fn reached(&self, instant: UnixTime) -> UnixTime {
        T::reached(self, instant)
    }

    fn schema(&self) -> Option<String> {
        T::schema(self)
    }

    async fn instant(&self, now: UnixTime) -> Result<UnixTime, StoreError> {
        T::instant(self, now).await
    }

    fn clock_skew(&self) -> Duration {
        T::clock_skew(self)
    }

    async fn insert_grant(&self, grant: Grant) -> Result<InsertGrant, StoreError> {
        T::insert_grant(self, grant).await
    }

    async fn redeem_code(&self, redemption: &CodeRedemption) -> Result<RedeemCode, StoreError> {
        T::redeem_code(self, redemption).await
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<Rotate, StoreError> {
        T::rotate(self, rotation).await
    }

    async fn claim_assertion(&self, claim: &AssertionClaim) -> Result<ClaimAssertion, StoreError> {
        T::claim_assertion(self, claim).await
    }

    fn known_grant(&self, grant_id: &GrantId) -> Option<Grant> {
        T::known_grant(self, grant_id)
    }

    async fn find_grant(&self, grant_id: &GrantId) -> Result<Option<Grant>, StoreError> {
        T::find_grant(self, grant_id).await
    }

    async fn list_grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        T::list_grants(self, filter, page).await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<Revoked, StoreError> {
        T::revoke(self, revocation).await
    }

    async fn is_revoked(&self, facts: &AccessFacts<'_>) -> Result<bool, StoreError> {
        T::is_revoked(self, facts).await
    }

    async fn live_among(&self, grants: &[Grant]) -> Result<Vec<GrantId>, StoreError> {
        T::live_among(self, grants).await
    }

    async fn revocations_since(
        &self,
        cursor: FeedCursor,
        limit: usize,
        now: UnixTime,
    ) -> Result<RevocationFeed, StoreError> {
        T::revocations_since(self, cursor, limit, now).await
    }

    async fn remember_consent(&self, consent: Consent) -> Result<(), StoreError> {
        T::remember_consent(self, consent).await
    }

    async fn find_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
    ) -> Result<Option<Consent>, StoreError> {
        T::find_consent(self, client_id, subject).await
    }

    async fn list_consents(
        &self,
        subject: &Subject,
        page: Page<ClientId>,
    ) -> Result<Listing<Consent, ClientId>, StoreError> {
        T::list_consents(self, subject, page).await
    }

    async fn withdraw_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
        now: UnixTime,
        until: UnixTime,
    ) -> Result<Revoked, StoreError> {
        T::withdraw_consent(self, client_id, subject, now, until).await
    }

    async fn claim_roots(&self, claim: &RootsClaim) -> Result<Vec<RootPrint>, StoreError> {
        T::claim_roots(self, claim).await
    }

    async fn prune(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        T::prune(self, now, limit).await
    }
}
