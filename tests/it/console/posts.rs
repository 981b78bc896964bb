//! Forms: the role, the origin and the token of each.

use grantor::audit::Actor;
use grantor::http::console::MAX_CONSOLE_BODY_BYTES;

use super::desk::{Desk, MOUNT, console, registered};
use super::html::{check, tags, value_of};
use crate::support::{World, code_app};

/// H2: an administrator who may only look has no buttons, and forms are refused.
#[test]
fn a_role_that_may_only_look_sees_no_buttons_and_its_forms_are_refused() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    world.block_on(world.server.admin("tester").disable(&app.id)).unwrap();
    let console = console(&world);
    for (role, buttons) in [("view", 0), ("edit", 0), ("security", 1)] {
        let desk = Desk::new(&console, role);
        for below in ["/apps", &path] {
            let page = desk.page(below);
            check(&page, MOUNT);
            let posts =
                tags(&page).iter().filter(|it| it.attribute("method") == Some("post")).count();
            assert_eq!(posts, if below == path { buttons } else { 0 }, "{role} {below}");
        }
        let new = desk.page("/apps").contains("/new-app");
        assert_eq!(new, role != "view");
        let answer = desk.post(&format!("{path}/enable"), &[]);
        if role == "security" {
            assert_eq!(answer.status, 303);
        } else {
            assert_eq!(answer.status, 403, "{role}");
            assert!(answer.body.contains("Nothing was changed"), "{}", answer.body);
            check(&answer.body, MOUNT);
        }
    }
}

/// H15: a change is audited under the administrator's name, and the next page says that it is done.
#[test]
fn a_change_is_audited_under_the_administrators_name() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    world.block_on(world.server.admin("tester").disable(&app.id)).unwrap();
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let answer = desk.post(&format!("{path}/enable"), &[]);
    let next = answer.header("location").unwrap().strip_prefix(MOUNT).unwrap();
    assert!(desk.page(next).contains("The app is enabled."));
    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("enable_app", "success"));
    assert_eq!(event.actor, Actor::Administrator("ann".into()));
    // The link names a text of the console, and cannot carry one.
    let (own, proof) = next.split_once("?done=").unwrap().1.split_once('.').unwrap();
    let (longer, of_other) = (format!("{own}.{proof}x"), format!("revoked-everything.{proof}"));
    for other in ["nothing", "%3Cb%3E", "saved%20by%20eve", own, "enabled.", &longer, &of_other] {
        let page = desk.page(&format!("{path}?done={other}"));
        assert!(!page.contains("role=\"status\""), "{other}");
    }
    let earlier = Desk { console: &console, cookie: "staff=ann.security.earlier".to_owned() };
    assert!(!earlier.page(next).contains("role=\"status\""));
}

/// H3: a host that gives an administrator no session gets no form accepted, because anyone could make one.
#[test]
fn forms_of_an_administrator_without_a_session_are_refused() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    world.block_on(world.server.admin("tester").disable(&app.id)).unwrap();
    let console = console(&world);
    let desk = Desk { console: &console, cookie: "staff=ann.security.".to_owned() };
    let token = value_of(&desk.page(&path), "token");
    let answer = desk.post_with(&format!("{path}/enable"), &token, &[]);
    assert_eq!(answer.status, 403);
    check(&answer.body, MOUNT);
    assert_eq!(world.count("enable_app"), 0);
}

/// H3: a form of another origin, session or page changes nothing.
#[test]
fn forged_stale_and_cross_site_forms_are_refused() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    world.block_on(world.server.admin("tester").disable(&app.id)).unwrap();
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let path = format!("{path}/enable");
    let (token, url) = (desk.token(), format!("{MOUNT}{path}"));
    let form = "application/x-www-form-urlencoded";
    let events = world.events().len();
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "same-origin, cross-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://as.example.com")],
        &[("origin", "https://evil.example")],
        &[("origin", "https://as.example.com.evil.example")],
        &[("origin", "http://as.example.com")],
        &[("origin", "null")],
        &[],
    ] {
        let mut request = desk.request("POST", &url).header("content-type", form);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = desk.send(request.body(format!("token={token}").into_bytes()).unwrap());
        assert_eq!(answer.status, 403, "{headers:?}");
        assert!(answer.body.contains("came from another site"), "{}", answer.body);
        check(&answer.body, MOUNT);
    }
    let earlier = Desk { console: &console, cookie: "staff=ann.security.earlier".to_owned() };
    let changed = format!("{}x", &token[..token.len() - 1]);
    for token in ["", "guessed", &token[1..], &changed, &earlier.token()] {
        let answer = desk.post_with(&path, token, &[]);
        assert_eq!(answer.status, 403, "{token}");
        assert!(answer.body.contains("from an earlier session"), "{}", answer.body);
    }
    assert_eq!(world.events().len(), events);
    // A browser without `Sec-Fetch-Site` sends the origin; the token need not be the first field.
    let request = desk.request("POST", &url).header("content-type", form);
    let request = request.header("origin", "https://as.example.com");
    let answer = desk.send(request.body(format!("a=1&token={token}").into_bytes()).unwrap());
    assert_eq!(answer.status, 303);
}

#[test]
fn a_body_that_is_no_form_or_too_long_is_refused_with_a_page() {
    let world = World::new();
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let send = |content_type: &str, body: Vec<u8>| {
        let request = desk.request("POST", &format!("{MOUNT}/apps/a/enable"));
        let request = request.header("sec-fetch-site", "same-origin");
        desk.send(request.header("content-type", content_type).body(body).unwrap())
    };
    for (content_type, body, status) in [
        ("text/plain", b"token=x".to_vec(), 400),
        ("application/json", b"{}".to_vec(), 400),
        ("multipart/form-data; boundary=b", b"--c".to_vec(), 400),
        ("application/x-www-form-urlencoded", vec![b'a'; MAX_CONSOLE_BODY_BYTES + 1], 413),
    ] {
        let answer = send(content_type, body);
        assert_eq!(answer.status, status, "{content_type}");
        assert!(answer.body.contains("Nothing was changed"));
        check(&answer.body, MOUNT);
    }
}
