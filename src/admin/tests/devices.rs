//! Devices: their wipe, its withdrawal, and a revocation that also wipes.

use super::*;
use crate::app::MobileSecurity;
use crate::store::{
    AdvanceWipe, Device, DeviceFilter, DeviceKey, DeviceSighting, DeviceStore, SeeDevice, Wipe,
    WipeAdvance, WipeStep,
};

/// An app that obeys orders to wipe its data.
fn wiped_app() -> AppDraft {
    phone().mobile_security(MobileSecurity { remote_wipe: true, ..MobileSecurity::default() })
}

/// Stores a grant and its device.
fn installed(world: &World, number: u8, client_id: &ClientId, user: &str) -> (Grant, DeviceKey) {
    let grant = world.grant(number, client_id, user);
    let (client_id, subject) = (grant.client_id.clone(), grant.subject.clone());
    let key = DeviceKey { client_id, subject, device_id: grant.device.clone().unwrap() };
    let sighting = DeviceSighting {
        key: key.clone(),
        name: Some(format!("Phone of {user}")),
        grant_id: grant.grant_id,
        salt_digest: grant.salt_digest,
        authorized_at: grant.authorized_at,
        keep_until: grant.expires_at,
        now: world.clock.now(),
    };
    assert_eq!(
        block_on(DeviceStore::see_device(&world.store, &sighting)).unwrap(),
        SeeDevice::Seen
    );
    (grant, key)
}

fn find(world: &World, key: &DeviceKey) -> Device {
    block_on(world.admin().device(key)).unwrap().unwrap()
}

fn is_ordered(world: &World, key: &DeviceKey) -> bool {
    matches!(find(world, key).wipe, Wipe::Requested { .. })
}

fn take(world: &World, key: &DeviceKey, step: WipeStep) -> AdvanceWipe {
    let (now, device) = (world.clock.now(), find(world, key));
    let ordered_at = device.wipe.order().map_or(now, |order| order.at);
    let advance = WipeAdvance { key: key.clone(), step, ordered_at, keep_until: now, now };
    block_on(DeviceStore::advance_wipe(&world.store, &advance)).unwrap()
}

/// The last event: action, outcome and reason.
fn told(world: &World) -> (&'static str, &'static str, Option<String>) {
    let event = world.last_event();
    let reason = event.outcome.reason().map(str::to_owned);
    (event.action.as_str(), event.outcome.as_str(), reason)
}

/// W3, W10: an order ends the access of its device and of no other, is kept for two years, and needs an app that
/// obeys it. A revocation orders no wipe.
#[test]
fn a_wipe_and_a_revocation_are_two_acts() {
    let world = World::new();
    let admin = world.admin();
    let app = world.register(wiped_app()).client_id;
    let (grant, key) = installed(&world, 1, &app, "ann");
    let (other, other_key) = installed(&world, 2, &app, "ann");
    block_on(admin.order_wipe(&key)).unwrap();
    assert_eq!([&grant, &other].map(|grant| world.is_live(grant)), [false, true]);
    let device = find(&world, &key);
    let order = device.wipe.order().unwrap().clone();
    assert_eq!((order.by.as_str(), order.at), ("root", world.clock.now()));
    let two_years = Duration::from_hours(2 * 365 * 24);
    assert_eq!(device.keep_until, order.at.plus(two_years));
    let event = world.last_event();
    assert_eq!(event.action, Action::OrderWipe { device: key.device_id.clone() });
    assert_eq!((event.client_id, event.subject), (Some(app.clone()), Some(key.subject.clone())));

    // Another order leaves the first as it was.
    world.clock.advance(Duration::from_mins(1));
    block_on(admin.order_wipe(&key)).unwrap();
    assert_eq!(find(&world, &key).wipe.order(), Some(&order));

    // A revocation ends access, and the data stays.
    block_on(admin.revoke(RevocationTarget::Subject(key.subject.clone()))).unwrap();
    assert!(!world.is_live(&other));
    assert_eq!(find(&world, &other_key).wipe, Wipe::None);

    let obeys_not = world.register(phone()).client_id;
    let (grant, key) = installed(&world, 3, &obeys_not, "bob");
    let error = block_on(admin.order_wipe(&key)).unwrap_err();
    assert!(matches!(error, AdminError::NoRemoteWipe));
    assert!(error.to_string().contains("`mobile_security.remote_wipe`"), "{error}");
    assert_eq!(told(&world), ("order_wipe", "refused", Some("no_remote_wipe".to_owned())));
    assert_eq!(world.last_event().outcome.setting(), Some("mobile_security.remote_wipe"));
    assert!(world.is_live(&grant));
    assert_eq!(find(&world, &key).wipe, Wipe::None);

    let unknown = DeviceKey { client_id: app, ..key };
    let error = block_on(admin.order_wipe(&unknown)).unwrap_err();
    assert!(matches!(error, AdminError::UnknownDevice));
    assert_eq!(told(&world), ("order_wipe", "refused", Some("device_not_found".to_owned())));
}

/// W13: an order can be withdrawn until the device has asked. The access stays revoked.
#[test]
fn an_order_is_withdrawn_before_the_device_asks_and_not_afterwards() {
    let world = World::new();
    let admin = world.admin();
    let app = world.register(wiped_app()).client_id;
    let (grant, key) = installed(&world, 1, &app, "ann");
    let refused = ("withdraw_wipe", "refused", Some("wipe_not_withdrawable".to_owned()));
    let withdraw = || block_on(admin.withdraw_wipe(&key));
    assert!(matches!(withdraw(), Err(AdminError::WipeNotWithdrawable)));
    assert_eq!(told(&world), refused);

    block_on(admin.order_wipe(&key)).unwrap();
    withdraw().unwrap();
    assert_eq!(find(&world, &key).wipe, Wipe::None);
    assert!(!world.is_live(&grant));
    let event = world.last_event();
    assert_eq!(event.action, Action::WithdrawWipe { device: key.device_id.clone() });
    assert_eq!((event.client_id, event.subject), (Some(app), Some(key.subject.clone())));

    block_on(admin.order_wipe(&key)).unwrap();
    for step in [WipeStep::Notify, WipeStep::Finish] {
        assert_eq!(take(&world, &key, step), AdvanceWipe::Advanced);
        let before = find(&world, &key);
        assert!(matches!(withdraw(), Err(AdminError::WipeNotWithdrawable)));
        assert_eq!(told(&world), refused);
        assert_eq!(find(&world, &key), before);
    }
}

/// W13: an administrator gives up an order that the phone will never report, also after it was told. The access
/// stays revoked, and the id is free.
#[test]
fn an_order_is_abandoned_until_the_device_reports() {
    let world = World::new();
    let admin = world.admin();
    let app = world.register(wiped_app()).client_id;
    let (grant, key) = installed(&world, 1, &app, "ann");
    let abandon = || block_on(admin.abandon_wipe(&key));
    let refused = ("abandon_wipe", "refused", Some("wipe_not_withdrawable".to_owned()));
    assert!(matches!(abandon(), Err(AdminError::WipeNotWithdrawable)));
    assert_eq!(told(&world), refused);
    for is_told in [false, true] {
        block_on(admin.order_wipe(&key)).unwrap();
        if is_told {
            assert_eq!(take(&world, &key, WipeStep::Notify), AdvanceWipe::Advanced);
        }
        abandon().unwrap();
        let event = world.last_event();
        assert_eq!(event.action, Action::AbandonWipe { device: key.device_id.clone() });
        assert_eq!(
            (event.client_id, event.subject),
            (Some(app.clone()), Some(key.subject.clone()))
        );
        assert_eq!(find(&world, &key).wipe, Wipe::None);
        assert!(!world.is_live(&grant));
    }
    block_on(admin.order_wipe(&key)).unwrap();
    assert_eq!(take(&world, &key, WipeStep::Finish), AdvanceWipe::Advanced);
    assert!(matches!(abandon(), Err(AdminError::WipeNotWithdrawable)));

    // Nothing is left to wipe, and the id is not locked.
    let before = find(&world, &key);
    block_on(admin.order_wipe(&key)).unwrap();
    assert_eq!(find(&world, &key), before);
}

/// W20: with the option, a revocation orders the wipe of the devices of its target, of those whose app obeys.
#[test]
fn a_revocation_wipes_the_devices_of_its_target_if_it_is_asked_to() {
    let targets: [fn(&DeviceKey) -> RevocationTarget; 5] = [
        |key| RevocationTarget::App(key.client_id.clone()),
        |key| RevocationTarget::Subject(key.subject.clone()),
        |key| RevocationTarget::AppAndSubject(key.client_id.clone(), key.subject.clone()),
        |key| {
            let DeviceKey { client_id, subject, device_id } = key.clone();
            RevocationTarget::Device(client_id, subject, device_id)
        },
        |_| RevocationTarget::Everything,
    ];
    // The devices are two of ann, one of bob, one of ann with another app, and one of ann with an app that obeys
    // no orders. Expected: the wiped ones of the first four, how many keep their data, and the live ones.
    let expected = [
        ([true, true, true, false], 0, [false, false, false, true, true]),
        ([true, true, false, true], 1, [false, false, true, false, false]),
        ([true, true, false, false], 0, [false, false, true, true, true]),
        ([true, false, false, false], 0, [false, true, true, true, true]),
        ([true, true, true, true], 1, [false, false, false, false, false]),
    ];
    for (target, (wiped, kept, live)) in targets.into_iter().zip(expected) {
        let world = World::new();
        let [one, two] = [wiped_app(), wiped_app()].map(|app| world.register(app).client_id);
        let obeys_not = world.register(phone()).client_id;
        let devices = [
            (1, &one, "ann"),
            (2, &one, "ann"),
            (3, &one, "bob"),
            (4, &two, "ann"),
            (5, &obeys_not, "ann"),
        ]
        .map(|(number, app, user)| installed(&world, number, app, user));
        let target = target(&devices[0].1);
        let done = block_on(world.admin().revoke_and_wipe(target.clone())).unwrap();
        let ordered = wiped.iter().filter(|wiped| **wiped).count();
        assert_eq!((done.ordered, done.pending, done.kept), (ordered, 0, kept), "{target:?}");
        let is_wiped = |(_, key): &(Grant, DeviceKey)| is_ordered(&world, key);
        assert_eq!(devices.each_ref().map(is_wiped)[..4], wiped, "{target:?}");
        assert!(!is_wiped(&devices[4]), "{target:?}");
        assert_eq!(devices.each_ref().map(|(grant, _)| world.is_live(grant)), live, "{target:?}");
        assert_eq!(world.last_event().action, Action::Revoke { target: target.clone() });
        let events = world.audit.find(&AuditQuery::all().limit(20));
        let orders = events.iter().filter(|event| event.action.as_str() == "order_wipe");
        assert_eq!(orders.count(), ordered, "{target:?}");

        // Again: the orders are pending. A device that has reported has no data.
        take(&world, &devices[0].1, WipeStep::Finish);
        let again = block_on(world.admin().revoke_and_wipe(target)).unwrap();
        assert_eq!((again.ordered, again.pending, again.kept), (0, ordered - 1, kept));
        assert!(matches!(find(&world, &devices[0].1).wipe, Wipe::Done { .. }));
    }
}

/// W20: more devices than a page of the store.
#[test]
fn a_revocation_that_wipes_goes_through_every_page() {
    let world = World::new();
    let app = world.register(wiped_app()).client_id;
    for number in 0..=250 {
        installed(&world, number, &app, &format!("user {number:03}"));
    }
    let done = block_on(world.admin().revoke_and_wipe(RevocationTarget::App(app.clone()))).unwrap();
    assert_eq!((done.ordered, done.kept), (251, 0));
    let pending = DeviceFilter::all().of_app(app).to_be_wiped();
    let first = block_on(world.admin().devices(&pending, Page::first(200))).unwrap();
    let page = Page::first(200).after(first.next.unwrap());
    let second = block_on(world.admin().devices(&pending, page)).unwrap();
    assert_eq!((first.items.len(), second.items.len()), (200, 51));
}

#[test]
fn a_target_that_names_no_devices_is_refused_and_revokes_nothing() {
    let world = World::new();
    let app = world.register(wiped_app()).client_id;
    let (grant, key) = installed(&world, 1, &app, "ann");
    let targets =
        [RevocationTarget::Grant(grant.grant_id), RevocationTarget::NamedDevice(key.device_id)];
    for target in targets {
        let result = block_on(world.admin().revoke_and_wipe(target));
        assert!(matches!(result, Err(AdminError::NoDevicesOfTarget)));
        let reason = Some("no_devices_of_target".to_owned());
        assert_eq!(told(&world), ("revoke", "refused", reason));
        assert!(world.is_live(&grant));
    }
}

#[test]
fn a_server_without_devices_says_so() {
    let world = World::new();
    let app = world.register(wiped_app()).client_id;
    let (grant, key) = installed(&world, 1, &app, "ann");
    let mut admin = world.admin();
    admin.parts.devices = None;
    assert!(!admin.has_devices() && world.admin().has_devices());
    let all = DeviceFilter::all();
    let target = RevocationTarget::App(app);
    let errors = [
        block_on(admin.devices(&all, Page::first(1))).map(drop).unwrap_err(),
        block_on(admin.device(&key)).map(drop).unwrap_err(),
        block_on(admin.order_wipe(&key)).map(drop).unwrap_err(),
        block_on(admin.withdraw_wipe(&key)).unwrap_err(),
        block_on(admin.revoke_and_wipe(target)).map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, AdminError::NoDevices), "{error}");
        assert!(error.to_string().contains("the server keeps no devices"), "{error}");
    }
    assert!(world.is_live(&grant));
    let mut account = world.account("ann");
    account.parts.devices = None;
    assert!(!account.has_devices());
    assert!(matches!(block_on(account.devices()), Err(AdminError::NoDevices)));
}

/// W3, W13: of many administrators at once one gives the order, and of many withdrawals and one question of the
/// phone one wins.
#[test]
fn administrators_at_once_give_one_order_and_withdraw_it_once() {
    let world = World::new();
    let app = world.register(wiped_app()).client_id;
    for number in 0..20 {
        let (grant, key) = installed(&world, number, &app, "ann");
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| block_on(world.admin().order_wipe(&key)).unwrap());
            }
        });
        assert!(is_ordered(&world, &key) && !world.is_live(&grant));
        let (withdrawn, answer) = std::thread::scope(|threads| {
            let withdraw = || block_on(world.admin().withdraw_wipe(&key)).is_ok();
            let withdrawals = [0; 4].map(|_| threads.spawn(withdraw));
            let question = threads.spawn(|| take(&world, &key, WipeStep::Notify));
            let withdrawn =
                withdrawals.into_iter().filter_map(|it| it.join().unwrap().then_some(()));
            (withdrawn.count(), question.join().unwrap())
        });
        let asked = usize::from(answer == AdvanceWipe::Advanced);
        assert_eq!(withdrawn + asked, 1, "{answer:?}");
        assert_eq!(matches!(find(&world, &key).wipe, Wipe::Notified { .. }), asked == 1);
        assert!(!world.is_live(&grant));
    }
}

/// W11: a user wipes own devices, and withdraws own orders.
#[test]
fn a_user_wipes_own_devices_and_withdraws_own_orders() {
    let world = World::new();
    let app = world.register(wiped_app()).client_id;
    let (grant, key) = installed(&world, 1, &app, "ann");
    let (ann, bob) = (world.account("ann"), world.account("bob"));
    let listed = block_on(ann.devices()).unwrap();
    assert!(!listed.more);
    let [device] = &listed.devices[..] else { panic!("{listed:?}") };
    assert_eq!((device.app_name.as_str(), device.name.as_deref()), ("Phone", Some("Phone of ann")));
    assert_eq!((device.may_wipe, device.may_withdraw), (true, false));
    assert_eq!(block_on(ann.device(&app, &key.device_id)).unwrap().as_ref(), Some(device));

    // The device of another user does not exist.
    assert!(block_on(bob.devices()).unwrap().devices.is_empty());
    assert_eq!(block_on(bob.device(&app, &key.device_id)).unwrap(), None);
    let foreign = block_on(bob.order_wipe(&app, &key.device_id));
    assert!(matches!(foreign, Err(AdminError::UnknownDevice)));
    let event = world.last_event();
    assert_eq!(event.actor, Actor::User(Subject::new("bob").unwrap()));
    assert_eq!(event.subject.unwrap().as_str(), "bob");
    assert!(world.is_live(&grant));

    block_on(ann.order_wipe(&app, &key.device_id)).unwrap();
    let event = world.last_event();
    assert_eq!(event.actor, Actor::User(key.subject.clone()));
    assert_eq!(event.action, Action::OrderWipe { device: key.device_id.clone() });
    assert!(!world.is_live(&grant));
    let device = block_on(ann.device(&app, &key.device_id)).unwrap().unwrap();
    assert_eq!((device.may_wipe, device.may_withdraw), (false, true));
    let foreign = block_on(bob.withdraw_wipe(&app, &key.device_id));
    assert!(matches!(foreign, Err(AdminError::WipeNotWithdrawable)));
    block_on(ann.withdraw_wipe(&app, &key.device_id)).unwrap();
    assert_eq!(told(&world), ("withdraw_wipe", "success", None));
    assert_eq!(find(&world, &key).wipe, Wipe::None);

    // The order of an administrator is not the user's.
    block_on(world.admin().order_wipe(&key)).unwrap();
    let device = block_on(ann.device(&app, &key.device_id)).unwrap().unwrap();
    assert_eq!((device.may_wipe, device.may_withdraw), (false, false));
    let withdrawn = block_on(ann.withdraw_wipe(&app, &key.device_id));
    assert!(matches!(withdrawn, Err(AdminError::WipeNotWithdrawable)));
    assert!(is_ordered(&world, &key));

    // An administrator withdraws the order of a user.
    block_on(world.admin().withdraw_wipe(&key)).unwrap();
    block_on(ann.order_wipe(&app, &key.device_id)).unwrap();
    block_on(world.admin().withdraw_wipe(&key)).unwrap();
}

#[test]
fn the_record_of_a_user_has_the_devices_and_no_digest() {
    let world = World::new();
    let app = world.register(wiped_app()).client_id;
    let (grant, key) = installed(&world, 1, &app, "ann");
    installed(&world, 2, &app, "bob");
    block_on(world.admin().order_wipe(&key)).unwrap();
    let record = block_on(world.admin().export_subject(&key.subject, &world.store)).unwrap();
    let json = serde_json::to_value(&record).unwrap();
    assert_eq!(json["devices"].as_array().unwrap().len(), 1);
    let device = &json["devices"][0];
    assert_eq!(
        (&device["device_id"], &device["name"]),
        (&"phone 1".into(), &"Phone of ann".into())
    );
    assert_eq!(device["wipe"]["state"], "requested");
    assert_eq!(device["wipe"]["order"]["by"], "root");
    assert_eq!(device.get("salt_digest"), None);
    let digest = serde_json::to_value(grant.salt_digest).unwrap().to_string();
    assert!(!json.to_string().contains(&digest));
}
