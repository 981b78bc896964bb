//! Checks with futures that are dropped at every await, as a server drops them when its client
//! hangs up: a step is then done or not done, never half.

use std::pin::pin;
use std::task::Poll;

use super::bench::{Bench, CUTOFFS, GRANT_LIFE, at, code, end, holds, new_app, same, token};
use super::{Check, Kit, Runner, Violation};
use crate::clock::UnixTime;
use crate::protocol::scope::Scope;
use crate::store::{
    AssertionClaim, ClaimAssertion, Consent, FeedCursor, Grant, RedeemCode, RevocationTarget,
    Rotation, Store, StoreError,
};

pub(super) fn poll_and_drop<S: Store, R: Runner, T>(
    bench: &Bench<'_, S, R>,
    polls: usize,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Check<bool> {
    poll_and_drop_on(bench.runner, polls, call)
}

/// Polls `call` that often, drops it, and waits until its work has ended. Returns whether it was ready by
/// then.
pub(crate) fn poll_and_drop_on<R: Runner, T>(
    runner: &R,
    polls: usize,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Check<bool> {
    let mut left = polls;
    let answer = runner.block_on(async {
        let mut call = pin!(call);
        std::future::poll_fn(|context| {
            if left > 0 {
                left -= 1;
                if let Poll::Ready(answer) = call.as_mut().poll(context) {
                    return Poll::Ready(Some(answer));
                }
            }
            if left == 0 { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    });
    runner.settle();
    answer.transpose().map(|answer| answer.is_some()).map_err(Violation::from)
}

/// The writes that look for an open transaction after a drop. Pools hand out their connections in turn.
const LOOKS: usize = 8;

/// Checks that the store commits what it writes. A transaction that was left open on a pooled connection
/// swallows the next writes on it, refuses them, or holds the locks that they need.
fn commits<S: Store, R: Runner>(bench: &Bench<'_, S, R>, other: Option<&Bench<'_, S, R>>) -> Check {
    let left_open = |how: String| {
        Violation::new(format!("the future has left a transaction open on its connection: {how}"))
    };
    for _ in 0..LOOKS {
        let app = new_app()?;
        let written = bench.wait(bench.store.insert_app(app.clone()));
        written.map_err(|error| left_open(format!("a later write fails ({error})")))?;
        let reader = other.unwrap_or(bench);
        let found = reader.wait(reader.store.read_app(app.client_id()))?;
        holds(found.is_some(), || {
            left_open("an answered write is not there".to_owned()).to_string()
        })?;
    }
    Ok(())
}

/// Drops `call` at every await, and looks for an open transaction each time.
pub(super) fn leaves_none<S: Store, R: Runner, T, F>(
    bench: &Bench<'_, S, R>,
    other: Option<&Bench<'_, S, R>>,
    call: impl Fn() -> Check<F>,
) -> Check
where
    F: Future<Output = Result<T, StoreError>>,
{
    at_every_await(|polls| {
        let ready = poll_and_drop(bench, polls, call()?);
        // If the transaction of the last drop is still open, this call may have failed.
        commits(bench, other)?;
        ready
    })
}

/// A call that is dropped ends its transaction, even if it is dropped while it begins one. Otherwise a pool
/// passes the connection on inside the transaction. If this check fails, the others of this module do not run.
pub fn no_dropped_future_leaves_a_transaction_open<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let other = kit.other_bench(&bench);
    let (store, other) = (&bench.store, other.as_ref());
    let cast = bench.cast()?;
    leaves_none(&bench, other, || {
        let app = new_app()?;
        Ok(store.insert_app(app))
    })?;
    leaves_none(&bench, other, || {
        let grant = bench.dated(cast.grant()?)?;
        Ok(store.insert_grant(grant))
    })?;
    leaves_none(&bench, other, || {
        let redemption = code(&bench.pending(&cast)?, 5);
        Ok(async move { store.redeem_code(&redemption).await })
    })?;
    leaves_none(&bench, other, || {
        let rotation = token(&bench.family(&cast)?, 1, 5);
        Ok(async move { store.rotate(&rotation).await })
    })?;
    leaves_none(&bench, other, || {
        let one = bench.claim_of(cast.impersonation()?)?;
        Ok(async move { store.claim_assertion(&one).await })
    })?;
    leaves_none(&bench, other, || {
        let revocation = end(RevocationTarget::Grant(bench.family(&cast)?.grant_id), 0);
        Ok(async move { store.revoke(&revocation).await })
    })?;
    leaves_none(&bench, other, || {
        let (app, user, until) = (&cast.client_id, &cast.subject, at(GRANT_LIFE));
        Ok(store.withdraw_consent(app, user, at(0), until))
    })
}

/// Runs `attempt` with a drop before the first poll, after the first, and so on, until it answers
/// that the call was ready.
pub(crate) fn at_every_await(attempt: impl Fn(usize) -> Check<bool>) -> Check {
    // Far more awaits than any store makes.
    for polls in 0..10_000 {
        let ready = attempt(polls)
            .map_err(|it| Violation::new(format!("dropped at poll {polls}: {it}")))?;
        if ready {
            return Ok(());
        }
    }
    Err(Violation::new("a call is not ready after 10,000 polls"))
}

/// Checks that the row of a grant is as it was or as it becomes.
pub(super) fn is_either<S: Store, R: Runner>(
    bench: &Bench<'_, S, R>,
    before: Option<&Grant>,
    after: &Grant,
) -> Check {
    let found = bench.find(after)?.map(|row| Grant {
        // The instant of a decision is the store's own.
        authorized_at: after.authorized_at,
        ..row
    });
    holds(found.as_ref() == before || found.as_ref() == Some(after), || {
        format!("half done: the row was {before:?}, becomes {after:?} and is {found:?}")
    })
}

/// An app is registered, or updated, as a whole or not at all.
pub fn a_dropped_registration_is_done_or_not_done<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    at_every_await(|polls| {
        let app = new_app()?;
        let ready = poll_and_drop(&bench, polls, bench.store.insert_app(app.clone()))?;
        let found = bench.wait(bench.store.find_app(app.client_id()))?;
        holds(found.as_deref().is_none_or(|found| *found == app), || "a half registered app")?;
        bench.wait(bench.store.insert_app(app.clone()))?;
        same("the app, registered again", &*bench.app(app.client_id())?, &app)?;
        Ok(ready)
    })?;
    let cast = bench.cast()?;
    at_every_await(|polls| {
        let app = bench.app(&cast.client_id)?;
        let edited = app.edited(at(1), |edit| *edit.enabled = !app.is_enabled());
        let update = bench.store.update_app(edited.clone(), app.version());
        let ready = poll_and_drop(&bench, polls, update)?;
        let found = bench.app(&cast.client_id)?;
        holds(found == app || *found == edited, || "a half updated app")?;
        Ok(ready)
    })
}

/// A decision is a row or none.
pub fn a_dropped_decision_is_done_or_not_done<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    at_every_await(|polls| {
        let grant = bench.dated(cast.grant()?)?;
        let ready = poll_and_drop(&bench, polls, bench.store.insert_grant(grant.clone()))?;
        is_either(&bench, None, &grant)?;
        bench.wait(bench.store.insert_grant(grant.clone()))?;
        bench.is_alive("the grant, decided again", &grant, 0)?;
        Ok(ready)
    })
}

/// G15: a redemption has made generation 1 or nothing.
pub fn a_dropped_redemption_is_done_or_not_done<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    at_every_await(|polls| {
        let before = bench.pending(&cast)?;
        let redemption = code(&before, 5);
        let mut after = before.clone();
        after.redeem(&redemption, false);
        let ready = poll_and_drop(&bench, polls, bench.store.redeem_code(&redemption))?;
        is_either(&bench, Some(&before), &after)?;
        // A database may still finish a statement that was sent to it. A second call redeems the code or
        // finds it redeemed.
        let answer = bench.redeem(&code(&before, 6))?;
        let told = matches!(answer, RedeemCode::Redeemed | RedeemCode::AlreadyRedeemed);
        holds(told, || format!("the code of a dropped redemption: {answer:?}"))?;
        same(
            "the generation of a code that was asked for twice",
            bench.row(&before)?.generation,
            1,
        )?;
        Ok(ready)
    })?;
    // And a replay has ended the grant or not.
    at_every_await(|polls| {
        let before = bench.family(&cast)?;
        let replay = code(&before, 5);
        let mut after = before.clone();
        after.redeem(&replay, false);
        let ready = poll_and_drop(&bench, polls, bench.store.redeem_code(&replay))?;
        is_either(&bench, Some(&before), &after)?;
        Ok(ready)
    })
}

/// R21: a rotation has made the successor or nothing, and a reuse has ended the family or not.
/// The client that asks again within the grace goes on.
pub fn a_dropped_rotation_is_done_or_not_done<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    for generation in [1, 2, 3] {
        at_every_await(|polls| {
            let before = bench.family(&cast)?;
            bench.rotate(&token(&before, 1, 0))?;
            let before = bench.row(&before)?;
            // A reuse, a rotation, and a generation ahead.
            let rotation = token(&before, generation, 5);
            let mut after = before.clone();
            after.rotate(&rotation, false);
            let ready = poll_and_drop(&bench, polls, bench.store.rotate(&rotation))?;
            is_either(&bench, Some(&before), &after)?;
            if generation > 1 {
                bench.rotate(&Rotation { grace_millis: 100, ..rotation })?;
                bench.is_alive("a family that asked again", &before, 6)?;
            }
            Ok(ready)
        })?;
    }
    Ok(())
}

/// An assertion is spent and its grant exists, or neither.
pub fn a_dropped_claim_is_done_or_not_done<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    at_every_await(|polls| {
        let grant = cast.impersonation()?;
        let one = bench.claim_of(grant.clone())?;
        let ready = poll_and_drop(&bench, polls, bench.store.claim_assertion(&one))?;
        is_either(&bench, None, &grant)?;
        let again = AssertionClaim { grant: None, ..one };
        let spent = bench.claim(&again)? == ClaimAssertion::Replayed;
        same("whether the grant exists", bench.find(&grant)?.is_some(), spent)?;
        Ok(ready)
    })
}

/// R20: a claim waits at any of its awaits while a revocation is answered. It is refused, or what it gives is
/// void.
pub fn a_claim_that_waits_is_covered_by_a_revocation_meanwhile<S: Store, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    at_every_await(|polls| {
        let one = bench.claim_of(cast.impersonation()?)?;
        let mut call = pin!(bench.store.claim_assertion(&one));
        let mut left = polls;
        let begun = bench.runner.block_on(std::future::poll_fn(|context| {
            while left > 0 {
                left -= 1;
                if let Poll::Ready(answer) = call.as_mut().poll(context) {
                    return Poll::Ready(Some(answer));
                }
            }
            Poll::Ready(None)
        }));
        let ready = begun.is_some();
        let revocation = end(RevocationTarget::App(cast.client_id.clone()), 0);
        let mut revoke = pin!(bench.store.revoke(&revocation));
        let mut claimed = begun;
        // A store may have one connection, which the claim holds. Then the claim goes on meanwhile.
        bench.runner.block_on(std::future::poll_fn(|context| {
            let revoked = revoke.as_mut().poll(context);
            if revoked.is_pending()
                && claimed.is_none()
                && let Poll::Ready(answer) = call.as_mut().poll(context)
            {
                claimed = Some(answer);
            }
            revoked
        }))?;
        let answer = match claimed {
            Some(answer) => answer?,
            None => bench.wait(call)?,
        };
        if let ClaimAssertion::First { authorized_at } = answer
            && let Some(grant) = &one.grant
        {
            bench.is_dead("a claim that waited", &Grant { authorized_at, ..grant.clone() }, 0)?;
        }
        Ok(ready)
    })
}

/// A revocation is in force everywhere, the feed included, or nowhere.
pub fn a_dropped_revocation_is_done_or_not_done<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    for index in 0..=CUTOFFS {
        at_every_await(|polls| {
            let cast = bench.attested_cast()?;
            let (family, pending) = (bench.family(&cast)?, bench.pending(&cast)?);
            let grants = [RevocationTarget::Grant(family.grant_id)];
            let mut targets = grants.into_iter().chain(cast.cutoffs());
            let Some(target) = targets.nth(index) else { return Ok(true) };
            let revocation = end(target.clone(), 0);
            let ready = poll_and_drop(&bench, polls, bench.store.revoke(&revocation))?;
            if bench.is_revoked(&family.facts())? {
                bench.is_dead("a dropped revocation that is in force", &family, 0)?;
                if index > 0 {
                    bench.is_dead("a dropped revocation that is in force", &pending, 0)?;
                }
                let (entries, _) = bench.read_feed(FeedCursor::default(), 1_000, 0)?;
                let told = entries.iter().any(|entry| entry.target == target);
                holds(told, || "a revocation is in force and not in the feed")?;
            }
            bench.revoke(&revocation)?;
            bench.is_dead("a revocation that was asked for again", &family, 0)?;
            Ok(ready)
        })?;
    }
    Ok(())
}

/// A consent is forgotten and its access revoked, or neither.
pub fn a_dropped_withdrawal_is_done_or_not_done<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    at_every_await(|polls| {
        let cast = bench.cast()?;
        let family = bench.family(&cast)?;
        let (client_id, subject) = (cast.client_id.clone(), cast.subject.clone());
        let given_at: UnixTime = at(0);
        let consent =
            Consent { client_id, subject, scope: Scope::default(), resource: None, given_at };
        bench.wait(bench.store.remember_consent(consent))?;
        let until = at(GRANT_LIFE);
        let withdrawal = bench.store.withdraw_consent(&cast.client_id, &cast.subject, at(0), until);
        let ready = poll_and_drop(&bench, polls, withdrawal)?;
        let find = || bench.wait(bench.store.find_consent(&cast.client_id, &cast.subject));
        // In this order it also holds where a dropped statement is finished by the database.
        if bench.is_revoked(&family.facts())? {
            same("the consent of revoked access", find()?, None)?;
        }
        if find()?.is_none() {
            bench.is_dead("the access of a withdrawn consent", &family, 0)?;
        }
        Ok(ready)
    })
}
