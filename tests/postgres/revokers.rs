//! A process in a round of [`survivors`](super::survivors). It revokes access, or uses access until it
//! is revoked, and then looks for survivors.

use std::time::Duration;

use grantor::AuthorizationServer;
use grantor::clock::UnixTime;
use grantor::ids::{DeviceId, GrantId, Issuer, Subject};
use grantor::jwt::{Algorithm, SigningKey};
use grantor::server_secret::ServerSecret;
use grantor::store::{
    AccessFacts, Grant, GrantRefusal, GrantStore as _, InsertGrant, PostgresStore, RedeemCode,
    Revocation, RevocationReason, RevocationTarget, Rotate,
};
use grantor::users::{MemoryUsers, User};

use super::child::{Task, micros, say, told};
use super::contenders::numbered;
use super::races::{redemption, rotation};
use super::world::now;

pub(crate) const SUBJECT: &str = "ann";
pub(crate) const DEVICE: &str = "phone";
/// The offset, in the numbers of a round, of the grants that are created while it runs.
pub(crate) const NEWBORN: u64 = 8;
/// The most uses of a token if no revocation comes.
const MAX_USES: u32 = 2_000;

/// The way in which access ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Everything,
    App,
    Subject,
    AppAndSubject,
    Device,
    Withdrawal,
    EachGrant,
    AppDisabled,
}

impl Ending {
    pub(crate) const ALL: [Self; 8] = [
        Self::Everything,
        Self::App,
        Self::Subject,
        Self::AppAndSubject,
        Self::Device,
        Self::Withdrawal,
        Self::EachGrant,
        Self::AppDisabled,
    ];
}

#[derive(Clone, Copy)]
pub(crate) struct Round {
    pub(crate) ending: Ending,
    /// The number of the grant of the first process.
    pub(crate) first: u64,
    /// The index of the process that revokes.
    pub(crate) revoker: usize,
    /// The pause before this process begins, in microseconds.
    pub(crate) delay: u64,
    /// Whether the grant of this process is still a code.
    pub(crate) is_code: bool,
}

impl Round {
    pub(crate) fn line(self) -> String {
        let Self { ending, first, revoker, delay, is_code } = self;
        format!("{ending:?} {first} {revoker} {delay} {is_code}")
    }

    fn read(line: &str) -> Self {
        let [ending, first, revoker, delay, is_code] = line.split(' ').collect::<Vec<_>>()[..]
        else {
            panic!("no round: {line}")
        };
        Self {
            ending: Ending::ALL.into_iter().find(|it| format!("{it:?}") == ending).unwrap(),
            first: first.parse().unwrap(),
            revoker: revoker.parse().unwrap(),
            delay: delay.parse().unwrap(),
            is_code: is_code.parse().unwrap(),
        }
    }
}

/// One of the processes.
struct Process {
    task: Task,
    server: AuthorizationServer<PostgresStore, MemoryUsers>,
    index: usize,
}

#[test]
fn child_that_revokes_and_uses() {
    let Some(task) = Task::find(4, &[("synchronous_commit", "off")]) else { return };
    let server = AuthorizationServer::builder(
        Issuer::new("https://as.example.com").unwrap(),
        ServerSecret::new(b"0123456789abcdef0123456789abcdef").unwrap(),
        SigningKey::generate(Algorithm::ES256).unwrap(),
        task.store.clone(),
        MemoryUsers::new([User::new(Subject::new(SUBJECT).unwrap())]),
    )
    .build();
    say("ready");
    let mut lines = told();
    let index = lines.next().unwrap().parse().unwrap();
    let process = Process { task, server, index };
    for line in lines {
        let (what, rest) = line.split_once(' ').unwrap();
        let answer = match what {
            "play" => process.task.runtime.block_on(process.play(Round::read(rest))),
            "look" => process.task.runtime.block_on(process.look(rest)),
            "born" => process.task.runtime.block_on(process.born(rest)),
            "enable" => process.task.runtime.block_on(process.enable()),
            _ => panic!("what is {line}"),
        };
        say(&answer);
    }
}

impl Process {
    async fn play(&self, round: Round) -> String {
        // The thread sleeps because the runtime would round to milliseconds.
        std::thread::sleep(Duration::from_micros(round.delay));
        if round.revoker == self.index {
            let called = micros();
            let at = self.end(round).await.map_or(0, UnixTime::as_millis);
            return format!("{called} {} {at}", micros());
        }
        self.use_up(round).await
    }

    /// Ends access. Returns the instant of the cutoff if there is one.
    async fn end(&self, round: Round) -> Option<UnixTime> {
        let (store, client_id) = (&self.task.store, self.task.client_id.clone());
        let subject = Subject::new(SUBJECT).unwrap();
        let until = now().plus(Duration::from_hours(24));
        let target = match round.ending {
            Ending::Everything => RevocationTarget::Everything,
            Ending::App => RevocationTarget::App(client_id),
            Ending::Subject => RevocationTarget::Subject(subject),
            Ending::AppAndSubject => RevocationTarget::AppAndSubject(client_id, subject),
            Ending::Device => RevocationTarget::NamedDevice(DeviceId::new(DEVICE).unwrap()),
            Ending::Withdrawal => {
                let revoked = store.withdraw_consent(&client_id, &subject, now(), until).await;
                return Some(revoked.unwrap().at);
            }
            Ending::EachGrant => {
                for number in round.first..round.first + NEWBORN / 2 {
                    let id = numbered(&client_id, number).grant_id;
                    store.revoke(&revocation(RevocationTarget::Grant(id))).await.unwrap();
                }
                return None;
            }
            Ending::AppDisabled => {
                self.server.admin("tester").disable(&client_id).await.unwrap();
                return None;
            }
        };
        Some(store.revoke(&revocation(target)).await.unwrap().at)
    }

    /// Redeems and rotates until the store refuses, and creates a grant meanwhile. Returns the steps. Each
    /// is a word, the generation that it makes (for a new grant its instant), the times of the call and
    /// of the answer, and the answer.
    async fn use_up(&self, round: Round) -> String {
        let store = &self.task.store;
        let number = round.first + u64::try_from(self.index).unwrap();
        let grant = numbered(&self.task.client_id, number);
        let mut steps = Vec::new();
        let mut generation = u32::from(!round.is_code);
        for used in 0..MAX_USES {
            let called = micros();
            let (is_done, is_revoked, answer) = if generation == 0 {
                let answer = store.redeem_code(&redemption(&grant, now())).await.unwrap();
                let revoked = answer == RedeemCode::Refused(GrantRefusal::Revoked);
                (answer == RedeemCode::Redeemed, revoked, format!("{answer:?}"))
            } else {
                let answer = store.rotate(&rotation(&grant, generation, now())).await.unwrap();
                let revoked = answer == Rotate::Refused(GrantRefusal::Revoked);
                (answer == Rotate::Rotated, revoked, format!("{answer:?}"))
            };
            let answer = match (is_done, is_revoked) {
                (true, _) => "done",
                (_, true) => "revoked",
                _ => answer.as_str(),
            };
            generation += 1;
            steps.push(format!("use {generation} {called} {} {answer}", micros()));
            if answer != "done" {
                break;
            }
            // Creates a grant while the others and the revocation are under way.
            if used == 0 {
                steps.push(self.decide(round, number + NEWBORN).await);
            }
        }
        steps.join(";")
    }

    async fn decide(&self, round: Round, number: u64) -> String {
        let called = micros();
        let mut grant = newborn(self, number);
        grant.authorized_at = self.task.store.instant(now()).await.unwrap();
        let answer = self.task.store.insert_grant(grant).await.unwrap();
        let (at, answer) = if let InsertGrant::Inserted { authorized_at } = answer {
            (authorized_at.as_millis(), "done")
        } else if answer == InsertGrant::Revoked {
            (0, "overtaken")
        } else {
            assert_eq!((answer, round.ending), (InsertGrant::AppInactive, Ending::AppDisabled));
            (0, "inactive")
        };
        format!("born {at} {called} {} {answer}", micros())
    }

    /// Looks at grants, each given with the greatest generation that was answered. Presents their tokens,
    /// and returns `dead` if the store refuses all of them.
    async fn look(&self, grants: &str) -> String {
        let store = &self.task.store;
        for (number, live) in pairs(grants) {
            let grant = numbered(&self.task.client_id, number);
            let row = store.find_grant(&grant.grant_id).await.unwrap().unwrap();
            if !store.is_revoked(&row.facts()).await.unwrap() {
                return format!("{number} is found unrevoked: {row:?}");
            }
            let refused = Rotate::Refused(GrantRefusal::Revoked);
            for generation in (1..=u32::try_from(live).unwrap()).rev() {
                let rotate = rotation(&grant, generation, now());
                let answer = store.rotate(&rotate).await.unwrap();
                if answer != refused {
                    return format!("{answer:?} for generation {generation} of {number}");
                }
                // Only the next process presents the older tokens.
                if usize::try_from(number).unwrap() % 4 != (self.index + 1) % 4 {
                    break;
                }
            }
            let code = store.redeem_code(&redemption(&grant, now())).await.unwrap();
            let refused = RedeemCode::Refused(GrantRefusal::Revoked);
            // The store may also answer that the code of a revoked grant is spent.
            if code != refused && !(live > 0 && code == RedeemCode::AlreadyRedeemed) {
                return format!("{code:?} for the code of {number}");
            }
        }
        "dead".to_owned()
    }

    /// Tells which of the grants that were created meanwhile are revoked.
    async fn born(&self, grants: &str) -> String {
        let mut answers = Vec::new();
        for (number, at) in pairs(grants) {
            let grant = newborn(self, number);
            let authorized_at = UnixTime::from_millis(i64::try_from(at).unwrap());
            let facts = AccessFacts { authorized_at, ..grant.facts() };
            answers.push(self.task.store.is_revoked(&facts).await.unwrap().to_string());
        }
        answers.join(" ")
    }

    async fn enable(&self) -> String {
        self.server.admin("tester").enable(&self.task.client_id).await.unwrap();
        "enabled".to_owned()
    }
}

fn revocation(target: RevocationTarget) -> Revocation {
    let until = now().plus(Duration::from_hours(24));
    Revocation { target, at: now(), why: RevocationReason::Administrator, until }
}

fn newborn(process: &Process, number: u64) -> Grant {
    let mut grant = numbered(&process.task.client_id, number);
    grant.device = Some(DeviceId::new(DEVICE).unwrap());
    grant.grant_id = GrantId::from_bytes(u128::from(number).to_be_bytes());
    grant
}

fn pairs(text: &str) -> Vec<(u64, u64)> {
    let pair = |it: &str| {
        let (number, of) = it.split_once(':').unwrap();
        (number.parse().unwrap(), of.parse().unwrap())
    };
    text.split(' ').map(pair).collect()
}
