use pollster::block_on;
use proptest::prelude::*;

use super::*;
use crate::jwt::Parent;
use crate::store::{MemoryStore, RevocationReason};

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(1_700_000_000 + seconds)
}

fn revocation(target: RevocationTarget, at: UnixTime, until: UnixTime) -> Revocation {
    Revocation { target, at, why: RevocationReason::Administrator, until }
}

fn page(entries: Vec<Revocation>, next: u64, more: bool) -> RevocationFeed {
    RevocationFeed { entries, next: FeedCursor { at: NOW, tie: next }, more }
}

/// Names that facts and targets are built from.
struct Names {
    grants: Vec<GrantId>,
    apps: Vec<ClientId>,
    subjects: Vec<Subject>,
    devices: Vec<DeviceId>,
    sessions: Vec<SessionId>,
    issuers: Vec<EvidenceIssuer>,
    /// The lineage of the tokens: none, or a grant of another app on a device.
    lines: Vec<Vec<Parent>>,
}

fn names() -> Names {
    let parent = Parent {
        grant_id: GrantId::from_bytes([2; 16]),
        client_id: ClientId::new("b").unwrap(),
        subject: None,
        device: Some(DeviceId::new("d").unwrap()),
        session: Some(SessionId::new("d").unwrap()),
        evidence_issuer: Some(EvidenceIssuer::new("d").unwrap()),
        authorized_at: at(1),
    };
    Names {
        grants: (0..3).map(|byte| GrantId::from_bytes([byte; 16])).collect(),
        apps: ["a", "b"].into_iter().map(|id| ClientId::new(id).unwrap()).collect(),
        // An app may be a subject, and the two kinds still do not mix.
        subjects: ["a", "x"].into_iter().map(|id| Subject::new(id).unwrap()).collect(),
        devices: ["a", "d"].into_iter().map(|id| DeviceId::new(id).unwrap()).collect(),
        sessions: ["a", "d"].into_iter().map(|id| SessionId::new(id).unwrap()).collect(),
        issuers: ["a", "d"].into_iter().map(|id| EvidenceIssuer::new(id).unwrap()).collect(),
        lines: vec![vec![], vec![parent]],
    }
}

impl Names {
    /// Every combination, authorized at several instants.
    fn all_facts(&self) -> impl Iterator<Item = AccessFacts<'_>> {
        let instants = [-1, 0, 1, 2, 3].map(at);
        let devices = || self.devices.iter().map(Some).chain([None]);
        self.grants.iter().flat_map(move |grant_id| {
            self.apps.iter().flat_map(move |client_id| {
                self.subjects.iter().flat_map(move |subject| {
                    devices().flat_map(move |device| {
                        instants.into_iter().flat_map(move |authorized_at| {
                            self.circumstances().map(move |(session, evidence_issuer, via)| {
                                AccessFacts {
                                    grant_id: *grant_id,
                                    client_id,
                                    subject,
                                    device,
                                    session,
                                    evidence_issuer,
                                    authorized_at,
                                    via,
                                }
                            })
                        })
                    })
                })
            })
        })
    }

    /// Sessions, evidence issuers and parents: several of each, and none.
    fn circumstances(
        &self,
    ) -> impl Iterator<Item = (Option<&SessionId>, Option<&EvidenceIssuer>, &[Parent])> {
        let sessions = self.sessions.iter().map(Some).chain([None]);
        let issuers = self.issuers.iter().map(Some).chain([None]);
        let lines = self.lines.iter().cycle();
        sessions
            .zip(issuers.rev())
            .zip(lines)
            .map(|((session, issuer), via)| (session, issuer, via.as_slice()))
    }

    fn some_facts(&self) -> AccessFacts<'_> {
        self.all_facts().next().unwrap()
    }
}

fn any_target() -> impl Strategy<Value = RevocationTarget> {
    (0..9, 0..2_usize, 0..2_usize).prop_map(|(kind, i, j)| {
        let names = names();
        match kind {
            0 => RevocationTarget::Everything,
            1 => RevocationTarget::App(names.apps[i].clone()),
            2 => RevocationTarget::Subject(names.subjects[i].clone()),
            3 => RevocationTarget::AppAndSubject(names.apps[i].clone(), names.subjects[j].clone()),
            4 => RevocationTarget::NamedDevice(names.devices[i].clone()),
            5 => RevocationTarget::Device(
                names.apps[i].clone(),
                names.subjects[j].clone(),
                names.devices[i].clone(),
            ),
            6 => RevocationTarget::Session(names.sessions[i].clone()),
            7 => RevocationTarget::EvidenceIssuer(names.issuers[i].clone()),
            _ => RevocationTarget::Grant(names.grants[i]),
        }
    })
}

fn any_revocations() -> impl Strategy<Value = Vec<Revocation>> {
    let one = (any_target(), 0..3_i64, 0..200_i64);
    let one = one.prop_map(|(target, on, until)| revocation(target, at(on), at(until)));
    prop::collection::vec(one, 0..8)
}

proptest! {
    #[test]
    fn the_list_matches_its_entries_in_any_order_and_with_repeats(
        revocations in any_revocations(),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        pages in 1..4_usize,
    ) {
        let list = RevocationList::new();
        let mut entries = revocations.clone();
        if !entries.is_empty() {
            entries.extend(again.iter().map(|index| revocations[index.index(revocations.len())].clone()));
        }
        for (number, chunk) in entries.chunks(pages).enumerate() {
            list.apply(&page(chunk.to_vec(), number as u64, true), NOW);
        }
        list.apply(&page(Vec::new(), 99, false), NOW);
        for facts in names().all_facts() {
            let expected = revocations.iter().any(|revocation| revocation.voids(&facts));
            prop_assert_eq!(list.is_revoked(&facts, NOW), Ok(expected), "{:?}", facts);
        }
    }

    #[test]
    fn an_entry_is_dropped_only_after_its_end(revocations in any_revocations(), later in 0..300_i64) {
        let list = RevocationList::new();
        list.apply(&page(revocations.clone(), 0, false), NOW);
        list.apply(&page(Vec::new(), 0, false), at(later));
        let in_force = |revocation: &&Revocation| revocation.until >= at(later);
        for facts in names().all_facts() {
            let revoked = list.is_revoked(&facts, at(later)).unwrap();
            let voided = revocations.iter().any(|revocation| revocation.voids(&facts));
            let in_force = revocations.iter().filter(in_force).any(|r| r.voids(&facts));
            prop_assert!(in_force <= revoked && revoked <= voided, "{:?}", facts);
        }
        let newest = revocations.iter().map(|revocation| revocation.at).max().unwrap_or_default();
        let ended = at(later).minus(KEEP).min(newest);
        let kept = |revocation: &Revocation| revocation.until >= ended;
        prop_assert_eq!(list.any.load(Ordering::Relaxed), revocations.iter().any(kept));
    }

    /// The list and the store agree.
    #[test]
    fn the_list_follows_a_store(steps in prop::collection::vec((any_target(), any::<bool>()), 0..12)) {
        block_on(async {
            let (store, list) = (MemoryStore::new(), RevocationList::new());
            let mut revocations = Vec::new();
            for (step, (target, read)) in (0..).zip(steps) {
                let now = at(step).minus(Duration::from_secs(6));
                let mut entry = revocation(target, now, at(1_000));
                entry.at = store.revoke(&entry).await.unwrap().at;
                revocations.push(entry);
                if read {
                    list.poll(&store, now).await.unwrap();
                    for facts in names().all_facts() {
                        let expected = revocations.iter().any(|r| r.voids(&facts));
                        prop_assert_eq!(list.is_revoked(&facts, now), Ok(expected));
                    }
                }
            }
            Ok(())
        })?;
    }
}

#[test]
fn the_list_is_closed_until_a_complete_read() {
    let (list, names) = (RevocationList::new(), names());
    let facts = names.some_facts();
    assert_eq!(list.cursor(), FeedCursor::default());
    assert_eq!(list.is_revoked(&facts, NOW), Err(RevocationsUnknown::NeverRead));
    list.apply(&page(Vec::new(), 1, true), NOW);
    assert_eq!(list.is_revoked(&facts, NOW), Err(RevocationsUnknown::NeverRead));
    list.apply(&page(Vec::new(), 2, false), NOW);
    assert_eq!(list.is_revoked(&facts, NOW), Ok(false));
    assert_eq!(list.cursor().tie, 2);
}

#[test]
fn a_stale_list_is_closed_until_the_next_complete_read() {
    let (list, names) = (RevocationList::new(), names());
    let facts = names.some_facts();
    list.apply(&page(Vec::new(), 0, false), NOW);
    assert_eq!(list.is_revoked(&facts, at(60)), Ok(false));
    assert_eq!(list.is_revoked(&facts, at(61)), Err(RevocationsUnknown::Stale));
    assert_eq!(list.is_revoked(&facts, at(-61)), Err(RevocationsUnknown::Stale));
    list.apply(&page(Vec::new(), 0, true), at(61));
    assert_eq!(list.is_revoked(&facts, at(61)), Err(RevocationsUnknown::Stale));
    list.apply(&page(Vec::new(), 0, false), at(61));
    assert_eq!(list.is_revoked(&facts, at(61)), Ok(false));
    // A late response makes the list older until the next one.
    list.apply(&page(Vec::new(), 0, false), NOW);
    assert_eq!(list.is_revoked(&facts, at(61)), Err(RevocationsUnknown::Stale));
    list.apply(&page(Vec::new(), 0, false), at(61));
    assert_eq!(list.is_revoked(&facts, at(121)), Ok(false));
    let strict = RevocationList::new().with_max_age(Duration::ZERO);
    strict.apply(&page(Vec::new(), 0, false), NOW);
    assert_eq!(strict.is_revoked(&facts, NOW), Ok(false));
    assert!(strict.is_revoked(&facts, NOW.plus(Duration::from_millis(1))).is_err());
}

/// The entries of a page take effect at once, even if more pages follow.
#[test]
fn a_revocation_takes_effect_before_the_feed_was_read_to_its_end() {
    let (list, names) = (RevocationList::new(), names());
    let facts = names.some_facts();
    list.apply(&page(Vec::new(), 0, false), NOW);
    list.apply(&page(vec![revocation(RevocationTarget::Everything, NOW, at(60))], 1, true), NOW);
    assert_eq!(list.is_revoked(&facts, NOW), Ok(true));
}

#[test]
fn polling_reads_every_page() {
    block_on(async {
        let (store, list, names) = (MemoryStore::new(), RevocationList::new(), names());
        for number in 0..2_500_u16 {
            let mut id = [0xff; 16];
            id[..2].copy_from_slice(&number.to_be_bytes());
            let target = RevocationTarget::Grant(GrantId::from_bytes(id));
            store.revoke(&revocation(target, NOW, at(60))).await.unwrap();
        }
        let whole_app = RevocationTarget::App(names.apps[0].clone());
        store.revoke(&revocation(whole_app, at(1), at(60))).await.unwrap();
        list.poll(&store, at(2)).await.unwrap();
        assert_eq!(list.read().grants.len(), 2_500);
        assert_eq!(list.is_revoked(&names.some_facts(), at(2)), Ok(true));
        // Minutes later every entry has ended, as the next revocation shows.
        let next = RevocationTarget::Subject(names.subjects[1].clone());
        store.revoke(&revocation(next, at(200), at(300))).await.unwrap();
        list.poll(&store, at(200)).await.unwrap();
        assert!(list.read().grants.is_empty() && list.read().apps.is_empty());
    });
}

/// N10: a clock that is an hour ahead and set back costs one poll, with any maximum age, and nothing is
/// forgotten.
#[test]
fn a_clock_that_is_ahead_for_a_while_costs_one_poll() {
    for max_age in [60, 3 * 3_600] {
        let names = names();
        let facts = names.some_facts();
        let list = RevocationList::new().with_max_age(Duration::from_secs(max_age));
        // In force for half an hour; the token lives as long.
        let entry = revocation(RevocationTarget::App(names.apps[0].clone()), NOW, at(1_800));
        list.apply(&page(vec![entry], 1, false), NOW);
        for ahead in [3_600, 3_605] {
            list.apply(&page(Vec::new(), 1, false), at(ahead));
            assert_eq!(list.is_revoked(&facts, at(ahead)), Ok(true));
        }
        // Set back, before the next poll and after it.
        let now = at(10);
        assert_ne!(list.is_revoked(&facts, now), Ok(false), "a revoked token is accepted");
        list.apply(&page(Vec::new(), 1, false), now);
        assert_eq!(list.is_revoked(&facts, now), Ok(true));
        assert_eq!(list.is_revoked(&facts, at(10 + 60)), Ok(true));
        // The feed falls silent: the list closes no later than if the clock had always been right.
        let late = at(i64::try_from(10 + max_age).unwrap() + 1);
        assert_eq!(list.is_revoked(&facts, late), Err(RevocationsUnknown::Stale));
    }
}
