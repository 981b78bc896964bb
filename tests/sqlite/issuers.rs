//! Several issuers in one file.

use grantor::audit::conformance::AuditKit;
use grantor::ids::Issuer;
use grantor::store::conformance::{Kit, Runner as _, devices, issuers, pending};
use grantor::store::{AnyStore, SqliteStore};

use crate::contract::Shared;
use crate::sandbox::Folder;
use crate::support::{HOUR, Tokio, at};
use crate::views::{issuers_share_no_records, tenants};

fn view(runner: &Shared, store: &SqliteStore, name: &str) -> SqliteStore {
    let [issuer] = tenants([name]);
    runner.block_on(store.for_issuer(&issuer)).unwrap()
}

/// Z37: a further issuer has a whole store, apart from the first and from others.
#[test]
fn the_view_of_an_issuer_keeps_the_contract() {
    let runner = Shared::new();
    let (stores, here, there) =
        (runner.stores(Folder::in_memory()), runner.clone(), runner.clone());
    let kit = Kit::new(move || view(&here, &stores(), "a"))
        .with_second_issuer(move |store| view(&there, store, "b"))
        .with_runner(runner.clone())
        .with_rounds(5);
    for report in [kit.run_with_devices(), kit.run_pending_only(), kit.run_trusted_issuers_only()] {
        assert!(report.is_passed(), "{report}");
    }
    let (stores, there) = (runner.stores(Folder::in_memory()), runner.clone());
    let with_first = Kit::new(stores)
        .with_second_issuer(move |store| view(&there, store, "b"))
        .with_runner(runner);
    issuers::issuers_share_no_apps(&with_first).unwrap();
    issuers::issuers_share_no_grants(&with_first).unwrap();
    issuers::a_revocation_reaches_one_issuer_only(&with_first).unwrap();
    issuers::issuers_share_no_assertions(&with_first).unwrap();
    issuers::issuers_share_no_consents(&with_first).unwrap();
    devices::issuers_share_no_devices(&with_first).unwrap();
    pending::issuers_share_no_records(&with_first).unwrap();
}

#[test]
fn the_view_of_an_issuer_keeps_the_audit_log() {
    let runner = Shared::new();
    let (stores, here) = (runner.stores(Folder::in_memory()), runner.clone());
    let kit = AuditKit::new(move || view(&here, &stores(), "a"));
    let report = kit.with_runner(runner).with_rounds(5).run();
    assert!(report.is_passed(), "{report}");
}

/// Z37: the same app, user and device at two issuers are two of each, in every record.
#[test]
fn issuers_in_one_file_share_no_records() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let first = runtime.open(&folder.file("a.db"));
    runtime.block_on(async {
        let views = first.for_issuers(&tenants(["a", "b"])).await.unwrap();
        let erase = async |store: &SqliteStore, subject: &_| {
            store.erase_subject(subject, at(0), at(HOUR)).await.unwrap()
        };
        issuers_share_no_records(&views[0], &views[1], erase).await;
        issuers_share_no_records(&first, &views[1], erase).await;
    });
}

/// Z37: an issuer keeps its rows across restarts, and views may be opened in any order.
#[test]
fn an_issuer_has_the_same_view_whenever_it_is_opened() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let file = folder.file("a.db");
    let [a, b, c] = tenants(["a", "b", "c"]);
    let roots = |store: &SqliteStore, claim: &grantor::server_secret::RootsClaim| {
        runtime.block_on(grantor::store::GrantStore::claim_roots(store, claim)).unwrap()
    };
    let open = |store: &SqliteStore, issuers: &[Issuer]| {
        let commits = store.commits();
        let views = runtime.block_on(store.for_issuers(issuers)).unwrap();
        assert_eq!(views.len(), issuers.len());
        (views, store.commits() - commits)
    };
    let secret = |byte: u8| {
        let root: Vec<u8> = (byte..byte + 32).collect();
        grantor::ServerSecret::new(&root).unwrap().roots_claim()
    };
    let first = runtime.open(&file);
    let (views, commits) = open(&first, &[a.clone(), b.clone(), a.clone()]);
    assert_eq!(commits, 1, "new issuers share a transaction");
    assert!(roots(&views[0], &secret(1)).is_empty() && roots(&views[1], &secret(2)).is_empty());
    assert_eq!(roots(&views[2], &secret(3)), secret(1).sealing, "the third is the first again");
    runtime.block_on(first.close());
    let first = runtime.open(&file);
    let (views, commits) = open(&first, &[b, a]);
    assert_eq!(commits, 0, "known issuers are only read");
    assert_eq!(roots(&views[0], &secret(3)), secret(2).sealing);
    assert_eq!(roots(&views[1], &secret(3)), secret(1).sealing);
    // A view opens others, too.
    let (views, _) = open(&views[0], &[c]);
    assert!(roots(&views[0], &secret(3)).is_empty() && roots(&first, &secret(3)).is_empty());
    assert!(open(&first, &[]).0.is_empty());
}

/// Z37: the choice at run time changes no answer.
#[test]
fn any_store_in_a_file_has_further_issuers() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let first = AnyStore::from(runtime.open(&folder.file("a.db")));
    runtime.block_on(async {
        let [view] = &first.for_issuers(&tenants(["a"])).await.unwrap()[..] else { panic!() };
        let erase = async |store: &AnyStore, subject: &_| {
            let AnyStore::Sqlite(store) = store else { panic!("{store:?}") };
            store.store().erase_subject(subject, at(0), at(HOUR)).await.unwrap()
        };
        issuers_share_no_records(&first, view, erase).await;
    });
}
