//! The revocations: the index that decides and the feed that readers follow.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use super::table::{Row, SWEEP, Table};
use crate::clock::UnixTime;
use crate::ids::GrantId;
use crate::store::{
    AccessFacts, Consent, FeedCursor, Pruned, Revocation, RevocationFeed, RevocationTarget,
};

/// The time by which a reader that has seen everything is set back.
const OVERLAP: Duration = Duration::from_secs(5);
/// The greatest number of entries on a page of the feed.
const MAX_PAGE: usize = 1_000;

/// A revocation and its place in the feed.
struct Entry {
    revocation: Revocation,
    cursor: FeedCursor,
}

impl Row for Entry {
    type Queued = UnixTime;

    fn inert_at(&self) -> UnixTime {
        self.revocation.until
    }
}

/// Every revocation in force, one per target: cutoffs, and grants that ended with or without a row.
#[derive(Default)]
pub(super) struct Ledger {
    in_force: Table<RevocationTarget, Entry>,
    feed: BTreeMap<FeedCursor, RevocationTarget>,
    entered: u64,
}

impl Ledger {
    /// Puts `revocation` in force, and removes a few that are inert at `now`. Its instant is not before
    /// that of any other in the ledger.
    pub(super) fn enter(&mut self, mut revocation: Revocation, now: UnixTime) {
        // Not at the instant of the revocation: the store's clock stays ahead after a host's clock was.
        self.prune(now, SWEEP);
        self.entered = self.entered.saturating_add(1);
        let cursor = FeedCursor { at: revocation.at, tie: self.entered };
        let target = revocation.target.clone();
        if let Some(old) = self.in_force.find(&target) {
            revocation.until = revocation.until.max(old.revocation.until);
            self.feed.remove(&old.cursor);
        }
        self.feed.insert(cursor, target.clone());
        self.in_force.place(target).put(Entry { revocation, cursor });
    }

    /// Checks whether a cutoff voids a token with these facts. It looks neither at its grant nor at its
    /// parents.
    pub(super) fn is_cut_off(&self, facts: &AccessFacts<'_>) -> bool {
        use RevocationTarget::{
            App, AppAndSubject, Device, Everything, EvidenceIssuer, NamedDevice, Session, Subject,
        };
        let (client_id, subject) = (facts.client_id, facts.subject);
        let voids = |target: RevocationTarget| {
            self.in_force.find(&target).is_some_and(|entry| entry.revocation.voids(facts))
        };
        voids(Everything)
            || voids(App(client_id.clone()))
            || voids(Subject(subject.clone()))
            || voids(AppAndSubject(client_id.clone(), subject.clone()))
            || facts.device.is_some_and(|device| {
                voids(Device(client_id.clone(), subject.clone(), device.clone()))
                    || voids(NamedDevice(device.clone()))
            })
            || facts.session.is_some_and(|session| voids(Session(session.clone())))
            || facts.evidence_issuer.is_some_and(|issuer| voids(EvidenceIssuer(issuer.clone())))
    }

    /// Checks whether a cutoff came after a consent.
    pub(super) fn ends(&self, consent: &Consent) -> bool {
        use RevocationTarget::{App, AppAndSubject, Everything, Subject};
        let Consent { client_id, subject, .. } = consent;
        let targets = [
            Everything,
            App(client_id.clone()),
            Subject(subject.clone()),
            AppAndSubject(client_id.clone(), subject.clone()),
        ];
        let mut found = targets.iter().filter_map(|target| self.in_force.find(target));
        found.any(|entry| entry.revocation.ends(consent))
    }

    /// Returns the end of a grant, if it has one.
    pub(super) fn end_of(&self, grant_id: GrantId) -> Option<&Revocation> {
        let entry = self.in_force.find(&RevocationTarget::Grant(grant_id))?;
        Some(&entry.revocation)
    }

    pub(super) fn read_on(&self, from: FeedCursor, limit: usize, now: UnixTime) -> RevocationFeed {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut later = self.feed.range((Bound::Excluded(from), Bound::Unbounded));
        let page: Vec<_> = later.by_ref().take(limit).collect();
        let more = later.next().is_some();
        let last = page.last().map_or(from, |(cursor, _)| **cursor);
        // Entries come in the order of their cursors, so the last one is a safe place to continue. The
        // instant that the reader gives is not: its clock may be ahead.
        let back = FeedCursor { at: now.minus(OVERLAP), tie: 0 };
        let next = if more { last } else { last.min(back) };
        let entries = page
            .into_iter()
            .filter_map(|(_, target)| self.in_force.find(target))
            .map(|entry| entry.revocation.clone());
        RevocationFeed { entries: entries.collect(), next, more }
    }

    pub(super) fn prune(&mut self, now: UnixTime, limit: usize) -> Pruned {
        let mut removed = 0;
        while removed < limit
            && let Some(entry) = self.in_force.pop_inert(now)
        {
            self.feed.remove(&entry.cursor);
            removed += 1;
        }
        Pruned { removed, more: self.in_force.has_inert(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RevocationReason;

    fn revocation(byte: u8, at: i64, until: i64) -> Revocation {
        Revocation {
            target: RevocationTarget::Grant(GrantId::from_bytes([byte; 16])),
            at: UnixTime::from_millis(at),
            why: RevocationReason::Administrator,
            until: UnixTime::from_millis(until),
        }
    }

    fn read(ledger: &Ledger, from: FeedCursor, limit: usize) -> RevocationFeed {
        ledger.read_on(from, limit, UnixTime::MAX)
    }

    #[test]
    fn a_target_stands_once_in_the_feed_and_leaves_it_with_its_latest_end() {
        let mut ledger = Ledger::default();
        ledger.enter(revocation(1, 10, 200), UnixTime::EPOCH);
        ledger.enter(revocation(1, 20, 100), UnixTime::EPOCH);
        let feed = read(&ledger, FeedCursor::default(), 10);
        assert_eq!(feed.entries, [revocation(1, 20, 200)]);
        let early = ledger.prune(UnixTime::from_millis(199), 10);
        assert_eq!(early, Pruned { removed: 0, more: false });
        ledger.prune(UnixTime::from_millis(200), 10);
        assert!(ledger.feed.is_empty() && ledger.end_of(GrantId::from_bytes([1; 16])).is_none());
    }

    #[test]
    fn entries_keep_the_ledger_bounded_without_pruning() {
        let mut ledger = Ledger::default();
        for byte in 0..=255 {
            let at = i64::from(byte);
            ledger.enter(revocation(byte, at, at + 10), UnixTime::from_millis(at));
        }
        assert_eq!(read(&ledger, FeedCursor::default(), 1_000).entries.len(), 10);
        assert!(ledger.end_of(GrantId::from_bytes([0; 16])).is_none());
    }

    #[test]
    fn entries_of_one_instant_are_read_page_by_page() {
        let mut ledger = Ledger::default();
        ledger.enter(revocation(1, 10, 100), UnixTime::EPOCH);
        ledger.enter(revocation(2, 10, 100), UnixTime::EPOCH);
        let first = read(&ledger, FeedCursor::default(), 1);
        assert!(first.more);
        let second = read(&ledger, first.next, 1);
        assert_eq!(second.entries, [revocation(2, 10, 100)]);
        assert!(!second.more);
    }
}
