//! Checks of [`revocations_since`](crate::store::GrantStore::revocations_since).

use std::collections::BTreeSet;

use super::bench::{HOUR, code, end, holds, same, token};
use super::{Check, Kit, Runner};
use crate::store::{FeedCursor, Grant, RedeemCode, Revocation, RevocationTarget, Rotate, Store};

fn targets(entries: &[Revocation]) -> BTreeSet<RevocationTarget> {
    entries.iter().map(|entry| entry.target.clone()).collect()
}

/// A reader that begins at the beginning sees every revocation in force: cutoffs, revoked grants,
/// tombstones, and the grants that a replay or a reuse has ended; in pages of any size.
pub fn the_feed_shows_every_revocation_in_force<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.attested_cast()?;
    let (revoked, replayed, reused) =
        (bench.family(&cast)?, bench.family(&cast)?, bench.family(&cast)?);
    let tombstone = cast.grant()?;
    let (live, empty) = (bench.family(&cast)?, bench.read_feed(FeedCursor::default(), 2, 0)?);
    same("the feed of a new store", empty.0, Vec::new())?;
    same("a replay", bench.redeem(&code(&replayed, 0))?, RedeemCode::AlreadyRedeemed)?;
    bench.rotate(&token(&reused, 1, 0))?;
    same("a reuse", bench.rotate(&token(&reused, 1, 0))?, Rotate::Reused)?;
    let mut expected = BTreeSet::new();
    for grant in [&replayed, &reused] {
        expected.insert(RevocationTarget::Grant(grant.grant_id));
    }
    let asked = [&revoked, &tombstone].map(|grant| RevocationTarget::Grant(grant.grant_id));
    for target in asked.into_iter().chain(cast.cutoffs()) {
        bench.revoke(&end(target.clone(), 0))?;
        // Once more: a reader may see it once or twice, but does see it.
        bench.revoke(&end(target.clone(), 0))?;
        expected.insert(target);
    }
    for limit in [1, 2, 1_000] {
        let (entries, _) = bench.read_feed(FeedCursor::default(), limit, 0)?;
        same("the targets in the feed", targets(&entries), expected.clone())?;
        let voided = |grant: &Grant| entries.iter().any(|entry| entry.voids(&grant.facts()));
        for grant in [&revoked, &replayed, &reused, &tombstone, &live] {
            holds(voided(grant), || "the feed spares a token that the predicate voids")?;
            bench.is_dead("a grant under a cutoff", grant, 0)?;
        }
        let later = bench.family(&cast)?;
        holds(!voided(&later), || "the feed voids a token that the predicate spares")?;
        bench.is_alive("a grant after the cutoffs", &later, 0)?;
    }
    Ok(())
}

/// The feed shows the instant that the revocation was answered with, its reason and until when it
/// is kept.
pub fn the_feed_shows_a_revocation_as_it_was_answered<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let cast = bench.attested_cast()?;
    for target in cast.cutoffs() {
        // The instant asked for lies before that of the decision, so the store gives another.
        bench.instant(HOUR)?;
        bench.decide(cast.grant()?)?;
        let asked = end(target, 0);
        let given = bench.revoke(&asked)?;
        let (entries, _) = bench.read_feed(FeedCursor::default(), 1_000, HOUR)?;
        let entry = entries.into_iter().find(|entry| entry.target == asked.target);
        same("the entry", entry, Some(Revocation { at: given, ..asked }))?;
    }
    Ok(())
}

/// A reader that has seen everything goes on from where it is told: it sees what is new, and once
/// more what is a few seconds old, in case that was being written.
pub fn a_reader_of_the_feed_is_set_back_a_little<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let everything = RevocationTarget::Everything;
    let app = RevocationTarget::App(cast.client_id.clone());
    let subject = RevocationTarget::Subject(cast.subject.clone());
    bench.revoke(&end(everything.clone(), 0))?;
    let (_, cursor) = bench.read_feed(FeedCursor::default(), 1, 0)?;
    let (again, cursor) = bench.read_feed(cursor, 1, 0)?;
    same("what was just written", targets(&again), BTreeSet::from([everything]))?;
    bench.revoke(&end(app.clone(), 0))?;
    // The reader's own clock is an hour ahead; nothing is lost by it.
    let (new, cursor) = bench.read_feed(cursor, 1, HOUR)?;
    holds(targets(&new).contains(&app), || "a reader that goes on misses what is new")?;
    bench.revoke(&end(subject.clone(), 0))?;
    let (new, _) = bench.read_feed(cursor, 1, 0)?;
    holds(targets(&new).contains(&subject), || "a reader whose clock was ahead misses what is new")
}
