//! A store knows the roots under which it was written.

use std::sync::Arc;

use grantor::clock::{Clock as _, SystemClock};
use grantor::ids::Issuer;
use grantor::jwt::Algorithm;
use grantor::random::OsRandom;
use grantor::server_secret::{KeyFile, RootPrint, RootUse};
use grantor::store::Store;
use grantor::users::MemoryUsers;
use grantor::{AuthorizationServer, ServerSecret, SigningKey, StartError};

const ISSUER: &str = "https://as.example.com";

pub(crate) fn new_file() -> KeyFile {
    KeyFile::generate(Algorithm::ES256, &OsRandom::new(), SystemClock::new().now()).unwrap()
}

/// Starts a server with these roots over `store`. Returns the roots that it lacks.
async fn start<S: Store>(store: S, secret: ServerSecret) -> Result<(), Vec<RootPrint>> {
    let (issuer, users) = (Issuer::new(ISSUER).unwrap(), Arc::new(MemoryUsers::new([])));
    let keys = SigningKey::generate(Algorithm::ES256).unwrap();
    let builder = AuthorizationServer::builder(issuer, secret, keys, store, users);
    match builder.start().await {
        Ok(_) => Ok(()),
        Err(StartError::MissingRoots { missing }) => {
            let text = StartError::MissingRoots { missing: missing.clone() }.to_string();
            assert!(text.contains(&missing[0].to_string()) && text.contains("docs/runbooks.md"));
            Err(missing)
        }
        Err(other) => panic!("{other}"),
    }
}

/// Walks through the life of the roots over one database, which `open` opens again for every start.
#[expect(clippy::future_not_send, reason = "a test blocks on it")]
pub(crate) async fn the_store_knows_its_roots<S: Store>(open: impl AsyncFn() -> S) {
    let secret = |file: &KeyFile| file.server_secret().unwrap();
    let sealing = |file: &KeyFile| secret(file).roots_claim().sealing;
    let starts = async |file: &KeyFile| start(open().await, secret(file)).await;
    let mut file = new_file();
    for _ in 0..2 {
        assert_eq!(starts(&file).await, Ok(()));
    }
    // The volume of the key file is lost, and a new file is made. Nothing changes in the store.
    let other = new_file();
    for _ in 0..2 {
        assert_eq!(starts(&other).await, Err(sealing(&file)));
        assert_eq!(starts(&file).await, Ok(()));
    }
    // One use alone has other roots.
    let now = SystemClock::new().now();
    let installed = file.clone();
    file.add_root(RootUse::ALL, &OsRandom::new(), now).unwrap();
    assert_eq!(starts(&file).await, Ok(()));
    assert_eq!(starts(&installed).await, Ok(()), "not every process has restarted");
    file.promote_root(RootUse::Pepper);
    assert_eq!(starts(&file).await, Ok(()));
    let of_pepper = |it: &RootPrint| it.root_use() == RootUse::Pepper;
    let pepper: Vec<_> = sealing(&file).into_iter().filter(of_pepper).collect();
    assert_eq!(starts(&installed).await, Err(pepper), "an old file");
    for root_use in RootUse::ALL {
        file.promote_root(*root_use);
        file.retire_root(*root_use);
    }
    for _ in 0..2 {
        assert_eq!(starts(&file).await, Ok(()));
    }
    assert_eq!(starts(&installed).await, Err(sealing(&file)));
    // A leaked root is replaced and retired in one write.
    file.add_root(RootUse::ALL, &OsRandom::new(), now).unwrap();
    for root_use in RootUse::ALL {
        file.promote_root(*root_use);
        file.retire_root(*root_use);
    }
    assert_eq!(starts(&file).await, Ok(()));
    // The host has lost its roots for good, and says so.
    let lost = sealing(&file);
    let given_up = lost.iter().fold(secret(&other), |secret, root| secret.giving_up(*root));
    assert_eq!(start(open().await, given_up).await, Ok(()));
    assert_eq!(starts(&other).await, Ok(()));
    assert_eq!(starts(&file).await, Err(sealing(&other)));
}

/// Of two servers with roots of their own that start at once over an empty store, one starts.
pub(crate) async fn one_of_two_first_servers_starts<S: Store>(one: S, other: S) {
    let secrets = [new_file(), new_file()].map(|file| file.server_secret().unwrap());
    let [first, second] = secrets;
    let (first, second) = tokio::join!(start(one, first), start(other, second));
    assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1);
}
