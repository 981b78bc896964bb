//! Checks of the wipe of a device, one caller at a time.

use super::bench::{Cast, at, end, holds, same};
use super::device_bench::{KEPT_TO_BE_WIPED, STEPS, advance, code_on, order, sighting};
use super::{Check, Kit, Runner, Violation};
use crate::clock::UnixTime;
use crate::ids::DeviceId;
use crate::store::{
    AdvanceWipe, Device, DeviceSighting, DeviceStore, FeedCursor, Grant, GrantRefusal, RedeemCode,
    RequestWipe, SeeDevice, Store, Wipe, WipeRequest, WipeStep,
};

/// W3: with the order every grant and token of the device is void, also a code that would be redeemed on it.
/// Grants on another device, or on none, live.
pub fn an_order_ends_the_access_of_the_device<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let key = bench.seen(&cast)?;
    let elsewhere = DeviceId::new(format!("{} 2", key.device_id))
        .map_err(|error| Violation::new(error.to_string()))?;
    let elsewhere = Cast { device: elsewhere, ..cast.clone() };
    let (family, pending) = (bench.family(&cast)?, bench.pending(&cast)?);
    let code = bench.decide(cast.grant_without_device()?)?;
    let rowless = bench.dated(cast.grant()?)?;
    let spared = [bench.family(&elsewhere)?, bench.decide(cast.grant_without_device()?)?];
    let request = order(&key, 5);
    let mut expected = bench.device_row(&key)?;
    expected.order_wipe(&request);
    let at = match bench.wipe(&request)? {
        RequestWipe::Requested(revoked) => revoked.at,
        other @ (RequestWipe::Pending(_) | RequestWipe::Wiped(_) | RequestWipe::Unknown) => {
            return Err(Violation::new(format!("{other:?} for the first order")));
        }
    };
    same("the device", bench.device_row(&key)?, expected)?;
    for grant in [&family, &pending] {
        bench.is_dead("a grant on the device", grant, 6)?;
    }
    holds(bench.is_revoked(&rowless.facts())?, || "a token without a row lives")?;
    let refused = RedeemCode::Refused(GrantRefusal::Revoked);
    same("a code on the device", bench.redeem(&code_on(&key, &code, 6))?, refused)?;
    bench.is_alive("the code elsewhere", &code, 6)?;
    for grant in &spared {
        bench.is_alive("a grant elsewhere", grant, 6)?;
    }
    holds(bench.store.seen() > at, || "the process has not seen its own order")?;
    let target = request.revocation().target;
    let (entries, _) = bench.read_feed(FeedCursor::default(), 10, 6)?;
    let told = entries.iter().find(|entry| entry.target == target);
    same("the instant in the feed", told.map(|entry| entry.at), Some(at))?;
    bench.is_alive("what is granted later", &bench.family(&cast)?, 7)
}

/// A device that the store does not know is not ordered to wipe: nothing changes, and its grants live.
pub fn an_unknown_device_is_not_wiped<S: Store + DeviceStore, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let (key, family) = (cast.key(), bench.family(&cast)?);
    for by in [Some("administrator".to_owned()), None] {
        let request = WipeRequest { by, ..order(&key, 0) };
        same("an order for an unknown device", bench.wipe(&request)?, RequestWipe::Unknown)?;
    }
    for step in STEPS {
        same("a step of an unknown device", bench.advance(&key, step, 0)?, AdvanceWipe::Refused)?;
    }
    bench.wait(bench.store.note_policy(&key, "v1"))?;
    same("the unknown device", bench.device(&key)?, None)?;
    let (entries, _) = bench.read_feed(FeedCursor::default(), 10, 0)?;
    same("the feed", entries, Vec::new())?;
    bench.is_alive("a grant on a device that is not known", &family, 0)
}

/// W3, W18: an order that is given again leaves the first as it was, keeps the row for longer, and ends what was
/// granted meanwhile.
pub fn a_second_order_ends_access_again<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let key = bench.seen(&cast)?;
    bench.ordered(&key, 0)?;
    for notified in [false, true] {
        if notified {
            bench.advance(&key, WipeStep::Notify, 1)?;
        }
        let (before, family) = (bench.device_row(&key)?, bench.family(&cast)?);
        let millis = if notified { 2 } else { 3 };
        let request = WipeRequest { by: Some("another".to_owned()), ..order(&key, millis) };
        let answer = bench.wipe(&request)?;
        holds(matches!(answer, RequestWipe::Pending(_)), || {
            format!("{answer:?} for a second order")
        })?;
        let expected = Device { keep_until: at(3 + KEPT_TO_BE_WIPED), ..before };
        same("the device", bench.device_row(&key)?, expected)?;
        bench.is_dead("a grant from between the orders", &family, 4)?;
    }
    Ok(())
}

/// W3: an order on a device that has reported ends its access again, and does not lock its id.
pub fn an_order_on_a_wiped_device_only_ends_access<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    for is_ordered in [true, false] {
        let cast = bench.cast()?;
        let key = bench.seen(&cast)?;
        if is_ordered {
            bench.ordered(&key, 0)?;
            let report = bench.advance(&key, WipeStep::Finish, 1)?;
            same("the report", report, AdvanceWipe::Advanced)?;
        } else {
            bench.wipe(&WipeRequest { by: None, ..order(&key, 1) })?;
        }
        let (before, family) = (bench.device_row(&key)?, bench.family(&cast)?);
        let answer = bench.wipe(&order(&key, 2))?;
        holds(matches!(answer, RequestWipe::Wiped(_)), || {
            format!("{answer:?} for an order on a wiped device")
        })?;
        same("the device", bench.device_row(&key)?, before)?;
        bench.is_dead("a grant on the wiped device", &family, 3)?;
        let seen = bench.see(&sighting(&key, &cast.grant()?, 4))?;
        same("a sighting after the order", seen, SeeDevice::Seen)?;
    }
    Ok(())
}

/// W6, W13: a step of an order that was withdrawn leaves the next order as it is.
pub fn a_step_is_bound_to_its_order<S: Store + DeviceStore, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let key = bench.seen(&bench.cast()?)?;
    bench.ordered(&key, 0)?;
    same("the withdrawal", bench.advance(&key, WipeStep::Withdraw, 1)?, AdvanceWipe::Advanced)?;
    bench.ordered(&key, 2)?;
    for notified in [false, true] {
        if notified {
            let notify = advance(&key, WipeStep::Notify, 2, 3);
            let answer = bench.wait(bench.store.advance_wipe(&notify))?;
            same("the question", answer, AdvanceWipe::Advanced)?;
        }
        let before = bench.device_row(&key)?;
        for step in STEPS {
            let what = format!("{step:?} of another order");
            same(&what, bench.advance(&key, step, 4)?, AdvanceWipe::Refused)?;
            same(&format!("the device after {what}"), bench.device_row(&key)?, before.clone())?;
        }
    }
    Ok(())
}

/// W13: an order that the administrator gives up revives no grant, and frees the id.
pub fn an_abandoned_order_frees_the_id<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    for notified in [false, true] {
        let cast = bench.cast()?;
        let (key, family) = (bench.seen(&cast)?, bench.family(&cast)?);
        bench.ordered(&key, 0)?;
        if notified {
            same("the question", bench.advance(&key, WipeStep::Notify, 1)?, AdvanceWipe::Advanced)?;
        }
        same("a step", bench.advance(&key, WipeStep::Abandon, 2)?, AdvanceWipe::Advanced)?;
        same("the wipe", bench.device_row(&key)?.wipe, Wipe::None)?;
        bench.is_dead("a grant under an abandoned order", &family, 3)?;
        let seen = bench.see(&sighting(&key, &cast.grant()?, 3))?;
        same("a sighting after an abandoned order", seen, SeeDevice::Seen)?;
        bench.is_alive("a grant after an abandoned order", &bench.family(&cast)?, 3)?;
    }
    Ok(())
}

/// W5, W6, W13: from every state each step does what the rule says.
pub fn a_wipe_advances_and_never_goes_back<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    // The steps before, after an order.
    let histories: [Option<&[WipeStep]>; 7] = [
        None,
        Some(&[]),
        Some(&[WipeStep::Notify]),
        Some(&[WipeStep::Finish]),
        Some(&[WipeStep::Notify, WipeStep::Finish]),
        Some(&[WipeStep::Withdraw]),
        Some(&[WipeStep::Notify, WipeStep::Abandon]),
    ];
    for history in histories {
        for step in STEPS {
            let key = bench.seen(&bench.cast()?)?;
            if let Some(steps) = history {
                bench.ordered(&key, 0)?;
                for step in steps {
                    let answer = bench.advance(&key, *step, 2)?;
                    same("a step that follows", answer, AdvanceWipe::Advanced)?;
                }
            }
            let mut expected = bench.device_row(&key)?;
            // Twice: a step that was taken is there before.
            for millis in [3, 4] {
                let answer = expected.advance_wipe(&advance(&key, step, 0, millis));
                let what = format!("{step:?} after {history:?}");
                same(&what, bench.advance(&key, step, millis)?, answer)?;
                same(
                    &format!("the device after {what}"),
                    bench.device_row(&key)?,
                    expected.clone(),
                )?;
            }
        }
    }
    Ok(())
}

/// W12: a device that is to be wiped is not seen, and nothing changes. Once it has reported, it begins anew.
pub fn a_device_that_is_to_be_wiped_is_not_seen<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let key = bench.seen(&cast)?;
    bench.wait(bench.store.note_policy(&key, "v1"))?;
    bench.ordered(&key, 0)?;
    let again = DeviceSighting {
        name: Some("renamed".to_owned()),
        keep_until: UnixTime::MAX,
        ..sighting(&key, &cast.grant()?, 10)
    };
    for step in [None, Some(WipeStep::Notify)] {
        if let Some(step) = step {
            same("a step", bench.advance(&key, step, 1)?, AdvanceWipe::Advanced)?;
        }
        let before = bench.device_row(&key)?;
        same("a sighting", bench.see(&again)?, SeeDevice::ToBeWiped)?;
        same("the device", bench.device_row(&key)?, before)?;
    }
    same("the report", bench.advance(&key, WipeStep::Finish, 2)?, AdvanceWipe::Advanced)?;
    let mut expected = bench.device_row(&key)?;
    let grant = Grant { authorized_at: at(15), ..cast.grant()? };
    let next = sighting(&key, &grant, 20);
    same("a sighting after the wipe", bench.see(&next)?, SeeDevice::Seen)?;
    expected.see(&next);
    same("the device after its wipe", bench.device_row(&key)?, expected)?;
    same("its installation", bench.device_row(&key)?.installed_at, at(15))?;
    bench.ordered(&key, 30)
}

/// W13: an order that is withdrawn revives no grant. The device may be granted access again.
pub fn a_withdrawn_order_revives_no_grant<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let (key, family) = (bench.seen(&cast)?, bench.family(&cast)?);
    bench.ordered(&key, 0)?;
    same("the withdrawal", bench.advance(&key, WipeStep::Withdraw, 1)?, AdvanceWipe::Advanced)?;
    same("the wipe", bench.device_row(&key)?.wipe, Wipe::None)?;
    bench.is_dead("a grant under a withdrawn order", &family, 2)?;
    let seen = bench.see(&sighting(&key, &family, 2))?;
    same("a sighting after the withdrawal", seen, SeeDevice::Seen)?;
    bench.is_alive("a grant after the withdrawal", &bench.family(&cast)?, 2)
}

/// W17: a device may report a wipe of its own, ordered or not. Its access ends with the report.
pub fn a_device_may_report_a_wipe_of_its_own<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let histories: [Option<&[WipeStep]>; 4] =
        [None, Some(&[]), Some(&[WipeStep::Notify]), Some(&[WipeStep::Finish])];
    for history in histories {
        let cast = bench.cast()?;
        let key = bench.seen(&cast)?;
        if let Some(steps) = history {
            bench.ordered(&key, 0)?;
            for step in steps {
                same("a step", bench.advance(&key, *step, 1)?, AdvanceWipe::Advanced)?;
            }
        }
        let (family, mut expected) = (bench.family(&cast)?, bench.device_row(&key)?);
        let request = WipeRequest { by: None, ..order(&key, 2) };
        let answer = bench.wipe(&request)?;
        let is_told = if matches!(expected.wipe, Wipe::Done { .. }) {
            matches!(answer, RequestWipe::Wiped(_))
        } else {
            matches!(answer, RequestWipe::Requested(_))
        };
        holds(is_told, || format!("{answer:?} for a report after {history:?}"))?;
        expected.order_wipe(&request);
        same(&format!("the device after {history:?}"), bench.device_row(&key)?, expected)?;
        bench.is_dead("a grant on a device that wiped itself", &family, 3)?;
        let seen = bench.see(&sighting(&key, &cast.grant()?, 4))?;
        same("a sighting after its own wipe", seen, SeeDevice::Seen)?;
    }
    Ok(())
}

/// W20: a revocation of any kind, also of the device, orders no wipe.
pub fn a_revocation_orders_no_wipe<S: Store + DeviceStore, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let cast = bench.attested_cast()?;
    let key = bench.seen(&cast)?;
    let before = bench.device_row(&key)?;
    for target in cast.cutoffs() {
        bench.revoke(&end(target.clone(), 0))?;
        same(&format!("the device after {target:?}"), bench.device_row(&key)?, before.clone())?;
    }
    let seen = bench.see(&sighting(&key, &cast.grant()?, 1))?;
    same("a sighting", seen, SeeDevice::Seen)
}
