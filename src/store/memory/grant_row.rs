//! A grant as it lies in memory, in less than half of the bytes: it shares its terms with others, and the
//! grant id is the key of the row.

use std::sync::Arc;

use super::instants::{Instants, Low};
use super::table::{Row, Second};
use super::terms::{KnownTerms, Terms};
use crate::clock::UnixTime;
use crate::ids::{GrantId, Subject};
use crate::secret::Digest;
use crate::store::grant::{Live, pending_until};
use crate::store::{AccessFacts, Grant, GrantRefusal, RevocationReason, Rotate, Rotation};

pub(super) struct GrantRow {
    subject: Subject,
    terms: Arc<Terms>,
    binding: Digest,
    salt_digest: Digest,
    claim: u64,
    instants: Low,
    retries: u8,
}

impl GrantRow {
    /// Makes the row of `grant`, which shares the terms that are known.
    pub(super) fn new(grant: Grant, known: &KnownTerms) -> Self {
        let (instants, high) = Instants::of(&grant).split();
        Self {
            terms: known.share(Terms::new(&grant, high)),
            subject: grant.subject,
            binding: grant.binding,
            salt_digest: grant.salt_digest,
            claim: grant.claim,
            instants,
            retries: grant.retries,
        }
    }

    fn instants(&self) -> Instants {
        Instants::join(&self.instants, &self.terms.instants)
    }

    /// Returns the grant with this id, which is the key of this row.
    pub(super) fn to_grant(&self, grant_id: GrantId) -> Grant {
        let (terms, instants) = (&*self.terms, self.instants());
        Grant {
            grant_id,
            client_id: terms.client_id.clone(),
            subject: self.subject.clone(),
            flow: terms.flow,
            actor: terms.actor.clone(),
            scope: terms.scope.clone(),
            resources: terms.resources.clone(),
            device: terms.device.clone(),
            auth_time: instants.auth_time,
            circumstances: terms.circumstances.clone(),
            binding: self.binding,
            salt_digest: self.salt_digest,
            confirmation: terms.confirmation,
            bound_from: terms.bound_from,
            authorized_at: instants.authorized_at,
            code_expires_at: instants.code_expires_at,
            expires_at: instants.expires_at,
            generation: instants.generation,
            rotated_at: instants.rotated_at,
            claim: self.claim,
            retries: self.retries,
            mismatches: terms.mismatches,
            revoked: terms.revoked,
        }
    }

    /// Applies `rule` to the grant with this id, which is the key of this row. The rule changes neither
    /// the user nor a digest.
    pub(super) fn edit<T>(&mut self, grant_id: GrantId, rule: impl FnOnce(&mut Grant) -> T) -> T {
        let mut grant = self.to_grant(grant_id);
        let answer = rule(&mut grant);
        let (instants, high) = Instants::of(&grant).split();
        let terms = Terms::new(&grant, high);
        if *self.terms != terms {
            self.terms = Arc::new(terms);
        }
        (self.instants, self.claim, self.retries) = (instants, grant.claim, grant.retries);
        answer
    }

    /// Does as [`Grant::rotate`] does, in place.
    pub(super) fn rotate(&mut self, rotation: &Rotation, void: bool) -> Rotate {
        let terms = &*self.terms;
        if !rotation.is_of(&terms.client_id, &self.salt_digest) {
            return Rotate::Refused(GrantRefusal::Unknown);
        }
        let instants = self.instants();
        let before = Live {
            confirmation: terms.confirmation,
            bound_from: terms.bound_from,
            expires_at: instants.expires_at,
            generation: instants.generation,
            rotated_at: instants.rotated_at,
            claim: self.claim,
            retries: self.retries,
            revoked: terms.revoked,
        };
        let mut live = before;
        let answer = live.rotate(rotation, void);
        let (generation, rotated_at) = (live.generation, live.rotated_at);
        let (low, high) = Instants { generation, rotated_at, ..instants }.split();
        (self.instants, self.claim, self.retries) = (low, live.claim, live.retries);
        let in_terms = |live: &Live| (live.confirmation, live.bound_from, live.revoked);
        if in_terms(&before) != in_terms(&live) || terms.instants != high {
            let terms = Arc::make_mut(&mut self.terms);
            (terms.confirmation, terms.bound_from, terms.revoked) = in_terms(&live);
            terms.instants = high;
        }
        answer
    }

    /// Returns the facts of the grant with this id, which is the key of this row.
    pub(super) fn facts(&self, grant_id: GrantId) -> AccessFacts<'_> {
        let terms = &*self.terms;
        let circumstances = terms.circumstances.as_deref();
        AccessFacts {
            grant_id,
            client_id: &terms.client_id,
            subject: &self.subject,
            device: terms.device.as_ref(),
            session: circumstances.and_then(|it| it.session.as_ref()),
            evidence_issuer: circumstances.and_then(|it| it.evidence_issuer.as_ref()),
            authorized_at: self.instants().authorized_at,
            via: &[],
        }
    }

    pub(super) fn expires_at(&self) -> UnixTime {
        self.instants().expires_at
    }

    /// Returns when and why the grant ended before its time.
    pub(super) fn revoked(&self) -> Option<(UnixTime, RevocationReason)> {
        self.terms.revoked
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.revoked().is_some()
    }
}

impl Row for GrantRow {
    type Queued = Second;

    fn inert_at(&self) -> UnixTime {
        // As `Grant::inert_at`.
        let it = self.instants();
        if it.generation > 0 {
            return it.expires_at;
        }
        pending_until(it.authorized_at, it.code_expires_at, it.expires_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Flow;
    use crate::ids::{ClientId, DeviceId, SessionId};
    use crate::protocol::confirmation::Confirmation;
    use crate::protocol::scope::Scope;

    fn row(grant: Grant) -> GrantRow {
        GrantRow::new(grant, &KnownTerms::default())
    }

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
            let row = row(grant.clone());
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
                    let (mut expected, mut row) = (grant.clone(), row(grant.clone()));
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
        assert_eq!(size_of::<Option<(GrantId, GrantRow)>>(), 136);
    }
}
