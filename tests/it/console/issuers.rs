//! Trusted issuers: the list, the overview, the danger zone, and their events in the audit log.

use std::time::Duration;

use grantor::app::{
    ImpersonationPolicy, IssuerKeys, JwksUri, RevocationTrust, SubjectPattern, TrustedIssuer,
    UserTrust, WorkloadRule,
};
use grantor::ids::{EvidenceIssuer, Group};
use grantor::jwt::Algorithm;
use grantor::users::Members;
use serde_json::json;

use super::desk::{Desk, MOUNT, console, reported};
use super::html::{check, tags, words};
use crate::support::{World, scope, subject};
use crate::trusted_issuers::{IDP, ask, idp, trust, users_of, wiki, with_idp, world};

/// Returns the path of the page of an issuer, from the list.
pub(super) fn path_of(desk: &Desk<'_>, name: &str) -> String {
    let list = desk.page("/issuers");
    check(&list, MOUNT);
    let tags = tags(&list);
    let link = tags.windows(2).find_map(|pair| {
        let link = pair[0].attribute("href")?.strip_prefix(MOUNT)?;
        (link.starts_with("/issuers/") && pair[1].text == name).then_some(link)
    });
    link.unwrap().to_owned()
}

/// H24: a server without trusted issuers has no page of them, and no link to one.
#[test]
fn a_server_without_trusted_issuers_has_no_page_of_them() {
    let world = World::new();
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    assert!(!desk.page("/apps").contains("/issuers"));
    for page in ["/issuers", "/issuers/x", "/issuers/x/danger", "/issuers/x/danger/remove"] {
        assert_eq!(desk.get(page).status, 404, "{page}");
    }
    assert_eq!(desk.post("/issuers/x/danger/revoke", &[]).status, 404);
}

/// H24: the list says for which evidence and apps each issuer is trusted, and until when.
#[test]
fn the_list_says_what_each_issuer_is_trusted_for() {
    let world = world();
    let console = console(&world);
    let desk = Desk::new(&console, "view");
    let empty = desk.page("/issuers");
    check(&empty, MOUNT);
    assert!(empty.contains("The server trusts no other issuer yet"));
    let app = world.register(wiki().name("Team Wiki"));
    let until = |seconds| Some(world.clock_now().plus(Duration::from_secs(seconds)));
    trust(&world, idp().with_id_jag(users_of(&app)).with_expiry(until(3_600)));
    let named = |name: &str, issuer: &str| {
        let keys = IssuerKeys::Uri(JwksUri::new("https://keys.example/jwks").unwrap());
        let issuer = EvidenceIssuer::new(issuer).unwrap();
        TrustedIssuer::new(issuer, name, keys, [Algorithm::RS256])
    };
    trust(&world, named("Idle", "https://idle.example"));
    let rules = (0..5).map(|number| {
        let app = format!("gone-{number}").parse().unwrap();
        WorkloadRule::new(app, SubjectPattern::new("repo:acme/*").unwrap())
    });
    trust(&world, named("Builds", "https://builds.example").with_workloads(rules));
    let said = words(&desk.page("/issuers"));
    for row in [
        "Acmehttps://acme.idp.example Users Team Wiki Expires soon in 1 hour",
        "Idlehttps://idle.example nothing yet none Accepts nothing",
        "Buildshttps://builds.example Workloads gone-0, gone-1, gone-2 and 2 more Trusted",
    ] {
        assert!(said.contains(row), "{row}: {said}");
    }
    let found = words(&desk.page("/issuers?search=BUILDS.ex"));
    assert!(found.contains("Builds") && !found.contains("Acme"), "{found}");
    let none = desk.page("/issuers?search=no-such");
    check(&none, MOUNT);
    assert!(none.contains("No issuer fits") && none.contains("Show all issuers"));
    world.advance(3_600);
    assert!(words(&desk.page("/issuers")).contains("Team Wiki Expired just now"));
}

/// H24: the overview tells in words what the server accepts, and has no button for an administrator who may only look.
#[test]
fn the_overview_tells_what_the_server_accepts() {
    let world = world();
    let app = world.register(wiki().name("Team Wiki"));
    let staff = Members::groups([Group::new("staff").unwrap()]);
    let users = UserTrust::new([app.id.clone()])
        .with_user_claim("employee")
        .with_email(true)
        .with_policy(ImpersonationPolicy::members(staff).with_scope(scope("a b")));
    let rule = WorkloadRule::new(app.id.clone(), SubjectPattern::new("repo:acme/site:*").unwrap())
        .with_claim("repository_owner_id", "65")
        .with_authentication(true)
        .with_scope(scope("c"));
    let ends = RevocationTrust::default().with_email(true);
    let ends = ends.with_users(Members::subjects([subject("bob")]));
    let record = idp()
        .with_id_jag(users)
        .with_workloads([rule])
        .with_workload_audience("https://api.example.com")
        .with_tenant("blue")
        .with_global_revocation(ends);
    trust(&world, record);
    let console = console(&world);
    let desk = Desk::new(&console, "view");
    let path = path_of(&desk, "Acme");
    let page = desk.page(&path);
    check(&page, MOUNT);
    assert!(!page.contains("method=\"post\""));
    let said = words(&page);
    for text in [
        "The app may act as members of staff. Apps Team Wiki",
        "the link of the host, by iss and sub the claim employee the e-mail address, if",
        "Scopes at most a b",
        "repo:acme/site:* App Team Wiki Claims repository_owner_id = 65 Scopes at most c The app proves itself by the token alone",
        "Issuer iss https://acme.idp.example",
        "Tenant blue",
        "May end all access of a user yes",
        "It may end the access of bob. The user is found by the link of the host, by iss and sub the e-mail address of the host's directory",
        "Algorithms ES256 Longest lifetime 1 hour Tolerated clock difference 10 seconds Each is good once",
        "Their aud https://api.example.com",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    let danger = desk.page(&format!("{path}/danger"));
    check(&danger, MOUNT);
    assert!(!danger.contains("/danger/revoke") && danger.contains("Your role may not end access."));
    for act in ["revoke", "remove"] {
        assert_eq!(desk.get(&format!("{path}/danger/{act}")).status, 403);
        assert_eq!(desk.post(&format!("{path}/danger/{act}"), &[("name", "Acme")]).status, 403);
        let edit = Desk::new(&console, "edit");
        assert_eq!(edit.post(&format!("{path}/danger/{act}"), &[("name", "Acme")]).status, 403);
    }
}

/// H9, H15, H24, J46: what an issuer gave is revoked without the trust, and the trust ends with all of it. Each has a
/// page that names what ends, and the end of the trust asks for the name.
#[test]
fn what_an_issuer_gave_is_revoked_and_the_trust_ends_under_its_name() {
    let (world, app) = with_idp(TrustedIssuer::with_id_jag);
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let path = path_of(&desk, "Acme");
    let danger = desk.page(&format!("{path}/danger"));
    check(&danger, MOUNT);
    let first = ask(&world, &app, &json!({}));
    let page = desk.page(&format!("{path}/danger/revoke"));
    check(&page, MOUNT);
    assert!(page.contains("The access of 1 app on its evidence."));
    assert!(!world.is_revoked(&first));
    let answer = desk.post(&format!("{path}/danger/revoke"), &[]);
    assert!(reported(&answer).ends_with("?done=evidence-revoked"));
    assert!(world.is_revoked(&first));
    assert_eq!(world.last_event().action.as_str(), "revoke");
    world.advance(2);
    let second = ask(&world, &app, &json!({}));
    assert_eq!(second.status, 200, "the trust stays");
    assert!(!world.is_revoked(&second));

    let remove = format!("{path}/danger/remove");
    check(&desk.page(&remove), MOUNT);
    for name in ["", "acme", "Acme Inc"] {
        let refused = desk.post(&remove, &[("name", name)]);
        assert_eq!(refused.status, 422, "{name}");
        check(&refused.body, MOUNT);
    }
    assert!(!world.is_revoked(&second));
    let answer = desk.post(&remove, &[("name", " Acme ")]);
    assert!(reported(&answer).ends_with("/issuers?done=issuer-removed"));
    assert!(world.is_revoked(&second));
    assert_eq!(world.last_event().action.as_str(), "remove_trusted_issuer");
    ask(&world, &app, &json!({})).assert_error(400, "invalid_grant");
    for page in ["", "/danger", "/danger/remove"] {
        let gone = desk.get(&format!("{path}{page}"));
        assert_eq!(gone.status, 404);
        assert!(gone.body.contains("There is no such trusted issuer"), "{}", gone.body);
    }
    assert_eq!(desk.post(&remove, &[("name", "Acme")]).status, 404);
    assert_eq!(desk.get(&format!("{path}/danger/explode")).status, 404);
}

/// H13, H24: events of an issuer are sentences with a link to its page: its changes, and the decisions on its evidence.
#[test]
fn events_of_an_issuer_lead_to_its_page() {
    let (world, app) = with_idp(TrustedIssuer::with_id_jag);
    assert_eq!(ask(&world, &app, &json!({})).status, 200);
    let console = super::audit::console_with_events(&world, &world.events());
    let desk = Desk::new(&console, "view");
    let path = path_of(&desk, "Acme");
    let log = desk.page("/audit");
    check(&log, MOUNT);
    let said = words(&log);
    let sentence =
        format!("Administrator root let the server trust the issuer {IDP} Trusted issuer: {IDP}");
    assert!(said.contains(&sentence), "{said}");
    let link = format!("{MOUNT}{path}");
    let links = tags(&log).iter().filter(|tag| tag.attribute("href") == Some(&link)).count();
    assert_eq!(links, 2, "the change and the token: {said}");
}
