//! The usage of an app by day, as a chart and as a table.

use std::sync::Arc;
use std::time::Duration;

use grantor::audit::{Action, Actor, AuditEvent, AuditStore as _, EventId, NewEvent};
use grantor::clock::Clock as _;
use grantor::http::console::Console;
use grantor::ids::ClientId;
use grantor::observe::{Outcome, Step};
use grantor::protocol::GrantType;
use grantor::random::OsRandom;
use grantor::store::MemoryStore;

use super::desk::{Desk, Desks, MOUNT, Staff, console, registered};
use super::html::{check, tags};
use crate::support::{World, code_app};

/// The console of `world` with these requests of an app: days ago, grant type or refusal, count.
fn console_with_days(
    world: &World,
    app: &ClientId,
    requests: &[(u64, Option<GrantType>, u64)],
) -> Desks {
    let log = Arc::new(MemoryStore::new());
    let event = |(ago, grant_type, count): &(u64, Option<GrantType>, u64)| {
        let at = world.clock.now().minus(Duration::from_hours(ago * 24));
        let outcome = match grant_type {
            Some(_) => Outcome::Success,
            None => Outcome::refused(Step::Grant, "grant_expired", None),
        };
        let action = Action::IssueToken { grant_type: *grant_type };
        let mut event = AuditEvent::new(at, Actor::App(app.clone()), action, outcome);
        event.count = *count;
        NewEvent { id: EventId::generate(at, &OsRandom::new()).unwrap(), event }
    };
    let events: Vec<_> = requests.iter().map(event).collect();
    world.block_on(log.append(&events)).unwrap();
    Console::new(Arc::clone(&world.server), Staff, MOUNT).unwrap().with_audit_log(log)
}

/// The texts of the cells of a table, row by row.
fn cells(page: &str) -> Vec<String> {
    let tags = tags(page);
    let cells = tags.iter().filter(|tag| tag.name == "time" || tag.name == "td");
    cells.map(|tag| tag.text.clone()).collect()
}

fn bars(page: &str, class: &str) -> usize {
    tags(page)
        .iter()
        .filter(|tag| tag.name == "rect" && tag.attribute("class") == Some(class))
        .count()
}

/// H13: the usage is drawn by flow and day, and stands in a table, too.
#[test]
fn usage_is_a_chart_and_the_same_figures_as_a_table() {
    use GrantType::{AuthorizationCode, RefreshToken};
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    let requests = [
        (40, Some(AuthorizationCode), 7),
        (20, Some(RefreshToken), 1_500),
        (2, Some(AuthorizationCode), 1),
        (2, Some(RefreshToken), 3),
        (2, None, 2),
        (0, None, 5),
    ];
    let console = console_with_days(&world, &app.id, &requests);
    let desk = Desk::new(&console, "view");
    let usage = format!("{path}/usage");
    let page = desk.page(&usage);
    check(&page, MOUNT);
    assert_eq!(page, desk.page(&format!("{usage}?days=31")), "30 days by default");
    assert!(page.contains("1,504 tokens and 7 refusals in the last 30 days."));
    for text in ["1,500 tokens on one day at most", "5 refusals on one day at most"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(page.contains("<title>12 Nov 2023: 4 tokens, 2 refusals</title>"));
    assert_eq!(bars(&page, "day"), 30);
    assert_eq!([bars(&page, "flow-1"), bars(&page, "flow-2"), bars(&page, "refused")], [1, 2, 2]);
    let expected = [
        &["25 Oct 2023", "0", "1,500", "0"][..],
        &["12 Nov 2023", "1", "3", "2"],
        &["14 Nov 2023", "0", "0", "5"],
    ];
    assert_eq!(cells(&page), expected.concat());
    let week = desk.page(&format!("{usage}?days=7"));
    check(&week, MOUNT);
    assert!(
        week.contains("4 tokens and 7 refusals in the last 7 days.") && bars(&week, "day") == 7
    );
    let quarter = desk.page(&format!("{usage}?days=90"));
    assert!(quarter.contains("1,511 tokens and 7 refusals") && bars(&quarter, "day") == 90);

    let overview = desk.page(&path);
    check(&overview, MOUNT);
    assert!(overview.contains("1,504 tokens and 7 refusals in the last 30 days."));
    assert!(
        tags(&overview).iter().any(|it| it.attribute("href") == Some(&format!("{MOUNT}{usage}")))
    );
}

#[test]
fn a_page_without_usage_says_what_would_count() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    let usage = format!("{path}/usage");
    let none = console_with_days(&world, &app.id, &[(100, Some(GrantType::RefreshToken), 1)]);
    let desk = Desk::new(&none, "view");
    let page = desk.page(&usage);
    check(&page, MOUNT);
    assert!(page.contains("No requests in this time") && !page.contains("<svg"));
    let overview = desk.page(&path);
    assert!(!overview.contains("<svg") && overview.contains("Tokens by"));
    let unconnected = console(&world);
    let page = Desk::new(&unconnected, "view").page(&usage);
    check(&page, MOUNT);
    assert!(page.contains("No audit log is connected") && page.contains("AuditQueue"));
}
