//! What goes into the methods of a [`GrantStore`](super::GrantStore), and what comes out.

use serde::{Deserialize, Serialize};

use super::{AssertionPurpose, Grant};
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, GrantId, Subject};
use crate::jwt::AccessTokenClaims;
use crate::protocol::scope::Scope;
use crate::secret::Digest;

/// What [`GrantStore::insert_grant`](super::GrantStore::insert_grant) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InsertGrant {
    /// This call, and no other, made the row.
    Inserted {
        /// The instant of the decision by the store's clock, as it stands in the row.
        authorized_at: UnixTime,
    },
    /// There is a row with this grant id: the decision was made before. Nothing was stored.
    AlreadyDecided,
    /// The app is disabled or gone. Nothing was stored.
    AppInactive,
}

/// A code presented at the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts call the store in their own tests")]
pub struct CodeRedemption {
    /// From the sealed handle.
    pub grant_id: GrantId,
    /// The authenticated app.
    pub client_id: ClientId,
    /// Digest of the redirect URI and the challenge of the presented verifier.
    pub binding: Digest,
    /// Digest of the salt in the sealed handle.
    pub salt_digest: Digest,
    /// A random id of this request.
    pub claim: u64,
    /// The present instant.
    pub now: UnixTime,
}

/// What [`GrantStore::redeem_code`](super::GrantStore::redeem_code) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedeemCode {
    /// This call, and no other, redeemed the code: the grant is at generation 1.
    Redeemed,
    /// The code had been redeemed; this call has revoked the grant, or found it revoked.
    AlreadyRedeemed,
    /// The bindings are wrong. The code is as it was, but for the count.
    Mismatch,
    /// Nothing changed.
    Refused(GrantRefusal),
}

/// A refresh token presented at the token endpoint, with the app's settings for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts call the store in their own tests")]
pub struct Rotation {
    /// From the sealed handle.
    pub grant_id: GrantId,
    /// The authenticated app.
    pub client_id: ClientId,
    /// Digest of the salt in the sealed handle.
    pub salt_digest: Digest,
    /// The generation in the sealed handle; 0 is a code and refused.
    pub generation: u32,
    /// How long the immediate predecessor of the live generation gets the same successor again, in
    /// milliseconds. 0: never.
    pub grace_millis: i64,
    /// How often it does so at most.
    pub max_retries: u8,
    /// After how many milliseconds without rotation the grant has expired, if ever.
    pub idle_millis: Option<i64>,
    /// A random id of this request.
    pub claim: u64,
    /// The present instant.
    pub now: UnixTime,
}

/// What [`GrantStore::rotate`](super::GrantStore::rotate) did. In the first three cases the live generation is now the
/// presented one plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotate {
    /// The presented generation was live; this call, and no other, made its successor.
    Rotated,
    /// The presented generation is the immediate predecessor of the live one, and the grace window
    /// is open: the client lost its answer and asks again.
    Retried,
    /// The presented generation is ahead of the row: the store was rewound. The row caught up.
    Ahead,
    /// The presented generation is spent. This call has revoked the grant.
    Reused,
    /// Nothing changed.
    Refused(GrantRefusal),
}

/// Why a grant gives nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrantRefusal {
    /// There is no grant with this id, app, salt and (for a spent code) binding.
    Unknown,
    /// The code, the grant, or the time it may lie idle has expired.
    Expired,
    /// It was revoked, a cutoff covers it, or its app is disabled or gone.
    Revoked,
}

/// The single use of an assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts call the store in their own tests")]
pub struct AssertionClaim {
    /// The app that presents it.
    pub client_id: ClientId,
    /// What for.
    pub purpose: AssertionPurpose,
    /// Digest of its issuer and `jti`.
    pub jti: Digest,
    /// Until when no other assertion may carry this `jti`: its expiry, the clock skew, a minute.
    pub expires_at: UnixTime,
    /// The grant that exists from the instant of the claim, where the app gets a refresh token.
    pub grant: Option<Grant>,
    /// The present instant.
    pub now: UnixTime,
}

/// What [`GrantStore::claim_assertion`](super::GrantStore::claim_assertion) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimAssertion {
    /// This call, and no other, owns the assertion.
    First {
        /// The instant of the claim by the store's clock, as it stands in the grant if there is one.
        authorized_at: UnixTime,
    },
    /// It was claimed before. Nothing was stored.
    Replayed,
    /// The app is disabled or gone. Nothing was stored.
    AppInactive,
}

/// What the store wants to know of a token to say whether it is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever checks a token")]
pub struct AccessFacts<'a> {
    /// Its grant. It need not have a row.
    pub grant_id: GrantId,
    /// Its app.
    pub client_id: &'a ClientId,
    /// Its user, or the app itself.
    pub subject: &'a Subject,
    /// Its device, if it has one.
    pub device: Option<&'a DeviceId>,
    /// The instant of the decision from which it descends.
    pub authorized_at: UnixTime,
}

impl<'a> From<&'a AccessTokenClaims> for AccessFacts<'a> {
    fn from(claims: &'a AccessTokenClaims) -> Self {
        Self {
            grant_id: claims.grant_id,
            client_id: &claims.client_id,
            subject: &claims.subject,
            device: claims.device.as_ref(),
            authorized_at: claims.authorized_at,
        }
    }
}

/// Whose access ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RevocationTarget {
    /// Everybody's.
    Everything,
    /// Everything granted to an app.
    App(ClientId),
    /// Everything that acts as a user.
    Subject(Subject),
    /// What one app may do as one user.
    AppAndSubject(ClientId, Subject),
    /// Everything granted on a device.
    Device(DeviceId),
    /// One grant, whether or not it has a row.
    Grant(GrantId),
}

impl RevocationTarget {
    /// Whether a token with these facts belongs to the target.
    #[must_use]
    pub fn covers(&self, facts: &AccessFacts<'_>) -> bool {
        match self {
            Self::Everything => true,
            Self::App(client_id) => client_id == facts.client_id,
            Self::Subject(subject) => subject == facts.subject,
            Self::AppAndSubject(client_id, subject) => {
                client_id == facts.client_id && subject == facts.subject
            }
            Self::Device(device) => Some(device) == facts.device,
            Self::Grant(grant_id) => *grant_id == facts.grant_id,
        }
    }
}

/// Why access ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RevocationReason {
    /// The user said no: the request never became a grant.
    Denied,
    /// The code was presented again after its redemption.
    CodeReplayed,
    /// The code was presented too often with wrong bindings.
    CodeGuessed,
    /// A spent refresh token was presented.
    RefreshTokenReused,
    /// The app gave it back (RFC 7009).
    Client,
    /// The user withdrew the consent.
    ConsentWithdrawn,
    /// An administrator revoked it.
    Administrator,
    /// The app was disabled.
    AppDisabled,
    /// The app was deleted.
    AppDeleted,
}

/// The end of access: everything of `target` that was authorized at or before `at` is void.
///
/// For a [`RevocationTarget::Grant`] the instant does not matter: a grant ends for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "hosts call the store in their own tests")]
pub struct Revocation {
    /// Whose access.
    pub target: RevocationTarget,
    /// When, by the store's clock; in a call to [`GrantStore::revoke`](super::GrantStore::revoke) the present instant.
    pub at: UnixTime,
    /// Why.
    pub why: RevocationReason,
    /// Until when a token that it covers can be alive; it is kept until then.
    pub until: UnixTime,
}

impl Revocation {
    /// Whether a token with these facts is void by this revocation: the comparison every store and
    /// every reader of the feed makes.
    #[must_use]
    pub fn voids(&self, facts: &AccessFacts<'_>) -> bool {
        let in_time = match self.target {
            RevocationTarget::Grant(_) => true,
            RevocationTarget::Everything
            | RevocationTarget::App(_)
            | RevocationTarget::Subject(_)
            | RevocationTarget::AppAndSubject(..)
            | RevocationTarget::Device(_) => facts.authorized_at <= self.at,
        };
        in_time && self.target.covers(facts)
    }

    /// Whether it came after what was agreed to: such a consent is not remembered any more.
    #[must_use]
    pub fn ends(&self, consent: &Consent) -> bool {
        let Consent { client_id, subject, given_at, .. } = consent;
        let covers = match &self.target {
            RevocationTarget::Everything => true,
            RevocationTarget::App(app) => app == client_id,
            RevocationTarget::Subject(user) => user == subject,
            RevocationTarget::AppAndSubject(app, user) => app == client_id && user == subject,
            RevocationTarget::Device(_) | RevocationTarget::Grant(_) => false,
        };
        covers && *given_at <= self.at
    }
}

/// What [`GrantStore::revoke`](super::GrantStore::revoke) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts' stores make it")]
pub struct Revoked {
    /// The instant of the revocation by the store's clock.
    pub at: UnixTime,
}

/// What a user has agreed to, so that the next prompt can be skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "hosts' stores make it")]
pub struct Consent {
    /// The app.
    pub client_id: ClientId,
    /// The user.
    pub subject: Subject,
    /// Everything that was agreed to.
    pub scope: Scope,
    /// When it was last agreed to: the [`authorized_at`](Grant::authorized_at) of the decision, by
    /// the store's clock.
    pub given_at: UnixTime,
}

/// Which grants to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrantFilter {
    /// Only grants of this app.
    pub client_id: Option<ClientId>,
    /// Only grants of this user.
    pub subject: Option<Subject>,
    /// Only grants on this device.
    pub device: Option<DeviceId>,
    /// Only grants that are live at this instant: neither expired nor revoked in their row.
    pub live_at: Option<UnixTime>,
}

impl GrantFilter {
    /// Every grant.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only grants of this app.
    #[must_use]
    pub fn of_app(mut self, client_id: ClientId) -> Self {
        self.client_id = Some(client_id);
        self
    }

    /// Only grants of this user.
    #[must_use]
    pub fn of_subject(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Only grants on this device.
    #[must_use]
    pub fn on_device(mut self, device: DeviceId) -> Self {
        self.device = Some(device);
        self
    }

    /// Only grants that are live at `now`: neither expired nor revoked in their row.
    #[must_use]
    pub fn live_at(mut self, now: UnixTime) -> Self {
        self.live_at = Some(now);
        self
    }

    /// Whether `grant` is asked for.
    #[must_use]
    pub fn admits(&self, grant: &Grant) -> bool {
        self.client_id.as_ref().is_none_or(|id| *id == grant.client_id)
            && self.subject.as_ref().is_none_or(|subject| *subject == grant.subject)
            && self.device.as_ref().is_none_or(|device| grant.device.as_ref() == Some(device))
            && self.live_at.is_none_or(|now| grant.revoked.is_none() && grant.expires_at > now)
    }
}

/// What [`GrantStore::prune`](super::GrantStore::prune) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts' stores make it")]
pub struct Pruned {
    /// How many rows it removed.
    pub removed: usize,
    /// Whether there is more to remove now.
    pub more: bool,
}
