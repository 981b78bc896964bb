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
use crate::store::grant::pending_until;
use crate::store::{Grant, RevocationReason};

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

    pub(super) fn is_revoked(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.revoked.is_some())
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

    #[test]
    fn a_row_takes_no_more_bytes_than_it_has_to() {
        assert_eq!(size_of::<Option<(GrantId, GrantRow)>>(), 200);
    }
}
