//! Checks of [`claim_assertion`](crate::store::GrantStore::claim_assertion), one caller at a time.

use super::bench::{HOUR, MINUTE, at, claim, end, holds, new_app, same};
use super::{Check, Kit, Runner};
use crate::store::{
    AssertionClaim, AssertionPurpose, ClaimAssertion, Grant, RevocationTarget, Store,
};

/// J16: an assertion is claimed once until its instant has passed, also by a clock that jumps
/// back.
pub fn an_assertion_is_claimed_once<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let one = claim(&bench.cast()?.client_id, None)?;
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
    let one = claim(&bench.cast()?.client_id, None)?;
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
    let one = claim(&cast.client_id, None)?;
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
    let one = claim(&cast.client_id, Some(grant.clone()))?;
    let authorized_at = bench.first("a fresh assertion", &one)?;
    let grant = Grant { authorized_at, ..grant };
    same("the grant", bench.find(&grant)?, Some(grant.clone()))?;
    bench.is_alive("the grant", &grant, 0)?;

    let none = cast.impersonation()?;
    let replay = AssertionClaim { grant: Some(none.clone()), ..one };
    same("a replay", bench.claim(&replay)?, ClaimAssertion::Replayed)?;
    same("the grant of the replay", bench.find(&none)?, None)
}

/// An app that is disabled or unknown claims nothing, and has spent nothing when it is enabled.
pub fn an_inactive_app_claims_nothing<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let grant = cast.impersonation()?;
    let one = claim(&cast.client_id, Some(grant.clone()))?;
    bench.enable(&cast.client_id, false)?;
    same("a disabled app", bench.claim(&one)?, ClaimAssertion::AppInactive)?;
    same("its grant", bench.find(&grant)?, None)?;
    bench.enable(&cast.client_id, true)?;
    bench.first("the enabled app", &one)?;

    let unknown = claim(new_app()?.client_id(), None)?;
    same("an unknown app", bench.claim(&unknown)?, ClaimAssertion::AppInactive)
}

/// The instant of a claim is by the store's clock: not before a claim and later than every
/// revocation that was answered, though the host's clock may jump back.
pub fn instants_of_claims_never_run_backwards<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let claim_at = |millis| {
        let one = AssertionClaim { now: at(millis), ..claim(&cast.client_id, None)? };
        bench.first("a fresh assertion", &one)
    };
    let mut latest = claim_at(0)?;
    for millis in [0, MINUTE, -MINUTE, 0] {
        let claimed = claim_at(millis)?;
        holds(claimed >= latest, || "the clock of claims ran backwards")?;
        let revoked = bench.revoke(&end(RevocationTarget::Everything, millis))?;
        holds(revoked >= claimed, || "a revocation is before a claim that was answered")?;
        latest = claim_at(millis)?;
        holds(latest > revoked, || "a claim is not after a revocation that was answered")?;
    }
    Ok(())
}
