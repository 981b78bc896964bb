//! Checks with revocations of every target among sixteen threads: nothing survives.

use std::sync::atomic::{AtomicBool, Ordering};

use super::bench::{Bench, Cast, REVOKED, at, code, end, holds, same, token};
use super::race::{CONTENDERS, race};
use super::{Check, Kit, Runner, Violation};
use crate::clock::UnixTime;
use crate::protocol::scope::Scope;
use crate::store::{
    AccessFacts, ClaimAssertion, Consent, Grant, GrantRefusal, InsertGrant, RedeemCode,
    RevocationTarget, Rotate, Store,
};

/// The ways in which access ends.
#[derive(Debug)]
enum Ending {
    Cutoff(RevocationTarget),
    Withdrawal,
    EachGrant,
    AppDisabled,
    AppDeleted,
}

impl Ending {
    /// Returns each way in turn.
    fn of_round(round: usize, cast: &Cast) -> Self {
        let others = [Self::Withdrawal, Self::EachGrant, Self::AppDisabled, Self::AppDeleted];
        let cutoffs = cast.cutoffs();
        let turn = round % (cutoffs.len() + others.len());
        let mut all = cutoffs.into_iter().map(Self::Cutoff).chain(others);
        all.nth(turn).unwrap_or(Self::EachGrant)
    }
}

/// One round: a revocation, and when it was called and answered.
struct Play {
    cast: Cast,
    ending: Ending,
    /// One for each contender; that of the first, who revokes, stays unused.
    grants: Vec<Grant>,
    called: AtomicBool,
    answered: AtomicBool,
}

impl Play {
    fn set<S: Store, R: Runner>(
        bench: &Bench<'_, S, R>,
        round: usize,
        grant: impl Fn(&Cast) -> Check<Grant>,
    ) -> Check<Self> {
        // Most grants name neither session nor evidence issuer.
        let cast = if round.is_multiple_of(3) { bench.cast()? } else { bench.attested_cast()? };
        let grants = (0..CONTENDERS).map(|_| grant(&cast)).collect::<Check<_>>()?;
        let ending = Ending::of_round(round, &cast);
        let (called, answered) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { cast, ending, grants, called, answered })
    }

    /// Plays the first contender, which revokes. Returns the instant of a cutoff.
    fn revoke<S: Store, R: Runner>(&self, bench: &Bench<'_, S, R>) -> Check<Option<UnixTime>> {
        self.called.store(true, Ordering::SeqCst);
        let Cast { client_id, subject, .. } = &self.cast;
        let cutoff = match &self.ending {
            Ending::Cutoff(target) => Some(bench.revoke(&end(target.clone(), 0))?),
            Ending::Withdrawal => {
                let until = end(RevocationTarget::Everything, 0).until;
                let withdrawal = bench.store.withdraw_consent(client_id, subject, at(0), until);
                Some(bench.wait(withdrawal)?.at)
            }
            Ending::EachGrant => {
                for grant in &self.grants {
                    bench.revoke(&end(RevocationTarget::Grant(grant.grant_id), 0))?;
                }
                None
            }
            Ending::AppDisabled => {
                bench.enable(client_id, false)?;
                None
            }
            Ending::AppDeleted => {
                bench.delete(client_id)?;
                None
            }
        };
        self.answered.store(true, Ordering::SeqCst);
        Ok(cutoff)
    }

    fn was_called(&self) -> bool {
        self.called.load(Ordering::SeqCst)
    }

    fn was_answered(&self) -> bool {
        self.answered.load(Ordering::SeqCst)
    }

    fn is_cutoff(&self) -> bool {
        matches!(self.ending, Ending::Cutoff(_) | Ending::Withdrawal)
    }

    fn are_dead<S: Store, R: Runner>(&self, bench: &Bench<'_, S, R>) -> Check {
        let what = format!("after {:?}", self.ending);
        self.grants.iter().try_for_each(|grant| bench.is_dead(&what, grant, 1))
    }

    /// Checks grants that were made while the revocation ran: those that the store places before
    /// it are void, those after it live, and it places none on the wrong side.
    fn judge_newborn<S: Store, R: Runner>(
        &self,
        bench: &Bench<'_, S, R>,
        answers: Vec<Newborn>,
    ) -> Check {
        let what = format!("{:?}", self.ending);
        let cutoff = answers.iter().find_map(|newborn| newborn.cutoff);
        for (newborn, grant) in answers.into_iter().zip(&self.grants).skip(1) {
            let Some(authorized_at) = newborn.authorized_at else { continue };
            let grant = Grant { authorized_at, ..grant.clone() };
            same("the instant in the row", bench.row(&grant)?.authorized_at, authorized_at)?;
            let Some(cutoff) = cutoff else {
                bench.is_dead(&format!("after {what}"), &grant, 1)?;
                continue;
            };
            let before = authorized_at <= cutoff;
            holds(before || !newborn.before, || {
                format!("what was dated before the call of {what} is placed after it")
            })?;
            holds(!before || !newborn.after, || {
                format!("what was asked for after {what} is placed before it")
            })?;
            if before {
                bench.is_dead(&format!("authorized before {what}"), &grant, 1)?;
            } else {
                bench.is_alive(&format!("authorized after {what}"), &grant, 1)?;
            }
        }
        Ok(())
    }
}

/// The result of a contender that made a grant.
#[derive(Default)]
struct Newborn {
    cutoff: Option<UnixTime>,
    authorized_at: Option<UnixTime>,
    /// It was dated before the revocation was called.
    before: bool,
    /// It was dated after the revocation had been answered.
    after: bool,
}

/// R20: a code that is redeemed while its access ends gives nothing that lives.
pub fn no_code_survives_a_revocation<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    race(
        bench.rounds.div_ceil(4),
        |round| Play::set(&bench, round, |cast| bench.pending(cast)),
        |play, contender| {
            if contender == 0 {
                return play.revoke(&bench).map(|_| ());
            }
            let Some(grant) = play.grants.get(contender) else { return Ok(()) };
            let after = play.was_answered();
            let answer = bench.redeem(&code(grant, 1))?;
            let refused = answer == RedeemCode::Refused(GrantRefusal::Revoked);
            holds(refused || (answer == RedeemCode::Redeemed && !after), || {
                format!("{answer:?} for a code, {:?} answered before: {after}", play.ending)
            })
        },
        |play, _| play.are_dead(&bench),
    )
}

/// R20: a family that rotates while its access ends has no live token at the end.
pub fn no_family_survives_a_revocation<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    race(
        bench.rounds.div_ceil(4),
        |round| Play::set(&bench, round, |cast| bench.family(cast)),
        |play, contender| {
            if contender == 0 {
                return play.revoke(&bench).map(|_| ());
            }
            let Some(grant) = play.grants.get(contender) else { return Ok(()) };
            for generation in 1..5 {
                let after = play.was_answered();
                let answer = bench.rotate(&token(grant, generation, 1))?;
                if answer == REVOKED {
                    break;
                }
                holds(answer == Rotate::Rotated && !after, || {
                    let ending = &play.ending;
                    format!("{answer:?} for a refresh token, {ending:?} answered before: {after}")
                })?;
            }
            Ok(())
        },
        |play, _| play.are_dead(&bench),
    )
}

/// R20: a claim that overlaps the end of its access is refused, placed before it and void, or after it. What
/// was dated before the call is not after it.
pub fn no_claim_survives_a_revocation<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    race(
        bench.rounds.div_ceil(4),
        |round| Play::set(&bench, round, Cast::impersonation),
        |play, contender| {
            if contender == 0 {
                return Ok(Newborn { cutoff: play.revoke(&bench)?, ..Newborn::default() });
            }
            let Some(grant) = play.grants.get(contender) else { return Ok(Newborn::default()) };
            let after = play.was_answered();
            let one = bench.claim_of(grant.clone())?;
            let before = !play.was_called();
            // The host checks.
            std::thread::yield_now();
            let answer = bench.claim(&one)?;
            let called = play.was_called();
            let inactive = matches!(play.ending, Ending::AppDisabled | Ending::AppDeleted);
            let authorized_at = match answer {
                ClaimAssertion::First { authorized_at } if !(inactive && after) => {
                    Some(authorized_at)
                }
                ClaimAssertion::AppInactive if inactive && called => None,
                ClaimAssertion::Revoked if play.is_cutoff() && !after => None,
                other @ (ClaimAssertion::First { .. }
                | ClaimAssertion::AppInactive
                | ClaimAssertion::Revoked
                | ClaimAssertion::Replayed) => {
                    return Err(Violation::new(format!(
                        "{other:?} for a claim, {:?} answered before: {after}",
                        play.ending
                    )));
                }
            };
            Ok(Newborn { cutoff: None, authorized_at, before, after })
        },
        |play, answers| play.judge_newborn(&bench, answers),
    )
}

/// R20, A35: a decision that overlaps the end of its access is refused, placed before it and void, or after
/// it. What was dated before the call is not after it.
pub fn no_decision_survives_a_revocation<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    race(
        bench.rounds.div_ceil(4),
        |round| Play::set(&bench, round, Cast::grant),
        |play, contender| {
            if contender == 0 {
                return Ok(Newborn { cutoff: play.revoke(&bench)?, ..Newborn::default() });
            }
            let Some(grant) = play.grants.get(contender) else { return Ok(Newborn::default()) };
            let after = play.was_answered();
            let grant = bench.dated(grant.clone())?;
            let before = !play.was_called();
            // The host checks.
            std::thread::yield_now();
            let answer = bench.wait(bench.store.insert_grant(grant))?;
            let called = play.was_called();
            let inactive = matches!(play.ending, Ending::AppDisabled | Ending::AppDeleted);
            let authorized_at = match answer {
                InsertGrant::Inserted { authorized_at } if !(inactive && after) => {
                    Some(authorized_at)
                }
                InsertGrant::AppInactive if inactive && called => None,
                InsertGrant::Revoked if play.is_cutoff() && !after => None,
                other @ (InsertGrant::Inserted { .. }
                | InsertGrant::AppInactive
                | InsertGrant::Revoked
                | InsertGrant::AlreadyDecided) => {
                    return Err(Violation::new(format!(
                        "{other:?} for a decision, {:?} answered before: {after}",
                        play.ending
                    )));
                }
            };
            Ok(Newborn { cutoff: None, authorized_at, before, after })
        },
        |play, answers| play.judge_newborn(&bench, answers),
    )
}

/// X15: a token that is derived while the access behind its subject token ends is void. None is derived after the
/// end.
pub fn no_derived_token_survives_a_revocation<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let derive = |grant: &Grant, app: &Cast| -> Check<_> {
        let fresh = Grant { subject: grant.subject.clone(), ..bench.dated(app.grant()?)? };
        Ok((fresh, grant.facts().to_parent()))
    };
    race(
        bench.rounds.div_ceil(4),
        |round| Ok((Play::set(&bench, round, |cast| bench.family(cast))?, bench.cast()?)),
        |(play, app), contender| {
            if contender == 0 {
                return play.revoke(&bench).map(|_| None);
            }
            let Some(grant) = play.grants.get(contender) else { return Ok(None) };
            let derived = derive(grant, app)?;
            let after = play.was_answered();
            if bench.is_revoked(&grant.facts())? {
                return Ok(None);
            }
            holds(!after, || format!("a token is derived after {:?}", play.ending))?;
            Ok(Some(derived))
        },
        |(play, _), answers| {
            for (grant, parent) in answers.into_iter().flatten() {
                let via = std::slice::from_ref(&parent);
                let derived = AccessFacts { via, ..grant.facts() };
                holds(bench.is_revoked(&derived)?, || {
                    format!("a derived token lives after {:?}", play.ending)
                })?;
            }
            Ok(())
        },
    )
}

/// R17: a consent that is written while it is withdrawn is gone afterwards.
pub fn no_consent_survives_its_withdrawal<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    race(
        bench.rounds.div_ceil(4),
        |_| {
            let cast = bench.cast()?;
            let given_at = bench.pending(&cast)?.authorized_at;
            let (client_id, subject) = (cast.client_id, cast.subject);
            Ok(Consent { client_id, subject, scope: Scope::default(), resource: None, given_at })
        },
        |consent, contender| {
            if contender > 0 {
                return bench.wait(bench.store.remember_consent(consent.clone()));
            }
            let Consent { client_id, subject, .. } = consent;
            let until = end(RevocationTarget::Everything, 0).until;
            bench.wait(bench.store.withdraw_consent(client_id, subject, at(0), until))?;
            Ok(())
        },
        |Consent { client_id, subject, .. }, _| {
            let found = bench.wait(bench.store.find_consent(client_id, subject))?;
            same("the withdrawn consent", found, None)
        },
    )
}

/// R17: a reader that sees a consent withdrawn sees its access revoked.
pub fn a_withdrawal_is_seen_whole<S: Store, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    race(
        bench.rounds,
        |_| {
            let cast = bench.cast()?;
            let (client_id, subject) = (cast.client_id.clone(), cast.subject.clone());
            let consent = Consent {
                client_id,
                subject,
                scope: Scope::default(),
                resource: None,
                given_at: at(0),
            };
            bench.wait(bench.store.remember_consent(consent))?;
            Ok((bench.family(&cast)?, cast))
        },
        |(family, Cast { client_id, subject, .. }), contender| {
            if contender == 0 {
                let until = end(RevocationTarget::Everything, 0).until;
                bench.wait(bench.store.withdraw_consent(client_id, subject, at(0), until))?;
                return Ok(());
            }
            // Long enough to meet the withdrawal, short enough to end where it is slow.
            for _ in 0..50 {
                if bench.wait(bench.store.find_consent(client_id, subject))?.is_none() {
                    let revoked = bench.is_revoked(&family.facts())?;
                    return holds(revoked, || "the consent is gone, its access is not");
                }
            }
            Ok(())
        },
        |(family, _), _| bench.is_dead("after the withdrawal", family, 1),
    )
}
