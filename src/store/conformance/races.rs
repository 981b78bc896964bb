//! Checks with sixteen threads on one row.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::bench::{
    CODE_LIFE, REVOKED, SECOND, at, claim, code, end, holds, key, new_app, random_bytes,
    random_digest, same, token,
};
use super::race::{CONTENDERS, count, race};
use super::{Check, Kit, Runner};
use crate::ids::GrantId;
use crate::store::{
    AssertionClaim, ClaimAssertion, CodeRedemption, FeedCursor, Grant, GrantRefusal, InsertApp,
    InsertGrant, MAX_MISMATCHES, RedeemCode, RevocationReason, RevocationTarget, Rotate, Rotation,
    Store, UpdateApp,
};

/// Y3: of many registrations of one client id one wins, and its app is the one that is found.
pub fn one_of_many_registrations_wins<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    race(
        bench.rounds.div_ceil(4),
        |_| new_app(),
        |app, contender| {
            // Told apart by the instant of their edit.
            let mine = app.edited(at(i64::try_from(contender).unwrap_or(0)), |_| ());
            Ok((bench.wait(bench.store.insert_app(mine.clone()))?, mine))
        },
        |app, answers| {
            let won = |(answer, _): &(InsertApp, _)| *answer == InsertApp::Inserted;
            same("winners", count(&answers, won), 1)?;
            let found = bench.app(app.client_id())?;
            let winner = answers.iter().find(|answer| won(answer)).map(|(_, app)| app);
            same("the app found", Some(&*found), winner)
        },
    )
}

/// Y3: of many updates of one version one wins, and its app is the one that is found.
pub fn one_of_many_updates_wins<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    race(
        bench.rounds.div_ceil(4),
        |_| bench.app(&cast.client_id),
        |app, contender| {
            let mine = app.edited(at(i64::try_from(contender).unwrap_or(0)), |_| ());
            Ok((bench.wait(bench.store.update_app(mine.clone(), app.version()))?, mine))
        },
        |app, answers| {
            let won = |(answer, _): &(UpdateApp, _)| *answer == UpdateApp::Updated;
            same("winners", count(&answers, won), 1)?;
            let found = bench.app(app.client_id())?;
            let winner = answers.iter().find(|answer| won(answer)).map(|(_, app)| app);
            same("the app found", Some(&*found), winner)
        },
    )
}

/// Of many changes at once none is missing from the version of the apps.
pub fn changes_at_once_are_all_counted<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let mut apps = Vec::new();
    for _ in 0..CONTENDERS {
        apps.push(bench.cast()?.client_id);
    }
    race(
        bench.rounds.div_ceil(4),
        |round| Ok((bench.wait(bench.store.apps_version())?.version, round % 2 == 1)),
        |(_, enabled), contender| match apps.get(contender) {
            Some(client_id) => bench.enable(client_id, *enabled),
            None => Ok(()),
        },
        |(before, _), _| {
            let counted = bench.wait(bench.store.apps_version())?.version.saturating_sub(*before);
            holds(usize::try_from(counted).unwrap_or(usize::MAX) >= CONTENDERS, || {
                format!("{CONTENDERS} changes added {counted} to the version of the apps")
            })
        },
    )
}

/// A caller that reads the version of the apps finds every change that it counts.
pub fn a_change_is_seen_before_it_is_counted<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    race(
        bench.rounds.div_ceil(4),
        |_| bench.app(&cast.client_id),
        |app, contender| {
            if contender == 0 {
                let edited = app.edited(at(0), |_| ());
                bench.wait(bench.store.update_app(edited, app.version()))?;
                return Ok(None);
            }
            let counted = bench.wait(bench.store.apps_version())?.version;
            Ok(Some((counted, bench.app(&cast.client_id)?.version())))
        },
        |_, answers| {
            let counted = bench.wait(bench.store.apps_version())?.version;
            let version = bench.app(&cast.client_id)?.version();
            // Nothing was counted after these were answered, so this is what they had to find.
            let early =
                answers.iter().flatten().find(|(at, found)| *at == counted && *found < version);
            holds(early.is_none(), || "a change is counted and cannot be found yet")
        },
    )
}

/// A34: of many decisions on one request one wins, approved or denied, and stands.
pub fn one_of_many_decisions_wins<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    race(
        bench.rounds,
        |_| bench.dated(cast.grant()?),
        |grant, contender| {
            let mut mine = grant.clone();
            if contender % 2 == 0 {
                mine.revoke(RevocationReason::Denied, at(0));
            }
            Ok(match bench.wait(bench.store.insert_grant(mine.clone()))? {
                InsertGrant::Inserted { authorized_at } => Some(Grant { authorized_at, ..mine }),
                InsertGrant::AlreadyDecided | InsertGrant::AppInactive | InsertGrant::Revoked => {
                    None
                }
            })
        },
        |grant, answers| {
            same("winners", count(&answers, Option::is_some), 1)?;
            let winner = answers.into_iter().flatten().next();
            same("the row", bench.find(grant)?, winner)
        },
    )
}

/// G13, G14: of many redemptions of one code one wins; the others are replays and have ended the
/// grant.
pub fn one_of_many_redemptions_wins<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    race(
        bench.rounds,
        |_| bench.pending(&cast),
        |grant, contender| {
            let claim = u64::try_from(contender).unwrap_or(0);
            bench.redeem(&CodeRedemption { claim, ..code(grant, 0) })
        },
        |grant, answers| {
            let winners = count(&answers, |answer| *answer == RedeemCode::Redeemed);
            let replays = count(&answers, |answer| *answer == RedeemCode::AlreadyRedeemed);
            same("winners and replays", (winners, replays), (1, CONTENDERS - 1))?;
            let winner = answers.iter().position(|answer| *answer == RedeemCode::Redeemed);
            let row = bench.row(grant)?;
            same("the claim in the row", usize::try_from(row.claim).ok(), winner)?;
            bench.is_dead("a code that was replayed", grant, 0)
        },
    )
}

/// P11: of many wrong bindings none is missed, and no more than allowed are tried.
pub fn many_wrong_bindings_are_all_counted<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    race(
        bench.rounds.div_ceil(4),
        |_| bench.pending(&cast),
        |grant, _| {
            let binding = random_digest()?;
            bench.redeem(&CodeRedemption { binding, ..code(grant, 0) })
        },
        |grant, answers| {
            let tried = count(&answers, |answer| *answer == RedeemCode::Mismatch);
            same("bindings tried", tried, usize::from(MAX_MISMATCHES))?;
            let refused = RedeemCode::Refused(GrantRefusal::Revoked);
            let refused = count(&answers, |answer| *answer == refused);
            same("bindings refused", refused, CONTENDERS - tried)?;
            bench.is_dead("a guessed code", grant, 0)
        },
    )
}

/// R15: of many rotations of one refresh token without grace one wins, the next is reuse and ends
/// the family.
pub fn one_of_many_rotations_wins<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    race(
        bench.rounds,
        |_| bench.family(&cast),
        |grant, contender| {
            let claim = u64::try_from(contender).unwrap_or(0);
            bench.rotate(&Rotation { claim, ..token(grant, 1, 0) })
        },
        |grant, answers| {
            let told = [Rotate::Rotated, Rotate::Reused, REVOKED]
                .map(|wanted| count(&answers, |answer| *answer == wanted));
            same("winners, reuses, refusals", told, [1, 1, CONTENDERS - 2])?;
            let winner = answers.iter().position(|answer| *answer == Rotate::Rotated);
            let row = bench.row(grant)?;
            same("the claim in the row", usize::try_from(row.claim).ok(), winner)?;
            bench.is_dead("a family with a reuse", grant, 0)
        },
    )
}

/// R24: spent refresh tokens that arrive while their client goes on, in requests from before, end nothing.
pub fn rotations_that_are_overtaken_revoke_nothing<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    race(
        bench.rounds,
        |_| {
            let grant = bench.family(&cast)?;
            for generation in 1..3 {
                bench.rotate(&token(&grant, generation, 0))?;
            }
            Ok(grant)
        },
        |grant, contender| {
            let present = |generation| {
                let rotation = Rotation { grace_millis: SECOND, ..token(grant, generation, 0) };
                bench.rotate(&Rotation { proves_reuse: false, ..rotation })
            };
            if contender > 0 {
                return present([1, 2, 3].get(contender % 3).copied().unwrap_or(1));
            }
            let answer = present(3)?;
            for generation in [4, 5] {
                same("the client that goes on", present(generation)?, Rotate::Rotated)?;
            }
            Ok(answer)
        },
        |grant, answers| {
            let count_of = |wanted| count(&answers, |answer| *answer == wanted);
            same("winners of the live one", count_of(Rotate::Rotated), 1)?;
            same("the ends", count_of(Rotate::Reused) + count_of(REVOKED), 0)?;
            same("the live generation", bench.row(grant)?.generation, 6)?;
            bench.is_alive("a family that went on", grant, 0)
        },
    )
}

/// Of many keys that ask to bind one grant, one does, and no request with another gets a token.
pub fn one_of_many_keys_binds_a_grant<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    race(
        bench.rounds,
        |_| {
            let keys = (0..CONTENDERS).map(|_| key()).collect::<Check<Vec<_>>>()?;
            Ok((bench.family(&cast)?, keys))
        },
        |(grant, keys), contender| {
            let confirmation = keys.get(contender).copied();
            let grace_millis = SECOND;
            bench.rotate(&Rotation { confirmation, grace_millis, ..token(grant, 1, 0) })
        },
        |(grant, keys), answers| {
            let told = [Rotate::Rotated, Rotate::WrongKey]
                .map(|wanted| count(&answers, |answer| *answer == wanted));
            same("winners, refusals", told, [1, CONTENDERS - 1])?;
            let winner = answers.iter().position(|answer| *answer == Rotate::Rotated);
            let row = bench.row(grant)?;
            let own = winner.and_then(|winner| keys.get(winner).copied());
            same("the key in the row", (row.confirmation, row.bound_from), (own, 2))?;
            bench.is_alive("the winner's family", grant, 0)
        },
    )
}

/// R15, Z1: of many rotations of one refresh token within the grace one makes the successor. All others
/// are answered with it, each with a count of its own, and the family lives.
pub fn a_grace_that_is_raced_revokes_nothing<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    race(
        bench.rounds,
        |_| bench.family(&cast),
        |grant, contender| {
            // Clocks of several machines differ by less than a second.
            let now = i64::try_from(contender).unwrap_or(0);
            bench.rotate(&Rotation { grace_millis: SECOND, ..token(grant, 1, now) })
        },
        |grant, answers| {
            let mut counted = Vec::new();
            for answer in &answers {
                if let Rotate::Retried { retries } = answer {
                    counted.push(usize::from(*retries));
                } else {
                    same("a rotation within the grace", *answer, Rotate::Rotated)?;
                    counted.push(0);
                }
            }
            counted.sort_unstable();
            same("the counts", counted, (0..CONTENDERS).collect())?;
            same("the live generation", bench.row(grant)?.generation, 2)?;
            bench.is_alive("a family with retries", grant, 0)
        },
    )
}

/// R9, R15: when a spent refresh token, the live one and the spent code are presented at once,
/// nothing is alive when all are answered, nor after any answer that says so.
pub fn a_reuse_that_races_rotations_leaves_nothing_alive<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    race(
        bench.rounds,
        |_| {
            let grant = bench.family(&cast)?;
            same("a rotation", bench.rotate(&token(&grant, 1, 0))?, Rotate::Rotated)?;
            Ok(grant)
        },
        |grant, contender| match contender % 4 {
            0 => {
                let answer = bench.rotate(&token(grant, 1, 1))?;
                bench.is_dead("after a reuse was answered", grant, 1)?;
                Ok(usize::from(answer == Rotate::Rotated))
            }
            1 => {
                bench.redeem(&code(grant, CODE_LIFE))?;
                bench.is_dead("after a replay was answered", grant, 1)?;
                Ok(0)
            }
            _ => Ok(usize::from(bench.rotate(&token(grant, 2, 1))? == Rotate::Rotated)),
        },
        |grant, rotated| {
            let rotated: usize = rotated.into_iter().sum();
            holds(rotated <= 1, || format!("one refresh token was rotated {rotated} times"))?;
            bench.is_dead("a family with a reuse", grant, 1)
        },
    )
}

/// J19: of many claims of one assertion one wins, and of their grants its own exists alone.
pub fn one_of_many_claims_wins<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    race(
        bench.rounds,
        |_| claim(&cast.client_id),
        |one, _| {
            let mine = bench.dated(cast.impersonation()?)?;
            let grant = Some(mine.clone());
            let one = AssertionClaim { grant, makes_row: true, ..one.clone() };
            Ok((bench.claim(&one)?, mine))
        },
        |_, answers| {
            let won =
                |(answer, _): &(ClaimAssertion, _)| matches!(answer, ClaimAssertion::First { .. });
            same("winners", count(&answers, won), 1)?;
            for answer in &answers {
                let found = bench.find(&answer.1)?.is_some();
                same("whether its grant exists", found, won(answer))?;
            }
            Ok(())
        },
    )
}

/// A reader that goes on from where it was told sees every revocation that was answered, also
/// those that were being written while it read.
pub fn a_feed_that_is_read_while_it_is_written_loses_nothing<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let reader = Mutex::new((FeedCursor::default(), HashSet::new()));
    let read = |millis| -> Check {
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        let (entries, next) = bench.read_feed(reader.0, 3, millis)?;
        reader.0 = next;
        reader.1.extend(entries.into_iter().map(|entry| entry.target));
        Ok(())
    };
    race(
        bench.rounds.div_ceil(10),
        |round| Ok(i64::try_from(round).unwrap_or(0) * SECOND),
        |now, contender| {
            let mut written = Vec::new();
            for _ in 0..3 {
                if contender % 4 == 0 {
                    read(*now)?;
                } else {
                    let target = RevocationTarget::Grant(GrantId::from_bytes(random_bytes()?));
                    bench.revoke(&end(target.clone(), *now))?;
                    written.push(target);
                }
            }
            Ok(written)
        },
        |now, written| {
            read(*now)?;
            let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            let lost = written.iter().flatten().filter(|target| !reader.1.contains(target)).count();
            same("revocations that the reader never saw", lost, 0)
        },
    )
}
