//! Nextcloud's remote wipe.

use std::sync::Arc;

use grantor::http::HttpEndpoints;
use http::Request;

use super::{CHECK, Phones, assert_counts, assert_no, assert_wipe, client_id};
use crate::support::{Answered, App, Lines, encode};

const NC_CHECK: &str = "/index.php/core/wipe/check";
const NC_SUCCESS: &str = "/index.php/core/wipe/success";

fn ask(phones: &Phones, apps: &[&App], path: &str, token: &str) -> Option<Answered> {
    let endpoints = HttpEndpoints::new(Arc::clone(&phones.world.server), Lines);
    let apps: Vec<_> = apps.iter().map(|app| app.id.clone()).collect();
    let endpoints = match apps.as_slice() {
        [] => endpoints,
        _ => endpoints.with_nextcloud_wipe(apps).unwrap(),
    };
    let request = Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(encode(&[("token", token)]))
        .unwrap();
    phones.world.block_on(endpoints.handle(request)).map(Answered::from)
}

/// W8: Nextcloud's clients ask with the token alone, for the apps that the host names.
#[test]
fn a_client_of_nextcloud_is_wiped_by_its_own_protocol() {
    let phones = Phones::new();
    let (one, two, other) = (phones.app(), phones.app(), phones.app());
    let apps = [&one, &two];
    for app in apps {
        let token = phones.log_in(app, "tag").text("refresh_token").to_owned();
        let ask = |path: &str| ask(&phones, &apps, path, &token).unwrap();
        assert_no(&ask(NC_CHECK));
        assert_no(&ask(NC_SUCCESS));
        phones.order(app, "tag");
        assert_wipe(&ask(&format!("{NC_CHECK}?format=json")));
        assert_counts(&ask(NC_SUCCESS));
        assert_no(&ask(NC_CHECK));
        assert_no(&ask(NC_SUCCESS));
    }
    let token = phones.log_in(&other, "tag").text("refresh_token").to_owned();
    phones.order(&other, "tag");
    assert_no(&ask(&phones, &apps, NC_CHECK, &token).unwrap());
    assert_no(&ask(&phones, &apps, NC_CHECK, "garbage").unwrap());
    // The own path works for every app, as before.
    assert_wipe(&phones.check(&other, &token));
}

/// W8: not mounted unless the host asks for it, with 1 to 8 apps.
#[test]
fn nextclouds_paths_are_mounted_for_a_few_apps_on_demand() {
    let phones = Phones::new();
    let app = phones.app();
    for path in [NC_CHECK, NC_SUCCESS] {
        assert!(ask(&phones, &[], path, "x").is_none(), "{path}");
    }
    assert!(ask(&phones, &[], CHECK, "x").is_some());
    for (number, expected) in [(0, false), (1, true), (8, true), (9, false), (1_000_000, false)] {
        let endpoints = HttpEndpoints::new(Arc::clone(&phones.world.server), Lines);
        let apps = (0..number).map(|number| client_id(&format!("app {number}")));
        let answer = endpoints.with_nextcloud_wipe(apps);
        assert_eq!(answer.is_ok(), expected, "{number}");
    }
    assert!(ask(&phones, &[&app], NC_CHECK, "x").is_some());
}
