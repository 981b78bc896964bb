//! Devices, over the wire: an order and its withdrawal as a phone sees them, and a revocation that also wipes.

use grantor::admin::AdminError;
use grantor::store::{RevocationTarget, Wipe};

use crate::phones::{Phone, log_in, wiped_app, world_of_phones};
use crate::support::{code_app, subject};

/// W3: when the order is answered, the phone is dead and is told to wipe; before, it is alive and is not.
#[test]
fn an_order_and_the_end_of_access_are_one_step_for_the_phone() {
    let world = world_of_phones();
    let app = world.register(wiped_app());
    let phone = Phone::install(&world, &app, "ann", "tag-1");
    let others = [("ann", "tag-2"), ("bob", "tag-1")];
    let others = others.map(|(user, tag)| Phone::install(&world, &app, user, tag));
    assert!(phone.is_live() && !phone.asks());
    let admin = world.server.admin("root");
    world.block_on(admin.order_wipe(&phone.key)).unwrap();
    assert!(!phone.is_live());
    // The user cannot bring it back before its data is gone.
    log_in(&world, &app, "ann", "tag-1").assert_error(400, "invalid_grant");
    assert!(phone.asks() && phone.asks(), "as often as it asks");
    assert!(phone.reports() && !phone.asks());
    for other in &others {
        assert!(other.is_live() && !other.asks());
    }
    let device = world.block_on(admin.device(&phone.key)).unwrap().unwrap();
    let Wipe::Done { order: Some(order), .. } = device.wipe else { panic!("{device:?}") };
    assert_eq!(order.by, "root");
    assert_eq!(log_in(&world, &app, "ann", "tag-1").status, 200);
}

/// W13: a withdrawn order is not told, and its access stays revoked.
#[test]
fn a_withdrawn_order_is_not_told_and_the_user_logs_in_again() {
    let world = world_of_phones();
    let app = world.register(wiped_app());
    let phone = Phone::install(&world, &app, "ann", "tag-1");
    let admin = world.server.admin("root");
    world.block_on(admin.order_wipe(&phone.key)).unwrap();
    world.block_on(admin.withdraw_wipe(&phone.key)).unwrap();
    assert!(!phone.asks() && !phone.reports() && !phone.is_live());
    let again = Phone::install(&world, &app, "ann", "tag-1");
    assert!(again.is_live());
    world.block_on(admin.order_wipe(&again.key)).unwrap();
    assert!(again.asks());
    let late = world.block_on(admin.withdraw_wipe(&again.key));
    assert!(matches!(late, Err(AdminError::WipeNotWithdrawable)));
    assert!(again.asks());
}

/// W10, W20: a revocation ends access and tells no phone to wipe; with the option it tells those of its target.
#[test]
fn a_revocation_tells_no_phone_to_wipe_unless_it_is_asked_to() {
    let world = world_of_phones();
    let app = world.register(wiped_app());
    let admin = world.server.admin("root");
    for target in [RevocationTarget::App(app.id.clone()), RevocationTarget::Subject(subject("ann"))]
    {
        let phone = Phone::install(&world, &app, "ann", "tag-1");
        world.block_on(admin.revoke(target.clone())).unwrap();
        assert!(!phone.is_live() && !phone.asks(), "{target:?}");

        let phones = ["tag-1", "tag-2"].map(|tag| Phone::install(&world, &app, "ann", tag));
        let done = world.block_on(admin.revoke_and_wipe(target.clone())).unwrap();
        assert_eq!((done.ordered, done.pending, done.kept), (2, 0, 0), "{target:?}");
        for phone in phones {
            assert!(!phone.is_live() && phone.asks() && phone.reports(), "{target:?}");
        }
    }
}

/// W10: an app without remote wipe gets no order. The phone of an app that is deleted later is still wiped.
#[test]
fn an_order_needs_an_app_that_obeys_and_outlives_it() {
    let world = world_of_phones();
    let admin = world.server.admin("root");
    let app = world.register(wiped_app());
    let phone = Phone::install(&world, &app, "ann", "tag-1");
    world.edit(&app, |draft| draft.mobile_security(<_>::default()));
    let refused = world.block_on(admin.order_wipe(&phone.key));
    assert!(matches!(refused, Err(AdminError::NoRemoteWipe)));
    world.assert_refused("claim", "no_remote_wipe", Some("mobile_security.remote_wipe"));
    assert!(phone.is_live() && !phone.asks());
    let rules = wiped_app().build().unwrap().mobile_security().clone();
    world.edit(&app, |draft| draft.mobile_security(rules));
    world.block_on(admin.order_wipe(&phone.key)).unwrap();
    world.block_on(admin.delete(&app.id)).unwrap();
    assert!(phone.asks() && phone.reports());
    // An app without rules has no devices. What its requests name is ignored.
    let plain = world.register(code_app());
    let tokens = log_in(&world, &plain, "ann", "tag-1");
    assert_eq!((tokens.status, tokens.claims().get("device")), (200, None));
}
