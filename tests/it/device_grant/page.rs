//! The page: the code, consent, and the decision.

use grantor::app::RateQuota;
use grantor::ids::Subject;
use grantor::rate_limit::RateLimits;
use grantor::store::RevocationTarget;
use http::Request;

use super::{Codes, Devices, PAGE, tv};
use crate::support::{Answered, App, encode};

/// D14: a link fills the code in. It neither looks for the code nor decides.
#[test]
fn a_link_prefills_the_code_and_never_approves() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    let codes = devices.codes(&app);
    let query = format!("?user_code={}", codes.user);
    let page = devices.visit(&query, Some("ann"));
    assert_eq!(page.status, 200);
    assert_eq!(page.body, format!("enter|{PAGE}|{}|", codes.user));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(page.header("content-security-policy").is_some());
    for query in ["?user_code=%3Cscript%3E", "?user_code=a&user_code=b", "", "?x=%zz"] {
        let page = devices.visit(query, Some("ann"));
        assert_eq!((page.status, &*page.body), (200, "enter|/oauth/device||"), "{query}");
    }
    assert_eq!(devices.records.searches(), 0);
    devices.poll(&app, &codes.device).assert_error(400, "authorization_pending");
}

/// D14: a user logs in first, and comes back with the code of the link.
#[test]
fn the_user_logs_in_first_and_comes_back() {
    let devices = Devices::new();
    let codes = devices.codes(&devices.world.register(tv()));
    let login = |page: &Answered| {
        assert_eq!(page.status, 200, "{page:?}");
        let to = page.body.strip_prefix("login|").unwrap().to_owned();
        assert!(devices.world.server.is_return_to(&to), "{to}");
        to
    };
    assert_eq!(login(&devices.visit("", None)), PAGE);
    let with_code = format!("{PAGE}?user_code={}", codes.user);
    assert_eq!(login(&devices.visit(&format!("?user_code={}", codes.user), None)), with_code);
    let form = [("user_code", &*codes.user.to_lowercase())];
    assert_eq!(login(&devices.submit(&form, None)), with_code);
    assert_eq!(devices.records.searches(), 0);
    let server = &devices.world.server;
    for foreign in ["/oauth/devices", "/oauth/device/x", "//evil/oauth/device", "/oauth/device?a b"]
    {
        assert!(!server.is_return_to(foreign), "{foreign}");
    }
    let broken = devices.visit("", Some("broken"));
    assert_eq!((broken.status, &*broken.body), (500, "error failed"));
}

/// D14: consent names the app, the code and the address of the device that asked, and the user may approve a part.
#[test]
fn consent_shows_the_app_the_code_and_the_address_of_the_device() {
    let devices = Devices::new().at_address("203.0.113.9");
    let app = devices.world.register(tv());
    let codes = devices.codes(&app);
    let devices = devices.at_address("192.0.2.7");
    let prompt = devices.prompt(&codes.user.to_lowercase().replace('-', " "), "ann");
    assert_eq!(prompt.shown, ["Television", &*codes.user, "203.0.113.9"]);
    assert_eq!(prompt.scopes, "a b c");
    let wider = devices.decide(&prompt.ticket, "ann", "approve", "a d");
    assert_eq!(wider.status, 400, "{wider:?}");
    let part = devices.decide(&prompt.ticket, "ann", "approve", "a");
    assert_eq!(part.body, "decided|true");
    assert_eq!(devices.poll(&app, &codes.device).text("scope"), "a");
    let actions: Vec<_> =
        devices.world.events().iter().map(|event| event.action.as_str().to_owned()).collect();
    for action in ["authorize_device", "enter_user_code", "approve_device"] {
        assert!(actions.iter().any(|it| it == action), "{actions:?}");
    }
    let approved =
        devices.world.events().into_iter().find(|it| it.action.as_str() == "approve_device");
    let approved = approved.unwrap();
    assert_eq!(approved.flow, Some(grantor::Flow::DeviceCode));
    assert_eq!(approved.scope.unwrap().as_str(), "a");
}

/// D17: the events of the user name the address of the device beside that of the user, and the grant by which the
/// request and the token are found.
#[test]
fn events_of_a_decision_name_the_address_of_the_device() {
    let mut devices = Devices::new();
    let app = devices.world.register(tv());
    for approves in [true, false] {
        devices = devices.at_address("203.0.113.9");
        let codes = devices.codes(&app);
        devices = devices.at_address("192.0.2.7");
        if approves {
            devices.approve(&codes.user, "ann");
        } else {
            devices.deny(&codes.user, "ann");
        }
    }
    let mut events = devices.world.events();
    events.retain(|event| event.grant_id.is_some());
    events.reverse();
    let events: Vec<_> = events
        .into_iter()
        .map(|event| {
            let sources = [event.source, event.device_source].map(|it| it.map(|it| it.to_string()));
            (event.action.as_str().to_owned(), event.grant_id.unwrap(), sources)
        })
        .collect();
    let [device, user] = ["203.0.113.9", "192.0.2.7"].map(|it| Some(it.to_owned()));
    for (decided, decision) in events.chunks(3).zip(["approve_device", "deny_authorization"]) {
        let [(asked, grant, of_device), entered, last] = decided else { panic!("{events:?}") };
        assert_eq!((&**asked, of_device), ("authorize_device", &[device.clone(), None]));
        let both = [user.clone(), device.clone()];
        assert_eq!(entered, &("enter_user_code".to_owned(), *grant, both.clone()));
        assert_eq!(last, &(decision.to_owned(), *grant, both));
    }
}

/// D14: a device is asked for anew, also if the user has agreed to the app before, and no approval is remembered.
#[test]
fn every_device_needs_its_own_consent() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    for _ in 0..2 {
        let codes = devices.codes(&app);
        let prompt = devices.prompt(&codes.user, "ann");
        let form = [
            ("ticket", &*prompt.ticket),
            ("decision", "approve"),
            ("scope", "a"),
            ("remember", "on"),
        ];
        assert_eq!(devices.submit(&form, Some("ann")).body, "decided|true");
    }
}

/// D13: a wrong code shows the form again. Beyond the budget no code is looked for, and afterwards the right one is
/// as good as before.
#[test]
fn wrong_codes_are_limited_and_lock_no_right_code() {
    let limits = RateLimits::none().with_user_codes(RateQuota::new(5, 3));
    let devices = Devices::limited(limits);
    let app = devices.world.register(tv());
    let codes = devices.codes(&app);
    let enter = |code: &str, user| devices.submit(&[("user_code", code)], Some(user));
    for _ in 0..20 {
        assert_eq!(enter(&codes.user, "ann").status, 200, "a right code costs nothing");
    }
    let found = devices.records.searches();
    for _ in 0..3 {
        let wrong = enter("BBBB-BBBB", "ann");
        assert_eq!((wrong.status, &*wrong.body), (400, "enter|/oauth/device||unknown_user_code"));
    }
    // No letter of a code: nothing is looked for, and nothing is charged.
    assert_eq!(enter("no code", "ann").status, 400);
    for code in ["BBBB-BBBB", &codes.user] {
        let limited = enter(code, "ann");
        assert_eq!((limited.status, limited.header("retry-after")), (429, Some("12")));
        assert_eq!(limited.body, "enter|/oauth/device||too_many_user_codes");
    }
    assert_eq!(devices.records.searches(), found + 3);
    assert_eq!(enter(&codes.user, "bob").status, 200, "another user, from the same source");
    devices.advance(12);
    devices.approve(&codes.user, "ann");
    assert_eq!(devices.poll(&app, &codes.device).status, 200);
}

/// D13: wrong codes of one user leave the right ones of others at the source alone, and those of several users spend
/// the budget of the source.
#[test]
fn wrong_codes_of_one_user_do_not_lock_out_the_source() {
    let devices = Devices::limited(RateLimits::default());
    let codes = devices.codes(&devices.world.register(tv()));
    let enter = |code: &str, user| devices.submit(&[("user_code", code)], Some(user)).status;
    let wrong = (0..40).map(|_| enter("BBBB-BBBB", "ann")).filter(|it| *it == 400).count();
    assert_eq!(wrong, 10);
    assert_eq!(enter(&codes.user, "bob"), 200);
    assert_eq!(enter(&codes.user, "ann"), 429);

    let limits = RateLimits::none().with_source_user_codes(RateQuota::new(60, 3));
    let devices = Devices::limited(limits);
    let enter =
        |devices: &Devices, user| devices.submit(&[("user_code", "BBBB-BBBB")], Some(user)).status;
    for (user, status) in [("ann", 400), ("bob", 400), ("ann", 400), ("bob", 429), ("ann", 429)] {
        assert_eq!(enter(&devices, user), status);
    }
    assert_eq!(devices.records.searches(), 3);
    assert_eq!(enter(&devices.at_address("198.51.100.1"), "bob"), 400, "another source");
}

/// D13: wrong codes from many users and sources spend a budget of all.
#[test]
fn wrong_codes_from_many_are_limited_together() {
    let limits = RateLimits::none().with_all_user_codes(RateQuota::new(60, 4));
    let mut devices = Devices::limited(limits);
    for number in 0..8 {
        devices = devices.at_address(&format!("198.51.100.{number}"));
        let user = if number % 2 == 0 { "ann" } else { "bob" };
        let page = devices.submit(&[("user_code", "BBBB-BBBB")], Some(user));
        assert_eq!(page.status, if number < 4 { 400 } else { 429 }, "{number}");
    }
    assert_eq!(devices.records.searches(), 4);
}

/// D13: a store that fails to look for a code costs the user nothing.
#[test]
fn a_failed_search_is_not_a_wrong_code() {
    let devices = Devices::limited(RateLimits::none().with_user_codes(RateQuota::new(1, 1)));
    let codes = devices.codes(&devices.world.register(tv()));
    for _ in 0..3 {
        devices.records.fail(1);
        let page = devices.submit(&[("user_code", &*codes.user)], Some("ann"));
        assert_eq!((page.status, &*page.body), (500, "error failed"));
    }
    devices.prompt(&codes.user, "ann");
}

/// D5, D15: the first decision wins. The same user may send it again, and nothing else changes it.
#[test]
fn the_first_decision_wins_and_only_its_user_may_repeat_it() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    for (first, other) in [("approve", "deny"), ("deny", "approve")] {
        let codes = devices.codes(&app);
        let (ann, bob) = (devices.prompt(&codes.user, "ann"), devices.prompt(&codes.user, "bob"));
        let decide = |prompt: &super::Prompt, user: &str, decision: &str| {
            let answer = devices.decide(&prompt.ticket, user, decision, "a b c");
            (answer.status, answer.body)
        };
        let decided = format!("decided|{}", first == "approve");
        let refused = (400, "error already_decided".to_owned());
        assert_eq!(decide(&ann, "ann", first), (200, decided.clone()));
        assert_eq!(decide(&ann, "ann", first), (200, decided.clone()));
        assert_eq!(decide(&ann, "ann", other), refused);
        assert_eq!(decide(&bob, "bob", first), refused);
        assert_eq!(decide(&bob, "bob", other), refused);
        let page = devices.submit(&[("user_code", &*codes.user)], Some("bob"));
        assert_eq!((page.status, &*page.body), (400, "enter|/oauth/device||already_decided"));
        let poll = devices.poll(&app, &codes.device);
        if first == "approve" {
            assert_eq!(poll.claims()["sub"], "ann");
            assert_eq!(decide(&ann, "ann", first), (200, decided), "also after the poll");
        } else {
            poll.assert_error(400, "access_denied");
        }
    }
}

/// D15: a repeated approval is recorded with the scope of the first one, and is refused once the access has ended.
#[test]
fn a_repeated_approval_is_that_of_the_first_and_of_live_access() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    let codes = devices.codes(&app);
    let prompt = devices.prompt(&codes.user, "ann");
    for scopes in ["a", "a b"] {
        let answer = devices.decide(&prompt.ticket, "ann", "approve", scopes);
        assert_eq!(answer.body, "decided|true");
    }
    let events = devices.world.events().into_iter();
    let recorded: Vec<_> = events
        .filter(|it| it.action.as_str() == "approve_device")
        .map(|it| it.scope.unwrap().as_str().to_owned())
        .collect();
    assert_eq!(recorded, ["a", "a"]);
    let ann = RevocationTarget::Subject(Subject::new("ann").unwrap());
    let admin = devices.world.server.admin("root");
    devices.world.block_on(admin.revoke(ann)).unwrap();
    devices.advance(60);
    let again = devices.decide(&prompt.ticket, "ann", "approve", "a");
    assert_eq!((again.status, &*again.body), (400, "error already_decided"));
}

/// D15: an approval without any scope is a denial.
#[test]
fn an_approval_of_no_scope_is_a_denial() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    let codes = devices.codes(&app);
    let prompt = devices.prompt(&codes.user, "ann");
    let answer = devices.decide(&prompt.ticket, "ann", "approve", "");
    assert_eq!(answer.body, "decided|false");
    devices.poll(&app, &codes.device).assert_error(400, "access_denied");
    assert_eq!(devices.world.count("deny_authorization"), 1);
}

/// D15: a ticket is of one user in one session, for as long as the codes. The ticket of another page is none.
#[test]
fn a_ticket_is_good_for_its_user_in_its_time() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    let codes = devices.codes(&app);
    let prompt = devices.prompt(&codes.user, "ann");
    let body = |answer: &Answered| (answer.status, answer.body.clone());
    let refused = |reason: &str| (400, format!("error {reason}"));
    let decide = |ticket: &str, user| body(&devices.decide(ticket, user, "approve", "a"));
    assert_eq!(decide(&prompt.ticket, "bob"), refused("invalid_ticket"));
    assert_eq!(decide(&prompt.ticket[1..], "ann"), refused("invalid_ticket"));
    let form = [("ticket", &*prompt.ticket), ("decision", "approve"), ("scope", "a")];
    assert_eq!(body(&devices.submit(&form, None)), refused("invalid_ticket"));
    let as_code = Request::post("/oauth/decision")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("cookie", "ann");
    let as_code = devices.world.send(as_code.body(encode(&form)).unwrap());
    assert_eq!(body(&as_code), refused("invalid_ticket"));
    for (form, reason) in [
        (vec![("ticket", &*prompt.ticket)], "missing_parameter"),
        (vec![("ticket", &*prompt.ticket), ("decision", "maybe")], "unsupported_parameter"),
        (vec![("ticket", &*prompt.ticket), ("ticket", &*prompt.ticket)], "duplicate_parameter"),
    ] {
        assert_eq!(body(&devices.submit(&form, Some("ann"))), refused(reason));
    }
    devices.advance(599);
    let late = devices.prompt(&codes.user, "ann");
    devices.advance(1);
    for ticket in [&prompt.ticket, &late.ticket] {
        assert_eq!(decide(ticket, "ann"), refused("ticket_expired"));
    }
    let page = devices.submit(&[("user_code", &*codes.user)], Some("ann"));
    assert_eq!(page.body, "enter|/oauth/device||unknown_user_code");
}

/// D14: a form of another site is refused, with a code and with a ticket.
#[test]
fn a_form_of_another_site_is_refused() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    let codes = devices.codes(&app);
    let prompt = devices.prompt(&codes.user, "ann");
    let found = devices.records.searches();
    for form in [
        vec![("user_code", &*codes.user)],
        vec![("ticket", &*prompt.ticket), ("decision", "approve"), ("scope", "a")],
    ] {
        for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]
        {
            let request = Request::post(PAGE)
                .header("content-type", "application/x-www-form-urlencoded")
                .header("cookie", "ann")
                .header(name, value);
            let page = devices.world.send(request.body(encode(&form)).unwrap());
            assert_eq!((page.status, &*page.body), (400, "error invalid_ticket"));
        }
    }
    assert_eq!(devices.records.searches(), found);
    devices.poll(&app, &codes.device).assert_error(400, "authorization_pending");
}

/// D15: an app that changes between the request and the decision is judged as it is then.
#[test]
fn the_app_is_judged_as_it_is_at_each_step() {
    let devices = Devices::new();
    let app: App = devices.world.register(tv());
    let Codes { device, user } = devices.codes(&app);
    let prompt = devices.prompt(&user, "ann");
    let admin = devices.world.server.admin("root");
    devices.world.block_on(admin.disable(&app.id)).unwrap();
    let decide = || devices.decide(&prompt.ticket, "ann", "approve", "a b c").body;
    assert_eq!(decide(), "error app_disabled");
    let page = devices.submit(&[("user_code", &*user)], Some("ann"));
    assert_eq!(page.body, "error app_disabled");
    devices.world.block_on(admin.enable(&app.id)).unwrap();
    devices.advance(6);
    devices.world.edit(&app, |draft| draft.scope(crate::support::scope("d")));
    assert_eq!(decide(), "error scope_withdrawn");
    devices.world.edit(&app, |draft| draft.scope(crate::support::scope("a d")));
    assert_eq!(decide(), "decided|true");
    assert_eq!(devices.poll(&app, &device).text("scope"), "a");
}
