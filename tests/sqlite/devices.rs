//! The table of devices: files from before it, and the erasure of a user.

use grantor::ids::{ClientId, DeviceId, Subject};
use grantor::store::conformance::Runner as _;
use grantor::store::{
    AdvanceWipe, DeviceKey, DeviceSighting, DeviceStore as _, GrantStore as _, RequestWipe,
    RevocationReason, Rotate, SeeDevice, SqliteSettings, SqliteStore, TablePrefix, WipeAdvance,
    WipeRequest, WipeStep,
};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::sandbox::Folder;
use crate::support::{Desk, HOUR, Tokio, at, code, token, with};

fn key(client_id: &ClientId, subject: &str, device: &str) -> DeviceKey {
    DeviceKey {
        client_id: client_id.clone(),
        subject: Subject::new(subject).unwrap(),
        device_id: DeviceId::new(device).unwrap(),
    }
}

fn see(runtime: &Tokio, desk: &Desk, key: &DeviceKey) {
    let grant = desk.grant();
    let sighting = DeviceSighting {
        key: key.clone(),
        name: Some("Phone".to_owned()),
        grant_id: grant.grant_id,
        salt_digest: grant.salt_digest,
        authorized_at: grant.authorized_at,
        keep_until: at(HOUR),
        now: at(0),
    };
    let seen = runtime.block_on(desk.store.see_device(&sighting)).unwrap();
    assert_eq!(seen, SeeDevice::Seen);
}

fn order(runtime: &Tokio, desk: &Desk, key: &DeviceKey) {
    let request = WipeRequest {
        key: key.clone(),
        by: Some("root".to_owned()),
        why: RevocationReason::Administrator,
        until: at(HOUR),
        keep_until: at(HOUR),
        now: at(1),
    };
    let answer = runtime.block_on(desk.store.request_wipe(&request)).unwrap();
    assert!(matches!(answer, RequestWipe::Requested(_)), "{answer:?}");
}

/// A file without devices gets their table, and a program that has it open goes on.
#[test]
fn a_file_of_the_addition_before_gets_devices_and_programs_without_them_go_on() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let file = folder.file("a.db");
    let schema = SqliteStore::schema_sql(&TablePrefix::default());
    let (before, _) = schema.split_once("CREATE TABLE grantor_devices").unwrap();
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut old = runtime.block_on(options.connect()).unwrap();
    let run = sqlx::raw_sql(sqlx::AssertSqlSafe(before.to_owned())).execute(&mut old);
    runtime.block_on(run).unwrap();
    let open = SqliteStore::open(&file, SqliteSettings::new().without_migrations());
    let cause = runtime.block_on(open).unwrap_err().to_string();
    assert!(cause.contains("of version 4, and this crate needs "), "{cause}");
    for _ in 0..2 {
        let desk = runtime.desk(&file);
        let family = with(desk.family(), |grant| grant.device = DeviceId::new("phone").ok());
        runtime.block_on(desk.store.insert_grant(family.clone())).unwrap();
        // As programs without devices end and rotate a grant.
        let spent = "UPDATE grantor_grants SET generation = 2 WHERE grant_id = ?1";
        let spent = sqlx::query(spent).bind(family.grant_id.as_bytes().to_vec());
        runtime.block_on(spent.execute(&mut old)).unwrap();
        let rotated = runtime.block_on(desk.store.rotate(&token(&family, 2))).unwrap();
        assert_eq!(rotated, Rotate::Rotated);
        let key = key(&desk.client_id, "ann", "phone");
        see(&runtime, &desk, &key);
        order(&runtime, &desk, &key);
        // They do not know the cutoff of a device, but the end of a row.
        let ended = "SELECT count(*) FROM grantor_grants WHERE grant_id = ?1 AND revoked_at > 0";
        let ended = sqlx::query_scalar::<_, i64>(ended).bind(family.grant_id.as_bytes().to_vec());
        assert_eq!(runtime.block_on(ended.fetch_one(&mut old)).unwrap(), 1);
    }
}

/// An order also ends the row of a grant that got its device when its code was redeemed.
#[test]
fn an_order_ends_rows_that_got_their_device_late() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desk = runtime.desk(&folder.file("a.db"));
    let grant = desk.dated(&runtime, desk.grant());
    runtime.block_on(desk.store.insert_grant(grant.clone())).unwrap();
    let mut redemption = code(&grant);
    redemption.device = DeviceId::new("phone").ok();
    runtime.block_on(desk.store.redeem_code(&redemption)).unwrap();
    let key = key(&desk.client_id, grant.subject.as_str(), "phone");
    see(&runtime, &desk, &key);
    order(&runtime, &desk, &key);
    let row = runtime.block_on(desk.store.find_grant(&grant.grant_id)).unwrap().unwrap();
    assert_eq!(row.revoked.map(|(_, why)| why), Some(RevocationReason::Administrator));
}

/// The devices of a user are erased with the user. One that is to be wiped stays until it has
/// reported.
#[test]
fn an_erased_user_leaves_only_devices_that_are_to_be_wiped() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desk = runtime.desk(&folder.file("a.db"));
    let [idle, wiped, of_bob] = [("ann", "idle"), ("ann", "wiped"), ("bob", "idle")]
        .map(|(subject, device)| key(&desk.client_id, subject, device));
    for key in [&idle, &wiped, &of_bob] {
        see(&runtime, &desk, key);
    }
    order(&runtime, &desk, &wiped);
    let ann = Subject::new("ann").unwrap();
    let erase = || runtime.block_on(desk.store.erase_subject(&ann, at(2), at(HOUR))).unwrap();
    let is_there =
        |key: &DeviceKey| runtime.block_on(desk.store.find_device(key)).unwrap().is_some();
    assert_eq!(erase(), 1);
    assert_eq!([&idle, &wiped, &of_bob].map(is_there), [false, true, true]);
    let (key, step, ordered_at) = (wiped.clone(), WipeStep::Finish, at(1));
    let report = WipeAdvance { key, step, ordered_at, keep_until: at(HOUR), now: at(3) };
    let report = runtime.block_on(desk.store.advance_wipe(&report)).unwrap();
    assert_eq!(report, AdvanceWipe::Advanced);
    assert_eq!(erase(), 1);
    assert_eq!([&idle, &wiped, &of_bob].map(is_there), [false, false, true]);
    assert_eq!(erase(), 0);
}
