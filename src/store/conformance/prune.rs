//! Checks of [`prune`](crate::store::GrantStore::prune).

use super::bench::{
    Bench, CODE_LIFE, GRANT_LIFE, HOUR, MINUTE, SECOND, at, claim, code, end, holds, same,
};
use super::{Check, Kit, Runner};
use crate::store::{
    AssertionClaim, ClaimAssertion, FeedCursor, Grant, InsertGrant, RedeemCode, Revocation,
    RevocationReason, RevocationTarget, Store,
};

/// Prunes until nothing is left, `limit` rows at a time. Returns how many rows it removed.
fn prune_all<S: Store, R: Runner>(
    bench: &Bench<'_, S, R>,
    millis: i64,
    limit: usize,
) -> Check<usize> {
    let mut total = 0;
    // Far more batches than any check needs.
    for _ in 0..1_000 {
        let pruned = bench.wait(bench.store.prune(at(millis), limit))?;
        holds(pruned.removed <= limit, || {
            format!("{} rows went where {limit} were allowed", pruned.removed)
        })?;
        holds(!pruned.more || pruned.removed > 0, || "more is left, but nothing was removed")?;
        total += pruned.removed;
        if !pruned.more {
            return Ok(total);
        }
    }
    Err(super::Violation::new("there is always more to prune"))
}

/// Grants past their expiry and revocations past their end go; what is alive, pending, revoked or
/// still in force stays.
pub fn prune_removes_what_is_inert_and_nothing_else<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let (cast, cut_off) = (bench.cast()?, bench.cast()?);
    let short = |grant: Grant| Grant { expires_at: at(HOUR), ..grant };
    let brief = |grant: Grant| Grant { expires_at: at(CODE_LIFE), ..grant };
    let inert = [bench.decide(brief(cast.grant()?))?, bench.decide(short(cast.impersonation()?))?];
    let kept = [bench.pending(&cast)?, bench.family(&cast)?, bench.family(&cut_off)?];
    let [.., revoked] = &kept;
    bench.revoke(&end(RevocationTarget::Grant(revoked.grant_id), 0))?;
    let tombstone = cut_off.grant()?;
    bench.revoke(&end(RevocationTarget::Grant(tombstone.grant_id), 0))?;
    bench.revoke(&end(RevocationTarget::App(cut_off.client_id.clone()), 0))?;
    let passing = RevocationTarget::NamedDevice(cast.device.clone());
    bench.revoke(&Revocation { until: at(HOUR), ..end(passing.clone(), -HOUR) })?;
    let later = bench.family(&cast)?;
    // The code of a pending grant has long expired; its row has not, because its ticket may be shown.
    let now = HOUR + MINUTE - 1;
    let rows = kept.iter().map(|grant| bench.row(grant)).collect::<Check<Vec<_>>>()?;

    prune_all(&bench, now, 100)?;
    for grant in &inert {
        same("an expired grant", bench.find(grant)?, None)?;
    }
    for (grant, row) in kept.iter().zip(rows) {
        same("a grant that has not expired", bench.row(grant)?, row)?;
    }
    bench.is_alive("a live grant", &later, now)?;
    bench.is_dead("a revoked grant", revoked, now)?;
    bench.is_dead("a tombstone", &tombstone, now)?;
    bench.is_dead("a token without a row, under a cutoff", &cut_off.grant()?, now)?;
    let (entries, _) = bench.read_feed(FeedCursor::default(), 10, now)?;
    let shows = |target: &RevocationTarget| entries.iter().any(|entry| entry.target == *target);
    holds(!shows(&passing), || "the feed shows a revocation that has ended and was pruned")?;
    holds(
        shows(&RevocationTarget::App(cut_off.client_id.clone())),
        || "the feed does not show a cutoff in force after pruning",
    )
}

/// N5: a code that was never redeemed and a denial go a minute after the code or the ticket, whichever is
/// later. Not earlier, so that a denial stays final; nor with the refresh lifetime. A redeemed code's row
/// stays until the grant expires.
pub fn prune_removes_what_was_never_redeemed<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let mut denial = cast.grant()?;
    denial.revoke(RevocationReason::Denied, at(0));
    let brief = |grant: Grant| Grant { expires_at: at(CODE_LIFE), ..grant };
    let slow = Grant { code_expires_at: at(2 * HOUR), ..cast.grant()? };
    let mut due = Vec::new();
    let brief_denial = Grant { grant_id: cast.grant()?.grant_id, ..brief(denial.clone()) };
    // Dated as given: the store's own clock may be years from these instants.
    let insert = |grant: &Grant| -> Check {
        let answer = bench.wait(bench.store.insert_grant(grant.clone()))?;
        holds(matches!(answer, InsertGrant::Inserted { .. }), || "a decision is not stored")
    };
    for grant in [brief(cast.grant()?), brief_denial, cast.grant()?, denial, slow] {
        insert(&grant)?;
        due.push((grant.inert_at().millis_since(at(0)), grant));
    }
    let redeemed = cast.grant()?;
    insert(&redeemed)?;
    same("a fresh code", bench.redeem(&code(&redeemed, 0))?, RedeemCode::Redeemed)?;
    let mut ends: Vec<_> = due.iter().map(|(end, _)| *end).collect();
    ends.dedup();
    for end in ends {
        // A store's clock may be a little ahead.
        for (now, reached) in [(end - 1, end - 1), (end + SECOND, end)] {
            prune_all(&bench, now, 1)?;
            for (own, grant) in &due {
                let is_there = bench.find(grant)?.is_some();
                same("whether a pending row is there", is_there, *own > reached)?;
            }
        }
    }
    bench.is_alive("a redeemed code", &redeemed, 3 * HOUR)?;
    prune_all(&bench, GRANT_LIFE - 1, 1)?;
    bench.is_alive("a redeemed code", &redeemed, GRANT_LIFE - 1)?;
    same("how many expired grants went", prune_all(&bench, GRANT_LIFE, 1)?, 1)?;
    same("an expired grant", bench.find(&redeemed)?, None)
}

/// A revocation that was asked for twice is kept until the later of its ends, whichever was given
/// first.
pub fn prune_keeps_a_revocation_until_its_latest_end<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let mut covered = Vec::new();
    for ends in [[HOUR, GRANT_LIFE], [GRANT_LIFE, HOUR]] {
        let cast = bench.cast()?;
        let (token, tombstone) = (cast.grant()?, cast.grant()?);
        for until in ends.map(at) {
            let app = RevocationTarget::App(cast.client_id.clone());
            bench.revoke(&Revocation { until, ..end(app, 0) })?;
            let grant = RevocationTarget::Grant(tombstone.grant_id);
            bench.revoke(&Revocation { until, ..end(grant, 0) })?;
        }
        covered.push(token);
        covered.push(Grant { authorized_at: at(GRANT_LIFE), ..tombstone });
    }
    prune_all(&bench, 2 * HOUR, 10)?;
    for grant in &covered {
        bench.is_dead("under a revocation with a later end", grant, 2 * HOUR)?;
    }
    prune_all(&bench, GRANT_LIFE, 10)?;
    let (entries, _) = bench.read_feed(FeedCursor::default(), 10, GRANT_LIFE)?;
    same("the feed after the last end", entries, Vec::new())
}

/// A batch holds no more rows than it may, and says whether more is left.
pub fn prune_stops_at_its_limit_and_says_so<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    // A store may keep an expired grant as long as a pending one.
    let end = GRANT_LIFE + MINUTE;
    let mut grants = Vec::new();
    for _ in 0..7 {
        grants.push(bench.family(&cast)?);
        bench.claim(&claim(&cast.client_id)?)?;
    }
    same("rows pruned before their time", prune_all(&bench, HOUR, 3)?, 0)?;
    let first = bench.wait(bench.store.prune(at(end), 3))?;
    holds(first.more, || "a batch that took 3 of 14 rows says that nothing is left")?;
    let total = first.removed + prune_all(&bench, end, 3)?;
    same("how many rows went", total, 14)?;
    for grant in &grants {
        same("an expired grant", bench.find(grant)?, None)?;
    }
    let idle = bench.wait(bench.store.prune(at(end), 3))?;
    same("what an empty batch removes", (idle.removed, idle.more), (0, false))
}

/// An assertion is remembered for an hour beyond its expiry, should a clock jump back, and no
/// longer.
pub fn prune_waits_an_hour_for_assertions<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let one = claim(&bench.cast()?.client_id)?;
    let expiry = 5 * MINUTE;
    bench.claim(&one)?;
    prune_all(&bench, expiry + HOUR - 1, 10)?;
    same("a replay by a clock that jumped back", bench.claim(&one)?, ClaimAssertion::Replayed)?;
    let removed = prune_all(&bench, expiry + HOUR + 1, 10)?;
    same("how many rows went", removed, 1)?;
    let again = bench.claim(&AssertionClaim { now: at(expiry - 1), ..one })?;
    let first = matches!(again, ClaimAssertion::First { .. });
    holds(first, || "an assertion is remembered for longer than an hour beyond its expiry")
}
