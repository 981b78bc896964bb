//! A failover to a streaming replica that had fallen behind, and the runbook that follows it.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::apps::{
    ASSERTIONS, Assertion, CODES, FAMILIES, STRICT, introspect, order, redeem, refresh, revoke,
};
use super::client::{Answer, get, post_as};
use super::cluster::own_cluster;
use super::ledger::{Family, Fate};
use super::oracle::Tables;
use super::proxy::Proxy;
use super::sandbox::wait_until;
use super::servers::Servers;
use super::standby::Standby;
use super::world::World;

/// Families that are given back after the replica has fallen behind.
const GIVEN_BACK: usize = 16;

/// Two servers that write their audit events to the database and to standard error, and their administrator.
struct Site {
    world: World,
    bearer: String,
}

impl Site {
    fn behind(proxy: &Proxy) -> Self {
        let mut world = World::new(Servers::behind_with_log(proxy, 2));
        let bearer = world.administrator();
        Self { world, bearer }
    }

    fn ask(&mut self, request: &[u8]) -> Answer {
        self.world.ask(request)
    }

    #[track_caller]
    fn ask_well(&mut self, request: &[u8]) -> Answer {
        let answer = self.ask(request);
        assert!(answer.status < 300, "{answer:?}");
        answer
    }

    fn family(&mut self) -> Family {
        Family::new(FAMILIES, &self.ask_well(&Assertion::new(FAMILIES).request))
    }

    /// Sends a request of an administrator.
    fn administer(&mut self, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.bearer);
        let headers = [("Authorization", &*bearer)];
        self.ask_well(&post_as(path, "application/json", &headers, &body.to_string()))
    }

    fn is_enabled(&mut self, app: &str) -> bool {
        let bearer = format!("Bearer {}", self.bearer);
        let path = format!("/admin/apps/{app}");
        let answer = self.ask(&get(&path, &[("Authorization", &*bearer)]));
        answer.json()["enabled"] == true
    }

    fn stored_events(&mut self) -> Vec<Value> {
        self.world.stored_events(&self.bearer)
    }

    /// Returns the successful events since `since` that the servers wrote to standard error.
    fn outside_events(&self, since: i64) -> Vec<Value> {
        let servers = &self.world.servers;
        let lines = (0..servers.len()).map(|index| servers.output(index));
        let lines: Vec<_> = lines.collect();
        let events = lines.iter().flat_map(|text| text.lines()).filter_map(|line| {
            let event: Value = serde_json::from_str(&line[line.find("{\"at\"")?..]).ok()?;
            (millis(&event) >= since && event["outcome"] == "success").then_some(event)
        });
        events.collect()
    }
}

fn millis(event: &Value) -> i64 {
    event["at"].as_i64().unwrap_or_else(|| panic!("{event}"))
}

fn grants_of(events: &[Value], action: &str) -> Vec<String> {
    let events = events.iter().filter(|event| event["action"] == action);
    events.map(|event| event["grant_id"].as_str().unwrap().to_owned()).collect()
}

/// Repeats the lost writes, each twice, as the runbook says: the end of each grant, the disabling of apps, and
/// the rotation of client secrets.
fn repair(site: &mut Site, lost: &[Value], secret: &str) {
    let (bearer, revoked) = (site.bearer.clone(), grants_of(lost, "revoke_token"));
    for _ in 0..2 {
        for grant in &revoked {
            site.ask_well(&order(&bearer, &json!({ "grant": grant })));
        }
        for event in lost.iter().filter(|event| event["action"] == "revoke") {
            site.ask_well(&order(&bearer, &event["target"]));
        }
        for event in lost.iter().filter(|event| event["action"] == "disable_app") {
            let app = event["client_id"].as_str().unwrap();
            site.administer(&format!("/admin/apps/{app}/disable"), &json!({}));
        }
    }
    for event in lost.iter().filter(|event| event["action"] == "rotate_client_secret") {
        let app = event["client_id"].as_str().unwrap();
        let again = json!({ "overlap_seconds": 0 });
        let again = site.administer(&format!("/admin/apps/{app}/rotate-secret"), &again);
        assert_ne!(again.text("client_secret"), secret);
        for _ in 0..2 {
            wait_until("each server takes the new secret alone", || {
                let new = Assertion::with_secret(ASSERTIONS, &again.text("client_secret"));
                let new = site.ask(&new.request);
                site.world.stay();
                let old = site.ask(&Assertion::new(ASSERTIONS).request);
                site.world.stay();
                new.is_ok() && old.status == 401
            });
            site.world.stay();
        }
    }
}

/// Z26: a promoted replica has lost revocations, edits, secrets, redeemed codes and used assertions, and
/// the audit events of them. The runbook, with the log outside the database, makes up for each kind.
#[test]
fn a_promoted_replica_that_lost_writes_is_repaired_by_the_runbook() {
    let _turn = super::turn();
    let Some(cluster) = own_cluster() else { return };
    let proxy = Proxy::to(&cluster.socket());
    let mut site = Site::behind(&proxy);
    let standby = Standby::of(&cluster);

    let mut honest: Vec<_> = (0..8).map(|_| site.family()).collect();
    let given_back: Vec<_> = (0..GIVEN_BACK).map(|_| site.family()).collect();
    let ended = site.family();
    let of_strict = Family::new(STRICT, &site.ask_well(&Assertion::new(STRICT).request));
    let code = redeem(&site.world.code());
    let kept = site.stored_events().len();
    standby.catch_up();
    standby.fall_behind();

    // The writes that are lost.
    for family in &mut honest {
        site.world.rotate(family);
    }
    for family in &given_back {
        site.ask_well(&revoke(family.app, &family.token));
    }
    let bearer = site.bearer.clone();
    site.ask_well(&order(&bearer, &json!({ "grant": ended.grant })));
    let mut by_code = Family::new(CODES, &site.ask_well(&code));
    let assertion = Assertion::new(ASSERTIONS);
    site.ask_well(&assertion.request);
    site.administer("/admin/apps/strict/disable", &json!({}));
    let rotated =
        site.administer("/admin/apps/assertions/rotate-secret", &json!({ "overlap_seconds": 0 }));
    let secret = rotated.text("client_secret");
    wait_until("the old secret is out", || {
        site.ask(&Assertion::new(ASSERTIONS).request).status == 401
    });
    let born = site.family();
    assert!(site.stored_events().len() > kept);

    cluster.kill();
    standby.promote();
    proxy.lead_to(&standby.socket());
    let since = standby.last_replayed();

    // All of it is lost, and the log in the database does not know.
    let stored = site.stored_events();
    for action in ["revoke_token", "revoke", "disable_app", "rotate_client_secret"] {
        assert!(!stored.iter().any(|event| event["action"] == action), "{action} is not lost");
    }
    assert!(site.is_enabled(STRICT));
    let old = site.ask(&introspect(&given_back[0].access));
    assert_eq!(old.json()["active"], true, "the revocations are not lost");
    let tables = Tables::of_postgres(&standby.options());
    assert!(!tables.has_assertion(&assertion.digest), "the use of the assertion is not lost");
    assert_eq!(tables.grant(&by_code.grant).unwrap().generation, 0, "the redemption is not lost");
    wait_until("the old secret works again", || {
        site.ask(&Assertion::new(ASSERTIONS).request).status != 401
    });

    // Step by step as in docs/runbooks.md: the events outside the database since the last commit.
    let lost = site.outside_events(since);
    let revoked = grants_of(&lost, "revoke_token");
    assert_eq!(revoked.len(), GIVEN_BACK, "{lost:#?}");
    repair(&mut site, &lost, &secret);

    for family in given_back.into_iter().chain([ended, of_strict]) {
        let answer = site.ask(&refresh(family.app, &family.token));
        assert!(answer.is_invalid_grant() || answer.status == 401, "{answer:?}");
        let facts = site.ask(&introspect(&family.access));
        assert_eq!(facts.json(), json!({ "active": false }));
        // The app of that family is disabled, without a row of its own in the feed.
        if family.app != STRICT {
            site.world.ledger.keep(family.with_fate(Fate::Revoked));
        }
    }
    // Honest clients go on: a token ahead of its row is taken, one without a row asks for a login.
    for mut family in honest {
        site.world.rotate(&mut family);
        site.world.ledger.keep(family);
    }
    // The refresh of its owner voids a code that is unspent again. To send it again ends the grant.
    site.world.rotate(&mut by_code);
    assert!(site.ask(&code).is_invalid_grant(), "a redeemed code is redeemed again");
    site.world.ledger.keep(by_code.with_fate(Fate::Revoked));
    assert!(site.ask(&refresh(born.app, &born.token)).is_invalid_grant());
    // The log in the database says since when it has a gap. Its writer looks when it has nothing to write.
    let mut stored = Vec::new();
    let marks_a_gap = |event: &&Value| event["action"] == "lose_events";
    wait_until("the log says that it has lost events", || {
        thread::sleep(Duration::from_millis(500));
        stored = site.stored_events();
        stored.iter().any(|event| marks_a_gap(&event))
    });
    let marks: Vec<_> = stored.iter().filter(marks_a_gap).collect();
    assert!(marks.iter().all(|mark| mark["since"].as_i64().unwrap() <= since + 1), "{marks:?}");
    let rewinds = stored.iter().filter(|event| event["action"] == "detect_rewind").count();
    assert_eq!(rewinds, 9);
    site.world.ledger.check(&Tables::of_postgres(&standby.options()), &site.world.servers);
    eprintln!(
        "of {} lost events the log in the database knew 0 and the one outside all; {rewinds} tokens ahead",
        lost.len()
    );
    assert!(site.world.servers.have_stayed(), "a server ended");
    site.world.ledger.assert_clean();
}
