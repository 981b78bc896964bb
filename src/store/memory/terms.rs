//! The members of a grant that many grants have in common.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use super::instants::High;
use crate::app::Flow;
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId};
use crate::jwt::Circumstances;
use crate::protocol::confirmation::Confirmation;
use crate::protocol::resources::Resources;
use crate::protocol::scope::Scope;
use crate::store::{Grant, RevocationReason};

/// The terms of a grant: all members that others may have as well, and those that few grants have.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) client_id: ClientId,
    pub(super) scope: Scope,
    pub(super) resources: Option<Resources>,
    pub(super) flow: Option<Flow>,
    pub(super) actor: Option<ClientId>,
    pub(super) instants: High,
    pub(super) device: Option<DeviceId>,
    pub(super) circumstances: Option<Box<Circumstances>>,
    pub(super) confirmation: Option<Confirmation>,
    pub(super) bound_from: u32,
    pub(super) mismatches: u8,
    pub(super) revoked: Option<(UnixTime, RevocationReason)>,
}

impl Terms {
    pub(super) fn new(grant: &Grant, instants: High) -> Self {
        Self {
            client_id: grant.client_id.clone(),
            scope: grant.scope.clone(),
            resources: grant.resources.clone(),
            flow: grant.flow,
            actor: grant.actor.clone(),
            instants,
            device: grant.device.clone(),
            circumstances: grant.circumstances.clone(),
            confirmation: grant.confirmation,
            bound_from: grant.bound_from,
            mismatches: grant.mismatches,
            revoked: grant.revoked,
        }
    }

    /// Checks whether another grant is likely to have the same terms.
    const fn are_common(&self) -> bool {
        self.device.is_none()
            && self.circumstances.is_none()
            && self.confirmation.is_none()
            && self.mismatches == 0
            && self.revoked.is_none()
    }
}

/// Hashes what differs between the common terms of one app.
impl Hash for Terms {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.scope, self.resources.as_ref().map(Resources::first), self.flow, &self.actor)
            .hash(state);
        self.instants.hash(state);
    }
}

/// The common terms of the grants of one app, each once.
#[derive(Default)]
pub(super) struct KnownTerms(Mutex<HashSet<Arc<Terms>>>);

impl KnownTerms {
    /// Moves `terms` into shared memory, the same for all grants with equal common terms.
    pub(super) fn share(&self, terms: Terms) -> Arc<Terms> {
        if !terms.are_common() {
            return Arc::new(terms);
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known.get(&terms) {
            return Arc::clone(same);
        }
        if known.len() == known.capacity() {
            known.retain(|terms| Arc::strong_count(terms) > 1);
            // Room for as many again, so that insertions seldom walk through the set.
            let in_use = known.len();
            known.reserve(in_use + 1);
        }
        let terms = Arc::new(terms);
        known.insert(Arc::clone(&terms));
        terms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GrantId, Subject};

    fn terms(scope: &str) -> Terms {
        let (app, ann) = (ClientId::new("app").unwrap(), Subject::new("ann").unwrap());
        let scope = Scope::parse(scope).unwrap();
        let grant = Grant::new(GrantId::from_bytes([7; 16]), app, ann, scope);
        Terms::new(&grant, High::default())
    }

    #[test]
    fn common_terms_are_in_memory_once_and_rare_ones_are_not_kept() {
        let known = KnownTerms::default();
        let one = known.share(terms("a"));
        assert!(Arc::ptr_eq(&one, &known.share(terms("a"))));
        assert!(!Arc::ptr_eq(&one, &known.share(terms("b"))));
        let device = Some(DeviceId::new("phone").unwrap());
        let rare = known.share(Terms { device, ..terms("a") });
        assert_eq!(Arc::strong_count(&rare), 1);
    }

    #[test]
    fn terms_without_a_grant_leave() {
        let known = KnownTerms::default();
        let kept = known.share(terms("kept"));
        for number in 0..1_000 {
            known.share(terms(&number.to_string()));
        }
        assert!(Arc::ptr_eq(&kept, &known.share(terms("kept"))));
        assert!(known.0.lock().unwrap().len() < 20);
    }
}
