//! Sixteen threads, released together, round after round.

use std::hint::spin_loop;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, PoisonError, RwLock};
use std::thread;

use super::{Check, catch_panic};

/// The number of threads in a race.
pub(crate) const CONTENDERS: usize = 16;

/// The number of times that a thread looks for the others before it goes ahead (some 50
/// microseconds).
const SPINS: usize = 2_000;

/// Plays `rounds` rounds: `set` prepares one, every contender runs `act` on it at once, and `judge`
/// looks at what each was answered, in the order of the contenders.
pub(crate) fn race<P: Send + Sync, T: Send>(
    rounds: usize,
    set: impl Fn(usize) -> Check<P>,
    act: impl Fn(&P, usize) -> Check<T> + Sync,
    judge: impl Fn(&P, Vec<T>) -> Check,
) -> Check {
    // The play is a round's stage, or nothing when it is over.
    let stage: RwLock<Option<P>> = RwLock::new(None);
    let answers: Mutex<Vec<(usize, Check<T>)>> = Mutex::default();
    let (begin, end) = (Barrier::new(CONTENDERS + 1), Barrier::new(CONTENDERS + 1));
    let arrived = AtomicUsize::new(0);
    let at_once = thread::available_parallelism().map_or(CONTENDERS, NonZero::get).min(CONTENDERS);
    let contend = |contender| {
        loop {
            begin.wait();
            let stage = stage.read().unwrap_or_else(PoisonError::into_inner);
            let Some(play) = &*stage else { return };
            // A barrier wakes its threads one by one. The first wait here until every core has
            // one, but not for longer than a wake-up takes: a core may be busy with other work.
            arrived.fetch_add(1, Ordering::SeqCst);
            for _ in 0..SPINS {
                if arrived.load(Ordering::SeqCst) >= at_once {
                    break;
                }
                spin_loop();
            }
            let answer = catch_panic(|| act(play, contender));
            answers.lock().unwrap_or_else(PoisonError::into_inner).push((contender, answer));
            drop(stage);
            end.wait();
        }
    };
    let run = || {
        for round in 0..rounds {
            let play = set(round)?;
            arrived.store(0, Ordering::SeqCst);
            *stage.write().unwrap_or_else(PoisonError::into_inner) = Some(play);
            begin.wait();
            end.wait();
            let mut round =
                std::mem::take(&mut *answers.lock().unwrap_or_else(PoisonError::into_inner));
            round.sort_by_key(|(contender, _)| *contender);
            let round: Vec<T> =
                round.into_iter().map(|(_, answer)| answer).collect::<Check<_>>()?;
            let stage = stage.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(play) = &*stage {
                judge(play, round)?;
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        for contender in 0..CONTENDERS {
            let contend = &contend;
            scope.spawn(move || contend(contender));
        }
        let outcome = catch_panic(run);
        *stage.write().unwrap_or_else(PoisonError::into_inner) = None;
        begin.wait();
        outcome
    })
}

/// Counts the `answers` that are as `wanted`.
pub(super) fn count<T>(answers: &[T], wanted: impl Fn(&T) -> bool) -> usize {
    answers.iter().filter(|answer| wanted(answer)).count()
}
