//! Checks of [`DeviceStore`] among sixteen threads: no access survives an order, and no order is lost. If the
//! kit has the store of [another process](super::Kit::with_other_process), a third of the threads use that one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::bench::{Bench, Cast, REVOKED, holds, same, token};
use super::device_bench::{code_on, order, sighting};
use super::race::{CONTENDERS, count, race};
use super::{Check, Kit, Runner, Violation};
use crate::store::{
    AdvanceWipe, Device, DeviceKey, DeviceStore, Grant, GrantRefusal, RedeemCode, RequestWipe,
    Rotate, SeeDevice, Store, Wipe, WipeRequest, WipeStep,
};

/// One round: an order, and when it was called and answered.
struct Play {
    key: DeviceKey,
    /// One for each contender; the first, who orders, does not use its own.
    grants: Vec<Grant>,
    called: AtomicBool,
    answered: AtomicBool,
}

impl Play {
    fn new(cast: &Cast, grant: impl Fn() -> Check<Grant>) -> Check<Self> {
        let grants = (0..CONTENDERS).map(|_| grant()).collect::<Check<_>>()?;
        let (called, answered) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { key: cast.key(), grants, called, answered })
    }

    fn grant(&self, contender: usize) -> Check<&Grant> {
        self.grants.get(contender).ok_or_else(|| Violation::new("a contender without a grant"))
    }

    /// Plays the first contender, which orders until the device is known.
    fn order<S: Store + DeviceStore, R: Runner>(&self, bench: &Bench<'_, S, R>) -> Check {
        self.called.store(true, Ordering::SeqCst);
        loop {
            match bench.wipe(&order(&self.key, 0))? {
                RequestWipe::Requested(_) => break,
                // The others see it.
                RequestWipe::Unknown => thread::yield_now(),
                other @ (RequestWipe::Pending(_) | RequestWipe::Wiped(_)) => {
                    return Err(Violation::new(format!("{other:?} for the first order")));
                }
            }
        }
        self.answered.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn was_called(&self) -> bool {
        self.called.load(Ordering::SeqCst)
    }

    fn was_answered(&self) -> bool {
        self.answered.load(Ordering::SeqCst)
    }

    /// Sees the device, and returns whether it may have access.
    fn see<S: Store + DeviceStore, R: Runner>(
        &self,
        bench: &Bench<'_, S, R>,
        contender: usize,
    ) -> Check<bool> {
        let after = self.was_answered();
        let seen = bench.see(&sighting(&self.key, self.grant(contender)?, 0))?;
        holds(seen == SeeDevice::ToBeWiped || !after, || "a device is seen after its order")?;
        holds(
            seen == SeeDevice::Seen || self.was_called(),
            || "a device is to be wiped too early",
        )?;
        Ok(seen == SeeDevice::Seen)
    }

    /// Checks that the order stands as it was given.
    fn stands<S: Store + DeviceStore, R: Runner>(&self, bench: &Bench<'_, S, R>) -> Check<Device> {
        let device = bench.device_row(&self.key)?;
        let request = order(&self.key, 0);
        let mut ordered = Device { wipe: Wipe::None, ..device.clone() };
        ordered.order_wipe(&request);
        same("the device with its order", device.clone(), ordered)?;
        let of_grant = bench.wait(bench.store.find_device_of(&device.grant_id))?;
        same("the device of its grant", of_grant, Some(device.clone()))?;
        Ok(device)
    }
}

/// Returns the store of a contender.
fn of<'b, 'k, S, R>(
    contender: usize,
    bench: &'b Bench<'k, S, R>,
    other: Option<&'b Bench<'k, S, R>>,
) -> &'b Bench<'k, S, R> {
    other.filter(|_| contender % 3 == 1).unwrap_or(bench)
}

/// W3: a code that is redeemed on a device while its wipe is ordered gives nothing that lives, whether the
/// device was known or is seen for the first time. The order stands.
pub fn no_code_survives_a_wipe<S: Store + DeviceStore, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let other = kit.other_bench(&bench);
    let refused = RedeemCode::Refused(GrantRefusal::Revoked);
    race(
        bench.rounds.div_ceil(4),
        |round| {
            let cast = bench.cast()?;
            if round.is_multiple_of(2) {
                bench.seen(&cast)?;
            }
            Play::new(&cast, || bench.decide(cast.grant_without_device()?))
        },
        |play, contender| {
            let bench = of(contender, &bench, other.as_ref());
            if contender == 0 {
                return play.order(bench);
            }
            if !play.see(bench, contender)? {
                return Ok(());
            }
            let after = play.was_answered();
            let answer = bench.redeem(&code_on(&play.key, play.grant(contender)?, 0))?;
            let is_before = answer == RedeemCode::Redeemed && !after;
            holds(is_before || (answer == refused && play.was_called()), || {
                format!("{answer:?} for a code, the order answered before: {after}")
            })
        },
        |play, _| {
            play.stands(&bench)?;
            for grant in &play.grants {
                let row = bench.row(grant)?;
                if row.generation > 0 {
                    let device = Some(&play.key.device_id);
                    same("the device of the grant", row.device.as_ref(), device)?;
                    bench.is_dead("a code that was redeemed on the device", &row, 1)?;
                }
                let answer = bench.redeem(&code_on(&play.key, grant, 1))?;
                holds(answer != RedeemCode::Redeemed, || "a code is redeemed after the order")?;
            }
            Ok(())
        },
    )
}

/// W3: a family that rotates while the wipe of its device is ordered has no live token at the end. A reader
/// that sees the order sees the access ended, and the other way round.
pub fn no_family_survives_a_wipe<S: Store + DeviceStore, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let other = kit.other_bench(&bench);
    race(
        bench.rounds.div_ceil(4),
        |_| {
            let cast = bench.cast()?;
            bench.seen(&cast)?;
            Play::new(&cast, || bench.family(&cast))
        },
        |play, contender| {
            let bench = of(contender, &bench, other.as_ref());
            if contender == 0 {
                return play.order(bench);
            }
            let grant = play.grant(contender)?;
            if contender.is_multiple_of(4) {
                // Long enough to meet the order, short enough to end where it is slow.
                for look in 0..50 {
                    let order_first = look % 2 == 0;
                    let marked = order_first && bench.is_pending(&play.key)?;
                    let dead = bench.is_revoked(&grant.facts())?;
                    holds(!marked || dead, || "the device is ordered to wipe and alive")?;
                    if dead {
                        let marked = bench.is_pending(&play.key)?;
                        return holds(marked, || "the device is dead without an order");
                    }
                }
                return Ok(());
            }
            for generation in 1..5 {
                let after = play.was_answered();
                let answer = bench.rotate(&token(grant, generation, 1))?;
                if answer == REVOKED {
                    break;
                }
                holds(answer == Rotate::Rotated && !after, || {
                    format!("{answer:?} for a refresh token, the order answered before: {after}")
                })?;
            }
            Ok(())
        },
        |play, _| {
            play.stands(&bench)?;
            play.grants.iter().try_for_each(|grant| bench.is_dead("after the order", grant, 1))
        },
    )
}

/// W12: a sighting that overlaps an order is before it or refused, and does not undo it.
pub fn no_order_is_lost_to_a_sighting<S: Store + DeviceStore, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let other = kit.other_bench(&bench);
    race(
        bench.rounds,
        |round| {
            let cast = bench.cast()?;
            if round.is_multiple_of(2) {
                bench.seen(&cast)?;
            }
            Play::new(&cast, || cast.grant())
        },
        |play, contender| {
            let bench = of(contender, &bench, other.as_ref());
            if contender == 0 {
                return play.order(bench);
            }
            while play.see(bench, contender)? {
                if contender > 4 {
                    break;
                }
            }
            Ok(())
        },
        |play, _| {
            let device = play.stands(&bench)?;
            let again = sighting(&play.key, play.grant(0)?, 1);
            same("a sighting", bench.see(&again)?, SeeDevice::ToBeWiped)?;
            same("the device", bench.device_row(&play.key)?, device)
        },
    )
}

/// W3: of many orders for one device one is given and stands. To all others it is pending.
pub fn one_of_many_orders_is_given<S: Store + DeviceStore, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let other = kit.other_bench(&bench);
    let by = |contender: usize| format!("administrator {contender}");
    race(
        bench.rounds,
        |_| {
            let cast = bench.cast()?;
            bench.seen(&cast)?;
            Play::new(&cast, || bench.family(&cast))
        },
        |play, contender| {
            let bench = of(contender, &bench, other.as_ref());
            let request = WipeRequest { by: Some(by(contender)), ..order(&play.key, 0) };
            let answer = bench.wipe(&request)?;
            bench.is_dead("after an order was answered", play.grant(contender)?, 1)?;
            Ok(answer)
        },
        |play, answers| {
            let given = |answer: &RequestWipe| matches!(answer, RequestWipe::Requested(_));
            let pending = |answer: &RequestWipe| matches!(answer, RequestWipe::Pending(_));
            let told = (count(&answers, given), count(&answers, pending));
            same("orders given and pending", told, (1, CONTENDERS - 1))?;
            let winner = answers.iter().position(given).map(by);
            let device = bench.device_row(&play.key)?;
            same("who ordered", device.wipe.order().map(|order| order.by.clone()), winner)
        },
    )
}

/// W5, W6, W13: of many steps at once each is taken once, and of a notification and a withdrawal one, as of a
/// report and an abandonment.
pub fn one_of_many_steps_of_a_wipe_is_taken<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let other = kit.other_bench(&bench);
    let step = |round: usize, contender: usize| match (round % 4, contender % 2) {
        (0 | 2, 0) => WipeStep::Notify,
        (0, _) => WipeStep::Withdraw,
        (3, 0) => WipeStep::Abandon,
        _ => WipeStep::Finish,
    };
    race(
        bench.rounds,
        |round| {
            let key = bench.seen(&bench.cast()?)?;
            bench.ordered(&key, 0)?;
            Ok((round, key))
        },
        |(round, key), contender| {
            let bench = of(contender, &bench, other.as_ref());
            bench.advance(key, step(*round, contender), 1)
        },
        |(round, key), answers| {
            let taken = |wanted: WipeStep| {
                let steps = (0..CONTENDERS).map(|contender| step(*round, contender));
                let of_step = steps.zip(&answers).filter(|(step, _)| *step == wanted);
                of_step.filter(|(_, answer)| **answer == AdvanceWipe::Advanced).count()
            };
            let refused = count(&answers, |answer| *answer == AdvanceWipe::Refused);
            let wipe = bench.device_row(key)?.wipe;
            let (notified, withdrawn) = (taken(WipeStep::Notify), taken(WipeStep::Withdraw));
            if round.is_multiple_of(4) {
                same("steps taken", notified + withdrawn, 1)?;
                let told = matches!(wipe, Wipe::Notified { .. });
                same("whether the device is told", told, notified == 1)?;
                same("whether the order is withdrawn", wipe == Wipe::None, withdrawn == 1)?;
                let expected = if told { CONTENDERS / 2 } else { CONTENDERS - 1 };
                return same("steps refused", refused, expected);
            }
            let (reported, abandoned) = (taken(WipeStep::Finish), taken(WipeStep::Abandon));
            same("reports and abandonments taken", reported + abandoned, 1)?;
            if abandoned == 1 {
                return same("the wipe that was abandoned", wipe, Wipe::None);
            }
            holds(notified <= 1, || "a device is told twice")?;
            holds(matches!(wipe, Wipe::Done { .. }), || format!("{wipe:?} after a report"))
        },
    )
}

/// W12: a device that reports while it asks for access begins anew after its report, and not before.
pub fn a_device_begins_anew_only_after_its_report<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let other = kit.other_bench(&bench);
    race(
        bench.rounds.div_ceil(4),
        |_| {
            let cast = bench.cast()?;
            bench.ordered(&bench.seen(&cast)?, 0)?;
            Play::new(&cast, || cast.grant())
        },
        |play, contender| {
            let bench = of(contender, &bench, other.as_ref());
            if contender == 0 {
                play.called.store(true, Ordering::SeqCst);
                let answer = bench.advance(&play.key, WipeStep::Finish, 1)?;
                play.answered.store(true, Ordering::SeqCst);
                same("the report", answer, AdvanceWipe::Advanced)?;
                return Ok(false);
            }
            let after = play.was_answered();
            let seen = bench.see(&sighting(&play.key, play.grant(contender)?, 2))?;
            let is_seen = seen == SeeDevice::Seen;
            holds(!is_seen || play.was_called(), || "a device is seen before its report")?;
            holds(is_seen || !after, || "a device is to be wiped after its report")?;
            Ok(is_seen)
        },
        |play, seen| {
            let device = bench.device_row(&play.key)?;
            same("whether it began anew", device.wipe == Wipe::None, seen.contains(&true))
        },
    )
}
