//! Requests that share a commit.

use std::future::poll_fn;
use std::sync::{Arc, mpsc};
use std::task::Poll;

use grantor::ids::Subject;
use grantor::protocol::Scope;
use grantor::store::conformance::Runner as _;
use grantor::store::{Consent, Grant, GrantStore as _, Rotate};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};
use tokio::task::JoinHandle;

use crate::sandbox::{Folder, command};
use crate::support::{Desk, Tokio, at, token};

/// The variable with the number of waves of 64 refreshes for a child under strace.
const WAVES: &str = "GRANTOR_TEST_WAVES";

/// Refreshes all families once, at the same time, while another program writes to the file.
fn refresh(runtime: &Tokio, folder: &Folder, desk: &Desk, families: &[Grant], generation: u32) {
    let lock = Lock::take(runtime, folder);
    let refreshes = families.iter().map(|family| {
        let (store, rotation) = (Arc::clone(&desk.store), token(family, generation));
        async move { store.rotate(&rotation).await }
    });
    let refreshes = queued(runtime, refreshes);
    lock.release(runtime);
    for refresh in refreshes {
        assert_eq!(runtime.block_on(refresh).unwrap().unwrap(), Rotate::Rotated);
    }
}

/// Starts `requests` and returns once the store has all of them. A request is in the queue once it was
/// polled.
fn queued<T: Send + 'static>(
    runtime: &Tokio,
    requests: impl Iterator<Item: Future<Output = T> + Send + 'static>,
) -> Vec<JoinHandle<T>> {
    let (waits, waiting) = mpsc::channel();
    let started = requests.map(|request| {
        let waits = waits.clone();
        runtime.spawn(async move {
            let mut request = Box::pin(request);
            let asked = poll_fn(|context| Poll::Ready(request.as_mut().poll(context))).await;
            waits.send(()).unwrap();
            match asked {
                Poll::Ready(answer) => answer,
                Poll::Pending => request.await,
            }
        })
    });
    let handles: Vec<_> = started.collect();
    for _ in &handles {
        waiting.recv().unwrap();
    }
    handles
}

fn families(runtime: &Tokio, desk: &Desk) -> Vec<Grant> {
    let families: Vec<_> = (0..64).map(|_| desk.family()).collect();
    for family in &families {
        runtime.block_on(desk.store.insert_grant(family.clone())).unwrap();
    }
    families
}

/// Holds the write lock of the file, as another process may.
struct Lock(SqliteConnection);

impl Lock {
    fn take(runtime: &Tokio, folder: &Folder) -> Self {
        let options = SqliteConnectOptions::new().filename(folder.file("a.db"));
        let mut connection = runtime.block_on(options.connect()).unwrap();
        let begin = sqlx::query("BEGIN IMMEDIATE");
        runtime.block_on(begin.execute(&mut connection)).unwrap();
        Self(connection)
    }

    fn release(mut self, runtime: &Tokio) {
        runtime.block_on(sqlx::query("ROLLBACK").execute(&mut self.0)).unwrap();
    }
}

/// Requests that arrive while the writer waits are one transaction.
#[test]
fn sixty_four_refreshes_share_their_commits() {
    let (folder, runtime) = (Folder::on_disk(), Tokio::new());
    let desk = runtime.desk(&folder.file("a.db"));
    let families = families(&runtime, &desk);
    for generation in 1..10 {
        let before = desk.store.commits();
        refresh(&runtime, &folder, &desk, &families, generation);
        let commits = desk.store.commits() - before;
        assert!((1..=4).contains(&commits), "{commits} commits for 64 refreshes");
    }
}

/// A commit has 256 requests at most: one more waits for the next.
#[test]
fn at_most_256_requests_share_a_commit() {
    let (folder, runtime) = (Folder::on_disk(), Tokio::new());
    let desk = runtime.desk(&folder.file("a.db"));
    for (requests, commits) in [(256, 1), (257, 2), (512, 2), (513, 3)] {
        let before = desk.store.commits();
        let lock = Lock::take(&runtime, &folder);
        let inserts = (0..requests).map(|_| {
            let (store, grant) = (Arc::clone(&desk.store), desk.grant());
            async move { store.insert_grant(grant).await }
        });
        let inserts = queued(&runtime, inserts);
        lock.release(&runtime);
        for insert in inserts {
            runtime.block_on(insert).unwrap().unwrap();
        }
        assert_eq!(desk.store.commits() - before, commits, "{requests} requests");
    }
}

/// A request that the database refuses does not fail others in its batch.
#[test]
fn a_request_that_fails_fails_alone() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desk = runtime.desk(&folder.file("a.db"));
    // ABORT undoes the statement, and ROLLBACK the transaction.
    for (number, how) in ["ABORT", "ROLLBACK"].into_iter().enumerate() {
        let options = SqliteConnectOptions::new().filename(folder.file("a.db"));
        let mut host = runtime.block_on(options.connect()).unwrap();
        let trigger = format!(
            "CREATE TRIGGER poison{number} BEFORE INSERT ON grantor_consents \
             WHEN NEW.subject = 'poison{number}' BEGIN SELECT RAISE({how}, 'no'); END"
        );
        runtime.block_on(sqlx::query(sqlx::AssertSqlSafe(trigger)).execute(&mut host)).unwrap();
        let lock = Lock::take(&runtime, &folder);
        let poison = format!("poison{number}");
        let subjects: Vec<_> =
            (0..9).map(|user| format!("user {number} {user}")).chain([poison]).collect();
        let consents = subjects.iter().map(|subject| {
            let consent = Consent {
                client_id: desk.client_id.clone(),
                subject: Subject::new(subject.as_str()).unwrap(),
                scope: Scope::default(),
                resource: None,
                given_at: at(0),
            };
            let store = Arc::clone(&desk.store);
            async move { store.remember_consent(consent).await }
        });
        let waiting = queued(&runtime, consents);
        lock.release(&runtime);
        for (subject, answer) in subjects.iter().zip(waiting) {
            let answer = runtime.block_on(answer).unwrap();
            let fails = subject.starts_with("poison");
            assert_eq!(answer.is_err(), fails, "{how} {subject}: {answer:?}");
            let subject = Subject::new(subject.as_str()).unwrap();
            let found = desk.store.find_consent(&desk.client_id, &subject);
            assert_eq!(runtime.block_on(found).unwrap().is_none(), fails);
        }
    }
}

/// Refreshes, for the next test, between the creation of two folders.
#[test]
fn child_that_refreshes_in_waves() {
    let Ok(waves) = std::env::var(WAVES) else { return };
    let (folder, runtime) = (Folder::on_disk(), Tokio::new());
    let desk = runtime.desk(&folder.file("a.db"));
    let families = families(&runtime, &desk);
    std::fs::create_dir(folder.file("begin")).unwrap();
    for generation in 1..=waves.parse().unwrap() {
        refresh(&runtime, &folder, &desk, &families, generation);
    }
    std::fs::create_dir(folder.file("end")).unwrap();
}

/// Counts the waits of a child for the disk during `waves` waves. Returns `None` without strace.
fn waits(waves: u32) -> Option<usize> {
    let folder = Folder::in_memory();
    let trace = folder.file("trace");
    let done = command("strace")
        .args(["-f", "-qq", "-e", "trace=fsync,fdatasync,/^mkdir", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "sharing::child_that_refreshes_in_waves"])
        .env(WAVES, waves.to_string())
        .output()
        .ok()?;
    let trace = std::fs::read_to_string(trace).ok().filter(|_| done.status.success())?;
    // A call that another thread interrupts takes two lines.
    let calls = trace.lines().filter(|line| !line.contains("resumed"));
    let waves = calls.skip_while(|line| !line.contains("/begin\""));
    let waves = waves.take_while(|line| !line.contains("/end\""));
    Some(waves.filter(|line| line.contains("sync(")).count())
}

#[test]
fn sixty_four_refreshes_wait_for_the_disk_four_times_at_most() {
    let Some(waits) = waits(20) else {
        println_skipped("there is no strace with the right to trace");
        return;
    };
    assert!((20..=80).contains(&waits), "{waits} waits for 20 waves of 64 refreshes");
}

#[expect(clippy::print_stderr, reason = "a test says that it was skipped")]
fn println_skipped(why: &str) {
    eprintln!("skipped: {why}");
}
