//! Checks of [`claim_assertion`](crate::store::GrantStore::claim_assertion), one caller at a time.

use std::time::Duration;

use super::bench::{CUTOFFS, HOUR, MINUTE, at, claim, end, holds, new_app, same};
use super::{Check, Kit, Runner};
use crate::store::{
    AssertionClaim, AssertionPurpose, ClaimAssertion, Grant, RevocationTarget, Store,
};

/// J16: an assertion is claimed once until its instant has passed, also by a clock that jumps
/// back.
pub fn an_assertion_is_claimed_once<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let one = claim(&bench.cast()?.client_id)?;
    bench.first("a fresh assertion", &one)?;
    for now in [at(0), at(5 * MINUTE - 1), at(-HOUR)] {
        let again = bench.claim(&AssertionClaim { now, ..one.clone() })?;
        same("a replay", again, ClaimAssertion::Replayed)?;
    }
    Ok(())
}

/// J18: the same `jti` is new again when the first one has expired.
pub fn an_expired_assertion_does_not_block_its_jti<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let one = claim(&bench.cast()?.client_id)?;
    bench.first("a fresh assertion", &one)?;
    let next =
        AssertionClaim { now: at(5 * MINUTE + 1), expires_at: at(10 * MINUTE), ..one.clone() };
    bench.first("after the first has expired", &next)?;
    same("a replay of the second", bench.claim(&next)?, ClaimAssertion::Replayed)
}

/// J17, J31: the same `jti` of another app, or for another purpose, is another assertion.
pub fn apps_and_purposes_do_not_share_assertions<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let (cast, other) = (bench.cast()?, bench.cast()?);
    let one = claim(&cast.client_id)?;
    let of_other = AssertionClaim { client_id: other.client_id.clone(), ..one.clone() };
    let to_authenticate =
        AssertionClaim { purpose: AssertionPurpose::ClientAuthentication, ..one.clone() };
    let both =
        AssertionClaim { purpose: AssertionPurpose::ClientAuthentication, ..of_other.clone() };
    for claim in [one, of_other, to_authenticate, both] {
        bench.first("a fresh assertion", &claim)?;
        same("its replay", bench.claim(&claim)?, ClaimAssertion::Replayed)?;
    }
    Ok(())
}

/// The grant of a claim exists from the claim on, and that of a replay never does.
pub fn a_claim_makes_its_grant_and_a_replay_none<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let grant = cast.impersonation()?;
    let one = bench.claim_of(grant.clone())?;
    let authorized_at = bench.first("a fresh assertion", &one)?;
    let grant = Grant { authorized_at, ..grant };
    same("the grant", bench.find(&grant)?, Some(grant.clone()))?;
    bench.is_alive("the grant", &grant, 0)?;

    let none = cast.impersonation()?;
    let replay = AssertionClaim { grant: Some(bench.dated(none.clone())?), ..one };
    same("a replay", bench.claim(&replay)?, ClaimAssertion::Replayed)?;
    same("the grant of the replay", bench.find(&none)?, None)
}

/// An app that is disabled or unknown claims nothing, and has spent nothing when it is enabled.
pub fn an_inactive_app_claims_nothing<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let grant = cast.impersonation()?;
    let one = bench.claim_of(grant.clone())?;
    bench.enable(&cast.client_id, false)?;
    same("a disabled app", bench.claim(&one)?, ClaimAssertion::AppInactive)?;
    same("its grant", bench.find(&grant)?, None)?;
    bench.enable(&cast.client_id, true)?;
    bench.first("the enabled app", &one)?;

    let unknown = claim(new_app()?.client_id())?;
    same("an unknown app", bench.claim(&unknown)?, ClaimAssertion::AppInactive)
}

/// A grant of a claim is dated before the checks of its request, with a row and without, and not by the
/// moment of the claim. The store's clock bounds the date.
pub fn a_claim_is_dated_before_its_checks<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    for makes_row in [true, false] {
        let one = AssertionClaim { makes_row, ..bench.claim_of(cast.impersonation()?)? };
        let given = one.grant.as_ref().map(|grant| grant.authorized_at);
        // The clock goes on while the host checks.
        bench.wait(bench.store.instant(at(MINUTE)))?;
        let late = AssertionClaim { now: at(MINUTE), ..one };
        same("the date of a claim", Some(bench.first("a claim", &late)?), given)?;

        let mut ahead = AssertionClaim { makes_row, ..bench.claim_of(cast.impersonation()?)? };
        if let Some(grant) = &mut ahead.grant {
            grant.authorized_at = grant.authorized_at.plus(Duration::from_hours(1));
        }
        let dated = bench.first("a claim of a host whose clock is ahead", &ahead)?;
        let present = bench.instant(MINUTE)?;
        holds(dated <= present, || "a claim is dated after the store's present instant")?;
        let revoked = bench.revoke(&end(RevocationTarget::Everything, 0))?;
        holds(revoked >= dated, || "a later revocation does not cover a claim")?;
    }
    Ok(())
}

/// R20: a revocation that is answered between the checks of a request and its claim covers the grant. The
/// claim is refused, and the assertion is unused.
pub fn a_claim_that_a_revocation_overtakes_is_refused<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let other = bench.cast()?;
    for makes_row in [true, false] {
        for index in 0..CUTOFFS {
            let cast = bench.attested_cast()?;
            let one = AssertionClaim { makes_row, ..bench.claim_of(cast.impersonation()?)? };
            let bystander = bench.claim_of(other.impersonation()?)?;
            let Some(target) = cast.cutoffs().into_iter().nth(index) else { continue };
            bench.revoke(&end(target.clone(), 0))?;
            let what = |case: &str| format!("{case}, after {target:?}, with a row: {makes_row}");
            same(&what("a claim"), bench.claim(&one)?, ClaimAssertion::Revoked)?;
            if let Some(grant) = &one.grant {
                same(&what("its row"), bench.find(grant)?, None)?;
            }
            if target != RevocationTarget::Everything {
                bench.first(&what("a claim of others"), &bystander)?;
            }
            let anew = one.grant.clone().map(|grant| bench.dated(grant)).transpose()?;
            let anew = AssertionClaim { grant: anew, ..one };
            let dated = bench.first(&what("the request again"), &anew)?;
            if let Some(grant) = anew.grant.map(|grant| Grant { authorized_at: dated, ..grant }) {
                let revoked = bench.is_revoked(&grant.facts())?;
                holds(!revoked, || what("what is dead on arrival"))?;
            }
        }
    }
    Ok(())
}
