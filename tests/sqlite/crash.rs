//! A process that is killed while it writes.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use grantor::ids::{ClientId, DeviceId, GrantId, Subject};
use grantor::store::conformance::Runner as _;
use grantor::store::{
    ClaimAssertion, Grant, GrantRefusal, GrantStore as _, RedeemCode, Revocation, RevocationReason,
    RevocationTarget, Rotate,
};

use crate::chance::Chance;
use crate::sandbox::{Folder, command};
use crate::support::{Desk, Tokio, at, claim, code, grant, token, with};

/// The variables that give the child, this test binary again, its file and its app.
const FILE: &str = "GRANTOR_TEST_CRASH_FILE";
const APP: &str = "GRANTOR_TEST_CRASH_APP";

const KILLS: usize = 50;
/// The most answers that a kill waits for.
const MOST: u64 = 600;
/// The longest pause between the last of them and the kill.
const PAUSE: Duration = Duration::from_millis(5);
const WORKERS: usize = 16;

/// Writes, and says each answer of the store.
#[test]
fn child_that_writes_until_it_is_killed() {
    let (Ok(file), Ok(app)) = (std::env::var(FILE), std::env::var(APP)) else { return };
    let runtime = Tokio::new();
    let store = Arc::new(runtime.open(Path::new(&file)));
    let desk = Desk { store, client_id: ClientId::new(app).unwrap() };
    let workers: Vec<_> = (0..WORKERS).map(|_| runtime.spawn(write(desk.clone()))).collect();
    for worker in workers {
        runtime.block_on(worker).unwrap();
    }
}

/// Says a line. One write to the pipe makes it whole or absent.
fn say(line: &str) {
    std::io::stdout().write_all(format!("!{line}\n").as_bytes()).unwrap();
}

async fn write(desk: Desk) {
    let store = &desk.store;
    loop {
        let grant = known(&desk.client_id, desk.grant().grant_id);
        let id = grant.grant_id;
        store.insert_grant(grant.clone()).await.unwrap();
        say(&format!("inserted {id} 0"));
        assert_eq!(store.redeem_code(&code(&grant)).await.unwrap(), RedeemCode::Redeemed);
        say(&format!("redeemed {id} 1"));
        for generation in 1..4 {
            let rotated = store.rotate(&token(&grant, generation)).await.unwrap();
            assert_eq!(rotated, Rotate::Rotated);
            say(&format!("rotated {id} {}", generation + 1));
        }
        let claimed = store.claim_assertion(&claim(&desk.client_id, id)).await.unwrap();
        assert!(matches!(claimed, ClaimAssertion::First { .. }));
        say(&format!("claimed {id} 0"));
        store.revoke(&ending(&grant)).await.unwrap();
        say(&format!("revoked {id} 0"));
    }
}

/// Returns a grant with its own user and device, which its id determines.
fn known(client_id: &ClientId, id: GrantId) -> Grant {
    with(grant(client_id, id), |grant| {
        grant.subject = Subject::new(format!("user {id}")).unwrap();
        grant.device = Some(DeviceId::new(format!("device {id}")).unwrap());
    })
}

/// Returns a revocation of the grant. The id determines the target.
fn ending(grant: &Grant) -> Revocation {
    let (client_id, subject) = (grant.client_id.clone(), grant.subject.clone());
    let target = match grant.grant_id.as_bytes()[0] % 4 {
        0 => RevocationTarget::Grant(grant.grant_id),
        1 => RevocationTarget::Subject(subject),
        2 => RevocationTarget::AppAndSubject(client_id, subject),
        _ => RevocationTarget::NamedDevice(grant.device.clone().unwrap()),
    };
    Revocation { target, at: at(3), why: RevocationReason::Client, until: at(100_000_000) }
}

/// The answers of the store for one grant.
#[derive(Clone, Copy, Default)]
struct Answered {
    generation: u32,
    was_claimed: bool,
    was_revoked: bool,
}

/// Lets a child write, kills it, and returns the answers that it got.
fn kill_one(file: &Path, client_id: &ClientId, chance: &mut Chance) -> BTreeMap<GrantId, Answered> {
    let mut child: Child = command(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_that_writes_until_it_is_killed", "--nocapture"])
        .env(FILE, file)
        .env(APP, client_id.as_str())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answered = BTreeMap::<GrantId, Answered>::new();
    let mut hear = |line: &str| {
        let Some((_, line)) = line.split_once('!') else { return false };
        let [step, id, generation] = line.split(' ').collect::<Vec<_>>()[..] else { return false };
        let grant = answered.entry(id.parse().unwrap()).or_default();
        grant.generation = grant.generation.max(generation.parse().unwrap());
        grant.was_claimed |= step == "claimed";
        grant.was_revoked |= step == "revoked";
        true
    };
    for _ in 0..=chance.below(MOST) {
        while !hear(&lines.next().unwrap().unwrap()) {}
    }
    chance.sleep_below(PAUSE);
    child.kill().unwrap();
    for line in lines.map_while(Result::ok) {
        hear(&line);
    }
    assert!(!child.wait().unwrap().success());
    answered
}

/// G13, R21: everything that was answered before a kill is in the file. Nothing spent can be spent again,
/// and revocations hold.
#[test]
fn what_was_answered_before_a_kill_is_in_the_file() {
    let mut chance = Chance::new("what_was_answered_before_a_kill_is_in_the_file");
    let folder = Folder::on_disk();
    let file = folder.file("killed.db");
    let runtime = Tokio::new();
    let desk = runtime.desk(&file);
    let mut all = BTreeMap::new();
    for _ in 0..KILLS {
        // The parent also has the file open, as another process may.
        let answered = kill_one(&file, &desk.client_id, &mut chance);
        for (id, answered) in &answered {
            runtime.block_on(check(&desk, *id, *answered));
        }
        all.extend(answered);
    }
    // Grants that were revoked after one kill still are after all kills.
    for id in all.keys() {
        let row = runtime.block_on(desk.store.find_grant(id)).unwrap().unwrap();
        assert!(runtime.block_on(desk.store.is_revoked(&row.facts())).unwrap(), "{id}");
    }
    let revoked = all.values().filter(|answered| answered.was_revoked).count();
    assert!(revoked > KILLS, "{revoked} revocations: too few to show anything");
    say_seen(&format!(
        "{} grants, {revoked} revocations answered among {KILLS} kills, none lost",
        all.len()
    ));
}

async fn check(desk: &Desk, id: GrantId, answered: Answered) {
    let (store, grant) = (&desk.store, known(&desk.client_id, id));
    let row = store.find_grant(&id).await.unwrap().unwrap();
    let (least, found) = (answered.generation, row.generation);
    assert!(found == least || found == least + 1, "{id}: answered {least}, found {found}");
    let is_revoked = store.is_revoked(&row.facts()).await.unwrap();
    assert!(is_revoked || !answered.was_revoked, "{id}: the revocation is gone");
    assert!(!is_revoked || answered.was_claimed, "{id}: no client has revoked it");
    if answered.was_claimed {
        let again = store.claim_assertion(&claim(&desk.client_id, id)).await.unwrap();
        assert_eq!(again, ClaimAssertion::Replayed);
    }
    let refused = Rotate::Refused(GrantRefusal::Revoked);
    if is_revoked {
        assert_eq!(store.rotate(&token(&grant, found)).await.unwrap(), refused);
    } else if found > 1 && id.as_bytes()[1].is_multiple_of(2) {
        // A spent refresh token.
        let spent = store.rotate(&token(&grant, found - 1)).await.unwrap();
        assert_eq!(spent, Rotate::Reused);
    } else {
        if found == 0 {
            assert_eq!(store.redeem_code(&code(&grant)).await.unwrap(), RedeemCode::Redeemed);
        }
        // A spent code.
        let spent = store.redeem_code(&code(&grant)).await.unwrap();
        assert_eq!(spent, RedeemCode::AlreadyRedeemed);
    }
    assert_eq!(store.rotate(&token(&grant, found.max(1))).await.unwrap(), refused);
}

#[expect(clippy::print_stderr, reason = "a test prints what it counted")]
fn say_seen(seen: &str) {
    eprintln!("{seen}");
}
