//! Checks of [`rotate`](crate::store::GrantStore::rotate), one caller at a time.

use super::bench::{
    CODE_LIFE, EXPIRED, GRANT_LIFE, HOUR, MINUTE, REVOKED, SECOND, UNKNOWN, at, code, end, holds,
    key, new_app, random_bytes, random_digest, same, token,
};
use super::{Check, Kit, Runner};
use crate::ids::GrantId;
use crate::store::{
    CodeRedemption, Grant, RedeemCode, RevocationReason, RevocationTarget, Rotate, Rotation, Store,
};

const GRACE: i64 = 10 * SECOND;

fn with_grace(grant: &Grant, generation: u32, millis: i64) -> Rotation {
    Rotation { grace_millis: GRACE, ..token(grant, generation, millis) }
}

/// R8: the live generation is spent, its successor is live, and nothing else of the row changes.
pub fn rotation_makes_the_successor_live<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let grant = bench.family(&bench.cast()?)?;
    for generation in 1..5 {
        let now = i64::from(generation) * MINUTE;
        let rotation = Rotation { claim: 99, ..token(&grant, generation, now) };
        same("the live refresh token", bench.rotate(&rotation)?, Rotate::Rotated)?;
        let row =
            Grant { generation: generation + 1, rotated_at: at(now), claim: 99, ..grant.clone() };
        same("the row", bench.row(&grant)?, row)?;
    }
    Ok(())
}

/// A grant that a store knows without a read is as its row, apart from the members that rotations and revocations
/// change, and its generation is none that is still to come. Nothing that is known answers for a grant that has ended.
pub fn a_known_grant_is_as_its_row<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let grant = bench.family(&bench.cast()?)?;
    for generation in 1..4 {
        let row = bench.row(&grant)?;
        bench.knows_no_more_than(&row)?;
        same("a rotation", bench.rotate(&token(&grant, generation, 0))?, Rotate::Rotated)?;
        bench.knows_no_more_than(&bench.row(&grant)?)?;
    }
    bench.revoke(&end(RevocationTarget::Grant(grant.grant_id), 1))?;
    bench.knows_no_more_than(&bench.row(&grant)?)?;
    bench.is_dead("after a revocation", &grant, 2)?;
    let unknown = GrantId::from_bytes(random_bytes()?);
    holds(bench.store.known_grant(&unknown).is_none(), || "a grant is known that has no row")
}

/// R9, R10: a spent refresh token ends its family, the live one with it.
pub fn a_spent_refresh_token_ends_its_family<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    for spent in [1, 2, 3] {
        let grant = bench.family(&cast)?;
        for generation in 1..4 {
            bench.rotate(&token(&grant, generation, 0))?;
        }
        same("a spent refresh token", bench.rotate(&token(&grant, spent, 1))?, Rotate::Reused)?;
        bench.is_dead("after reuse", &grant, 1)?;
        let revoked = bench.row(&grant)?.revoked;
        same("the end", revoked, Some((at(1), RevocationReason::RefreshTokenReused)))?;
    }
    Ok(())
}

/// R4, R11: a refresh token presented by another app, with a wrong salt or a guessed id is unknown, live or
/// spent, and so is generation 0, which is a code. The owner's family is unaffected.
pub fn a_stranger_cannot_use_or_end_a_family<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let (cast, other) = (bench.cast()?, bench.cast()?);
    let grant = bench.family(&cast)?;
    bench.is_alive("the owner's family", &grant, 0)?;
    let row = bench.row(&grant)?;
    for generation in 1..4 {
        let good = with_grace(&grant, generation, 0);
        let strangers = [
            Rotation { client_id: other.client_id.clone(), ..good.clone() },
            Rotation { client_id: new_app()?.client_id().clone(), ..good.clone() },
            Rotation { salt_digest: random_digest()?, ..good.clone() },
            Rotation { grant_id: GrantId::from_bytes(random_bytes()?), ..good },
        ];
        for stranger in strangers {
            same("a stranger", bench.rotate(&stranger)?, UNKNOWN)?;
        }
    }
    same("generation 0", bench.rotate(&with_grace(&grant, 0, 0))?, UNKNOWN)?;
    same("the row", bench.row(&grant)?, row)?;
    bench.is_alive("the owner's family", &grant, 0)?;

    let pending = bench.pending(&cast)?;
    same("generation 0 of a code", bench.rotate(&with_grace(&pending, 0, 0))?, UNKNOWN)?;
    same("the row", bench.row(&pending)?, pending.clone())
}

/// R12: within the grace window the immediate predecessor is answered again, and nothing forks.
pub fn a_lost_answer_is_given_again_within_the_grace<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let grant = bench.family(&bench.cast()?)?;
    same("the first time", bench.rotate(&with_grace(&grant, 1, 0))?, Rotate::Rotated)?;
    let row = bench.row(&grant)?;
    for (retries, age) in [(1, 0), (2, 1), (3, GRACE - 1)] {
        let answer = bench.rotate(&with_grace(&grant, 1, age))?;
        same("a retry", answer, Rotate::Retried { retries })?;
        same("the row", bench.row(&grant)?, Grant { retries, ..row.clone() })?;
    }
    same("the successor", bench.rotate(&with_grace(&grant, 2, GRACE))?, Rotate::Rotated)?;
    same("retries begin anew", bench.row(&grant)?.retries, 0)
}

/// R12: when the window has ended, the predecessor is proof of reuse.
pub fn the_grace_ends<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    for age in [GRACE, GRACE + 1] {
        let grant = bench.family(&cast)?;
        bench.rotate(&with_grace(&grant, 1, 0))?;
        same("after the grace", bench.rotate(&with_grace(&grant, 1, age))?, Rotate::Reused)?;
        bench.is_dead("after reuse", &grant, age)?;
    }
    let grant = bench.family(&cast)?;
    bench.rotate(&token(&grant, 1, 0))?;
    same("without grace", bench.rotate(&token(&grant, 1, 0))?, Rotate::Reused)?;
    bench.is_dead("after reuse", &grant, 0)
}

/// R13: the grace ends when the successor is used: an older ancestor is reuse within the window.
pub fn the_grace_ends_when_the_successor_is_used<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let grant = bench.family(&bench.cast()?)?;
    for generation in [1, 2] {
        bench.rotate(&with_grace(&grant, generation, 0))?;
    }
    same("an older ancestor", bench.rotate(&with_grace(&grant, 1, 1))?, Rotate::Reused)?;
    bench.is_dead("after reuse", &grant, 1)
}

/// Z1: within the grace window every request for the predecessor is answered with the same successor,
/// however many there are. The count in the row stays at 255.
pub fn retries_within_the_grace_revoke_nothing<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let grant = bench.family(&bench.cast()?)?;
    bench.rotate(&with_grace(&grant, 1, 0))?;
    let row = bench.row(&grant)?;
    for retry in 1..=300 {
        let retries = u8::try_from(retry).unwrap_or(u8::MAX);
        let answer = bench.rotate(&with_grace(&grant, 1, GRACE - 1))?;
        same("a retry", answer, Rotate::Retried { retries })?;
    }
    same("the row", bench.row(&grant)?, Grant { retries: u8::MAX, ..row })?;
    same("the successor", bench.rotate(&with_grace(&grant, 2, GRACE))?, Rotate::Rotated)?;
    same("retries begin anew", bench.row(&grant)?.retries, 0)
}

/// R12: a clock that jumped back by less than 5 seconds does not end the grace window; one that
/// jumped further does, so that it cannot be kept open.
pub fn a_clock_that_jumps_back_keeps_the_grace_for_seconds<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    for (age, expected) in [
        (-1, Rotate::Retried { retries: 1 }),
        (-5 * SECOND + 1, Rotate::Retried { retries: 1 }),
        (-5 * SECOND, Rotate::Reused),
        (-GRANT_LIFE, Rotate::Reused),
    ] {
        let grant = bench.family(&cast)?;
        bench.rotate(&with_grace(&grant, 1, 0))?;
        let answer = bench.rotate(&with_grace(&grant, 1, age))?;
        same(&format!("a retry at the age of {age} ms"), answer, expected)?;
    }
    Ok(())
}

/// N16: the window of a retry bears the difference of two hosts' clocks at both ends, and so does the time that
/// a refresh token may lie idle.
pub fn the_grace_bears_the_difference_of_clocks<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    const SKEW: i64 = 20 * SECOND;
    let bench = kit.bench();
    let cast = bench.cast()?;
    for (age, expected) in [
        (-SKEW, Rotate::Reused),
        (-SKEW + 1, Rotate::Retried { retries: 1 }),
        (GRACE + SKEW - 1, Rotate::Retried { retries: 1 }),
        (GRACE + SKEW, Rotate::Reused),
    ] {
        let grant = bench.family(&cast)?;
        let present =
            |millis| bench.rotate(&Rotation { skew_millis: SKEW, ..with_grace(&grant, 1, millis) });
        same("the first time", present(0)?, Rotate::Rotated)?;
        same(&format!("a retry at the age of {age} ms"), present(age)?, expected)?;
    }
    let grant = bench.family(&cast)?;
    let present = |skew_millis| {
        let idle = token(&grant, 1, MINUTE + SKEW - 1);
        bench.rotate(&Rotation { idle_millis: Some(MINUTE), skew_millis, ..idle })
    };
    same("an idle refresh token", present(SKEW - 1)?, EXPIRED)?;
    same("one that is idle by other clocks only", present(SKEW)?, Rotate::Rotated)?;
    let grant = bench.family(&cast)?;
    let strict = Rotation { skew_millis: SKEW, ..token(&grant, 1, 0) };
    same("the first time", bench.rotate(&strict)?, Rotate::Rotated)?;
    same("without grace", bench.rotate(&strict)?, Rotate::Reused)
}

/// R24: a spent generation whose request was under way when it was spent is refused, and nothing changes, at
/// every age of the live generation, also if that was made long after the request began.
pub fn a_rotation_that_was_overtaken_proves_no_reuse<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let grant = bench.family(&bench.cast()?)?;
    let late = |generation, millis| Rotation {
        proves_reuse: false,
        ..with_grace(&grant, generation, millis)
    };
    same("the live refresh token", bench.rotate(&late(1, 0))?, Rotate::Rotated)?;
    let retried = Rotate::Retried { retries: 1 };
    same("a retry", bench.rotate(&late(1, GRACE - 1))?, retried)?;
    for generation in [2, 3] {
        same("the next", bench.rotate(&with_grace(&grant, generation, HOUR))?, Rotate::Rotated)?;
    }
    let row = bench.row(&grant)?;
    for (generation, millis) in [
        // The immediate predecessor, from before the live one and from after the grace.
        (3, 0),
        (3, HOUR - 5 * SECOND),
        (3, HOUR + GRACE),
        // Older ones.
        (2, 0),
        (2, HOUR - 1),
        (2, HOUR),
        (1, 0),
        (1, HOUR),
        (1, HOUR + GRACE),
    ] {
        let answer = bench.rotate(&late(generation, millis))?;
        same(&format!("generation {generation} at {millis} ms"), answer, Rotate::Overtaken)?;
        same("the row", bench.row(&grant)?, row.clone())?;
    }
    bench.is_alive("after rotations that came late", &grant, HOUR)?;
    let stranger = Rotation { salt_digest: random_digest()?, ..late(1, 0) };
    same("a stranger", bench.rotate(&stranger)?, UNKNOWN)?;
    same("when it has expired", bench.rotate(&late(1, GRANT_LIFE))?, EXPIRED)?;
    let reuse = bench.rotate(&with_grace(&grant, 1, 0))?;
    same("the same, begun when it was spent", reuse, Rotate::Reused)?;
    bench.is_dead("after reuse", &grant, HOUR)?;
    same("when the family has ended", bench.rotate(&late(1, HOUR))?, REVOKED)
}

/// R14: a grant that has ended gives nothing to any generation, with or without grace, and its end stands.
pub fn a_grant_that_has_ended_is_not_revived<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let ends: [&dyn Fn(&Grant) -> Check; 3] = [
        &|grant| {
            bench.revoke(&end(RevocationTarget::Grant(grant.grant_id), 0))?;
            Ok(())
        },
        &|grant| same("a reuse", bench.rotate(&token(grant, 1, 0))?, Rotate::Reused),
        &|grant| same("a replay", bench.redeem(&code(grant, 0))?, RedeemCode::AlreadyRedeemed),
    ];
    for ended in ends {
        let grant = bench.family(&cast)?;
        for generation in [1, 2] {
            bench.rotate(&with_grace(&grant, generation, 0))?;
        }
        ended(&grant)?;
        let row = bench.row(&grant)?;
        for generation in [2, 3, 4, 1, 9] {
            let answer = bench.rotate(&with_grace(&grant, generation, 0))?;
            same(&format!("generation {generation} of 3"), answer, REVOKED)?;
        }
        let replay = bench.redeem(&code(&grant, 0))?;
        same("its code", replay, RedeemCode::AlreadyRedeemed)?;
        bench.revoke(&end(RevocationTarget::Grant(grant.grant_id), 1))?;
        same("the row", bench.row(&grant)?, row)?;
        bench.is_dead("an ended grant", &grant, 0)?;
    }
    Ok(())
}

/// R3, R16: a grant expires at its instant, however often and recently it was rotated.
pub fn rotation_does_not_extend_the_life_of_a_grant<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let grant = bench.family(&bench.cast()?)?;
    for (generation, now) in [(1, CODE_LIFE + 1), (2, GRANT_LIFE - 1)] {
        let answer = bench.rotate(&token(&grant, generation, now))?;
        same("a refresh token in time", answer, Rotate::Rotated)?;
    }
    let row = bench.row(&grant)?;
    for generation in [3, 2, 1, 4] {
        for late in [GRANT_LIFE, GRANT_LIFE + MINUTE] {
            let answer = bench.rotate(&with_grace(&grant, generation, late))?;
            same("a refresh token of an expired grant", answer, EXPIRED)?;
        }
    }
    same("the row", bench.row(&grant)?, row)
}

/// R3: a refresh token that lay idle too long has expired; each rotation begins anew.
pub fn an_idle_refresh_token_expires<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let grant = bench.family(&bench.cast()?)?;
    let idle =
        |generation, now| Rotation { idle_millis: Some(MINUTE), ..token(&grant, generation, now) };
    let in_time = "a refresh token that was used in time";
    same(in_time, bench.rotate(&idle(1, MINUTE - 1))?, Rotate::Rotated)?;
    same(in_time, bench.rotate(&idle(2, 2 * MINUTE - 2))?, Rotate::Rotated)?;
    same("an idle refresh token", bench.rotate(&idle(3, 3 * MINUTE - 2))?, EXPIRED)?;
    bench.is_alive("where the app sets no limit", &grant, 3 * MINUTE)
}

/// A generation ahead of the row proves that the store was rewound: the row catches up, and what
/// it had forgotten is spent.
pub fn a_store_that_was_rewound_catches_up<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    // Rewound to the middle of the family, and to before its code was redeemed.
    for grant in [bench.family(&cast)?, bench.pending(&cast)?] {
        let ahead = Rotation { claim: 77, ..with_grace(&grant, 7, 3) };
        same("a generation ahead", bench.rotate(&ahead)?, Rotate::Ahead)?;
        let row = Grant { generation: 8, rotated_at: at(3), claim: 77, ..grant.clone() };
        same("the row", bench.row(&grant)?, row)?;
        same("a retry", bench.rotate(&with_grace(&grant, 7, 4))?, Rotate::Retried { retries: 1 })?;
        same("the live one", bench.rotate(&with_grace(&grant, 8, 5))?, Rotate::Rotated)?;
        let wrong = CodeRedemption { binding: random_digest()?, ..code(&grant, 6) };
        bench.redeem(&wrong)?;
        bench.is_alive("after wrong bindings", &grant, 6)?;
        let replay = bench.redeem(&code(&grant, 6))?;
        same("the code that it had forgotten", replay, RedeemCode::AlreadyRedeemed)?;
        bench.is_dead("after the replay", &grant, 6)?;
    }
    Ok(())
}

/// A refresh token of a bound grant needs its key, live or spent. Another key changes nothing.
pub fn a_bound_refresh_token_needs_its_key<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let pending = bench.pending(&bench.cast()?)?;
    let confirmation = Some(key()?);
    let redemption = CodeRedemption { confirmation, ..code(&pending, 0) };
    same("a fresh code", bench.redeem(&redemption)?, RedeemCode::Redeemed)?;
    let grant = Grant { confirmation, ..pending };
    for generation in 1..3 {
        same("its key", bench.rotate(&token(&grant, generation, 0))?, Rotate::Rotated)?;
    }
    let row = bench.row(&grant)?;
    for generation in 1..5 {
        for confirmation in [None, Some(key()?)] {
            for millis in [0, GRACE] {
                let token = Rotation { confirmation, ..with_grace(&grant, generation, millis) };
                same("another key", bench.rotate(&token)?, Rotate::WrongKey)?;
                same("the row", bench.row(&grant)?, row.clone())?;
            }
        }
    }
    same("its key", bench.rotate(&with_grace(&grant, 2, 0))?, Rotate::Retried { retries: 1 })?;
    bench.is_alive("its family", &grant, 0)?;
    same("reuse with its key", bench.rotate(&token(&grant, 1, 0))?, Rotate::Reused)?;
    let late = Rotation { confirmation: None, ..token(&grant, 4, 0) };
    same("another key, when the grant has ended", bench.rotate(&late)?, REVOKED)
}

/// The first rotation with a proof binds the grant of a public app, in the same step. A retry binds
/// nothing, and neither does a confidential app.
pub fn the_first_rotation_with_a_proof_binds<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let grant = bench.family(&bench.cast()?)?;
    let proof = Some(key()?);
    let present = |generation, confirmation, binds| {
        bench.rotate(&Rotation { confirmation, binds, ..with_grace(&grant, generation, 0) })
    };
    let bound = || -> Check<_> {
        let row = bench.row(&grant)?;
        Ok((row.confirmation, row.bound_from))
    };
    same("a confidential app", present(1, proof, false)?, Rotate::Rotated)?;
    same("the key of its row", bound()?, (None, 0))?;
    same("a retry with a proof", present(1, proof, true)?, Rotate::Retried { retries: 1 })?;
    same("the key after a retry", bound()?, (None, 0))?;
    same("a rotation with a proof", present(2, proof, true)?, Rotate::Rotated)?;
    same("the key after it", bound()?, (proof, 3))?;
    same("a retry with another key", present(2, Some(key()?), true)?, Rotate::WrongKey)?;
    same("a retry with its key", present(2, proof, true)?, Rotate::Retried { retries: 1 })?;
    same("another key", present(3, Some(key()?), true)?, Rotate::WrongKey)?;
    same("its key", present(3, proof, false)?, Rotate::Rotated)?;
    same("the key after all", bound()?, (proof, 3))
}

/// A spent refresh token from before the grant was bound ends it with any key: a thief who binds a stolen
/// one is not safe from its owner.
pub fn a_spent_token_from_before_the_binding_ends_its_family<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    for confirmation in [None, Some(key()?)] {
        let grant = bench.family(&bench.cast()?)?;
        let thief = Rotation { confirmation: Some(key()?), ..with_grace(&grant, 1, 0) };
        same("the thief", bench.rotate(&thief)?, Rotate::Rotated)?;
        let owner = Rotation { confirmation, ..with_grace(&grant, 1, GRACE - 1) };
        same("the owner, in the grace", bench.rotate(&owner)?, Rotate::WrongKey)?;
        let owner = Rotation { now: at(GRACE), ..owner };
        same("the owner, after it", bench.rotate(&owner)?, Rotate::Reused)?;
        bench.is_dead("the thief's family", &grant, GRACE)?;
    }
    Ok(())
}
