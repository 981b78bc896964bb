//! Credentials, shown once.

use std::sync::Arc;
use std::time::Duration;

use grantor::http::console::Playground;
use grantor::protocol::WebOrigin;
use grantor::secret::ClientSecret;

use super::desk::{Desk, MOUNT, console, console_of, registered, reported};
use super::html::{check, tags, words};
use super::new_app::CODE_APP;
use crate::faulty_store::{Method, faulty_server};
use crate::support::{World, machine_app};

/// The cookie that an answer sets, and whether it lasts.
fn cookie(answer: &crate::support::Answered) -> (String, String) {
    let set = answer.header("set-cookie").unwrap();
    let (pair, attributes) = set.split_once("; ").unwrap();
    (pair.to_owned(), attributes.to_owned())
}

/// The values of a page by the ids of their elements.
fn value(page: &str, id: &str) -> String {
    let tag = tags(page).into_iter().find(|tag| tag.attribute("id") == Some(id));
    tag.unwrap_or_else(|| panic!("no {id}")).text
}

/// H6: the answer of the form leads to a page that shows the credentials once.
#[test]
fn credentials_are_shown_once_and_work() {
    let world = World::new();
    let console = console(&world);
    let desk = Desk::new(&console, "edit");
    let fields = [CODE_APP, &[("client_credentials", "on")]].concat();
    let answer = desk.post("/new-app", &fields);
    let (pair, attributes) = cookie(&answer);
    assert_eq!(attributes, format!("Path={MOUNT}; Max-Age=60; HttpOnly; SameSite=Strict; Secure"));
    let next = answer.header("location").unwrap().strip_prefix(MOUNT).unwrap().to_owned();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.body.is_empty());
    let back = desk.with_cookie(&pair);
    let head = back.request("HEAD", &format!("{MOUNT}{next}")).body(Vec::new()).unwrap();
    assert_eq!(back.send(head).status, 200);

    let page = back.get(&next);
    assert_eq!((page.status, page.header("cache-control")), (200, Some("no-store")));
    check(&page.body, MOUNT);
    assert!(cookie(&page).1.contains("Max-Age=0;") && cookie(&page).0.ends_with('='));
    let (id, secret) = (value(&page.body, "client-id"), value(&page.body, "client-secret"));
    assert!(value(&page.body, "signature-secret").starts_with("gss_"));
    for line in [
        format!("OAUTH_CLIENT_ID={id}"),
        format!("OAUTH_CLIENT_SECRET={secret}"),
        "OAUTH_TOKEN_ENDPOINT=https://as.example.com/oauth/token".to_owned(),
    ] {
        assert!(value(&page.body, "environment").lines().any(|own| own == line), "{line}");
    }
    let stored =
        tags(&page.body).into_iter().find(|tag| tag.attribute("id") == Some("stored")).unwrap();
    assert!(
        stored.attribute("required").is_some() && page.body.contains("I have stored these values")
    );
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    assert_eq!(world.post_form(None, &form).status, 200);

    // Nothing on reload, with or without the cookie that the page removed.
    for desk in [&back, &desk] {
        let again = desk.get(&next);
        assert_eq!(again.status, 410);
        check(&again.body, MOUNT);
        assert!(
            again.body.contains("These credentials were shown") && !again.body.contains(&secret)
        );
    }
    let app = desk.page(&format!("/apps/{id}"));
    assert!(!app.contains(&secret));
}

/// H6: another session, another app, another role and a later minute see nothing.
#[test]
fn credentials_are_shown_to_their_session_within_a_minute_only() {
    let world = World::new();
    let console = console(&world);
    let desk = Desk::new(&console, "edit");
    let made = || {
        let answer = desk.post("/new-app", CODE_APP);
        (
            cookie(&answer).0,
            answer.header("location").unwrap().strip_prefix(MOUNT).unwrap().to_owned(),
        )
    };
    let (pair, next) = made();
    let (_, other) = made();
    for (cookies, path, status) in [
        (format!("staff=ann.edit.another session; {pair}"), &next, 410),
        (format!("staff=ann.view.session of ann; {pair}"), &next, 403),
        (format!("staff=ann.edit.session of ann; {pair}x"), &next, 410),
        (format!("staff=ann.edit.session of ann; {pair}"), &other, 410),
        ("staff=ann.edit.session of ann; grantor-credentials=".to_owned(), &next, 410),
    ] {
        let answer = Desk { console: &console, cookie: cookies.clone() }.get(path);
        assert_eq!(answer.status, status, "{cookies}");
        assert!(!answer.body.contains("gcs_"));
    }
    world.advance(59);
    assert_eq!(desk.with_cookie(&pair).get(&next).status, 200);
    let (pair, next) = made();
    world.advance(60);
    assert_eq!(desk.with_cookie(&pair).get(&next).status, 410);
}

/// H6: a failure of the store does not use the credentials up.
#[test]
fn credentials_are_shown_after_a_failure_of_the_store() {
    let server = Arc::new(faulty_server(&World::new()));
    let console = console_of(&server);
    let desk = Desk::new(&console, "edit");
    let answer = desk.post("/new-app", CODE_APP);
    let next = answer.header("location").unwrap().strip_prefix(MOUNT).unwrap().to_owned();
    let desk = desk.with_cookie(&cookie(&answer).0);
    server.store().fail_before(Method::FindApp, 1);
    let failed = desk.get(&next);
    assert_eq!((failed.status, failed.header("set-cookie")), (503, None));
    assert!(desk.page(&next).contains("gcs_"));
    assert_eq!(desk.get(&next).status, 410);
}

#[test]
fn a_public_app_has_no_credentials_to_show() {
    let world = World::new();
    let console = console(&world);
    let desk = Desk::new(&console, "edit");
    let fields: Vec<_> =
        CODE_APP.iter().copied().filter(|(name, _)| *name != "authentication").collect();
    let answer = desk.post("/new-app", &[&fields[..], &[("authentication", "none")]].concat());
    let next = answer.header("location").unwrap();
    assert!(
        reported(&answer).ends_with("?done=created") && !next.contains("new-credentials"),
        "{next}"
    );
    assert!(answer.header("set-cookie").is_none());
    assert!(desk.page(next.strip_prefix(MOUNT).unwrap()).contains("The app is registered."));
}

/// H7: the overview tells of a superseded secret and of one that ends, with a link to the credentials.
#[test]
fn the_overview_tells_of_superseded_secrets_and_of_ends() {
    let world = World::new();
    let (app, path) = registered(&world, machine_app());
    let console = console(&world);
    let desk = Desk::new(&console, "view");
    let link = format!("{MOUNT}{path}/credentials");
    let told = |expected: &str| {
        let page = desk.page(&path);
        check(&page, MOUNT);
        let linked = tags(&page).iter().filter(|tag| tag.attribute("href") == Some(&link)).count();
        assert_eq!(linked, if expected.is_empty() { 1 } else { 2 }, "{expected}");
        assert!(words(&page).contains(expected), "{expected}: {}", words(&page));
    };
    told("");
    let admin = world.server.admin("x");
    let day = Duration::from_hours(24);
    world.block_on(admin.rotate_client_secret(&app.id, day)).unwrap();
    told("Client secret 2 is superseded, and works until: 15 Nov 2023, 22:13 UTC");
    world.advance(86_400);
    told("");
    let secret = ClientSecret::new("a secret that ends: 0123456789abcdef");
    let ends = Some(world.clock_now().plus(day));
    let set = admin.set_client_secret(&app.id, secret, ends, Duration::ZERO);
    world.block_on(set).unwrap();
    told("The newest client secret ends: 16 Nov 2023, 22:13 UTC");
    world.advance(86_400);
    told("The newest client secret has ended, and the app gets no tokens by it: 16 Nov 2023");
}

/// H6: the cookie is `Secure` if browsers see the console by `https`, at its own origin or else at the issuer's.
#[test]
fn the_cookie_of_credentials_follows_the_origin_of_the_console() {
    let world = World::new();
    for (origin, is_secure) in
        [("https://desk.example.com", true), ("http://127.0.0.1:8080", false)]
    {
        let origin = WebOrigin::new(origin).unwrap();
        let playground = Playground::new().with_console_origin(origin);
        let console = console(&world).with_playground(playground);
        let answer = Desk::new(&console, "edit").post("/new-app", CODE_APP);
        assert_eq!(cookie(&answer).1.ends_with("; Secure"), is_secure);
    }
}
