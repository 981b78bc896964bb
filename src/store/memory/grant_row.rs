//! A grant as it lies in memory, in two thirds of the bytes: members that few grants have lie in a box
//! of their own, and the grant id is the key of the row.

use super::table::Row;
use crate::app::Flow;
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, GrantId, Subject};
use crate::jwt::Circumstances;
use crate::protocol::confirmation::Confirmation;
use crate::protocol::resources::Resources;
use crate::protocol::scope::Scope;
use crate::secret::Digest;
use crate::store::grant::{Live, pending_until};
use crate::store::{AccessFacts, Grant, GrantRefusal, RevocationReason, Rotate, Rotation};

pub(super) struct GrantRow {
    client_id: ClientId,
    subject: Subject,
    scope: Scope,
    /// Every grant of a user has one, so it does not lie in the box.
    resources: Option<Resources>,
    rare: Option<Box<Rare>>,
    binding: Digest,
    salt_digest: Digest,
    /// [`NEVER`] if the host did not say.
    auth_time: UnixTime,
    authorized_at: UnixTime,
    code_expires_at: UnixTime,
    expires_at: UnixTime,
    rotated_at: UnixTime,
    claim: u64,
    generation: u32,
    retries: u8,
    mismatches: u8,
    flow: Option<Flow>,
}

/// No user logged in at this instant.
const NEVER: UnixTime = UnixTime::from_millis(i64::MIN);

/// The members that most grants do without.
#[derive(Clone, Default, PartialEq)]
struct Rare {
    actor: Option<ClientId>,
    device: Option<DeviceId>,
    circumstances: Option<Box<Circumstances>>,
    confirmation: Option<Confirmation>,
    bound_from: u32,
    revoked: Option<(UnixTime, RevocationReason)>,
}

impl From<Grant> for GrantRow {
    fn from(grant: Grant) -> Self {
        let rare = Rare {
            actor: grant.actor,
            device: grant.device,
            circumstances: grant.circumstances,
            confirmation: grant.confirmation,
            bound_from: grant.bound_from,
            revoked: grant.revoked,
        };
        Self {
            client_id: grant.client_id,
            subject: grant.subject,
            scope: grant.scope,
            resources: grant.resources,
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
            binding: grant.binding,
            salt_digest: grant.salt_digest,
            auth_time: grant.auth_time.unwrap_or(NEVER),
            authorized_at: grant.authorized_at,
            code_expires_at: grant.code_expires_at,
            expires_at: grant.expires_at,
            rotated_at: grant.rotated_at,
            claim: grant.claim,
            generation: grant.generation,
            retries: grant.retries,
            mismatches: grant.mismatches,
            flow: grant.flow,
        }
    }
}

impl GrantRow {
    /// Returns the grant with this id, which is the key of this row.
    pub(super) fn to_grant(&self, grant_id: GrantId) -> Grant {
        let rare = self.rare.as_deref().cloned().unwrap_or_default();
        let Rare { actor, device, circumstances, confirmation, bound_from, revoked } = rare;
        Grant {
            grant_id,
            client_id: self.client_id.clone(),
            subject: self.subject.clone(),
            flow: self.flow,
            actor,
            scope: self.scope.clone(),
            resources: self.resources.clone(),
            device,
            auth_time: (self.auth_time != NEVER).then_some(self.auth_time),
            circumstances,
            binding: self.binding,
            salt_digest: self.salt_digest,
            confirmation,
            bound_from,
            authorized_at: self.authorized_at,
            code_expires_at: self.code_expires_at,
            expires_at: self.expires_at,
            generation: self.generation,
            rotated_at: self.rotated_at,
            claim: self.claim,
            retries: self.retries,
            mismatches: self.mismatches,
            revoked,
        }
    }

    /// Applies `rule` to the grant with this id, which is the key of this row.
    pub(super) fn edit<T>(&mut self, grant_id: GrantId, rule: impl FnOnce(&mut Grant) -> T) -> T {
        let mut grant = self.to_grant(grant_id);
        let answer = rule(&mut grant);
        *self = grant.into();
        answer
    }

    /// Does as [`Grant::rotate`] does, in place.
    pub(super) fn rotate(&mut self, rotation: &Rotation, void: bool) -> Rotate {
        if !rotation.is_of(&self.client_id, &self.salt_digest) {
            return Rotate::Refused(GrantRefusal::Unknown);
        }
        let rare = self.rare.as_deref();
        let before = Live {
            confirmation: rare.and_then(|rare| rare.confirmation),
            bound_from: rare.map_or(0, |rare| rare.bound_from),
            expires_at: self.expires_at,
            generation: self.generation,
            rotated_at: self.rotated_at,
            claim: self.claim,
            retries: self.retries,
            revoked: self.revoked(),
        };
        let mut live = before;
        let answer = live.rotate(rotation, void);
        (self.generation, self.rotated_at) = (live.generation, live.rotated_at);
        (self.claim, self.retries) = (live.claim, live.retries);
        let in_box = |live: &Live| (live.confirmation, live.bound_from, live.revoked);
        if in_box(&before) != in_box(&live) {
            let rare = self.rare.get_or_insert_default();
            (rare.confirmation, rare.bound_from, rare.revoked) = in_box(&live);
        }
        answer
    }

    /// Returns the facts of the grant with this id, which is the key of this row.
    pub(super) fn facts(&self, grant_id: GrantId) -> AccessFacts<'_> {
        let rare = self.rare.as_deref();
        let circumstances = rare.and_then(|rare| rare.circumstances.as_deref());
        AccessFacts {
            grant_id,
            client_id: &self.client_id,
            subject: &self.subject,
            device: rare.and_then(|rare| rare.device.as_ref()),
            session: circumstances.and_then(|it| it.session.as_ref()),
            evidence_issuer: circumstances.and_then(|it| it.evidence_issuer.as_ref()),
            authorized_at: self.authorized_at,
            via: &[],
        }
    }

    pub(super) const fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// Returns when and why the grant ended before its time.
    pub(super) fn revoked(&self) -> Option<(UnixTime, RevocationReason)> {
        self.rare.as_ref()?.revoked
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.revoked().is_some()
    }
}

impl Row for GrantRow {
    fn inert_at(&self) -> UnixTime {
        // As `Grant::inert_at`.
        if self.generation > 0 {
            return self.expires_at;
        }
        pending_until(self.authorized_at, self.code_expires_at, self.expires_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SessionId;

    fn grant() -> Grant {
        let (app, ann) = (ClientId::new("app").unwrap(), Subject::new("ann").unwrap());
        let mut grant =
            Grant::new(GrantId::from_bytes([7; 16]), app, ann, Scope::parse("a b").unwrap());
        grant.binding = Digest::from_bytes([1; 32]);
        grant.salt_digest = Digest::from_bytes([2; 32]);
        let instants = [
            &mut grant.authorized_at,
            &mut grant.code_expires_at,
            &mut grant.expires_at,
            &mut grant.rotated_at,
        ];
        for (millis, instant) in (1..).zip(instants) {
            *instant = UnixTime::from_millis(millis);
        }
        (grant.generation, grant.claim, grant.retries, grant.mismatches) = (5, 6, 7, 8);
        grant
    }

    #[test]
    fn a_grant_comes_back_as_it_was() {
        let plain = grant();
        let mut full = grant();
        full.actor = Some(ClientId::new("actor").unwrap());
        full.resources = Some("https://api.example.com".parse().unwrap());
        full.device = Some(DeviceId::new("phone").unwrap());
        full.flow = Some(Flow::JwtBearer);
        full.confirmation = Some(Confirmation::Key(Digest::from_bytes([3; 32])));
        full.bound_from = 4;
        full.circumstances.get_or_insert_default().session =
            Some(SessionId::new("session").unwrap());
        full.auth_time = Some(UnixTime::EPOCH);
        full.revoked = Some((UnixTime::EPOCH, RevocationReason::Client));
        let mut revoked = grant();
        revoked.revoke(RevocationReason::Denied, UnixTime::EPOCH);
        for grant in [plain, full, revoked] {
            let row = GrantRow::from(grant.clone());
            assert_eq!(row.is_revoked(), grant.revoked.is_some());
            assert_eq!(row.to_grant(grant.grant_id), grant);
        }
    }

    /// R12: a row rotates in place, and the rules are those of the grant.
    #[test]
    fn a_row_rotates_as_its_grant_does() {
        let key = |byte| Some(Confirmation::Key(Digest::from_bytes([byte; 32])));
        let mut bound = grant();
        (bound.confirmation, bound.bound_from) = (key(3), 4);
        let mut revoked = grant();
        revoked.revoke(RevocationReason::Client, UnixTime::EPOCH);
        let mut live = [grant(), bound, revoked];
        for grant in &mut live {
            grant.expires_at = UnixTime::from_millis(1_000_000);
        }
        for (grant, generation) in live.iter().flat_map(|grant| (0..8).map(move |it| (grant, it))) {
            for (confirmation, binds, proves_reuse, now, other) in [
                (None, false, true, 500, false),
                (key(3), true, true, 500, false),
                (key(4), true, true, 500, false),
                (key(3), true, false, 500_000, false),
                (key(3), true, true, 500_000, false),
                (key(3), true, true, 2_000_000, false),
                (None, false, true, 500, true),
            ] {
                let client_id = if other { "other" } else { "app" };
                let rotation = Rotation {
                    grant_id: grant.grant_id,
                    client_id: ClientId::new(client_id).unwrap(),
                    salt_digest: grant.salt_digest,
                    generation,
                    confirmation,
                    binds,
                    grace_millis: 1_000,
                    skew_millis: 0,
                    idle_millis: None,
                    proves_reuse,
                    claim: 9,
                    now: UnixTime::from_millis(now),
                };
                for void in [false, true] {
                    let (mut expected, mut row) = (grant.clone(), GrantRow::from(grant.clone()));
                    let answer = expected.rotate(&rotation, void);
                    assert_eq!(row.rotate(&rotation, void), answer, "{rotation:?}");
                    assert_eq!(row.to_grant(grant.grant_id), expected, "{rotation:?}");
                    assert_eq!(row.revoked(), expected.revoked);
                    assert_eq!(row.facts(grant.grant_id), expected.facts());
                }
            }
        }
    }

    #[test]
    fn a_row_takes_no_more_bytes_than_it_has_to() {
        assert_eq!(size_of::<Option<(GrantId, GrantRow)>>(), 200);
    }
}
