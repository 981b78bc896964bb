//! The grant: one row, from the decision of the user to the last token that descends from it.

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, GrantId, Resource, Subject};
use crate::protocol::scope::Scope;
use crate::secret::Digest;
use crate::store::{
    AccessFacts, CodeRedemption, GrantRefusal, RedeemCode, RevocationReason, Rotate, Rotation,
};

/// After so many redemptions with wrong bindings a code is void.
pub const MAX_MISMATCHES: u8 = 5;
/// A clock that jumped back by no more than this, in milliseconds, does not end the grace window.
const CLOCK_JUMP_MILLIS: i64 = 5_000;

/// One consent or one impersonation. The pending authorization code is this row at generation 0;
/// the refresh token of generation *n* is this row at generation *n*.
///
/// Holds digests only: no bearer value can be computed from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Grant {
    /// Primary key.
    pub grant_id: GrantId,
    /// The app to which access was granted.
    pub client_id: ClientId,
    /// The user whose access it is.
    pub subject: Subject,
    /// The app that acts as the user, if this is an impersonation.
    #[serde(default)]
    pub actor: Option<ClientId>,
    /// What was granted. Never changes; a refresh answers with its intersection with what the app
    /// is allowed then.
    pub scope: Scope,
    /// The API for which it was granted, if the request named one (RFC 8707).
    #[serde(default)]
    pub resource: Option<Resource>,
    /// The device on which it was granted, if the host told.
    #[serde(default)]
    pub device: Option<DeviceId>,
    /// When the user had last logged in, where the host told; whole seconds. Rotation never changes
    /// it.
    #[serde(default)]
    pub auth_time: Option<UnixTime>,
    /// Digest of what the code is bound to: redirect URI and code challenge.
    pub binding: Digest,
    /// Digest of the salt that every handle of this grant carries.
    pub salt_digest: Digest,
    /// The instant of the decision by the store's clock. Cutoffs are compared with it; rotation
    /// never changes it.
    pub authorized_at: UnixTime,
    /// From this instant on the code is refused.
    pub code_expires_at: UnixTime,
    /// From this instant on everything that descends from the grant is refused.
    pub expires_at: UnixTime,
    /// 0: the code is pending. *n*: the refresh token of generation *n* is live.
    #[serde(default)]
    pub generation: u32,
    /// When the live generation was made.
    #[serde(default)]
    pub rotated_at: UnixTime,
    /// Random id of the request that made the live generation. A statement that cannot return old
    /// values tells by it whether it won.
    #[serde(default)]
    pub claim: u64,
    /// How often the live generation was handed out again to its predecessor.
    #[serde(default)]
    pub retries: u8,
    /// How often redemption was tried with wrong bindings.
    #[serde(default)]
    pub mismatches: u8,
    /// When and why it ended before its time. A denied request is a grant revoked at birth.
    #[serde(default)]
    pub revoked: Option<(UnixTime, RevocationReason)>,
}

impl Grant {
    /// A grant just decided, with its code pending.
    #[must_use]
    pub fn new(grant_id: GrantId, client_id: ClientId, subject: Subject, scope: Scope) -> Self {
        Self {
            grant_id,
            client_id,
            subject,
            actor: None,
            scope,
            resource: None,
            device: None,
            auth_time: None,
            binding: Digest::from_bytes([0; 32]),
            salt_digest: Digest::from_bytes([0; 32]),
            authorized_at: UnixTime::EPOCH,
            code_expires_at: UnixTime::EPOCH,
            expires_at: UnixTime::EPOCH,
            generation: 0,
            rotated_at: UnixTime::EPOCH,
            claim: 0,
            retries: 0,
            mismatches: 0,
            revoked: None,
        }
    }

    /// What [`GrantStore::redeem_code`](crate::store::GrantStore::redeem_code) promises, as a rule
    /// on one row: a store that locks the row may apply it and write the row back.
    ///
    /// `void` is what stands outside the row: a cutoff covers the grant, or its app is disabled or
    /// gone. The row has changed unless the answer is [`RedeemCode::Refused`].
    pub fn redeem(&mut self, redemption: &CodeRedemption, void: bool) -> RedeemCode {
        if self.client_id != redemption.client_id
            || !self.salt_digest.matches(&redemption.salt_digest)
        {
            return RedeemCode::Refused(GrantRefusal::Unknown);
        }
        let bound = self.binding.matches(&redemption.binding);
        if self.generation > 0 {
            // Only who proves the bindings may hurt the owner.
            if !bound {
                return RedeemCode::Refused(GrantRefusal::Unknown);
            }
            self.revoke(RevocationReason::CodeReplayed, redemption.now);
            return RedeemCode::AlreadyRedeemed;
        }
        if void || self.revoked.is_some() {
            return RedeemCode::Refused(GrantRefusal::Revoked);
        }
        if self.code_expires_at <= redemption.now || self.expires_at <= redemption.now {
            return RedeemCode::Refused(GrantRefusal::Expired);
        }
        if !bound {
            self.mismatches = self.mismatches.saturating_add(1);
            if self.mismatches >= MAX_MISMATCHES {
                self.revoke(RevocationReason::CodeGuessed, redemption.now);
            }
            return RedeemCode::Mismatch;
        }
        self.generation = 1;
        self.rotated_at = redemption.now;
        self.claim = redemption.claim;
        RedeemCode::Redeemed
    }

    /// What [`GrantStore::rotate`](crate::store::GrantStore::rotate) promises, as a rule on one
    /// row. `void` as for [`redeem`](Self::redeem). The row has changed unless the answer is
    /// [`Rotate::Refused`].
    pub fn rotate(&mut self, rotation: &Rotation, void: bool) -> Rotate {
        // Generation 0 is the code, and only `redeem` asks for its bindings.
        if rotation.generation == 0
            || self.client_id != rotation.client_id
            || !self.salt_digest.matches(&rotation.salt_digest)
        {
            return Rotate::Refused(GrantRefusal::Unknown);
        }
        if void || self.revoked.is_some() {
            return Rotate::Refused(GrantRefusal::Revoked);
        }
        if self.is_expired(rotation) {
            return Rotate::Refused(GrantRefusal::Expired);
        }
        if rotation.generation >= self.generation {
            // Ahead of the row: the handle was sealed by this server, so the store was rewound.
            let ahead = rotation.generation > self.generation;
            let Some(successor) = rotation.generation.checked_add(1) else {
                return Rotate::Refused(GrantRefusal::Expired);
            };
            self.generation = successor;
            self.rotated_at = rotation.now;
            self.claim = rotation.claim;
            self.retries = 0;
            return if ahead { Rotate::Ahead } else { Rotate::Rotated };
        }
        if self.is_retry(rotation) {
            self.retries = self.retries.saturating_add(1);
            return Rotate::Retried;
        }
        self.revoke(RevocationReason::RefreshTokenReused, rotation.now);
        Rotate::Reused
    }

    fn is_expired(&self, rotation: &Rotation) -> bool {
        let idle = rotation.idle_millis.is_some_and(|idle| {
            self.generation > 0 && rotation.now.millis_since(self.rotated_at) >= idle
        });
        idle || self.expires_at <= rotation.now
    }

    /// Whether `rotation` presents the immediate predecessor of the live generation in time.
    #[must_use]
    pub fn is_retry(&self, rotation: &Rotation) -> bool {
        let age = rotation.now.millis_since(self.rotated_at);
        rotation.generation.checked_add(1) == Some(self.generation)
            && rotation.grace_millis > 0
            && age > -CLOCK_JUMP_MILLIS
            && age < rotation.grace_millis
            && self.retries < rotation.max_retries
    }

    /// Ends the grant, unless it has ended before.
    pub fn revoke(&mut self, why: RevocationReason, now: UnixTime) {
        self.revoked.get_or_insert((now, why));
    }

    /// What the store's predicate wants to know of this grant's tokens.
    #[must_use]
    pub fn facts(&self) -> AccessFacts<'_> {
        AccessFacts {
            grant_id: self.grant_id,
            client_id: &self.client_id,
            subject: &self.subject,
            device: self.device.as_ref(),
            authorized_at: self.authorized_at,
        }
    }
}

#[cfg(test)]
#[path = "grant_tests.rs"]
mod tests;
