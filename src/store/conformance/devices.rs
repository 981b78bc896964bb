//! Checks of [`DeviceStore`] apart from wipes, one caller at a time.

use super::bench::{Cast, GRANT_LIFE, HOUR, at, holds, same};
use super::device_bench::{DAY, KEPT, KEPT_TO_BE_WIPED, STEPS, order, sighting};
use super::issuers::with_both;
use super::{Check, Kit, Runner, Violation};
use crate::clock::UnixTime;
use crate::ids::{DeviceId, InvalidId, Subject};
use crate::store::{
    AdvanceWipe, DeleteApp, Device, DeviceFilter, DeviceKey, DeviceSighting, DeviceStore, Grant,
    Page, RequestWipe, SeeDevice, Store, WipeOrder, WipeStep,
};

fn invalid(error: InvalidId) -> Violation {
    Violation::new(error.to_string())
}

/// A device comes back as it was seen. Later sightings change what they tell, and turn back no instant.
pub fn a_device_is_found_as_it_was_seen<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let (key, one, two) = (cast.key(), cast.grant()?, cast.grant()?);
    same("a device that was never seen", bench.device(&key)?, None)?;
    let name = Some("Ann's \u{e9} \"phone\" \\ {}".to_owned());
    let other_name = Some("x".repeat(128));
    let sightings = [
        DeviceSighting { name: name.clone(), ..sighting(&key, &one, 0) },
        sighting(&key, &one, 10),
        DeviceSighting { name: other_name, ..sighting(&key, &two, 20) },
        // By a clock that was set back.
        sighting(&key, &one, -DAY),
        DeviceSighting { keep_until: at(KEPT * 2), ..sighting(&key, &two, 30) },
        DeviceSighting { authorized_at: at(5), ..sighting(&key, &two, 40) },
        DeviceSighting { authorized_at: at(-5), ..sighting(&key, &one, 50) },
        DeviceSighting { authorized_at: at(5), ..sighting(&key, &two, 60) },
    ];
    let mut expected: Option<Device> = None;
    for sighting in &sightings {
        same("a sighting", bench.see(sighting)?, SeeDevice::Seen)?;
        match &mut expected {
            Some(device) => {
                device.see(sighting);
            }
            None => expected = Some(Device::first(sighting)),
        }
        same("the device found", bench.device(&key)?, expected.clone())?;
    }
    Ok(())
}

/// W1: a user has at most 64 devices at an app, apart from those that are to be wiped. A further one takes the
/// place of the one that was seen longest ago.
pub fn a_user_has_64_devices_at_an_app<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let (cast, other) = (bench.cast()?, bench.cast()?);
    let grant = cast.grant()?;
    let numbered = |number: i64| -> Check<DeviceKey> {
        let device_id = DeviceId::new(format!("{number:03}")).map_err(invalid)?;
        Ok(DeviceKey { device_id, ..cast.key() })
    };
    let see = |number: i64, millis: i64| {
        let seen = bench.see(&sighting(&numbered(number)?, &grant, millis))?;
        same("a sighting", seen, SeeDevice::Seen)
    };
    let gone = || -> Check<Vec<i64>> {
        let mut gone = Vec::new();
        for number in 0..=68 {
            if bench.device(&numbered(number)?)?.is_none() {
                gone.push(number);
            }
        }
        Ok(gone)
    };
    let neighbours = [
        bench.seen(&Cast { subject: other.subject.clone(), ..cast.clone() })?,
        bench.seen(&Cast { client_id: other.client_id.clone(), ..cast.clone() })?,
    ];
    // 4 and 5 are seen at one instant.
    for number in 0..64 {
        see(number, if number == 5 { 4 } else { number })?;
    }
    same("the devices that are missing from 64", gone()?, vec![64, 65, 66, 67, 68])?;
    see(64, 64)?;
    same("the devices that are missing after one more", gone()?, vec![0, 65, 66, 67, 68])?;
    // One that is to be wiped has no place to give.
    bench.ordered(&numbered(1)?, 0)?;
    see(65, 65)?;
    same("the devices that are missing beside an order", gone()?, vec![0, 66, 67, 68])?;
    see(66, 66)?;
    same("the devices that are missing, the order spared", gone()?, vec![0, 2, 67, 68])?;
    let report = bench.advance(&numbered(1)?, WipeStep::Finish, 67)?;
    same("the report", report, AdvanceWipe::Advanced)?;
    see(3, 67)?;
    same("the devices that are missing after the report", gone()?, vec![0, 1, 2, 67, 68])?;
    // By a clock that was set back: the device that is seen stays.
    see(67, -DAY)?;
    same("the devices that are missing in the end", gone()?, vec![0, 1, 2, 4, 68])?;
    for key in &neighbours {
        bench.device_row(key)?;
    }
    Ok(())
}

/// W2: the same device id at another app or user names another device. An order for one says nothing to the
/// others, and spares their grants.
pub fn a_device_belongs_to_one_app_and_user<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let (one, other) = (bench.cast()?, bench.cast()?);
    let casts = [
        one.clone(),
        Cast { subject: other.subject.clone(), ..one.clone() },
        Cast { client_id: other.client_id.clone(), ..one.clone() },
        Cast { device: one.device.clone(), ..other },
    ];
    let [first, others @ ..] = &casts;
    bench.seen(first)?;
    for cast in others {
        same("a device id of others", bench.device(&cast.key())?, None)?;
        bench.seen(cast)?;
    }
    let families: Vec<_> = casts.iter().map(|it| bench.family(it)).collect::<Check<_>>()?;
    let before: Vec<_> = others.iter().map(|it| bench.device(&it.key())).collect::<Check<_>>()?;
    bench.ordered(&first.key(), 0)?;
    let after: Vec<_> = others.iter().map(|it| bench.device(&it.key())).collect::<Check<_>>()?;
    same("the devices of others", after, before)?;
    for (place, family) in families.iter().enumerate() {
        if place == 0 {
            bench.is_dead("a grant on the device", family, 0)?;
        } else {
            bench.is_alive("a grant on the device of others", family, 0)?;
        }
    }
    for cast in others {
        let seen = bench.see(&sighting(&cast.key(), &cast.grant()?, 1))?;
        same("a sighting of the device of others", seen, SeeDevice::Seen)?;
    }
    Ok(())
}

/// A device is found by the grant under which it was last seen, which need not have a row. Of several, one that
/// is to be wiped goes first, then the one seen last.
pub fn a_device_is_found_by_its_last_grant<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let (key, one, two) = (cast.key(), cast.grant()?, cast.grant()?);
    let of = |grant: &Grant| -> Check<Option<DeviceKey>> {
        let found = bench.wait(bench.store.find_device_of(&grant.grant_id))?;
        Ok(found.map(|device| device.key))
    };
    same("the device of an unknown grant", of(&one)?, None)?;
    bench.see(&sighting(&key, &one, 0))?;
    same("the device of its grant", of(&one)?, Some(key.clone()))?;
    bench.see(&sighting(&key, &two, 1))?;
    same("the device of its next grant", of(&two)?, Some(key.clone()))?;
    same("the device of its grant before", of(&one)?, None)?;
    let second = DeviceKey {
        device_id: DeviceId::new(format!("{} 2", key.device_id)).map_err(invalid)?,
        ..key.clone()
    };
    bench.see(&sighting(&second, &two, 2))?;
    same("the device seen last under a grant", of(&two)?, Some(second))?;
    bench.ordered(&key, 3)?;
    same("the device to be wiped of a grant", of(&two)?, Some(key.clone()))?;
    bench.wait(bench.store.prune(at(GRANT_LIFE * 2), 100))?;
    let found = bench.wait(bench.store.find_device_of(&two.grant_id))?;
    same("the device as found by its grant", found, bench.device(&key)?)
}

/// Devices are listed in the order of their keys, page by page, by app, by user and by what is pending.
pub fn devices_are_listed_in_the_order_of_their_keys<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let (one, other) = (bench.cast()?, bench.cast()?);
    let mut devices = Vec::new();
    for app in [&one.client_id, &other.client_id] {
        for subject in ["B", "a", "\u{e9}"] {
            for device in ["10", "9", "Z"] {
                let key = DeviceKey {
                    client_id: app.clone(),
                    subject: Subject::new(subject).map_err(invalid)?,
                    device_id: DeviceId::new(device).map_err(invalid)?,
                };
                bench.see(&sighting(&key, &one.grant()?, 0))?;
                if device == "9" {
                    bench.ordered(&key, 0)?;
                }
                devices.push(bench.device_row(&key)?);
            }
        }
    }
    devices.sort_by(|one, other| one.key.cmp(&other.key));
    let ann = Subject::new("a").map_err(invalid)?;
    let stranger = Subject::new("stranger").map_err(invalid)?;
    let filters = [
        DeviceFilter::all(),
        DeviceFilter::all().of_app(other.client_id.clone()),
        DeviceFilter::all().of_subject(ann.clone()),
        DeviceFilter::all().to_be_wiped(),
        DeviceFilter::all().of_app(one.client_id).of_subject(ann.clone()),
        DeviceFilter::all().of_app(other.client_id).to_be_wiped(),
        DeviceFilter::all().of_subject(ann).to_be_wiped(),
        DeviceFilter::all().of_subject(stranger),
    ];
    for filter in filters {
        let wanted: Vec<_> = devices.iter().filter(|it| filter.admits(it)).cloned().collect();
        for limit in [1, 4, 200] {
            let (mut listed, mut page) = (Vec::new(), Page::first(limit));
            loop {
                let listing = bench.wait(bench.store.list_devices(&filter, page.clone()))?;
                holds(listing.items.len() <= limit, || "a page holds more than it may")?;
                listed.extend(listing.items);
                let Some(next) = listing.next else { break };
                holds(listed.len() <= devices.len(), || "a listing does not end")?;
                page = page.after(next);
            }
            same(&format!("the devices of {filter:?}"), listed, wanted.clone())?;
        }
    }
    Ok(())
}

/// The policy that a device has read is noted, and stays when it is seen again.
pub fn the_policy_that_a_device_has_read_is_noted<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let cast = bench.cast()?;
    let key = bench.seen(&cast)?;
    for version in ["1", &"v".repeat(64), "2"] {
        let expected = Device { policy_seen: Some(version.to_owned()), ..bench.device_row(&key)? };
        bench.wait(bench.store.note_policy(&key, version))?;
        same("the device", bench.device_row(&key)?, expected)?;
    }
    bench.see(&sighting(&key, &cast.grant()?, 1))?;
    same("the policy", bench.device_row(&key)?.policy_seen.as_deref(), Some("2"))
}

/// W18: pruning removes a device from the instant until which it is kept, and no other. One that is to be wiped
/// stays for as long as its order says.
pub fn prune_removes_a_device_when_its_time_has_come<S: Store + DeviceStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let casts: Vec<_> = (0..6).map(|_| bench.cast()).collect::<Check<_>>()?;
    let keys: Vec<_> = casts.iter().map(|cast| bench.seen(cast)).collect::<Check<_>>()?;
    let [wiped, notified, seen_again, idle @ ..] = &keys[..] else { return Ok(()) };
    bench.ordered(wiped, 0)?;
    bench.ordered(notified, 0)?;
    bench.advance(notified, WipeStep::Notify, 0)?;
    let grant = bench.cast()?.grant()?;
    bench.see(&sighting(seen_again, &grant, DAY))?;
    let there = || -> Check<Vec<bool>> {
        keys.iter().map(|key| Ok(bench.device(key)?.is_some())).collect()
    };
    let prune = |millis: i64, limit: usize| -> Check<(usize, bool)> {
        let pruned = bench.wait(bench.store.prune_devices(at(millis), limit))?;
        Ok((pruned.removed, pruned.more))
    };
    bench.wait(bench.store.prune(at(KEPT * 2), 100))?;
    same("a batch before their time", prune(KEPT - 1, 100)?, (0, false))?;
    same("the devices before their time", there()?, vec![true; keys.len()])?;
    same("the first batch", prune(KEPT, 2)?, (2, true))?;
    same("the second batch", prune(KEPT, 2)?, (idle.len() - 2, false))?;
    same("an idle batch", prune(KEPT, 2)?, (0, false))?;
    same("the devices", there()?, vec![true, true, true, false, false, false])?;
    same("a batch a day later", prune(KEPT + DAY, 2)?, (1, false))?;
    same("a batch within a year", prune(KEPT_TO_BE_WIPED - 1, 2)?, (0, false))?;
    holds(
        bench.is_pending(wiped)? && bench.is_pending(notified)?,
        || "a device that was to be wiped is gone",
    )?;
    same("a batch after a year", prune(KEPT_TO_BE_WIPED, 2)?, (2, false))?;
    same("the devices in the end", there()?, vec![false; keys.len()])?;
    bench.seen(casts.first().ok_or_else(|| Violation::new("no cast"))?).map(|_| ())
}

/// A phone must be wiped also after its app was disabled or deleted.
pub fn devices_outlive_their_app<S: Store + DeviceStore, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    let (cast, other) = (bench.cast()?, bench.cast()?);
    let (key, late) = (bench.seen(&cast)?, bench.seen(&other)?);
    bench.ordered(&key, 0)?;
    let ordered = bench.device_row(&key)?;
    for cast in [&cast, &other] {
        bench.enable(&cast.client_id, false)?;
        same("the deletion", bench.delete(&cast.client_id)?, DeleteApp::Deleted)?;
    }
    same("the device of a deleted app", bench.device_row(&key)?, ordered)?;
    same("the question", bench.advance(&key, WipeStep::Notify, 1)?, AdvanceWipe::Advanced)?;
    same("the report", bench.advance(&key, WipeStep::Finish, 2)?, AdvanceWipe::Advanced)?;
    bench.ordered(&late, HOUR)
}

/// A device is found, listed, wiped and noted at its own issuer only, although all names are the same.
pub fn issuers_share_no_devices<S: Store + DeviceStore, R: Runner>(kit: &Kit<S, R>) -> Check {
    with_both(kit, |here, there, cast| {
        let key = here.seen(cast)?;
        let grant = cast.grant()?;
        here.see(&sighting(&key, &grant, 0))?;
        let list = |filter: &DeviceFilter| -> Check<Vec<DeviceKey>> {
            let listed = there.wait(there.store.list_devices(filter, Page::first(200)))?;
            Ok(listed.items.into_iter().map(|device| device.key).collect())
        };
        let filters = [
            DeviceFilter::all(),
            DeviceFilter::all().of_app(cast.client_id.clone()),
            DeviceFilter::all().of_subject(cast.subject.clone()),
            DeviceFilter::all().to_be_wiped(),
        ];
        let lists = |key: &DeviceKey| -> Check<bool> {
            let listed = filters.iter().map(list).collect::<Check<Vec<_>>>()?;
            Ok(listed.iter().any(|keys| keys.contains(key)))
        };
        same("the device of another issuer", there.device(&key)?, None)?;
        let of_grant = || there.wait(there.store.find_device_of(&grant.grant_id));
        same("the device of the other issuer's grant", of_grant()?, None)?;
        holds(!lists(&key)?, || "an issuer lists the device of another")?;
        same("an order", there.wipe(&order(&key, 0))?, RequestWipe::Unknown)?;
        let family = there.family(cast)?;
        let seen = there.seen(cast)?;
        let own = there.device_row(&seen)?;
        here.ordered(&key, 0)?;
        same("the device of the other issuer", there.device_row(&seen)?, own)?;
        there.is_alive("a grant of the other issuer's device", &family, 0)?;
        for step in STEPS {
            let answer = there.advance(&key, step, 1)?;
            same("a step at the other issuer", answer, AdvanceWipe::Refused)?;
        }
        there.wait(there.store.note_policy(&key, "v1"))?;
        same("the policy", here.device_row(&key)?.policy_seen, None)?;
        same("the order", here.device_row(&key)?.wipe.order().map(order_at), Some(at(0)))
    })
}

const fn order_at(order: &WipeOrder) -> UnixTime {
    order.at
}
