//! The arguments and answers of the methods of [`GrantStore`](super::GrantStore).

use serde::{Deserialize, Serialize};

use super::{AssertionPurpose, Grant};
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, GrantId, Resource, SessionId, Subject};
use crate::protocol::confirmation::Confirmation;
use crate::protocol::scope::Scope;
use crate::secret::Digest;

/// The answer of [`GrantStore::insert_grant`](super::GrantStore::insert_grant).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InsertGrant {
    /// This call, and no other, made the row.
    Inserted {
        /// The date of the grant by the store's clock, as it stands in the row.
        authorized_at: UnixTime,
    },
    /// A row with this grant id exists: the decision was made before. Nothing was stored.
    AlreadyDecided,
    /// A revocation covers the date of the grant: it was answered after the checks behind the decision
    /// began. Nothing was stored.
    Revoked,
    /// The app is disabled or deleted. Nothing was stored.
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
    /// The key or certificate that the request proves.
    pub confirmation: Option<Confirmation>,
    /// Whether the grant is from now on bound to `confirmation` (a public app), or to nothing.
    pub binds: bool,
    /// The device that the request names. The grant gets it, unless it has one.
    pub device: Option<DeviceId>,
    /// How a code is judged that its client polls with (RFC 8628 section 3.4). `None` for an authorization
    /// code.
    pub polling: Option<Polling>,
    /// A random id of this request.
    pub claim: u64,
    /// The present instant.
    pub now: UnixTime,
}

/// The rule for a code that its client polls with: presenting it again is no replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts call the store in their own tests")]
pub struct Polling {
    /// How long after the redemption the same answer is given again, in milliseconds. 0: never.
    pub grace_millis: i64,
    /// As [`Rotation::skew_millis`].
    pub skew_millis: i64,
}

impl Polling {
    /// Returns the ages of generation 1, in milliseconds, between which its code is answered again.
    #[must_use]
    pub fn retry_ages(&self) -> (i64, i64) {
        retry_ages(self.grace_millis, self.skew_millis)
    }
}

/// How far the clock may jump back, in milliseconds, before a grace window closes.
const CLOCK_JUMP_MILLIS: i64 = 5_000;

/// Returns the ages between which an answer is given again. Without grace there are none.
fn retry_ages(grace_millis: i64, skew_millis: i64) -> (i64, i64) {
    let least = -skew_millis.max(CLOCK_JUMP_MILLIS);
    let most = grace_millis.saturating_add(skew_millis);
    (least, if grace_millis > 0 { most } else { least })
}

/// The answer of [`GrantStore::redeem_code`](super::GrantStore::redeem_code).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedeemCode {
    /// This call, and no other, redeemed the code: the grant is at generation 1.
    Redeemed,
    /// The code had been redeemed; this call has revoked the grant, or found it revoked.
    AlreadyRedeemed,
    /// The polled code had been redeemed, the grace is open, and generation 1 is live: the client lost its
    /// answer and gets it again. Only [`Grant::retries`] has changed.
    Retried,
    /// The polled code had been redeemed, and its grace has ended. Nothing changed.
    Spent,
    /// The bindings or the key are wrong. Only the count has changed.
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
    /// The key or certificate that the request proves.
    pub confirmation: Option<Confirmation>,
    /// Whether an unbound grant is from now on bound to `confirmation` (a public app).
    pub binds: bool,
    /// How long the immediate predecessor of the live generation gets the same successor again, in
    /// milliseconds. 0: never.
    pub grace_millis: i64,
    /// How much the clocks of two hosts may differ, in milliseconds: see
    /// [`GrantStore::clock_skew`](super::GrantStore::clock_skew). The grace and the idle time are longer by
    /// it.
    pub skew_millis: i64,
    /// After how many milliseconds without rotation the grant has expired, if ever.
    pub idle_millis: Option<i64>,
    /// Whether the presented generation proves reuse if it is spent. `false` if the row, read after the
    /// request had begun, still gave it a successor: other requests have spent it meanwhile, and the client
    /// may have given this one up. `true` where the app allows no grace.
    pub proves_reuse: bool,
    /// A random id of this request.
    pub claim: u64,
    /// The present instant.
    pub now: UnixTime,
}

impl Rotation {
    /// Checks whether the handle is a refresh token of a grant with these members. Generation 0 is the code, and only
    /// a redemption asks for its bindings.
    pub(super) fn is_of(&self, client_id: &ClientId, salt_digest: &Digest) -> bool {
        self.generation > 0
            && self.client_id == *client_id
            && salt_digest.matches(&self.salt_digest)
    }

    /// Returns the ages of the live generation, in milliseconds, between which its predecessor is answered
    /// again. Without grace there are none.
    #[must_use]
    pub fn retry_ages(&self) -> (i64, i64) {
        retry_ages(self.grace_millis, self.skew_millis)
    }

    /// Returns the age of the live generation, in milliseconds, from which it has expired.
    #[must_use]
    pub fn idle_age(&self) -> Option<i64> {
        self.idle_millis.map(|idle| idle.saturating_add(self.skew_millis))
    }
}

/// The answer of [`GrantStore::rotate`](super::GrantStore::rotate). In the first three cases the live generation is now
/// the presented one plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotate {
    /// The presented generation was live; this call, and no other, made its successor.
    Rotated,
    /// The presented generation is the immediate predecessor of the live one, and the grace window
    /// is open: the client lost its answer and asks again, or sent several requests at once.
    Retried {
        /// How often this generation was handed out again, this time included. It stays at
        /// [`u8::MAX`].
        retries: u8,
    },
    /// The presented generation is ahead of the row: the store was rewound. The row caught up.
    Ahead,
    /// The presented generation is spent. This call has revoked the grant.
    Reused,
    /// The presented generation was spent while the request was under way, which
    /// [proves no reuse](Rotation::proves_reuse). Nothing changed.
    Overtaken,
    /// The grant is bound to another key or certificate. Nothing changed.
    WrongKey,
    /// Nothing changed.
    Refused(GrantRefusal),
}

/// The reason why a grant gives nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrantRefusal {
    /// No grant has this id, app, salt and (for a spent code) binding.
    Unknown,
    /// The code, the grant, or the time it may lie idle has expired.
    Expired,
    /// It was revoked, a cutoff covers it, or its app is disabled or deleted.
    Revoked,
}

/// The single use of an assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts call the store in their own tests")]
pub struct AssertionClaim {
    /// The app that presents it.
    pub client_id: ClientId,
    /// Its purpose.
    pub purpose: AssertionPurpose,
    /// Digest of its issuer and `jti`.
    pub jti: Digest,
    /// Until when no other assertion may carry this `jti`: its expiry, the clock skew, a minute.
    pub expires_at: UnixTime,
    /// The access that the app gets, dated as for [`insert_grant`](super::GrantStore::insert_grant);
    /// `None` if the assertion only authenticates the app.
    pub grant: Option<Grant>,
    /// Whether the grant becomes a row with the claim: the app gets a refresh token.
    pub makes_row: bool,
    /// The present instant.
    pub now: UnixTime,
}

/// The answer of [`GrantStore::claim_assertion`](super::GrantStore::claim_assertion).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimAssertion {
    /// This call, and no other, owns the assertion.
    First {
        /// The date of the grant by the store's clock, as it stands in its row if it has one. Without a
        /// grant, the present instant.
        authorized_at: UnixTime,
    },
    /// It was claimed before. Nothing was stored.
    Replayed,
    /// A revocation covers the date of the grant: it was answered after the checks of the request began.
    /// Nothing was stored, and the assertion is unused.
    Revoked,
    /// The app is disabled or deleted. Nothing was stored.
    AppInactive,
}

/// The answer of [`GrantStore::revoke`](super::GrantStore::revoke).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts' stores make it")]
pub struct Revoked {
    /// The instant of the revocation by the store's clock.
    pub at: UnixTime,
}

/// A user's consent to an app, so that the next prompt can be skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "hosts' stores make it")]
pub struct Consent {
    /// The app.
    pub client_id: ClientId,
    /// The user.
    pub subject: Subject,
    /// The scope that the user agreed to.
    pub scope: Scope,
    /// The API for which the user agreed: the app's default at the decision, or the issuer. A record of a
    /// version that did not keep it has none, and the user is asked again.
    #[serde(default)]
    pub resource: Option<Resource>,
    /// When the user last agreed: the [`authorized_at`](Grant::authorized_at) of the decision, by
    /// the store's clock.
    pub given_at: UnixTime,
}

impl Consent {
    /// Checks whether the user agreed to this API, in any of its spellings.
    pub(crate) fn is_for(&self, api: Option<&Resource>) -> bool {
        let agreed = self.resource.as_ref().zip(api);
        agreed.is_some_and(|(agreed, api)| agreed.is_equivalent(api))
    }
}

/// A selection of grants to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrantFilter {
    /// Only grants of this app.
    pub client_id: Option<ClientId>,
    /// Only grants of this user.
    pub subject: Option<Subject>,
    /// Only grants on a device of this name.
    pub device: Option<DeviceId>,
    /// Only grants of this session.
    pub session: Option<SessionId>,
    /// Only grants that are live at this instant: neither expired nor revoked in their row.
    pub live_at: Option<UnixTime>,
}

impl GrantFilter {
    /// Selects every grant.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Selects only grants of this app.
    #[must_use]
    pub fn of_app(mut self, client_id: ClientId) -> Self {
        self.client_id = Some(client_id);
        self
    }

    /// Selects only grants of this user.
    #[must_use]
    pub fn of_subject(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Selects only grants on a device of this name, of every app and user that the rest of the filter
    /// allows.
    #[must_use]
    pub fn on_device(mut self, device: DeviceId) -> Self {
        self.device = Some(device);
        self
    }

    /// Selects only grants of this session: the apps that a logout has to reach.
    #[must_use]
    pub fn of_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Selects only grants that are live at `now`: neither expired nor revoked in their row.
    #[must_use]
    pub fn live_at(mut self, now: UnixTime) -> Self {
        self.live_at = Some(now);
        self
    }

    /// Checks whether the filter selects `grant`.
    #[must_use]
    pub fn admits(&self, grant: &Grant) -> bool {
        self.client_id.as_ref().is_none_or(|id| *id == grant.client_id)
            && self.subject.as_ref().is_none_or(|subject| *subject == grant.subject)
            && self.device.as_ref().is_none_or(|device| grant.device.as_ref() == Some(device))
            && self.session.as_ref().is_none_or(|own| grant.session() == Some(own))
            && self.live_at.is_none_or(|now| grant.revoked.is_none() && grant.expires_at > now)
    }
}

/// The answer of [`GrantStore::prune`](super::GrantStore::prune).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts' stores make it")]
pub struct Pruned {
    /// How many rows it removed.
    pub removed: usize,
    /// Whether there is more to remove now.
    pub more: bool,
}
