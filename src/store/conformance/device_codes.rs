//! Checks of [`redeem_code`](crate::store::GrantStore::redeem_code) with a code that its client polls with.

use super::bench::{CODE_LIFE, GRANT_LIFE, at, code, end, holds, random_digest, same, token};
use super::race::{CONTENDERS, count, race};
use super::{Check, Kit, Runner};
use crate::app::Flow;
use crate::store::{
    CodeRedemption, Grant, GrantRefusal, Polling, RedeemCode, RevocationTarget, Rotate, Store,
};

const GRACE: i64 = 10_000;
const UNKNOWN: RedeemCode = RedeemCode::Refused(GrantRefusal::Unknown);
const REVOKED: RedeemCode = RedeemCode::Refused(GrantRefusal::Revoked);
const EXPIRED: RedeemCode = RedeemCode::Refused(GrantRefusal::Expired);

/// Returns the code of `grant`, polled with.
fn poll(grant: &Grant, millis: i64) -> CodeRedemption {
    let polling = Some(Polling { grace_millis: GRACE, skew_millis: 0 });
    CodeRedemption { polling, ..code(grant, millis) }
}

fn of_device(grant: Grant) -> Grant {
    Grant { flow: Some(Flow::DeviceCode), ..grant }
}

/// D16: a client that lost its answer gets it again within the grace. The row counts, and nothing ends.
pub fn a_polled_code_is_given_again_within_the_grace<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let grant = bench.decide(of_device(bench.cast()?.grant()?))?;
    same("the first poll", bench.redeem(&poll(&grant, 0))?, RedeemCode::Redeemed)?;
    for (retries, millis) in [(1, 0), (2, 1), (3, GRACE - 1), (4, -4_999)] {
        same("a poll within the grace", bench.redeem(&poll(&grant, millis))?, RedeemCode::Retried)?;
        let row = bench.row(&grant)?;
        let expected =
            Grant { generation: 1, rotated_at: at(0), claim: 1, retries, ..grant.clone() };
        same("the row", row, expected)?;
    }
    let wider = Some(Polling { grace_millis: GRACE, skew_millis: 9_000 });
    let late = CodeRedemption { polling: wider, ..poll(&grant, GRACE + 8_999) };
    same("a poll by another clock", bench.redeem(&late)?, RedeemCode::Retried)?;
    bench.is_alive("after the polls", &grant, GRACE)
}

/// D16: after the grace, and after the successor was used, a poll gives nothing and ends nothing.
pub fn the_grace_of_a_polled_code_ends_without_a_revocation<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let grant = bench.decide(of_device(cast.grant()?))?;
    same("the first poll", bench.redeem(&poll(&grant, 0))?, RedeemCode::Redeemed)?;
    let none = Some(Polling { grace_millis: 0, skew_millis: 9_000 });
    let without = CodeRedemption { polling: none, ..poll(&grant, 0) };
    same("a poll without grace", bench.redeem(&without)?, RedeemCode::Spent)?;
    for millis in [GRACE, CODE_LIFE, -5_000] {
        same("a poll after the grace", bench.redeem(&poll(&grant, millis))?, RedeemCode::Spent)?;
    }
    same("the row", bench.row(&grant)?.retries, 0)?;
    bench.is_alive("after late polls", &grant, GRACE)?;
    same("after the successor", bench.redeem(&poll(&grant, 1))?, RedeemCode::Spent)?;
    bench.is_alive("after a poll behind the successor", &grant, GRACE)?;
    let end_of_grant = bench.redeem(&poll(&grant, GRANT_LIFE))?;
    same("a poll after the end of the grant", end_of_grant, EXPIRED)?;
    bench.revoke(&end(RevocationTarget::Grant(grant.grant_id), 0))?;
    same("a poll of a revoked grant", bench.redeem(&poll(&grant, 1))?, REVOKED)?;
    let pending = bench.decide(of_device(cast.grant()?))?;
    same("an expired code", bench.redeem(&poll(&pending, CODE_LIFE))?, EXPIRED)
}

/// D9: a stranger gets nothing of a redeemed code, also within the grace.
pub fn a_stranger_gets_no_polled_code_again<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let (cast, other) = (bench.cast()?, bench.cast()?);
    let grant = bench.decide(of_device(cast.grant()?))?;
    let good = poll(&grant, 0);
    same("the first poll", bench.redeem(&good)?, RedeemCode::Redeemed)?;
    let strangers = [
        CodeRedemption { client_id: other.client_id, ..good.clone() },
        CodeRedemption { salt_digest: random_digest()?, ..good.clone() },
        CodeRedemption { binding: random_digest()?, ..good },
    ];
    for stranger in strangers {
        same("a stranger", bench.redeem(&stranger)?, UNKNOWN)?;
    }
    same("the row", bench.row(&grant)?.retries, 0)?;
    bench.is_alive("after strangers", &grant, 0)
}

/// D16: of many polls at once one redeems the code, and the others get the same. Nothing is revoked.
pub fn one_of_many_polls_redeems<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    race(
        bench.rounds,
        |_| bench.decide(of_device(cast.grant()?)),
        |grant, contender| {
            let claim = u64::try_from(contender).unwrap_or(0);
            bench.redeem(&CodeRedemption { claim, ..poll(grant, 0) })
        },
        |grant, answers| {
            let winners = count(&answers, |answer| *answer == RedeemCode::Redeemed);
            let retries = count(&answers, |answer| *answer == RedeemCode::Retried);
            same("winners and retries", (winners, retries), (1, CONTENDERS - 1))?;
            let winner = answers.iter().position(|answer| *answer == RedeemCode::Redeemed);
            let row = bench.row(grant)?;
            same("the claim in the row", usize::try_from(row.claim).ok(), winner)?;
            same("the retries in the row", usize::from(row.retries), CONTENDERS - 1)?;
            bench.is_alive("a code with many polls", grant, 0)
        },
    )
}

/// D16: polls that race with a revocation and with the first refresh leave nothing alive, and end nothing by
/// themselves.
pub fn no_polled_code_survives_a_revocation<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    race(
        bench.rounds.div_ceil(4),
        |_| bench.decide(of_device(cast.grant()?)),
        |grant, contender| match contender {
            0 => {
                bench.revoke(&end(RevocationTarget::Grant(grant.grant_id), 0))?;
                same("a poll after the revocation", bench.redeem(&poll(grant, 0))?, REVOKED)
            }
            1 => {
                let answer = bench.rotate(&token(grant, 1, 0))?;
                // A row that is still pending was rewound, as far as its refresh token tells.
                let told = matches!(answer, Rotate::Rotated | Rotate::Ahead | Rotate::Refused(_));
                holds(told, || format!("{answer:?} for a refresh token"))
            }
            _ => {
                let answer = bench.redeem(&poll(grant, 0))?;
                let told = matches!(
                    answer,
                    RedeemCode::Redeemed | RedeemCode::Retried | RedeemCode::Spent
                ) || answer == REVOKED;
                holds(told, || format!("{answer:?} for a poll"))
            }
        },
        |grant, _| bench.is_dead("a polled code", grant, 0),
    )
}
