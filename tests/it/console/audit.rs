//! The audit log, and the activity of one app.

use std::sync::Arc;

use grantor::audit::{Action, Actor, AuditEvent, AuditStore, EventId, NewEvent};
use grantor::clock::UnixTime;
use grantor::http::console::Console;
use grantor::ids::{ClientId, Subject};
use grantor::observe::{Outcome, Step};
use grantor::protocol::GrantType;
use grantor::store::MemoryStore;

use super::desk::{Desk, Desks, MOUNT, Staff, console, registered};
use super::html::{check, tags, words};
use crate::support::{World, machine_app};

/// The console of `world` with these events, one each second, the newest last.
pub(super) fn console_with_events(world: &World, events: &[AuditEvent]) -> Desks {
    let log = Arc::new(MemoryStore::new());
    let stored: Vec<_> = events
        .iter()
        .enumerate()
        .map(|(at, event)| {
            let at = UnixTime::from_seconds(1_600_000_000 + i64::try_from(at).unwrap());
            let mut event = event.clone();
            event.at = at;
            NewEvent { id: EventId::new(at, [0; 10]), event }
        })
        .collect();
    for some in stored.chunks(100) {
        world.block_on(log.append(some)).unwrap();
    }
    Console::new(Arc::clone(&world.server), Staff, MOUNT).unwrap().with_audit_log(log)
}

fn token(app: &ClientId, outcome: Outcome) -> AuditEvent {
    let action = Action::IssueToken { grant_type: Some(GrantType::JwtBearer) };
    AuditEvent::new(UnixTime::EPOCH, Actor::App(app.clone()), action, outcome)
}

fn refused() -> Outcome {
    Outcome::refused(Step::Grant, "impersonation_excepted", Some("jwt.impersonation"))
}

fn rows(page: &str) -> usize {
    tags(page).iter().filter(|tag| tag.name == "details").count()
}

/// H13: an event is a sentence that names the app, the user and the reason, with the raw event behind it.
#[test]
fn events_are_sentences_with_the_raw_event_behind_them() {
    let world = World::new();
    let (app, path) = registered(&world, machine_app().name("Archive"));
    let root = Subject::new("root").unwrap();
    let console = console_with_events(&world, &[token(&app.id, refused()).with_subject(&root)]);
    let desk = Desk::new(&console, "view");
    let log = desk.page("/audit");
    check(&log, MOUNT);
    let sentence =
        |name: &str| format!("App {name} was refused to act as root: excluded by the policy");
    assert!(words(&log).contains(&sentence(app.id.as_str())), "{}", words(&log));
    let activity = desk.page(&format!("{path}/activity"));
    check(&activity, MOUNT);
    let said = words(&activity);
    assert!(said.contains(&sentence("Archive")), "{said}");
    assert!(said.contains("Decided by the setting jwt.impersonation"), "{said}");
    assert!(said.contains("\"reason\": \"impersonation_excepted\""), "{said}");
    let current: Vec<_> = tags(&activity)
        .into_iter()
        .filter(|tag| tag.attribute("aria-current") == Some("page"))
        .map(|tag| tag.text)
        .collect();
    assert!(current.contains(&"Activity".to_owned()), "{current:?}");
}

/// H13: the filters, alone and together. Each page of an app has the events of this app only.
#[test]
fn events_are_filtered_by_app_user_outcome_and_action() {
    let world = World::new();
    let (one, path) = registered(&world, machine_app());
    let (two, _) = registered(&world, machine_app());
    let (ann, actor) = (Subject::new("ann").unwrap(), Actor::Administrator("eve".into()));
    let delete = AuditEvent::new(UnixTime::EPOCH, actor, Action::DeleteApp, Outcome::Success);
    let console = console_with_events(
        &world,
        &[
            token(&one.id, Outcome::Success),
            token(&one.id, refused()).with_subject(&ann),
            token(&two.id, Outcome::Success).with_subject(&ann),
            delete.with_app(&two.id),
        ],
    );
    let desk = Desk::new(&console, "view");
    let (one, two) = (one.id.as_str(), two.id.as_str());
    for (query, count) in [
        (String::new(), 4),
        (format!("?app={one}"), 2),
        (format!("?app={two}"), 2),
        ("?user=ann".to_owned(), 2),
        (format!("?user=ann&app={two}"), 1),
        ("?outcome=success".to_owned(), 3),
        ("?outcome=refused".to_owned(), 1),
        ("?outcome=failed".to_owned(), 0),
        ("?action=delete_app".to_owned(), 1),
        (format!("?action=issue_token&outcome=success&app={one}"), 1),
        ("?user=stranger".to_owned(), 0),
        ("?app=%20%20".to_owned(), 4),
        ("?app=%0A%01x".to_owned(), 0),
        ("?action=nonsense&outcome=nonsense&after=nonsense".to_owned(), 4),
    ] {
        let page = desk.page(&format!("/audit{query}"));
        check(&page, MOUNT);
        assert_eq!(rows(&page), count, "{query}");
        assert_eq!(page.contains("No event fits"), count == 0, "{query}");
    }
    let mine = desk.page(&format!("{path}/activity?app={two}"));
    assert_eq!((rows(&mine), mine.contains("name=\"app\"")), (2, false));
    let page = desk.page("/audit?user=ann&action=issue_token");
    let link = format!("{MOUNT}/audit?user=ann&outcome=refused&action=issue_token");
    assert!(tags(&page).iter().any(|tag| tag.attribute("href") == Some(&link)), "{page}");
}

/// H13: the log is paged by key. A filter without an index reads a bounded number of events, and says so.
#[test]
fn the_log_is_paged_by_key_and_shows_each_event_once() {
    let world = World::new();
    let (app, _) = registered(&world, machine_app());
    let event = |at: usize| {
        let refuses = at.is_multiple_of(3);
        token(&app.id, if refuses { refused() } else { Outcome::Success })
    };
    let events: Vec<_> = (0..420).map(event).collect();
    let console = console_with_events(&world, &events);
    let desk = Desk::new(&console, "view");
    for (query, all, pages) in
        [("", 420, 9), ("?outcome=refused", 140, 3), ("?outcome=success", 280, 6)]
    {
        let (mut below, mut seen, mut count) = (format!("/audit{query}"), 0, 0);
        loop {
            let page = desk.page(&below);
            (seen, count) = (seen + rows(&page), count + 1);
            let next = tags(&page).into_iter().find(|tag| tag.text == "Older events");
            let Some(next) = next else { break };
            below = next.attribute("href").unwrap().strip_prefix(MOUNT).unwrap().to_owned();
        }
        assert_eq!((seen, count), (all, pages), "{query}");
    }
    let mut events = vec![token(&app.id, refused())];
    events.extend((0..700).map(|_| token(&app.id, Outcome::Success)));
    let console = console_with_events(&world, &events);
    let page = Desk::new(&console, "view").page("/audit?outcome=refused");
    check(&page, MOUNT);
    assert!(page.contains("No event fits so far") && page.contains("Older events"), "{page}");
}

#[test]
fn without_an_audit_log_the_pages_say_what_to_connect() {
    let world = World::new();
    let (_, path) = registered(&world, machine_app());
    let console = console(&world);
    let desk = Desk::new(&console, "view");
    for below in ["/audit".to_owned(), format!("{path}/activity")] {
        let page = desk.page(&below);
        check(&page, MOUNT);
        assert!(page.contains("No audit log is connected"), "{below}");
    }
    assert_eq!(desk.get("/apps/unknown/activity").status, 404);
}

/// The overview has the last refusals and failures of its app as sentences with the setting that decided, out of a
/// bounded number of events.
#[test]
fn the_overview_tells_the_last_errors_with_the_setting_that_decided() {
    let world = World::new();
    let (app, path) = registered(&world, machine_app().name("Archive"));
    let (other, _) = registered(&world, machine_app());
    let users = (0..8).map(|at| Subject::new(format!("user {at}")).unwrap());
    let mut events: Vec<_> =
        users.map(|user| token(&app.id, refused()).with_subject(&user)).collect();
    let failed = Outcome::Failed { step: Step::Claim, reason: "<b>no store".to_owned() };
    events.extend([token(&app.id, failed), token(&app.id, Outcome::Success)]);
    events.push(token(&other.id, refused()).with_subject(&Subject::new("foreign").unwrap()));
    let console = console_with_events(&world, &events);
    let page = Desk::new(&console, "view").page(&path);
    check(&page, MOUNT);
    let said = words(&page);
    let told = "App Archive was refused to act as user 7: excluded by the policy";
    assert!(said.contains(told), "{said}");
    let setting = "Decided by the setting jwt.impersonation (the users that the app may act as)";
    assert_eq!(said.matches(setting).count(), 4, "{said}");
    assert!(said.contains("and the server failed") && page.contains("&#60;b&#62;no store"));
    assert!(!said.contains("user 3") && !said.contains("foreign"), "{said}");
    let link = format!("{MOUNT}{path}/activity?outcome=errors");
    assert!(tags(&page).iter().any(|tag| tag.attribute("href") == Some(&link)), "{page}");
    let all = desk_page_of_errors(&console, &path);
    assert!(
        all.contains("and the server failed") && all.contains("excluded by the policy"),
        "{all}"
    );
    assert!(!all.contains("got a token"), "{all}");

    let mut events = vec![token(&app.id, refused())];
    for (more, sentence) in [
        (199, "excluded by the policy"),
        (1, "Among the newest 200 events, no request was refused"),
    ] {
        events.extend((0..more).map(|_| token(&app.id, Outcome::Success)));
        let console = console_with_events(&world, &events);
        let said = words(&Desk::new(&console, "view").page(&path));
        assert!(said.contains(sentence), "{sentence}: {said}");
    }
    let console = console_with_events(&world, &[]);
    let said = words(&Desk::new(&console, "view").page(&path));
    assert!(said.contains("No request was refused, and none failed."), "{said}");
}

/// The words of the page to which the last errors lead.
fn desk_page_of_errors(console: &Desks, path: &str) -> String {
    let page = Desk::new(console, "view").page(&format!("{path}/activity?outcome=errors"));
    check(&page, MOUNT);
    words(&page).split("Outcome").last().unwrap_or_default().to_owned()
}
