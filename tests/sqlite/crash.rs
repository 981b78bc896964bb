//! A process that is killed while it writes.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use grantor::ids::{ClientId, GrantId};
use grantor::random::{OsRandom, SecureRandom as _};
use grantor::store::conformance::Runner as _;
use grantor::store::{
    ClaimAssertion, GrantStore as _, RedeemCode, Revocation, RevocationReason, RevocationTarget,
    Rotate,
};

use crate::support::{Desk, Folder, Tokio, at, claim, code, grant, token};

/// Where the child finds its file and its app. It is this test binary again.
const FILE: &str = "GRANTOR_TEST_CRASH_FILE";
const APP: &str = "GRANTOR_TEST_CRASH_APP";

const KILLS: usize = 40;
const WORKERS: usize = 16;

/// What the child does, and says only when the store has answered it.
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

/// One write to the pipe a line, which is whole or not there.
fn say(line: &str) {
    std::io::stdout().write_all(format!("!{line}\n").as_bytes()).unwrap();
}

async fn write(desk: Desk) {
    let store = &desk.store;
    loop {
        let grant = desk.grant();
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
        store.revoke(&ending(id)).await.unwrap();
        say(&format!("revoked {id} 0"));
    }
}

fn ending(grant_id: GrantId) -> Revocation {
    let target = RevocationTarget::Grant(grant_id);
    Revocation { target, at: at(3), why: RevocationReason::Client, until: at(100_000_000) }
}

/// What the store has answered for one grant.
#[derive(Default)]
struct Answered {
    generation: u32,
    was_claimed: bool,
    was_revoked: bool,
}

/// Lets a child write for a while, kills it, and reads what it had been answered.
fn kill_one(file: &Path, client_id: &ClientId) -> BTreeMap<GrantId, Answered> {
    let mut child: Child = Command::new(std::env::current_exe().unwrap())
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
        let [what, id, generation] = line.split(' ').collect::<Vec<_>>()[..] else { return false };
        let grant = answered.entry(id.parse().unwrap()).or_default();
        grant.generation = grant.generation.max(generation.parse().unwrap());
        grant.was_claimed |= what == "claimed";
        grant.was_revoked |= what == "revoked";
        true
    };
    // It is at work once it has said something.
    while !hear(&lines.next().unwrap().unwrap()) {}
    let mut moment = [0];
    OsRandom::new().fill(&mut moment).unwrap();
    std::thread::sleep(Duration::from_millis(u64::from(moment[0])));
    child.kill().unwrap();
    for line in lines.map_while(Result::ok) {
        hear(&line);
    }
    assert!(!child.wait().unwrap().success());
    answered
}

/// G13, R21: what was answered before a kill is in the file, and nothing that was spent can
/// be spent again.
#[test]
fn what_was_answered_before_a_kill_is_in_the_file() {
    let folder = Folder::on_disk();
    let file = folder.file("killed.db");
    let runtime = Tokio::new();
    let desk = runtime.desk(&file);
    let mut total = 0;
    for _ in 0..KILLS {
        // The parent has the file open, too, as another process may.
        let answered = kill_one(&file, &desk.client_id);
        total += answered.len();
        for (id, answered) in answered {
            runtime.block_on(check(&desk, id, &answered));
        }
    }
    assert!(total > KILLS, "the child wrote {total} grants: too few to show anything");
}

async fn check(desk: &Desk, id: GrantId, answered: &Answered) {
    let (store, grant) = (&desk.store, grant(&desk.client_id, id));
    let row = store.find_grant(&id).await.unwrap().unwrap();
    assert!(row.generation >= answered.generation, "{} {}", row.generation, answered.generation);
    assert_eq!(store.is_revoked(&row.facts()).await.unwrap(), row.revoked.is_some());
    assert!(row.revoked.is_some() || !answered.was_revoked, "the revocation is gone");
    if answered.was_claimed {
        let again = store.claim_assertion(&claim(&desk.client_id, id)).await.unwrap();
        assert_eq!(again, ClaimAssertion::Replayed);
    }
    if answered.generation > 1 && row.revoked.is_none() {
        // A spent refresh token.
        let spent = store.rotate(&token(&grant, answered.generation - 1)).await.unwrap();
        assert_eq!(spent, Rotate::Reused);
    }
    let expected =
        if row.generation > 0 { RedeemCode::AlreadyRedeemed } else { RedeemCode::Redeemed };
    assert_eq!(store.redeem_code(&code(&grant)).await.unwrap(), expected);
}
