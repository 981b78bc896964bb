//! Contenders in four processes over one database that race for one row.

use grantor::clock::UnixTime;
use grantor::ids::ClientId;
use grantor::store::{CodeRedemption, Grant, Rotation, TablePrefix};
use sqlx::{Executor as _, PgPool, Postgres, Row as _, Transaction};

use super::child::{Child, micros};
use super::cluster::{database, new_store, pool, rounds, runtime};
use super::contenders::{Answer, CONTENDERS, Kind, SECRET, WAVE, Wave};
use super::world::{World, now, random_bytes};

const PROCESSES: usize = 4;

pub(crate) fn redemption(grant: &Grant, now: UnixTime) -> CodeRedemption {
    CodeRedemption {
        grant_id: grant.grant_id,
        client_id: grant.client_id.clone(),
        binding: grant.binding,
        salt_digest: grant.salt_digest,
        confirmation: None,
        binds: true,
        device: None,
        polling: None,
        claim: u64::from_ne_bytes(random_bytes()),
        now,
    }
}

pub(crate) fn rotation(grant: &Grant, generation: u32, now: UnixTime) -> Rotation {
    Rotation {
        grant_id: grant.grant_id,
        client_id: grant.client_id.clone(),
        salt_digest: grant.salt_digest,
        generation,
        grace_millis: 30_000,
        skew_millis: 0,
        idle_millis: None,
        proves_reuse: true,
        confirmation: None,
        binds: true,
        claim: u64::from_ne_bytes(random_bytes()),
        now,
    }
}

/// Inserts grants at `generation`, numbered from `first`.
pub(crate) async fn insert_many(
    pool: &PgPool,
    prefix: &TablePrefix,
    client_id: &ClientId,
    (first, count): (u64, u64),
    generation: i64,
) {
    let sql = format!(
        "INSERT INTO {prefix}grants (grant_id, client_id, subject, scope, device, binding, salt_digest, \
             authorized_at, code_expires_at, expires_at, generation, rotated_at, claim, retries, \
             mismatches) \
         SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), $1, 'ann', '', 'phone', $2, $2, \
             GREATEST($3, clock.at + 1), $3 + 3600000, $3 + 86400000, $4, $3, 0, 0, 0 \
         FROM generate_series($5, $6) AS n CROSS JOIN {prefix}clock AS clock"
    );
    let [first, end] = [first, first + count].map(|number| i64::try_from(number).unwrap());
    let insert = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(client_id.as_str()).bind(&SECRET[..]);
    let insert = insert.bind(now().as_millis()).bind(generation).bind(first).bind(end - 1);
    insert.execute(pool).await.unwrap();
}

/// Counts of the races of one kind.
#[derive(Default)]
struct Tally {
    races: usize,
    /// The races in which all eight had asked before any was answered.
    met: usize,
    /// The races in which the winner overlapped with a contender of another process.
    contended: usize,
    wins: [usize; PROCESSES],
}

impl Tally {
    /// Counts one race by its answers, each with the number of its process.
    fn count(&mut self, kind: Kind, answers: &[(usize, &Answer)]) {
        let mut told: Vec<_> = answers.iter().map(|(_, answer)| answer.told.as_str()).collect();
        told.sort_unstable();
        let expected = match kind {
            Kind::RefreshOnce => [&["Refused(Revoked)"; 6][..], &["Reused"], &["won"]].concat(),
            Kind::Decision | Kind::Code | Kind::Refresh | Kind::Assertion => {
                [&["lost"; 7][..], &["won"]].concat()
            }
        };
        assert_eq!(told, expected, "race {} for a {kind:?}", self.races);
        let (winner, won) = answers.iter().find(|(_, answer)| answer.told == "won").unwrap();
        let meets = |(process, it): &&(usize, &Answer)| {
            process != winner && it.began < won.ended && won.began < it.ended
        };
        let last = answers.iter().map(|(_, answer)| answer.began).max();
        let first = answers.iter().map(|(_, answer)| answer.ended).min();
        self.races += 1;
        self.met += usize::from(last < first);
        self.contended += usize::from(answers.iter().any(|it| meets(&it)));
        self.wins[*winner] += 1;
    }

    fn per_cent(&self, part: usize) -> usize {
        100 * part / self.races
    }
}

struct Arena {
    world: World,
    pool: PgPool,
    prefix: TablePrefix,
    processes: Vec<Child>,
}

impl Arena {
    /// Returns the first number of a kind, far from those of other kinds.
    fn first(kind: Kind) -> u64 {
        (u64::try_from(Kind::ALL.iter().position(|it| *it == kind).unwrap()).unwrap() + 1) << 32
    }

    /// Runs at least `races` races, in whole waves, and returns their number.
    fn race(&mut self, kind: Kind, races: usize) -> u64 {
        let waves = u64::try_from(races).unwrap().div_ceil(WAVE);
        let first = Self::first(kind);
        // One grant serves many refreshes, one for each generation.
        let (grants, generation) = match kind {
            Kind::Decision | Kind::Assertion => (0, 0),
            Kind::Code => (waves * WAVE, 0),
            Kind::Refresh => (WAVE, 1),
            Kind::RefreshOnce => (waves * WAVE, 1),
        };
        let (pool, client_id) = (&self.pool, &self.world.app.id);
        let insert = insert_many(pool, &self.prefix, client_id, (first, grants), generation);
        self.world.runtime().block_on(insert);
        let (began, mut tally) = (micros(), Tally::default());
        for wave in 0..waves {
            let lives_on = kind == Kind::Refresh;
            let generation = if lives_on { u32::try_from(wave).unwrap() + 1 } else { 1 };
            let first = if lives_on { first } else { first + wave * WAVE };
            self.run(Wave { kind, first, generation }, &mut tally);
        }
        let seconds = (micros() - began) / 1_000_000;
        let (met, contended) = (tally.per_cent(tally.met), tally.per_cent(tally.contended));
        eprintln!(
            "{} races for a {kind:?}, one winner each, in {seconds} s: in {met} % all 8 had asked \
             before any was answered, in {contended} % the winner met another process; wins {:?}",
            tally.races, tally.wins
        );
        assert!(contended >= 50, "the contenders do not meet");
        waves * WAVE
    }

    fn run(&mut self, wave: Wave, tally: &mut Tally) {
        let line = wave.line();
        // A different process is told first each time.
        let start = tally.races / usize::try_from(WAVE).unwrap() % PROCESSES;
        let gate = self.world.runtime().block_on(self.close(wave.kind));
        for number in 0..PROCESSES {
            self.processes[(start + number) % PROCESSES].tell(&line);
        }
        for process in &mut self.processes {
            assert_eq!(process.answer(), "asked");
        }
        self.world.runtime().block_on(gate.commit()).unwrap();
        let answers: Vec<_> =
            self.processes.iter_mut().map(|it| Answer::read(&it.answer())).collect();
        let each = usize::try_from(CONTENDERS).unwrap();
        for race in 0..usize::try_from(WAVE).unwrap() {
            let own = |answers: &'_ [Answer]| race * each..((race + 1) * each).min(answers.len());
            let of_race: Vec<_> = answers
                .iter()
                .enumerate()
                .flat_map(|(process, all)| all[own(all)].iter().map(move |it| (process, it)))
                .collect();
            tally.count(wave.kind, &of_race);
        }
    }

    /// Blocks all writers until the transaction ends, so that they begin together.
    async fn close(&self, kind: Kind) -> Transaction<'static, Postgres> {
        let table = if kind == Kind::Assertion { "assertions" } else { "grants" };
        let mut gate = self.pool.begin().await.unwrap();
        let lock = format!(
            "SET LOCAL idle_in_transaction_session_timeout = '120s'; \
             LOCK TABLE {}{table} IN EXCLUSIVE MODE",
            self.prefix
        );
        gate.execute(sqlx::AssertSqlSafe(lock)).await.unwrap();
        gate
    }

    /// Counts the rows of `table` that satisfy `condition`.
    fn rows(&self, table: &str, condition: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM {}{table} WHERE {condition}", self.prefix);
        let row = self
            .world
            .runtime()
            .block_on(sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&self.pool))
            .unwrap();
        u64::try_from(row.get::<i64, _>(0)).unwrap()
    }

    /// Counts the grants of a kind that satisfy `condition`.
    fn grants(&self, kind: Kind, condition: &str) -> u64 {
        let [from, to] = [Self::first(kind), Self::first(kind) + (1 << 32)];
        let id = |number: u64| format!(r"'\x{number:032x}'");
        let condition =
            format!("grant_id >= {} AND grant_id < {} AND {condition}", id(from), id(to));
        self.rows("grants", &condition)
    }
}

/// G13, R9, R15, J19, A34: exactly one of eight contenders in four processes wins, for every kind of
/// prize, and the others get correct answers.
#[test]
fn one_contender_wins_however_many_processes_there_are() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 2);
    let store = new_store(&runtime, &pool);
    let prefix = store.prefix().clone();
    let world = World::new(runtime, store);
    let test = "contenders::child_that_contends";
    let child = |_| Child::start(test, &database.options(), &prefix, &world.app.id);
    let mut processes: Vec<_> = (0..PROCESSES).map(child).collect();
    for process in &mut processes {
        assert_eq!(process.answer(), "ready");
    }
    let mut arena = Arena { world, pool, prefix, processes };
    let rounds = rounds(super::RACES);

    let races = arena.race(Kind::Decision, rounds.div_ceil(10));
    assert_eq!(arena.grants(Kind::Decision, "generation = 0"), races);

    // The first replay of each code has revoked its grant, and the feed says so.
    let races = arena.race(Kind::Code, rounds);
    assert_eq!(arena.grants(Kind::Code, "generation = 1 AND revoked_why = 2"), races);
    assert_eq!(arena.rows("revocations", "why = 2"), races);

    // Both kinds of refresh tokens make up `rounds` together.
    let races = arena.race(Kind::Refresh, rounds - rounds / 5);
    let last = format!("generation = {} AND retries = 7 AND revoked_at IS NULL", races / WAVE + 1);
    assert_eq!(arena.grants(Kind::Refresh, &last), WAVE);

    // The first reuse of each token has done the same.
    let races = arena.race(Kind::RefreshOnce, rounds.div_ceil(5));
    assert_eq!(arena.grants(Kind::RefreshOnce, "generation = 2 AND revoked_why = 4"), races);
    assert_eq!(arena.rows("revocations", "why = 4"), races);

    // The winner has the grant that it asked for.
    let races = arena.race(Kind::Assertion, rounds);
    assert_eq!(arena.rows("assertions", "true"), races);
    assert_eq!(arena.grants(Kind::Assertion, "generation = 0"), races / 2);
}
