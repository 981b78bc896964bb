//! A process that races others. It runs two contenders in each race when the parent tells it.

use std::fmt::Debug;
use std::time::Duration;

use grantor::ids::{ClientId, GrantId};
use grantor::secret::Digest;
use grantor::store::{
    AssertionClaim, AssertionPurpose, ClaimAssertion, Grant, GrantStore as _, InsertGrant,
    PostgresStore, RedeemCode, Rotate, Rotation,
};

use super::child::{Task, micros, say, told};
use super::races::{redemption, rotation};
use super::world::{grant, now};

/// The contenders in each process.
pub(crate) const CONTENDERS: u64 = 2;
/// The number of races at once.
pub(crate) const WAVE: u64 = 8;
/// The salt and the binding of every grant in a race.
pub(crate) const SECRET: [u8; 32] = [7; 32];

/// The prize of a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Decision,
    Code,
    /// A refresh token in its grace window.
    Refresh,
    /// A refresh token of an app without grace.
    RefreshOnce,
    Assertion,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Decision, Self::Code, Self::Refresh, Self::RefreshOnce, Self::Assertion];

    fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|kind| format!("{kind:?}") == name).unwrap()
    }
}

/// One wave: races for prizes of `kind`, numbered from `first`.
#[derive(Clone, Copy)]
pub(crate) struct Wave {
    pub(crate) kind: Kind,
    pub(crate) first: u64,
    /// The generation of the refresh tokens that are presented.
    pub(crate) generation: u32,
}

impl Wave {
    pub(crate) fn line(self) -> String {
        format!("{:?} {} {}", self.kind, self.first, self.generation)
    }

    fn read(line: &str) -> Self {
        let [kind, first, generation] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("no wave: {line}")
        };
        let (first, generation) = (first.parse().unwrap(), generation.parse().unwrap());
        Self { kind: Kind::named(kind), first, generation }
    }
}

/// The answer to one contender, with the times of its call and its answer.
pub(crate) struct Answer {
    pub(crate) told: String,
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

impl Answer {
    fn write(&self) -> String {
        format!("{} {} {}", self.told, self.began, self.ended)
    }

    /// Reads the answers that one process got in one wave, in the order of the races.
    pub(crate) fn read(line: &str) -> Vec<Self> {
        let answer = |text: &str| {
            let [told, began, ended] = text.split(' ').collect::<Vec<_>>()[..] else {
                panic!("no answer: {text}")
            };
            let (began, ended) = (began.parse().unwrap(), ended.parse().unwrap());
            Self { told: told.to_owned(), began, ended }
        };
        line.split(';').map(answer).collect()
    }
}

/// Returns the grant with this number, as [`races`](super::races) inserts it.
pub(crate) fn numbered(client_id: &ClientId, number: u64) -> Grant {
    let mut grant = grant(client_id, "ann");
    grant.grant_id = GrantId::from_bytes(u128::from(number).to_be_bytes());
    grant.binding = Digest::from_bytes(SECRET);
    grant.salt_digest = Digest::from_bytes(SECRET);
    grant
}

/// Returns the digest of the assertion with this number.
fn assertion(number: u64) -> Digest {
    let mut bytes = SECRET;
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Digest::from_bytes(bytes)
}

#[test]
fn child_that_contends() {
    // Races depend on isolation, so an answer need not wait for the disk.
    let Some(task) = Task::find(16, &[("synchronous_commit", "off")]) else { return };
    say("ready");
    for line in told() {
        let wave = Wave::read(&line);
        let contend = |number: u64| {
            let (store, client_id) = (task.store.clone(), task.client_id.clone());
            task.runtime.spawn(async move { contend(store, client_id, wave, number).await })
        };
        let races = wave.first..wave.first + WAVE;
        let contenders: Vec<_> =
            races.flat_map(|number| (0..CONTENDERS).map(move |_| number)).map(contend).collect();
        // The runtime runs this after it has polled each contender once.
        task.runtime.block_on(task.runtime.spawn(async {})).unwrap();
        say("asked");
        let answers = contenders.into_iter().map(|it| task.runtime.block_on(it).unwrap().write());
        say(&answers.collect::<Vec<_>>().join(";"));
    }
}

async fn contend(store: PostgresStore, client_id: ClientId, wave: Wave, number: u64) -> Answer {
    let grant = numbered(&client_id, number);
    let began = micros();
    let told = match wave.kind {
        Kind::Decision => {
            let answer = store.insert_grant(grant).await.unwrap();
            let won = matches!(answer, InsertGrant::Inserted { .. });
            name(won, answer == InsertGrant::AlreadyDecided, &answer)
        }
        Kind::Code => {
            let answer = store.redeem_code(&redemption(&grant, now())).await.unwrap();
            let lost = answer == RedeemCode::AlreadyRedeemed;
            name(answer == RedeemCode::Redeemed, lost, &answer)
        }
        Kind::Refresh | Kind::RefreshOnce => {
            let rotation = rotation(&grant, wave.generation, now());
            let grace_millis = if wave.kind == Kind::Refresh { rotation.grace_millis } else { 0 };
            let answer = store.rotate(&Rotation { grace_millis, ..rotation }).await.unwrap();
            name(answer == Rotate::Rotated, matches!(answer, Rotate::Retried { .. }), &answer)
        }
        Kind::Assertion => {
            let answer = store.claim_assertion(&claim(grant, number)).await.unwrap();
            let won = matches!(answer, ClaimAssertion::First { .. });
            name(won, answer == ClaimAssertion::Replayed, &answer)
        }
    };
    Answer { told, began, ended: micros() }
}

/// Names an answer: `won`, `lost`, or its own name.
fn name(won: bool, lost: bool, answer: &impl Debug) -> String {
    match (won, lost) {
        (true, _) => "won".to_owned(),
        (_, true) => "lost".to_owned(),
        _ => format!("{answer:?}").replace([' ', ';'], "_"),
    }
}

/// Returns the claim of an assertion. Every other one also creates a grant.
fn claim(grant: Grant, number: u64) -> AssertionClaim {
    AssertionClaim {
        client_id: grant.client_id.clone(),
        purpose: AssertionPurpose::Grant,
        jti: assertion(number),
        expires_at: now().plus(Duration::from_mins(5)),
        grant: Some(grant),
        makes_row: number.is_multiple_of(2),
        now: now(),
    }
}
