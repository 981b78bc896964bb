//! The grant: one row, from the decision of the user to the last token that descends from it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::app::Flow;
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, EvidenceIssuer, GrantId, SessionId, Subject};
use crate::jwt::Circumstances;
use crate::protocol::confirmation::Confirmation;
use crate::protocol::resources::Resources;
use crate::protocol::scope::Scope;
use crate::secret::Digest;
use crate::store::{
    AccessFacts, CodeRedemption, GrantRefusal, Polling, RedeemCode, RevocationReason, Rotate,
    Rotation,
};

/// The number of redemptions with wrong bindings after which a code is void.
pub const MAX_MISMATCHES: u8 = 5;

/// The longest lifetime of the ticket by which a user decides.
pub(crate) const MAX_TICKET_LIFETIME: Duration = Duration::from_hours(1);
/// The time for which a pending row outlives its code and its ticket, because clocks differ.
const PENDING_MARGIN: Duration = Duration::from_mins(1);

/// One consent or one impersonation. The pending authorization code is this row at generation 0;
/// the refresh token of generation *n* is this row at generation *n*.
///
/// It holds digests only: no bearer value can be computed from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Grant {
    /// Primary key.
    pub grant_id: GrantId,
    /// The app to which access was granted.
    pub client_id: ClientId,
    /// The user whose access it is.
    pub subject: Subject,
    /// The flow that made it, if `actor` does not tell: see [`made_by`](Self::made_by). A record of a
    /// version that did not keep it has none.
    #[serde(default)]
    pub flow: Option<Flow>,
    /// The app that acts as the user, if this is an impersonation.
    #[serde(default)]
    pub actor: Option<ClientId>,
    /// The granted scope. It never changes; a refresh answers with its intersection with what the app
    /// is allowed then.
    pub scope: Scope,
    /// The APIs for which it was granted, if the request named any (RFC 8707). A token is for one of
    /// them.
    #[serde(default, rename = "resource")]
    pub resources: Option<Resources>,
    /// The device on which it was granted, if the host named it.
    #[serde(default)]
    pub device: Option<DeviceId>,
    /// When the user last logged in, if the host said so; whole seconds. Rotation never changes it.
    #[serde(default)]
    pub auth_time: Option<UnixTime>,
    /// The session, the authentication and the evidence behind it, if there are any. Rotation never
    /// changes them.
    #[serde(default)]
    pub circumstances: Option<Box<Circumstances>>,
    /// Digest of the bindings of the code: redirect URI and code challenge.
    pub binding: Digest,
    /// Digest of the salt that every handle of this grant carries.
    pub salt_digest: Digest,
    /// The key or certificate that a request must prove: of the code, if the authorization request
    /// named it, and of the refresh tokens of a public app.
    #[serde(default)]
    pub confirmation: Option<Confirmation>,
    /// The first generation that was given out bound to `confirmation`; 0: the code.
    #[serde(default)]
    pub bound_from: u32,
    /// The date of the grant, by the store's clock: an instant before the first check behind it. Cutoffs
    /// are compared with it; rotation never changes it.
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
    /// Random id of the request that made the live generation. By it, a statement that cannot return
    /// old values knows whether it won.
    #[serde(default)]
    pub claim: u64,
    /// How often the live generation was handed out again to its predecessor, or to a polled code. It stays at
    /// [`u8::MAX`] and ends nothing.
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
    /// Creates a grant of the authorization code flow, just decided, with its code pending.
    #[must_use]
    pub fn new(grant_id: GrantId, client_id: ClientId, subject: Subject, scope: Scope) -> Self {
        Self {
            grant_id,
            client_id,
            subject,
            flow: None,
            actor: None,
            scope,
            resources: None,
            device: None,
            auth_time: None,
            circumstances: None,
            binding: Digest::from_bytes([0; 32]),
            salt_digest: Digest::from_bytes([0; 32]),
            confirmation: None,
            bound_from: 0,
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

    /// Returns the flow that made the grant: `flow`, or without it JWT bearer if an app acts as the
    /// user, else the authorization code flow.
    #[must_use]
    pub fn made_by(&self) -> Flow {
        let told = if self.actor.is_some() { Flow::JwtBearer } else { Flow::AuthorizationCode };
        self.flow.unwrap_or(told)
    }

    /// Returns the session of the user in which it was granted.
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        self.circumstances.as_ref()?.session.as_ref()
    }

    /// Returns the other issuer on whose evidence it was granted.
    #[must_use]
    pub fn evidence_issuer(&self) -> Option<&EvidenceIssuer> {
        self.circumstances.as_ref()?.evidence_issuer.as_ref()
    }

    /// Applies the promise of [`GrantStore::redeem_code`](crate::store::GrantStore::redeem_code) to
    /// one row. A store that locks the row may call this and write the row back.
    ///
    /// `void` says that something outside the row ends the grant: a cutoff covers
    /// [its facts](Self::facts_of_redemption), or its app is disabled or deleted. The row has changed unless
    /// the answer is [`RedeemCode::Refused`] or [`RedeemCode::Spent`].
    pub fn redeem(&mut self, redemption: &CodeRedemption, void: bool) -> RedeemCode {
        if self.client_id != redemption.client_id
            || !self.salt_digest.matches(&redemption.salt_digest)
        {
            return RedeemCode::Refused(GrantRefusal::Unknown);
        }
        let bound = self.binding.matches(&redemption.binding);
        if self.generation > 0 {
            // Only a caller that proves the bindings may end the grant. It need not prove the key: a
            // thief who redeemed first would have bound the grant to his own.
            if !bound {
                return RedeemCode::Refused(GrantRefusal::Unknown);
            }
            if let Some(polling) = redemption.polling {
                return self.redeem_again(redemption, polling, void);
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
        if !bound || !self.admits_key(redemption.confirmation) {
            self.mismatches = self.mismatches.saturating_add(1);
            if self.mismatches >= MAX_MISMATCHES {
                self.revoke(RevocationReason::CodeGuessed, redemption.now);
            }
            return RedeemCode::Mismatch;
        }
        self.confirmation = redemption.confirmation.filter(|_| redemption.binds);
        self.bound_from = 0;
        if self.device.is_none() {
            self.device.clone_from(&redemption.device);
        }
        self.generation = 1;
        self.rotated_at = redemption.now;
        self.claim = redemption.claim;
        RedeemCode::Redeemed
    }

    /// Answers a polled code that was redeemed before.
    fn redeem_again(
        &mut self,
        redemption: &CodeRedemption,
        polling: Polling,
        void: bool,
    ) -> RedeemCode {
        if void || self.revoked.is_some() {
            return RedeemCode::Refused(GrantRefusal::Revoked);
        }
        if self.expires_at <= redemption.now {
            return RedeemCode::Refused(GrantRefusal::Expired);
        }
        if !self.admits_key(redemption.confirmation) {
            return RedeemCode::Refused(GrantRefusal::Unknown);
        }
        let age = redemption.now.millis_since(self.rotated_at);
        let (least, most) = polling.retry_ages();
        if self.generation != 1 || age <= least || age >= most {
            return RedeemCode::Spent;
        }
        self.retries = self.retries.saturating_add(1);
        RedeemCode::Retried
    }

    /// Applies the promise of [`GrantStore::rotate`](crate::store::GrantStore::rotate) to one row.
    /// `void` as for [`redeem`](Self::redeem). The row has changed unless the answer is
    /// [`Rotate::Refused`], [`Rotate::WrongKey`] or [`Rotate::Overtaken`].
    pub fn rotate(&mut self, rotation: &Rotation, void: bool) -> Rotate {
        if !rotation.is_of(&self.client_id, &self.salt_digest) {
            return Rotate::Refused(GrantRefusal::Unknown);
        }
        let mut live = self.live();
        let answer = live.rotate(rotation, void);
        (self.confirmation, self.bound_from) = (live.confirmation, live.bound_from);
        (self.generation, self.rotated_at) = (live.generation, live.rotated_at);
        (self.claim, self.retries, self.revoked) = (live.claim, live.retries, live.revoked);
        answer
    }

    /// Returns the members that the rules of rotation read.
    const fn live(&self) -> Live {
        Live {
            confirmation: self.confirmation,
            bound_from: self.bound_from,
            expires_at: self.expires_at,
            generation: self.generation,
            rotated_at: self.rotated_at,
            claim: self.claim,
            retries: self.retries,
            revoked: self.revoked,
        }
    }

    /// Checks whether a request that proves `key` may use the grant.
    fn admits_key(&self, key: Option<Confirmation>) -> bool {
        self.live().admits_key(key)
    }

    /// Checks whether the grant has expired, or was idle for too long.
    pub(crate) fn is_expired(&self, rotation: &Rotation) -> bool {
        self.live().is_expired(rotation)
    }

    /// Checks whether `rotation` presents the immediate predecessor of the live generation in time.
    #[must_use]
    pub fn is_retry(&self, rotation: &Rotation) -> bool {
        self.live().is_retry(rotation)
    }

    /// Checks whether `rotation` presents a generation that has been spent, too long ago for a retry.
    pub(crate) fn has_spent(&self, rotation: &Rotation) -> bool {
        rotation.generation < self.generation && !self.is_retry(rotation)
    }

    /// Ends the grant, unless it has ended before.
    pub fn revoke(&mut self, why: RevocationReason, now: UnixTime) {
        self.revoked.get_or_insert((now, why));
    }

    /// Returns the instant from which the row decides nothing and may be removed.
    ///
    /// For a code that was never redeemed, and for a denial, it is a minute after the code has expired or
    /// the last ticket that could show the decision again, whichever is later. Otherwise it is
    /// [`expires_at`](Self::expires_at).
    #[must_use]
    pub fn inert_at(&self) -> UnixTime {
        if self.generation > 0 {
            return self.expires_at;
        }
        pending_until(self.authorized_at, self.code_expires_at, self.expires_at)
    }

    /// Returns the facts by which the store judges `redemption`: those of the grant with the device that it
    /// would get.
    #[must_use]
    pub fn facts_of_redemption<'a>(&'a self, redemption: &'a CodeRedemption) -> AccessFacts<'a> {
        AccessFacts { device: self.device.as_ref().or(redemption.device.as_ref()), ..self.facts() }
    }

    /// Returns the facts by which the store judges this grant and its tokens.
    #[must_use]
    pub fn facts(&self) -> AccessFacts<'_> {
        AccessFacts {
            grant_id: self.grant_id,
            client_id: &self.client_id,
            subject: &self.subject,
            device: self.device.as_ref(),
            session: self.session(),
            evidence_issuer: self.evidence_issuer(),
            authorized_at: self.authorized_at,
            via: &[],
        }
    }
}

/// The members of a grant that the rules of rotation read and change, apart from the names in a
/// [`Rotation`]. A store may keep its rows in another form than [`Grant`].
#[derive(Clone, Copy)]
pub(super) struct Live {
    pub(super) confirmation: Option<Confirmation>,
    pub(super) bound_from: u32,
    pub(super) expires_at: UnixTime,
    pub(super) generation: u32,
    pub(super) rotated_at: UnixTime,
    pub(super) claim: u64,
    pub(super) retries: u8,
    pub(super) revoked: Option<(UnixTime, RevocationReason)>,
}

impl Live {
    /// Does as [`Grant::rotate`] does, for a rotation that [is of](Rotation::is_of) this grant.
    pub(super) fn rotate(&mut self, rotation: &Rotation, void: bool) -> Rotate {
        if void || self.revoked.is_some() {
            return Rotate::Refused(GrantRefusal::Revoked);
        }
        if self.is_expired(rotation) {
            return Rotate::Refused(GrantRefusal::Expired);
        }
        // A handle from before the binding proves reuse without the key, else a thief who binds a stolen
        // refresh token would be safe from its owner.
        if !self.admits_key(rotation.confirmation)
            && (rotation.generation >= self.bound_from || self.is_retry(rotation))
        {
            return Rotate::WrongKey;
        }
        if rotation.generation >= self.generation {
            // Ahead of the row: the handle was sealed by this server, so the store was rewound.
            let ahead = rotation.generation > self.generation;
            let Some(successor) = rotation.generation.checked_add(1) else {
                return Rotate::Refused(GrantRefusal::Expired);
            };
            if self.confirmation.is_none() && rotation.binds && rotation.confirmation.is_some() {
                self.confirmation = rotation.confirmation;
                self.bound_from = successor;
            }
            self.generation = successor;
            self.rotated_at = rotation.now;
            self.claim = rotation.claim;
            self.retries = 0;
            return if ahead { Rotate::Ahead } else { Rotate::Rotated };
        }
        if self.is_retry(rotation) {
            self.retries = self.retries.saturating_add(1);
            return Rotate::Retried { retries: self.retries };
        }
        if !rotation.proves_reuse {
            return Rotate::Overtaken;
        }
        self.revoked.get_or_insert((rotation.now, RevocationReason::RefreshTokenReused));
        Rotate::Reused
    }

    /// Checks whether a request that proves `key` may use the grant. An unbound one admits every key.
    fn admits_key(&self, key: Option<Confirmation>) -> bool {
        self.confirmation.is_none_or(|own| key == Some(own))
    }

    fn is_expired(&self, rotation: &Rotation) -> bool {
        let idle = rotation.idle_age().is_some_and(|idle| {
            self.generation > 0 && rotation.now.millis_since(self.rotated_at) >= idle
        });
        idle || self.expires_at <= rotation.now
    }

    fn is_retry(&self, rotation: &Rotation) -> bool {
        let age = rotation.now.millis_since(self.rotated_at);
        let (least, most) = rotation.retry_ages();
        rotation.generation.checked_add(1) == Some(self.generation) && (age > least && age < most)
    }
}

/// Returns the instant at which the row of a code that was never redeemed, or of a denial, is inert.
pub(super) fn pending_until(
    authorized_at: UnixTime,
    code_expires_at: UnixTime,
    expires_at: UnixTime,
) -> UnixTime {
    let ticket = authorized_at.plus(MAX_TICKET_LIFETIME).min(expires_at);
    code_expires_at.max(ticket).plus(PENDING_MARGIN)
}

#[cfg(test)]
#[path = "grant_tests.rs"]
mod tests;
