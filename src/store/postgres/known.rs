//! Grants that this process has rotated, so that the next refresh of each spares a read.
//!
//! Nothing that is kept decides: the statement of the claim judges the row as it is. So an entry that is out of
//! date costs a claim in vain, and nothing else.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ids::{GrantId, Subject};
use crate::store::Grant;

/// The number of grants that were read and not yet rotated here.
const MAX_READ: usize = 1_024;

/// The grants that are kept. Only a rotation makes room at the cost of others, so look-ups, of unknown grants or of dead
/// ones, push out none.
pub(super) struct KnownGrants {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// The latest reads, and their order. An entry that was rotated has left the map only.
    read: HashMap<GrantId, Grant>,
    in_order: VecDeque<GrantId>,
    known: HashMap<GrantId, Known>,
    /// The known grants, the next to go first.
    hand: VecDeque<GrantId>,
}

struct Known {
    grant: Grant,
    /// Whether it was used since room was last made.
    is_used: bool,
}

impl KnownGrants {
    /// Keeps `most` grants at most; 0 keeps none.
    pub(super) fn new(most: usize) -> Self {
        Self { most, held: Mutex::default() }
    }

    /// Returns the bound.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Notes a grant that was read. It is kept if it is then rotated.
    pub(super) fn saw(&self, grant: &Grant) {
        if self.most == 0 || grant.revoked.is_some() {
            return;
        }
        let mut held = self.lock();
        if held.read.insert(grant.grant_id, grant.clone()).is_some() {
            return;
        }
        held.in_order.push_back(grant.grant_id);
        if held.in_order.len() > MAX_READ
            && let Some(oldest) = held.in_order.pop_front()
        {
            held.read.remove(&oldest);
        }
    }

    /// Keeps a grant whose live generation is now `generation`.
    pub(super) fn rotated(&self, grant_id: GrantId, generation: u32) {
        if self.most == 0 {
            return;
        }
        let mut held = self.lock();
        let Held { read, known, hand, .. } = &mut *held;
        let read = read.remove(&grant_id);
        match known.entry(grant_id) {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.grant = Grant { generation, ..read.unwrap_or_else(|| known.grant.clone()) };
                known.is_used = true;
            }
            Entry::Vacant(vacant) => {
                let Some(grant) = read else { return };
                vacant.insert(Known { grant: Grant { generation, ..grant }, is_used: false });
                hand.push_back(grant_id);
                held.make_room(self.most);
            }
        }
    }

    /// Returns what is known of a grant.
    pub(super) fn find(&self, grant_id: &GrantId) -> Option<Grant> {
        if self.most == 0 {
            return None;
        }
        self.lock().known.get(grant_id).map(|known| known.grant.clone())
    }

    /// Forgets a grant that is not as it was known.
    pub(super) fn forget(&self, grant_id: &GrantId) {
        if self.most > 0 {
            let mut held = self.lock();
            held.read.remove(grant_id);
            held.known.remove(grant_id);
        }
    }

    /// Forgets the grants of a user.
    pub(super) fn forget_subject(&self, subject: &Subject) {
        if self.most > 0 {
            let mut held = self.lock();
            held.read.retain(|_, grant| grant.subject != *subject);
            held.known.retain(|_, known| known.grant.subject != *subject);
        }
    }

    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Removes grants beyond `most`: of those that were not used since their last turn, the oldest.
    fn make_room(&mut self, most: usize) {
        // A grant that was forgotten, and perhaps kept again, has left its turn behind.
        while self.hand.len() > most {
            let Some(next) = self.hand.pop_front() else { return };
            match self.known.get_mut(&next) {
                Some(known) if known.is_used => {
                    known.is_used = false;
                    self.hand.push_back(next);
                }
                Some(_) => {
                    self.known.remove(&next);
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ClientId;
    use crate::protocol::scope::Scope;

    fn id(n: u16) -> GrantId {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        GrantId::from_bytes(bytes)
    }

    fn grant(n: u16) -> Grant {
        let (app, user) = (ClientId::new("app").unwrap(), Subject::new(format!("user {n}")));
        Grant { generation: 1, ..Grant::new(id(n), app, user.unwrap(), Scope::empty()) }
    }

    fn keep(known: &KnownGrants, n: u16) {
        known.saw(&grant(n));
        known.rotated(id(n), 2);
    }

    #[test]
    fn a_grant_is_known_once_it_was_rotated_with_its_newest_generation() {
        let known = KnownGrants::new(4);
        known.rotated(id(1), 2);
        assert_eq!(known.find(&id(1)), None);
        known.saw(&grant(1));
        assert_eq!(known.find(&id(1)), None);
        known.rotated(id(1), 2);
        known.rotated(id(1), 3);
        assert_eq!(known.find(&id(1)), Some(Grant { generation: 3, ..grant(1) }));
        known.forget(&id(1));
        assert_eq!(known.find(&id(1)), None);
        known.rotated(id(1), 4);
        assert_eq!(known.find(&id(1)), None);
    }

    #[test]
    fn a_flood_of_reads_pushes_out_no_known_grant_and_is_bounded() {
        let known = KnownGrants::new(2);
        keep(&known, 1);
        keep(&known, 2);
        for n in 3..=9_999 {
            known.saw(&grant(n));
            known.rotated(id(n.wrapping_add(20_000)), 7);
        }
        assert!(known.find(&id(1)).is_some() && known.find(&id(2)).is_some());
        let held = known.lock();
        assert_eq!((held.read.len(), held.in_order.len()), (MAX_READ, MAX_READ));
    }

    #[test]
    fn a_grant_in_use_outlives_one_that_is_not() {
        let known = KnownGrants::new(2);
        keep(&known, 1);
        keep(&known, 2);
        for n in 3..1_000 {
            known.rotated(id(1), u32::from(n));
            keep(&known, n);
            assert!(known.find(&id(1)).is_some(), "{n}");
            // Kept, forgotten and kept again.
            known.forget(&id(n));
            keep(&known, n);
        }
        let held = known.lock();
        assert!(held.known.len() <= 2 && held.hand.len() <= 2);
    }

    #[test]
    fn nothing_is_kept_without_room_or_of_a_user_who_was_erased() {
        let none = KnownGrants::new(0);
        keep(&none, 1);
        assert_eq!(none.find(&id(1)), None);
        let known = KnownGrants::new(4);
        keep(&known, 1);
        keep(&known, 2);
        known.saw(&grant(3));
        for n in [1, 3] {
            known.forget_subject(&grant(n).subject);
        }
        known.rotated(id(3), 2);
        assert!(known.find(&id(1)).is_none() && known.find(&id(3)).is_none());
        assert!(known.find(&id(2)).is_some());
    }
}
