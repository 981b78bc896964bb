//! A server, and an app, without the device grant.

use std::sync::Arc;

use grantor::hooks::NoHooks;
use grantor::http::{HttpEndpoints, Interaction};
use grantor::users::MemoryUsers;
use grantor::{Flow, RedirectUri};

use super::{Devices, GRANT_TYPE, PAGE, tv};
use crate::faulty_store::FaultyStore;
use crate::support::{CALLBACK, Lines, World, code_app};

/// D7: off by default, the server answers no path of the grant, names none, and does not support its grant type.
#[test]
fn a_server_without_the_device_grant_has_nothing_of_it() {
    let world = World::unlimited();
    let app = world.register(tv());
    let endpoints = HttpEndpoints::new(Arc::clone(&world.server), Lines).with_device_pages();
    for path in [PAGE, "/oauth/device_authorization"] {
        assert_eq!(endpoints.endpoint_at(path), None, "{path}");
    }
    assert!(!world.server.metadata().contains("device"));
    assert!(!world.server.is_return_to(PAGE));
    let form = [("grant_type", GRANT_TYPE), ("device_code", "gdc_AAAA")];
    world.post(&app, &form).assert_error(400, "unsupported_grant_type");
}

/// D7: off by default, an app gets no codes, and its poll is refused before the code is looked at.
#[test]
fn an_app_without_the_flow_gets_no_codes() {
    let devices = Devices::new();
    let app = devices.world.register(code_app());
    devices.ask(&app, &[]).assert_error(400, "unauthorized_client");
    devices.world.assert_refused("grant", "flow_not_allowed", Some("flows"));
    assert!(devices.records.kept().is_empty());
    devices.poll(&app, "gdc_AAAA").assert_error(400, "unauthorized_client");

    let app = devices.world.register(tv());
    let codes = devices.codes(&app);
    devices.approve(&codes.user, "ann");
    devices.world.edit(&app, |draft| {
        let uri = RedirectUri::parse(CALLBACK).unwrap();
        draft.flows([Flow::AuthorizationCode]).redirect_uri(uri)
    });
    devices.poll(&app, &codes.device).assert_error(400, "unauthorized_client");
}

/// Returns whether the endpoints have the page, give codes, and name either in the metadata.
fn offers<I: Interaction>(
    devices: &Devices,
    endpoints: &HttpEndpoints<Arc<FaultyStore>, Arc<MemoryUsers>, NoHooks, I>,
) -> [bool; 3] {
    let request = http::Request::get("/.well-known/oauth-authorization-server");
    let answer = devices.world.block_on(endpoints.handle(request.body("").unwrap())).unwrap();
    let metadata = String::from_utf8(answer.into_body()).unwrap();
    let [page, codes] = [PAGE, "/oauth/device_authorization"].map(|path| {
        let request = http::Request::get(path).body("").unwrap();
        assert_eq!(
            endpoints.endpoint_at(path).is_some(),
            devices.world.block_on(endpoints.handle(request)).is_some()
        );
        endpoints.endpoint_at(path).is_some()
    });
    [page, codes, metadata.contains("device")]
}

/// D7: endpoints without browsers, or without the page for the code, have no codes for devices.
#[test]
fn endpoints_without_the_page_do_not_offer_the_grant() {
    let devices = &Devices::new();
    let server = || Arc::clone(&devices.world.server);
    assert_eq!(offers(devices, &HttpEndpoints::without_interaction(server())), [false; 3]);
    let without_page = HttpEndpoints::new(server(), Lines);
    assert_eq!(offers(devices, &without_page), [false; 3]);
    assert_eq!(offers(devices, &without_page.with_device_pages()), [true; 3]);
}
