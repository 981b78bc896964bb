//! Orders to wipe devices that race with the tokens of the devices, between two processes over one database.

use std::sync::Arc;
use std::time::Duration;

use grantor::clock::{Clock as _, SystemClock, UnixTime};
use grantor::ids::{ClientId, DeviceId, GrantId, Subject};
use grantor::protocol::Scope;
use grantor::random::{OsRandom, SecureRandom as _};
use grantor::secret::Digest;
use grantor::store::conformance::Runner;
use grantor::store::{
    CodeRedemption, DeviceKey, DeviceSighting, DeviceStore, Grant, GrantRefusal, InsertGrant,
    RedeemCode, RequestWipe, RevocationReason, Rotate, Rotation, SeeDevice, Store, Wipe,
    WipeRequest,
};

use crate::other_process::{Child, micros, say, told};

/// The number of races at once.
const WAVE: u64 = 8;
/// The grants on each device.
const GRANTS: u64 = 3;
/// The salt and the binding of every grant.
const SECRET: [u8; 32] = [7; 32];
const BY: &str = "administrator";

/// The token that races with the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The code of a device, which is known before in every other race.
    Code,
    /// A refresh token, four times in a row.
    Family,
}

/// One race.
#[derive(Clone, Copy)]
struct Race {
    kind: Kind,
    number: u64,
}

/// One call, with the times of its first try and its answer.
struct Call {
    told: String,
    began: u64,
    ended: u64,
}

impl Call {
    fn write(&self) -> String {
        format!("{} {} {}", self.told, self.began, self.ended)
    }

    fn read(text: &str) -> Self {
        let [told, began, ended] = text.split(' ').collect::<Vec<_>>()[..] else {
            panic!("no call: {text}")
        };
        let (began, ended) = (began.parse().unwrap(), ended.parse().unwrap());
        Self { told: told.to_owned(), began, ended }
    }

    fn has_passed(&self) -> bool {
        ["Redeemed", "Rotated", "Seen"].contains(&self.told.as_str())
    }

    fn meets(&self, other: &Self) -> bool {
        self.began < other.ended && other.began < self.ended
    }
}

/// A process in the races.
pub(crate) struct Party<S> {
    pub(crate) store: Arc<S>,
    pub(crate) client_id: ClientId,
}

impl<S> Clone for Party<S> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), client_id: self.client_id.clone() }
    }
}

fn now() -> UnixTime {
    SystemClock::new().now()
}

fn claim() -> u64 {
    let mut bytes = [0; 8];
    OsRandom::new().fill(&mut bytes).unwrap();
    u64::from_ne_bytes(bytes)
}

impl<S: Store + DeviceStore + 'static> Party<S> {
    /// Returns the device of a race. Each has a user of its own.
    fn key(&self, race: Race) -> DeviceKey {
        DeviceKey {
            client_id: self.client_id.clone(),
            subject: Subject::new(format!("{:?} {}", race.kind, race.number)).unwrap(),
            device_id: DeviceId::new("phone").unwrap(),
        }
    }

    fn grant(&self, race: Race, number: u64) -> Grant {
        let key = self.key(race);
        let number = u128::from(race.number * GRANTS + number) << 8;
        let id = GrantId::from_bytes((number | race.kind as u128).to_be_bytes());
        let mut grant = Grant::new(id, key.client_id, key.subject, Scope::empty());
        (grant.binding, grant.salt_digest) =
            (Digest::from_bytes(SECRET), Digest::from_bytes(SECRET));
        grant.authorized_at = now();
        grant.code_expires_at = grant.authorized_at.plus(Duration::from_hours(1));
        grant.expires_at = grant.authorized_at.plus(Duration::from_hours(24));
        if race.kind == Kind::Family {
            grant.device = Some(key.device_id);
            (grant.generation, grant.rotated_at) = (1, grant.authorized_at);
        }
        grant
    }

    async fn see(&self, race: Race, grant: &Grant) -> SeeDevice {
        let now = now();
        let sighting = DeviceSighting {
            key: self.key(race),
            name: None,
            grant_id: grant.grant_id,
            salt_digest: grant.salt_digest,
            authorized_at: grant.authorized_at,
            keep_until: now.plus(Duration::from_hours(24)),
            now,
        };
        self.store.see_device(&sighting).await.unwrap()
    }

    async fn redeem(&self, race: Race, grant: &Grant) -> RedeemCode {
        let redemption = CodeRedemption {
            grant_id: grant.grant_id,
            client_id: grant.client_id.clone(),
            binding: grant.binding,
            salt_digest: grant.salt_digest,
            confirmation: None,
            binds: true,
            polling: None,
            device: Some(self.key(race).device_id),
            claim: claim(),
            now: now(),
        };
        self.store.redeem_code(&redemption).await.unwrap()
    }

    async fn rotate(&self, grant: &Grant, generation: u32) -> Rotate {
        let rotation = Rotation {
            grant_id: grant.grant_id,
            client_id: grant.client_id.clone(),
            salt_digest: grant.salt_digest,
            generation,
            grace_millis: 0,
            skew_millis: 0,
            idle_millis: None,
            proves_reuse: true,
            confirmation: None,
            binds: true,
            claim: claim(),
            now: now(),
        };
        self.store.rotate(&rotation).await.unwrap()
    }

    /// Stores the grants of a race, and lets the device be known if the race begins so.
    async fn prepare(&self, race: Race) {
        for number in 0..GRANTS {
            let grant = self.grant(race, number);
            let inserted = self.store.insert_grant(grant.clone()).await.unwrap();
            assert!(matches!(inserted, InsertGrant::Inserted { .. }), "{inserted:?}");
            let is_known = race.kind == Kind::Family || race.number.is_multiple_of(2);
            if number == 0 && is_known {
                assert_eq!(self.see(race, &grant).await, SeeDevice::Seen);
            }
        }
    }

    /// Orders the wipe, once the device is known.
    async fn order(&self, race: Race) -> Vec<Call> {
        // Sometimes early, sometimes late.
        for _ in 0..claim() % 12 {
            self.store.find_device(&self.key(race)).await.unwrap();
        }
        let began = micros();
        loop {
            let now = now();
            let request = WipeRequest {
                key: self.key(race),
                by: Some(BY.to_owned()),
                why: RevocationReason::Administrator,
                until: now.plus(Duration::from_hours(48)),
                keep_until: now.plus(Duration::from_hours(48)),
                now,
            };
            let answer = self.store.request_wipe(&request).await.unwrap();
            if matches!(answer, RequestWipe::Requested(_)) {
                return vec![Call { told: "Requested".to_owned(), began, ended: micros() }];
            }
            // The other process sees it.
            assert_eq!(answer, RequestWipe::Unknown, "the first order");
            tokio::task::yield_now().await;
        }
    }

    /// Uses a token of the device until it is refused, or was used often enough.
    async fn use_token(&self, race: Race, number: u64) -> Vec<Call> {
        let mut calls = Vec::new();
        let grant = self.grant(race, number);
        let mut note = |told: String, began| {
            calls.push(Call { told: told.replace(' ', "_"), began, ended: micros() });
        };
        match race.kind {
            Kind::Code => {
                let began = micros();
                let seen = self.see(race, &grant).await;
                note(format!("{seen:?}"), began);
                if seen == SeeDevice::Seen {
                    let began = micros();
                    note(format!("{:?}", self.redeem(race, &grant).await), began);
                }
            }
            Kind::Family => {
                for generation in 1..5 {
                    let began = micros();
                    let answer = self.rotate(&grant, generation).await;
                    note(format!("{answer:?}"), began);
                    if answer != Rotate::Rotated {
                        break;
                    }
                }
            }
        }
        calls
    }

    /// Plays one side of a wave of races, and returns the calls of each race.
    async fn play(&self, kind: Kind, first: u64, orders: bool) -> Vec<Vec<Call>> {
        let tasks = (first..first + WAVE).flat_map(|number| {
            let race = Race { kind, number };
            let uses = (0..if orders { 1 } else { GRANTS }).map(move |number| (race, number));
            uses.map(|(race, number)| {
                let party = self.clone();
                tokio::spawn(async move {
                    if orders {
                        party.order(race).await
                    } else {
                        party.use_token(race, number).await
                    }
                })
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let each = tasks.len() / usize::try_from(WAVE).unwrap();
        let mut races: Vec<Vec<Call>> = Vec::new();
        for (at, task) in tasks.into_iter().enumerate() {
            let calls = task.await.unwrap();
            match races.last_mut() {
                Some(last) if at % each > 0 => last.extend(calls),
                _ => races.push(calls),
            }
        }
        races
    }

    /// Checks that nothing of the device lives, and that the order stands.
    async fn judge(&self, race: Race) {
        let device = self.store.find_device(&self.key(race)).await.unwrap().unwrap();
        let Wipe::Requested { order } = &device.wipe else { panic!("a lost order: {device:?}") };
        assert_eq!(order.by, BY);
        for number in 0..GRANTS {
            let grant = self.grant(race, number);
            let row = self.store.find_grant(&grant.grant_id).await.unwrap().unwrap();
            if row.generation > 0 {
                assert_eq!(row.device, Some(self.key(race).device_id));
                assert!(self.store.is_revoked(&row.facts()).await.unwrap(), "{row:?} lives");
                let answer = self.rotate(&grant, row.generation).await;
                assert_eq!(answer, Rotate::Refused(GrantRefusal::Revoked), "{row:?}");
            } else {
                assert_eq!(self.see(race, &grant).await, SeeDevice::ToBeWiped);
            }
            let answer = self.redeem(race, &grant).await;
            assert_ne!(answer, RedeemCode::Redeemed, "{row:?}");
        }
    }
}

/// Plays the other side of the races that the parent tells.
pub(crate) fn contend<S: Store + DeviceStore + 'static>(runner: &impl Runner, party: &Party<S>) {
    say("ready");
    for line in told() {
        let [kind, first, side] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("no wave: {line}")
        };
        let kind = if kind == "Code" { Kind::Code } else { Kind::Family };
        let races = runner.block_on(party.play(kind, first.parse().unwrap(), side == "orders"));
        let race = |calls: &Vec<Call>| calls.iter().map(Call::write).collect::<Vec<_>>().join(";");
        say(&races.iter().map(race).collect::<Vec<_>>().join("|"));
    }
}

/// Counts of the races.
#[derive(Default)]
struct Tally {
    races: u64,
    /// The races in which the order overlapped with a call of the other process.
    met: u64,
    /// The calls that passed, and those that were refused.
    passed: usize,
    refused: usize,
}

impl Tally {
    fn count(&mut self, kind: Kind, order: &[Call], calls: &[Call]) {
        let [order] = order else { panic!("{} answers to one order", order.len()) };
        assert!(!calls.is_empty());
        for call in calls {
            let told = &call.told;
            let is_refusal = match kind {
                Kind::Code => told == "ToBeWiped" || told == "Refused(Revoked)",
                Kind::Family => told == "Refused(Revoked)",
            };
            assert!(call.has_passed() || is_refusal, "{told}");
            if is_refusal {
                assert!(call.ended > order.began, "{told} before the order was given");
                self.refused += 1;
            } else {
                assert!(call.began < order.ended, "{told} after the order was answered");
                self.passed += 1;
            }
        }
        self.races += 1;
        self.met += u64::from(calls.iter().any(|call| call.meets(order)));
    }
}

/// Races orders against tokens of `kind` for at least `rounds` rounds. Both processes order in turn. Returns the
/// counts in words.
pub(crate) fn race<S: Store + DeviceStore + 'static>(
    runner: &impl Runner,
    party: &Party<S>,
    child: &mut Child,
    kind: Kind,
    rounds: usize,
) -> String {
    let (began, mut tally) = (micros(), Tally::default());
    for wave in 0..u64::try_from(rounds).unwrap().div_ceil(WAVE) {
        let first = wave * WAVE;
        let races = (first..first + WAVE).map(|number| Race { kind, number });
        runner.block_on(async {
            for race in races.clone() {
                party.prepare(race).await;
            }
        });
        let orders = wave % 2 == 0;
        child.tell(&format!("{kind:?} {first} {}", if orders { "uses" } else { "orders" }));
        let own = runner.block_on(party.play(kind, first, orders));
        let told = child.answer();
        let race = |text: &str| text.split(';').map(Call::read).collect::<Vec<_>>();
        let theirs: Vec<_> = told.split('|').map(race).collect();
        for (own, theirs) in own.iter().zip(&theirs) {
            let (order, calls) = if orders { (own, theirs) } else { (theirs, own) };
            tally.count(kind, order, calls);
        }
        runner.block_on(async {
            for race in races {
                party.judge(race).await;
            }
        });
    }
    let Tally { races, met, passed, refused } = tally;
    let seconds = (micros() - began) / 1_000_000;
    let per_cent = 100 * met / races;
    assert!(per_cent >= 10 && passed > 0 && refused > 0, "{met} of {races} orders meet a call");
    format!(
        "{races} orders against a {kind:?} in another process, in {seconds} s: no survivor, no lost order; \
         {per_cent} % met a call, {passed} calls passed before, {refused} were refused"
    )
}
