//! Checks of [`DeviceStore`] with futures that are dropped at every await: a step is done or not done, never
//! half.

use super::bench::{holds, same};
use super::device_bench::{STEPS, advance, code_on, order, sighting};
use super::dropped_futures::{at_every_await, is_either, leaves_none, poll_and_drop};
use super::{Check, Kit, Runner};
use crate::store::{
    AdvanceWipe, Device, DeviceStore, RedeemCode, RequestWipe, SeeDevice, Store, WipeStep,
};

/// As [`no_dropped_future_leaves_a_transaction_open`](super::dropped_futures), for the calls of devices.
pub fn no_dropped_call_of_a_device_leaves_a_transaction_open<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let other = kit.other_bench(&bench);
    let (store, other) = (&bench.store, other.as_ref());
    leaves_none(&bench, other, || {
        let cast = bench.cast()?;
        let sighting = sighting(&cast.key(), &cast.grant()?, 0);
        Ok(async move { store.see_device(&sighting).await })
    })?;
    leaves_none(&bench, other, || {
        let request = order(&bench.seen(&bench.cast()?)?, 0);
        Ok(async move { store.request_wipe(&request).await })
    })?;
    leaves_none(&bench, other, || {
        let key = bench.seen(&bench.cast()?)?;
        bench.ordered(&key, 0)?;
        Ok(async move { store.advance_wipe(&advance(&key, WipeStep::Notify, 0, 1)).await })
    })?;
    leaves_none(&bench, other, || {
        let key = bench.seen(&bench.cast()?)?;
        Ok(async move { store.note_policy(&key, "v1").await })
    })
}

/// W3: a device is ordered to wipe and dead, or neither.
pub fn a_dropped_order_is_done_or_not_done<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    at_every_await(|polls| {
        let cast = bench.cast()?;
        let (key, family) = (bench.seen(&cast)?, bench.family(&cast)?);
        let request = order(&key, 0);
        let ready = poll_and_drop(&bench, polls, bench.store.request_wipe(&request))?;
        // In this order it also holds where a dropped statement is finished by the database.
        if bench.is_revoked(&family.facts())? {
            holds(bench.is_pending(&key)?, || "the device is dead without an order")?;
        }
        if bench.is_pending(&key)? {
            bench.is_dead("a device with an order", &family, 0)?;
        }
        let again = bench.wipe(&request)?;
        holds(again != RequestWipe::Unknown, || "a known device is unknown to a second order")?;
        holds(bench.is_pending(&key)?, || "an order that was given again is not there")?;
        bench.is_dead("a device with a second order", &family, 0)?;
        Ok(ready)
    })
}

/// A device is seen as a whole or not at all.
pub fn a_dropped_sighting_is_done_or_not_done<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    for known in [false, true] {
        at_every_await(|polls| {
            let cast = bench.cast()?;
            let key = if known { bench.seen(&cast)? } else { cast.key() };
            let before = bench.device(&key)?;
            let sighting = sighting(&key, &cast.grant()?, 10);
            let mut after = before.clone().unwrap_or_else(|| Device::first(&sighting));
            after.see(&sighting);
            let ready = poll_and_drop(&bench, polls, bench.store.see_device(&sighting))?;
            let found = bench.device(&key)?;
            let of_grant = bench.wait(bench.store.find_device_of(&sighting.grant_id))?;
            let done = Some(after);
            holds(found == before || found == done, || format!("half seen: {found:?}"))?;
            holds(of_grant.is_none() || of_grant == done, || format!("half seen: {of_grant:?}"))?;
            same("a second sighting", bench.see(&sighting)?, SeeDevice::Seen)?;
            same("the device that was seen twice", bench.device(&key)?, done)?;
            Ok(ready)
        })?;
    }
    Ok(())
}

/// W5, W6, W13: a step of a wipe is taken or not.
pub fn a_dropped_step_of_a_wipe_is_done_or_not_done<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    for step in STEPS {
        at_every_await(|polls| {
            let key = bench.seen(&bench.cast()?)?;
            bench.ordered(&key, 0)?;
            let before = bench.device_row(&key)?;
            let mut after = before.clone();
            let advance = advance(&key, step, 0, 1);
            after.advance_wipe(&advance);
            let ready = poll_and_drop(&bench, polls, bench.store.advance_wipe(&advance))?;
            let found = bench.device_row(&key)?;
            holds(found == before || found == after, || format!("half taken: {found:?}"))?;
            let again = bench.advance(&key, step, 1)?;
            // An order that has ended has no further steps.
            let ends = matches!(step, WipeStep::Withdraw | WipeStep::Abandon);
            let told = again != AdvanceWipe::Refused || ends;
            holds(told, || format!("{step:?}, taken again: {again:?}"))?;
            Ok(ready)
        })?;
    }
    Ok(())
}

/// G15: a redemption has made generation 1 with its device, or nothing.
pub fn a_dropped_redemption_on_a_device_is_done_or_not_done<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    at_every_await(|polls| {
        let before = bench.decide(cast.grant_without_device()?)?;
        let redemption = code_on(&cast.key(), &before, 5);
        let mut after = before.clone();
        after.redeem(&redemption, false);
        let ready = poll_and_drop(&bench, polls, bench.store.redeem_code(&redemption))?;
        is_either(&bench, Some(&before), &after)?;
        let answer = bench.redeem(&redemption)?;
        let told = matches!(answer, RedeemCode::Redeemed | RedeemCode::AlreadyRedeemed);
        holds(told, || format!("the code of a dropped redemption: {answer:?}"))?;
        same("the device", bench.row(&before)?.device, Some(cast.device.clone()))?;
        Ok(ready)
    })
}
