//! Access that ends in one process while three others use it.

use std::time::Duration;

use sqlx::PgPool;

use super::chance::Chance;
use super::child::{Child, micros};
use super::cluster::{database, new_store, pool, rounds, runtime};
use super::races::insert_many;
use super::revokers::{Ending, NEWBORN, Round};
use super::world::World;

const PROCESSES: usize = 4;
/// The numbers of one round.
const ROOM: u64 = 2 * NEWBORN;
/// The longest delay, in microseconds. A few uses take less.
const MAX_DELAY: u64 = 4_000;

/// One step of a process that uses a grant, with the times of its call and its answer.
struct Step {
    what: String,
    /// The generation that it asks for, or the instant of a new grant.
    of: u64,
    called: u64,
    answered: u64,
    answer: String,
}

impl Step {
    fn read_all(line: &str) -> Vec<Self> {
        let step = |text: &str| {
            let [what, of, called, answered, answer] = text.splitn(5, ' ').collect::<Vec<_>>()[..]
            else {
                panic!("no step: {text}")
            };
            let [of, called, answered] = [of, called, answered].map(|it| it.parse().unwrap());
            Self { what: what.to_owned(), of, called, answered, answer: answer.to_owned() }
        };
        line.split(';').map(step).collect()
    }
}

/// Counts of all rounds.
#[derive(Default, Debug)]
struct Tally {
    revocations: usize,
    uses: usize,
    /// Uses that overlapped with the revocation.
    overlapping: usize,
    newborn: usize,
}

struct Arena {
    world: World,
    pool: PgPool,
    processes: Vec<Child>,
    tally: Tally,
}

impl Arena {
    fn play(&mut self, number: usize, chance: &mut Chance) {
        let ending = Ending::ALL[number % Ending::ALL.len()];
        let revoker = usize::try_from(chance.below(4)).unwrap();
        let first = (1 << 40) + u64::try_from(number).unwrap() * ROOM;
        let (store, client_id) = (self.world.server.store().store(), &self.world.app.id);
        // Each process has one grant. Half of the grants are still codes.
        for generation in 0..2 {
            let (first, count) = (first + generation * 2, 2);
            let generation = i64::try_from(generation).unwrap();
            let insert =
                insert_many(&self.pool, store.prefix(), client_id, (first, count), generation);
            self.world.runtime().block_on(insert);
        }
        for (process, child) in self.processes.iter_mut().enumerate() {
            let delay = chance.below(MAX_DELAY);
            let round = Round { ending, first, revoker, delay, is_code: process < 2 };
            child.tell(&format!("play {}", round.line()));
        }
        let answers: Vec<_> = self.processes.iter_mut().map(Child::answer).collect();
        self.judge(number, ending, first, revoker, &answers);
        if ending == Ending::AppDisabled {
            self.processes[revoker].tell("enable now");
            assert_eq!(self.processes[revoker].answer(), "enabled");
        }
    }

    fn judge(
        &mut self,
        number: usize,
        ending: Ending,
        first: u64,
        revoker: usize,
        answers: &[String],
    ) {
        let revocation = answers[revoker].split(' ').map(|it| it.parse().unwrap());
        let [called, answered, at] = revocation.collect::<Vec<u64>>()[..] else { panic!("3") };
        self.tally.revocations += if ending == Ending::EachGrant { 4 } else { 1 };
        let (mut grants, mut newborn) = (Vec::new(), Vec::new());
        for (process, answer) in answers.iter().enumerate().filter(|(it, _)| *it != revoker) {
            let id = first + u64::try_from(process).unwrap();
            let mut live = 0;
            for step in Step::read_all(answer) {
                let tell = || {
                    let Step { what, of, answer, .. } = &step;
                    format!("round {number}, {ending:?}: {answer} for {what} {of} of {process}")
                };
                let (before, after) = (step.answered < called, step.called > answered);
                self.tally.overlapping += usize::from(!before && !after);
                if step.what == "born" {
                    self.tally.newborn += 1;
                    // No grant is dated on the wrong side of the cutoff.
                    assert!(!(before && at > 0) || step.of <= at, "{}", tell());
                    assert!(!(after && at > 0) || step.of > at, "{}", tell());
                    let inactive = ending == Ending::AppDisabled && step.answer == "inactive";
                    // Dated before the cutoff, and refused after it.
                    let has_cutoff = at > 0 || ending == Ending::AppDisabled;
                    let overtaken = has_cutoff && step.answer == "overtaken";
                    assert!(!overtaken || !(before || after), "{}", tell());
                    assert!(inactive || overtaken || step.answer == "done", "{}", tell());
                    assert!(!inactive || !before, "{}", tell());
                    assert!(inactive || ending != Ending::AppDisabled || !after, "{}", tell());
                    if at > 0 && !overtaken {
                        newborn.push((id + NEWBORN, step.of));
                    }
                    continue;
                }
                self.tally.uses += 1;
                match step.answer.as_str() {
                    "done" => {
                        assert!(!after, "{}", tell());
                        live = step.of;
                    }
                    "revoked" => assert!(!before, "{}", tell()),
                    _ => panic!("{}", tell()),
                }
            }
            // Even a family that is refused at once has its first token.
            grants.push((id, live.max(u64::from(process >= 2))));
        }
        let list = |all: &[(u64, u64)]| {
            let texts = all.iter().map(|(number, of)| format!("{number}:{of}"));
            texts.collect::<Vec<_>>().join(" ")
        };
        for child in &mut self.processes {
            child.tell(&format!("look {}", list(&grants)));
        }
        for child in &mut self.processes {
            assert_eq!(child.answer(), "dead", "round {number}, {ending:?}");
        }
        if newborn.is_empty() {
            return;
        }
        let judge = &mut self.processes[revoker];
        judge.tell(&format!("born {}", list(&newborn)));
        let expected: Vec<_> = newborn.iter().map(|(_, of)| (*of <= at).to_string()).collect();
        assert_eq!(judge.answer(), expected.join(" "), "round {number}, {ending:?}");
    }
}

/// R20, A35: once a revocation is answered, no process gives anything for an earlier grant, and all
/// successors of its tokens are dead. A grant that is decided meanwhile is dated before the revocation
/// and is dead, or after it and lives.
#[test]
fn nothing_survives_a_revocation_in_another_process() {
    let Some(database) = database() else { return };
    let mut chance = Chance::new("nothing_survives_a_revocation_in_another_process");
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 2);
    let store = new_store(&runtime, &pool).with_timeout(Duration::from_mins(1));
    let prefix = store.prefix().clone();
    let world = World::new(runtime, store);
    let test = "revokers::child_that_revokes_and_uses";
    let child = |_| Child::start(test, &database.options(), &prefix, &world.app.id);
    let mut processes: Vec<_> = (0..PROCESSES).map(child).collect();
    for (index, process) in processes.iter_mut().enumerate() {
        assert_eq!(process.answer(), "ready");
        process.tell(&index.to_string());
    }
    let mut arena = Arena { world, pool, processes, tally: Tally::default() };
    let (began, rounds) = (micros(), rounds(super::REVOCATIONS));
    for number in 0..rounds {
        arena.play(number, &mut chance);
    }
    let seconds = (micros() - began) / 1_000_000;
    eprintln!("{:?} in {rounds} rounds, {seconds} s: no survivor", arena.tally);
    assert!(arena.tally.overlapping >= rounds, "the revocations overlap with too few uses");
}
