//! Servers that go on while their database is restored to an older state, refuses to write, or is down
//! for some seconds.

use std::path::Path;

use serde_json::json;

use super::apps::{
    ASSERTIONS, Assertion, CODES, FAMILIES, introspect, order, redeem, refresh, revoke,
};
use super::client::{Answer, get};
use super::cluster::{Cluster, own_cluster};
use super::ledger::{Family, Fate};
use super::oracle::{Tables, set_read_only};
use super::sandbox::{command, wait_until};
use super::servers::Servers;
use super::world::World;

const FAMILIES_OF_EACH: usize = 8;

fn servers(cluster: &Cluster) -> World {
    World::new(Servers::over_postgres(cluster, 2))
}

fn families(world: &mut World) -> Vec<Family> {
    let assertions: Vec<_> = (0..FAMILIES_OF_EACH).map(|_| Assertion::new(FAMILIES)).collect();
    let begin = |it: &Assertion| {
        // A server learns within a second that a revocation by another one is over.
        let mut answer = None;
        wait_until("a server gives access again", || {
            answer = Some(world.ask(&it.request)).filter(Answer::is_ok);
            answer.is_some()
        });
        Family::new(FAMILIES, &answer.unwrap())
    };
    let mut families: Vec<_> = assertions.iter().map(begin).collect();
    for _ in 0..FAMILIES_OF_EACH {
        let request = redeem(&world.code());
        families.push(Family::new(CODES, &world.ask(&request)));
    }
    families
}

#[track_caller]
fn rotate(world: &mut World, families: &mut [Family]) {
    for family in families {
        world.rotate(family);
    }
}

#[track_caller]
fn are_dead(world: &mut World, families: &[Family]) {
    for family in families {
        for _ in 0..2 {
            let answer = world.ask(&refresh(family.app, &family.token));
            assert!(answer.is_invalid_grant(), "{answer:?}");
            let facts = world.ask(&introspect(&family.access));
            assert_eq!(facts.json(), json!({ "active": false }));
        }
    }
}

/// Counts the tokens ahead of their rows among the latest audit events.
fn rewinds(world: &mut World, administrator: &str) -> usize {
    let events = world.stored_events(administrator);
    events.iter().filter(|event| event["action"] == "detect_rewind").count()
}

fn copy(from: &Path, to: &Path) {
    let done = command("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(done.success());
}

/// R21: servers take refresh tokens that are ahead of a restored row, and audit that. After the step in
/// the runbook no earlier token works, issued before the backup or after it.
#[test]
fn servers_go_on_over_a_database_that_was_restored_to_an_older_state() {
    let _turn = super::turn();
    let Some(cluster) = own_cluster() else { return };
    let mut world = servers(&cluster);
    let (data, backup) = (cluster.file("data"), cluster.file("backup"));
    let mut honest = families(&mut world);
    let mut ended = families(&mut world);
    rotate(&mut world, &mut honest);
    let code = world.code();
    cluster.kill();
    copy(&data, &backup);
    cluster.start();

    for _ in 0..3 {
        rotate(&mut world, &mut honest);
    }
    for family in &ended {
        assert!(world.ask(&revoke(family.app, &family.token)).is_ok());
    }
    let since = families(&mut world);
    assert!(world.ask(&redeem(&code)).is_ok());
    cluster.kill();
    std::fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data);
    cluster.start();

    let administrator = world.administrator();
    assert_eq!(rewinds(&mut world, &administrator), 0);
    rotate(&mut world, &mut honest);
    assert_eq!(rewinds(&mut world, &administrator), honest.len());
    rotate(&mut world, &mut honest);
    assert_eq!(rewinds(&mut world, &administrator), honest.len(), "rows caught up");
    let tables = Tables::of_postgres(&cluster.options());
    for family in &honest {
        assert_eq!(tables.grant(&family.grant).unwrap().generation, family.generation);
    }
    // Grants that were revoked since the backup are alive again, hence the runbook.
    rotate(&mut world, &mut ended);
    for family in &since {
        assert!(world.ask(&refresh(family.app, &family.token)).is_invalid_grant());
    }

    assert!(world.ask(&order(&administrator, &json!("everything"))).is_ok());
    for families in [&honest, &ended, &since] {
        are_dead(&mut world, families);
    }
    assert!(world.ask(&redeem(&code)).is_invalid_grant());
    for family in families(&mut world) {
        world.ledger.keep(family);
    }
    world.ledger.check(&Tables::of_postgres(&cluster.options()), &world.servers);
    assert!(world.servers.have_stayed());
    world.ledger.assert_clean();
}

/// Unused credentials of each kind, for requests while the database is in trouble. All of them have to
/// work afterwards.
struct Requests {
    family: Family,
    doomed: Family,
    code: String,
    assertion: Assertion,
}

impl Requests {
    fn new(world: &mut World) -> Self {
        let mut families = families(world);
        Self {
            family: families.pop().unwrap(),
            doomed: families.pop().unwrap(),
            code: world.code(),
            assertion: Assertion::new(ASSERTIONS),
        }
    }

    fn tokens(&self) -> [Vec<u8>; 3] {
        let refresh = refresh(self.family.app, &self.family.token);
        [refresh, redeem(&self.code), self.assertion.request.clone()]
    }

    fn revocation(&self) -> Vec<u8> {
        revoke(self.doomed.app, &self.doomed.token)
    }

    /// Checks the errors. RFC 6749 section 5.2 has no code for them, RFC 7009 section 2.2.1 has 503.
    #[track_caller]
    fn are_refused(&self, world: &World) {
        let mut clients = world.servers.clients().into_iter().chain(world.servers.clients());
        let mut asked = self.tokens().to_vec();
        asked.push(self.revocation());
        let mut asked: Vec<_> = asked
            .into_iter()
            .map(|request| {
                let mut client = clients.next().unwrap();
                client.send(&request).unwrap();
                client
            })
            .collect();
        let answers: Vec<_> = asked.iter_mut().map(|client| client.receive().unwrap()).collect();
        let (revocation, tokens) = answers.split_last().unwrap();
        for answer in tokens {
            assert_eq!(
                (answer.status, &*answer.text("error")),
                (500, "server_error"),
                "{answer:?}"
            );
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert!(!answer.body.contains("token"), "{answer:?}");
        }
        assert_eq!(revocation.status, 503, "{revocation:?}");
        assert!(revocation.header("retry-after").is_some(), "{revocation:?}");
    }

    /// Checks that nothing was spent and nothing was revoked.
    #[track_caller]
    fn are_answered(mut self, world: &mut World, cluster: &Cluster) {
        let [refresh, redemption, assertion] = self.tokens();
        let answer = world.ask(&refresh);
        assert!(answer.is_ok(), "{answer:?}");
        self.family.rotate(&answer);
        let answer = world.ask(&redemption);
        assert!(answer.is_ok(), "{answer:?}");
        world.ledger.keep(Family::new(CODES, &answer));
        let answer = world.ask(&assertion);
        assert!(answer.is_ok(), "{answer:?}");
        world.ledger.keep_assertion(self.assertion.digest);
        let answer = world.ask(&self.revocation());
        assert!(answer.is_ok(), "{answer:?}");
        are_dead(world, std::slice::from_ref(&self.doomed));
        world.ledger.keep(self.family);
        world.ledger.keep(self.doomed.with_fate(Fate::Revoked));
        world.ledger.check(&Tables::of_postgres(&cluster.options()), &world.servers);
        assert!(world.servers.have_stayed(), "a server ended");
        world.ledger.assert_clean();
    }
}

/// T13, V8, J20: over a read-only database servers issue no token, and answer revocations with an error.
#[test]
fn nothing_is_issued_over_a_database_that_only_reads() {
    let _turn = super::turn();
    let Some(cluster) = own_cluster() else { return };
    let mut world = servers(&cluster);
    let requests = Requests::new(&mut world);
    set_read_only(&cluster.options(), true);
    requests.are_refused(&world);
    requests.are_refused(&world);
    let facts = world.ask(&introspect(&requests.family.access));
    assert_eq!(facts.json()["active"], true, "reads go on");
    set_read_only(&cluster.options(), false);
    requests.are_answered(&mut world, &cluster);
}

/// T13, V8, J20: while the database is down, servers answer with an error in time. They need no restart
/// once it is back.
#[test]
fn servers_say_that_their_database_is_away_and_go_on_when_it_is_back() {
    let _turn = super::turn();
    let Some(cluster) = own_cluster() else { return };
    let mut world = servers(&cluster);
    let requests = Requests::new(&mut world);
    cluster.kill();
    requests.are_refused(&world);
    requests.are_refused(&world);
    for path in ["/oauth/jwks", "/.well-known/oauth-authorization-server"] {
        assert!(world.ask(&get(path, &[])).is_ok(), "{path}");
    }
    cluster.start();
    requests.are_answered(&mut world, &cluster);
}
