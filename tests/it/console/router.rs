//! The console and the user's page as axum routers.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use grantor::http::console::{MAX_CONSOLE_BODY_BYTES, account_router, console_router};
use http::Request;
use tower_service::Service as _;

use super::account::{self, Browser, removal};
use super::desk::{Desk, MOUNT, console};
use super::html::check;
use crate::support::{Answered, World, code_app, encode};

async fn call(router: &Router, request: Request<Vec<u8>>) -> Answered {
    let response = router.clone().call(request.map(Body::from)).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap().to_vec();
    http::Response::from_parts(parts, body).into()
}

/// H1: both routers answer their own paths, and leave the others to the host.
#[tokio::test]
async fn routers_answer_every_path_below_their_mounts() {
    let world = World::new();
    let console = console(&world);
    let desk = Desk::new(&console, "view");
    let pages = account::pages(&world);
    let browser = Browser::new(&pages);
    let requests = |below: &str| {
        let build = |request: http::request::Builder| request.body(Vec::new()).unwrap();
        [
            build(desk.request("GET", &format!("{MOUNT}{below}"))),
            build(browser.request("GET", below)),
        ]
    };
    let [tops, apps, nothing] = ["", "/apps", "/nothing/at/all"].map(requests);
    let [slashes, others] = [requests("/"), requests("x")];
    let router = console_router(&Arc::new(super::desk::console(&world)))
        .merge(account_router(&Arc::new(account::pages(&world))));
    for (requests, statuses) in [
        (tops, [303, 200]),
        (slashes, [303, 200]),
        (apps, [200, 404]),
        (nothing, [404, 404]),
        (others, [404, 404]),
    ] {
        for (request, status) in requests.into_iter().zip(statuses) {
            let path = request.uri().to_string();
            let answer = call(&router, request).await;
            assert_eq!(answer.status, status, "{path}");
            assert_eq!(answer.body.is_empty(), status == 303 || path.ends_with('x'), "{path}");
        }
    }
}

/// Z36: the address of the client is in the audit log. A body that is too long is refused with a page.
#[tokio::test]
async fn the_router_of_the_users_page_notes_the_address_of_the_client() {
    let world = World::new();
    let app = world.register(code_app());
    let tokens = world.tokens(&app);
    let pages = account::pages(&world);
    let browser = Browser::new(&pages);
    let post = |body: Vec<u8>| {
        let request = browser
            .request("POST", &removal(&app))
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded")
            .extension(ConnectInfo(SocketAddr::from(([192, 0, 2, 7], 4711))));
        request.body(body).unwrap()
    };
    let form = post(encode(&[("token", &browser.token())]).into_bytes());
    let long = post(vec![b'a'; MAX_CONSOLE_BODY_BYTES + 1]);
    let router = account_router(&Arc::new(account::pages(&world)));
    let refused = call(&router, long).await;
    assert_eq!(refused.status, 413);
    check(&refused.body, account::MOUNT);
    assert!(!world.is_revoked(&tokens));
    assert_eq!(call(&router, form).await.status, 303);
    assert_eq!(world.last_event().source.unwrap().as_str(), "192.0.2.7");
    assert!(world.is_revoked(&tokens));
}
