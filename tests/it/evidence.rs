//! Evidence in the audit log: the decision of a user, and the tokens that came of it.

use std::collections::BTreeSet;

use grantor::audit::{Action, Actor, AuditEvent, AuditQuery, AuditStore as _, EventId, NewEvent};
use grantor::clock::UnixTime;
use grantor::endpoint::Decision;
use grantor::ids::Resource;
use grantor::observe::{Outcome, Step};
use grantor::store::{Page, RevocationTarget};
use grantor::{Flow, MemoryStore};
use pollster::block_on;

use crate::consent::{approve, code_of, decide, here, yes_to};
use crate::support::{
    CALLBACK, World, body_of, code_app, code_query, machine_app, new_verifier, subject,
};

/// Z35: the prompt, the decision, the code's tokens and the refresh are tied by the grant id, and state scope,
/// API, flow and request.
#[test]
fn a_token_leads_back_to_the_decision_of_the_user() {
    let world = World::new();
    let api = Resource::new("https://api.example.com").unwrap();
    let app = world.register(code_app().resources([api.clone()]));
    let verifier = new_verifier();
    let query = code_query(&app, &verifier, &[("scope", "a b"), ("resource", api.as_str())]);
    let prompt = world.prompt(&query, &here(&world));
    let prompted = world.last_event();
    let decided = decide(&world, &prompt.ticket, &here(&world), yes_to("b"));
    let code = code_of(&decided.unwrap());
    let approved = world.last_event();
    let answer = world.post(
        &app,
        &[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier.expose_secret()),
        ],
    );
    let issued = world.last_event();
    let token = answer.json["refresh_token"].as_str().unwrap();
    world.post(&app, &[("grant_type", "refresh_token"), ("refresh_token", token)]);
    let refreshed = world.last_event();

    let grant_id = answer.claims()["grant_id"].as_str().unwrap().parse().unwrap();
    let events = [&prompted, &approved, &issued, &refreshed];
    let actions = events.map(|event| event.action.as_str());
    assert_eq!(actions, ["authorize", "issue_code", "issue_token", "issue_token"]);
    for (event, scope) in events.into_iter().zip(["a b", "b", "b", "b"]) {
        assert_eq!(event.grant_id, Some(grant_id));
        assert_eq!(event.flow, Some(Flow::AuthorizationCode));
        assert_eq!(event.scope.as_ref().unwrap().as_str(), scope);
        assert_eq!(event.resources.as_ref().unwrap().to_string(), api.as_str());
        assert_eq!(event.client_id.as_ref(), Some(&app.id));
    }
    assert!(issued.request_id.is_some());
    assert_ne!(issued.request_id, refreshed.request_id);

    // A denial names the grant that never came.
    let query = code_query(&app, &new_verifier(), &[("scope", "a")]);
    let prompt = world.prompt(&query, &here(&world));
    let denial = decide(&world, &prompt.ticket, &here(&world), Decision::Deny);
    assert!(denial.is_err());
    let denied = world.last_event();
    assert_eq!(denied.action, Action::DenyAuthorization);
    assert!(denied.grant_id.is_some() && denied.grant_id != Some(grant_id));
    assert_eq!(denied.scope.unwrap().as_str(), "");
}

/// Z35: an app that acts for itself leaves the same evidence, and a refusal names its request.
#[test]
fn every_token_request_leaves_its_id_and_what_it_gave() {
    let world = World::new();
    let app = world.register(machine_app());
    let answer = world.post(&app, &[("grant_type", "client_credentials"), ("scope", "b")]);
    let event = world.last_event();
    assert_eq!(event.flow, Some(Flow::ClientCredentials));
    assert_eq!(event.scope.unwrap().as_str(), "b");
    assert_eq!(event.resources, None);
    let grant_id = answer.claims()["grant_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(event.grant_id, Some(grant_id));
    let body = body_of(&app, &[("grant_type", "client_credentials"), ("scope", "z")]);
    let refused = world.send_form("/oauth/token", None, &body);
    let event = world.last_event();
    assert_eq!(event.outcome.as_str(), "refused");
    assert_eq!(event.request_id.unwrap().as_str(), refused.header("x-request-id").unwrap());
    assert_eq!((event.flow, event.scope), (Some(Flow::ClientCredentials), None));
}

/// Z35: the log is read back as typed events. An event of an earlier version has no evidence, and one of a
/// later version is refused.
#[test]
fn the_log_is_read_as_typed_events() {
    let world = World::new();
    let app = world.register(code_app());
    let (code, verifier) = world.code(&app);
    let more = [("code", &*code), ("redirect_uri", CALLBACK), ("code_verifier", &*verifier)];
    world.post(&app, &[&[("grant_type", "authorization_code")], &more[..]].concat());
    world.post(&app, &[&[("grant_type", "authorization_code")], &more[..]].concat());
    world.post(&app, &[("grant_type", "client_credentials")]);
    let admin = world.server.admin("tester");
    block_on(admin.revoke(RevocationTarget::Subject(subject("ann")))).unwrap();
    world.edit(&app, |draft| draft.description("x"));
    let mut events = world.events();
    let failed = Outcome::failed(Step::Claim, &std::fmt::Error);
    let dropped = Action::DropEvents { dropped: 7 };
    let at = UnixTime::from_millis(7);
    events.push(AuditEvent::new(at, Actor::Server, dropped, failed));
    let lost = Action::LoseEvents { since: at };
    events.push(AuditEvent::new(at, Actor::Unknown, lost, Outcome::Success));
    let kinds: BTreeSet<_> = events.iter().map(|it| it.outcome.as_str()).collect();
    assert_eq!(kinds.len(), 3);

    let log = MemoryStore::new();
    let new = |(at, event): (usize, &AuditEvent)| {
        let id = EventId::new(event.at, [u8::try_from(at).unwrap(); 10]);
        NewEvent { id, event: event.clone() }
    };
    block_on(log.append(&events.iter().enumerate().map(new).collect::<Vec<_>>())).unwrap();
    let stored = block_on(log.find_events(&AuditQuery::all(), Page::first(200))).unwrap().items;
    assert_eq!(stored.len(), events.len());
    for stored in &stored {
        let read = stored.event().unwrap();
        assert!(events.contains(&read), "{read:?}");
        assert_eq!(serde_json::to_string(&read).unwrap(), stored.json);
    }
    let earlier = r#"{"at":1,"actor":"app","actor_name":"x","action":"issue_token","grant_type":"refresh_token",
        "outcome":"refused","step":"grant","reason":"r","setting":null,"client_id":"x","subject":null,
        "grant_id":null,"source":null}"#;
    let read: AuditEvent = serde_json::from_str(earlier).unwrap();
    assert_eq!((read.count, read.scope, read.outcome.reason()), (1, None, Some("r")));
    let later = earlier.replace("issue_token", "a_new_action");
    assert!(serde_json::from_str::<AuditEvent>(&later).is_err());
}

/// Z35: the record of a user has every consent, grant and event, of this user only, and no digest.
#[test]
fn the_record_of_a_user_is_whole_and_has_no_digests() {
    let world = World::new();
    let app = world.register(code_app());
    let log = MemoryStore::new();
    let (code, verifier) = world.code(&app);
    let answer = world.post(
        &app,
        &[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", &verifier),
        ],
    );
    let query = code_query(&app, &new_verifier(), &[("scope", "a")]);
    let prompt = world.prompt(&query, &here(&world));
    approve(&world, &prompt.ticket).unwrap();
    for (at, event) in world.events().into_iter().enumerate() {
        let id = EventId::new(event.at, [u8::try_from(at).unwrap(); 10]);
        block_on(log.append(&[NewEvent { id, event }])).unwrap();
    }
    let admin = world.server.admin("auditor");
    let record = block_on(admin.export_subject(&subject("ann"), &log)).unwrap();
    assert_eq!(world.last_event().action, Action::ExportSubject);
    assert_eq!(world.last_event().subject, Some(subject("ann")));
    assert_eq!((record.consents.len(), record.grants.len()), (1, 2));
    let used = record.grants.iter().filter(|grant| grant.last_used.is_some());
    let used: Vec<_> = used.map(|grant| grant.grant_id.to_string()).collect();
    assert_eq!(used, [answer.claims()["grant_id"].as_str().unwrap()]);
    let about_ann = world.events().iter().filter(|it| it.subject == Some(subject("ann"))).count();
    assert_eq!(record.events.len(), about_ann - 1);
    let json = serde_json::to_string(&record).unwrap();
    for hidden in ["digest", "binding", "salt", "claim"] {
        assert!(!json.contains(hidden), "{hidden}: {json}");
    }
    let other = block_on(admin.export_subject(&subject("bob"), &log)).unwrap();
    assert_eq!((other.consents.len(), other.grants.len(), other.events.len()), (0, 0, 0));
}
