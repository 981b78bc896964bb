//! Checks of [`PendingStore`].

use super::bench::{Bench, HOUR, at, holds, random_digest, same};
use super::dropped_futures::{at_every_await, leaves_none, poll_and_drop};
use super::issuers::with_both;
use super::race::{CONTENDERS, count, race};
use super::{Check, Kit, Runner};
use crate::secret::Digest;
use crate::store::{Keep, PendingRecord, PendingStore, Store};

const LIFE: i64 = HOUR;

/// Returns a record with this content and a fresh key.
fn record(sealed: Vec<u8>) -> Check<PendingRecord> {
    Ok(PendingRecord { key: random_digest()?, sealed, expires_at: at(LIFE) })
}

impl<S: Store + PendingStore, R: Runner> Bench<'_, S, R> {
    fn keep(&self, record: &PendingRecord, millis: i64) -> Check<Keep> {
        self.wait(self.store.keep(record, at(millis)))
    }

    fn kept(&self, key: &Digest, millis: i64) -> Check<Option<Vec<u8>>> {
        self.wait(self.store.find_kept(key, at(millis)))
    }
}

/// A record comes back byte for byte, by its key alone.
pub fn a_record_is_found_as_it_was_kept<S: Store + PendingStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let long = (0..PendingRecord::MAX_SEALED).map(|at| u8::try_from(at % 256).unwrap_or(0));
    let records = [Vec::new(), vec![0], (0..=u8::MAX).collect(), long.collect()];
    let records = records.into_iter().map(record).collect::<Check<Vec<_>>>()?;
    for one in &records {
        same("a key without a record", bench.kept(&one.key, 0)?, None)?;
        same("a new record", bench.keep(one, 0)?, Keep::Kept)?;
    }
    for one in records {
        same("the sealed bytes", bench.kept(&one.key, 1)?, Some(one.sealed))?;
    }
    Ok(())
}

/// D9: a key is taken until its record expires, and is free from that instant on, also before pruning.
pub fn a_key_is_taken_until_its_record_expires<S: Store + PendingStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let one = record(vec![1])?;
    let two = PendingRecord { sealed: vec![2], expires_at: at(2 * LIFE), ..one.clone() };
    same("the first record", bench.keep(&one, 0)?, Keep::Kept)?;
    for millis in [0, LIFE - 1] {
        same("a second record", bench.keep(&two, millis)?, Keep::Taken)?;
        same("the bytes", bench.kept(&one.key, millis)?, Some(vec![1]))?;
    }
    same("the bytes at the end", bench.kept(&one.key, LIFE)?, None)?;
    same("a record after the end", bench.keep(&two, LIFE)?, Keep::Kept)?;
    same("the later bytes", bench.kept(&one.key, LIFE)?, Some(vec![2]))?;
    same("the bytes before the later end", bench.kept(&one.key, 2 * LIFE - 1)?, Some(vec![2]))?;
    same("the bytes at the later end", bench.kept(&one.key, 2 * LIFE)?, None)
}

/// D9: of many records with one key one is kept, and found.
pub fn one_of_many_records_is_kept<S: Store + PendingStore, R: Runner>(kit: &Kit<S, R>) -> Check {
    let bench = kit.bench();
    race(
        bench.rounds.div_ceil(4),
        |round| {
            let one = record(Vec::new())?;
            // In every other round an expired record is in the way.
            if round % 2 == 1 {
                same("a record", bench.keep(&one, 0)?, Keep::Kept)?;
            }
            Ok((one, if round % 2 == 1 { LIFE } else { 0 }))
        },
        |(one, millis), contender| {
            let sealed = vec![u8::try_from(contender).unwrap_or(0)];
            let own = PendingRecord { key: one.key, sealed, expires_at: at(2 * LIFE) };
            bench.keep(&own, *millis)
        },
        |(one, millis), answers| {
            let kept = count(&answers, |answer| *answer == Keep::Kept);
            let taken = count(&answers, |answer| *answer == Keep::Taken);
            same("kept and taken", (kept, taken), (1, CONTENDERS - 1))?;
            let winner = answers.iter().position(|answer| *answer == Keep::Kept);
            let found = bench.kept(&one.key, *millis)?.and_then(|it| it.first().copied());
            same("the winner's bytes", found.map(usize::from), winner)
        },
    )
}

/// Pruning removes what has expired, in batches, and nothing else.
pub fn prune_removes_expired_records_only<S: Store + PendingStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let early = (0..5).map(|n| record(vec![n])).collect::<Check<Vec<_>>>()?;
    let late = PendingRecord { expires_at: at(LIFE + 1), ..record(vec![9])? };
    // The late one first: a store in memory may remove expired ones whenever one is kept.
    same("a record", bench.keep(&late, 0)?, Keep::Kept)?;
    for one in &early {
        same("a record", bench.keep(one, 0)?, Keep::Kept)?;
    }
    let prune = |millis: i64| -> Check<(usize, bool)> {
        let pruned = bench.wait(bench.store.prune_kept(at(millis), 3))?;
        Ok((pruned.removed, pruned.more))
    };
    same("a batch before their time", prune(LIFE - 1)?, (0, false))?;
    for one in &early {
        holds(bench.kept(&one.key, LIFE - 1)?.is_some(), || "a live record was removed")?;
    }
    same("the first batch", prune(LIFE)?, (3, true))?;
    same("the second batch", prune(LIFE)?, (2, false))?;
    same("an idle batch", prune(LIFE)?, (0, false))?;
    same("the later record", bench.kept(&late.key, LIFE)?, Some(vec![9]))?;
    same("its own batch", prune(LIFE + 1)?, (1, false))
}

/// D9: a record that is kept while an expired one with its key is pruned stays.
pub fn no_prune_removes_a_record_that_is_kept_anew<S: Store + PendingStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    race(
        bench.rounds.div_ceil(4),
        |_| {
            let one = record(vec![1])?;
            same("a record", bench.keep(&one, 0)?, Keep::Kept)?;
            Ok(PendingRecord { sealed: vec![2], expires_at: at(2 * LIFE), ..one })
        },
        |anew, contender| {
            if contender == 0 {
                return bench.keep(anew, LIFE).map(Some);
            }
            bench.wait(bench.store.prune_kept(at(LIFE), CONTENDERS)).map(|_| None)
        },
        |anew, answers| {
            // Another check tells whether an expired record is in the way.
            if answers.first() != Some(&Some(Keep::Kept)) {
                return Ok(());
            }
            same("the bytes", bench.kept(&anew.key, LIFE)?, Some(vec![2]))
        },
    )
}

/// A dropped future has kept a record or not, and leaves no transaction open.
pub fn a_dropped_record_is_kept_or_not<S: Store + PendingStore, R: Runner>(
    kit: &Kit<S, R>,
) -> Check {
    let bench = kit.bench();
    let other = kit.other_bench(&bench);
    let store = &bench.store;
    leaves_none(&bench, other.as_ref(), || {
        let one = record(vec![1])?;
        Ok(async move { store.keep(&one, at(0)).await })
    })?;
    at_every_await(|polls| {
        let one = record(vec![7])?;
        let ready = poll_and_drop(&bench, polls, store.keep(&one, at(0)))?;
        let is_there = bench.kept(&one.key, 0)?.is_some();
        let again = bench.keep(&one, 0)?;
        // A database may finish a statement whose caller is gone.
        holds(again == Keep::Taken || !is_there, || "a record is there and its key is free")?;
        same("the record in the end", bench.kept(&one.key, 0)?, Some(vec![7]))?;
        Ok(ready)
    })
}

/// A record of one issuer is neither found nor in the way at another.
pub fn issuers_share_no_records<S: Store + PendingStore, R: Runner>(kit: &Kit<S, R>) -> Check {
    with_both(kit, |here, there, _| {
        let one = record(vec![1])?;
        let two = PendingRecord { sealed: vec![2], ..one.clone() };
        same("a record", here.keep(&one, 0)?, Keep::Kept)?;
        same("the record of another issuer", there.kept(&one.key, 0)?, None)?;
        same("a record with the key of another issuer", there.keep(&two, 0)?, Keep::Kept)?;
        same("the bytes of one", here.kept(&one.key, 0)?, Some(vec![1]))?;
        same("the bytes of the other", there.kept(&one.key, 0)?, Some(vec![2]))
    })
}
