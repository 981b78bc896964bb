//! A file that is restored to an older state.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use grantor::store::conformance::Runner as _;
use grantor::store::{
    ClaimAssertion, Grant, GrantRefusal, GrantStore as _, RedeemCode, Revocation, RevocationReason,
    RevocationTarget, Rotate,
};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::sandbox::Folder;
use crate::support::{Desk, HOUR, Tokio, at, claim, code, token};

fn ending(target: RevocationTarget) -> Revocation {
    Revocation { target, at: at(3), why: RevocationReason::Administrator, until: at(24 * HOUR) }
}

/// Makes a backup with `VACUUM INTO` while the store is open, as documented.
fn back_up(runtime: &Tokio, file: &Path, backup: &Path) {
    let mut host = runtime.block_on(SqliteConnectOptions::new().filename(file).connect()).unwrap();
    let vacuum = format!("VACUUM INTO '{}'", backup.display());
    runtime.block_on(sqlx::query(sqlx::AssertSqlSafe(vacuum)).execute(&mut host)).unwrap();
    // A connection that is only dropped ends later, and until then the store leaves its log behind.
    runtime.block_on(host.close()).unwrap();
}

fn rotate(runtime: &Tokio, desk: &Desk, grant: &Grant, generation: u32) -> Rotate {
    runtime.block_on(desk.store.rotate(&token(grant, generation))).unwrap()
}

/// R21: the store takes tokens that are ahead of their rows, and the rows catch up. The step in the
/// runbook ends everything from before, and the process goes on.
#[test]
fn a_restored_file_takes_what_is_ahead_and_the_runbook_leaves_no_survivor() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let (file, backup) = (folder.file("a.db"), folder.file("backup.db"));
    let desk = runtime.desk(&file);
    let (ahead, ended, pending) = (desk.family(), desk.family(), desk.grant());
    for grant in [&ahead, &ended, &pending] {
        runtime.block_on(desk.store.insert_grant(grant.clone())).unwrap();
    }
    back_up(&runtime, &file, &backup);

    // Changes until the file is lost.
    for generation in 1..5 {
        assert_eq!(rotate(&runtime, &desk, &ahead, generation), Rotate::Rotated);
    }
    let redeem = |desk: &Desk| runtime.block_on(desk.store.redeem_code(&code(&pending))).unwrap();
    assert_eq!(redeem(&desk), RedeemCode::Redeemed);
    let claim = claim(&desk.client_id, pending.grant_id);
    let claimed = runtime.block_on(desk.store.claim_assertion(&claim)).unwrap();
    assert!(matches!(claimed, ClaimAssertion::First { .. }));
    let end = ending(RevocationTarget::Grant(ended.grant_id));
    runtime.block_on(desk.store.revoke(&end)).unwrap();
    let client_id = desk.client_id.clone();
    runtime.block_on(desk.store.close());
    fs::copy(&backup, &file).unwrap();
    let desk = Desk { store: Arc::new(runtime.open(&file)), client_id };

    assert_eq!(rotate(&runtime, &desk, &ahead, 5), Rotate::Ahead);
    let row = runtime.block_on(desk.store.find_grant(&ahead.grant_id)).unwrap().unwrap();
    assert_eq!(row.generation, 6);
    assert_eq!(rotate(&runtime, &desk, &ahead, 6), Rotate::Rotated);
    // All other changes since the backup are forgotten, hence the runbook.
    assert!(!runtime.block_on(desk.store.is_revoked(&ended.facts())).unwrap());
    let claimed = runtime.block_on(desk.store.claim_assertion(&claim)).unwrap();
    assert!(matches!(claimed, ClaimAssertion::First { .. }));

    runtime.block_on(desk.store.revoke(&ending(RevocationTarget::Everything))).unwrap();
    let refused = Rotate::Refused(GrantRefusal::Revoked);
    for grant in [&ahead, &ended, &pending] {
        let row = runtime.block_on(desk.store.find_grant(&grant.grant_id)).unwrap().unwrap();
        assert!(runtime.block_on(desk.store.is_revoked(&row.facts())).unwrap());
        for generation in 1..9 {
            assert_eq!(rotate(&runtime, &desk, grant, generation), refused);
        }
    }
    assert_eq!(redeem(&desk), RedeemCode::Refused(GrantRefusal::Revoked));
    let fresh = desk.dated(&runtime, desk.family());
    runtime.block_on(desk.store.insert_grant(fresh.clone())).unwrap();
    assert_eq!(rotate(&runtime, &desk, &fresh, 1), Rotate::Rotated);
}
