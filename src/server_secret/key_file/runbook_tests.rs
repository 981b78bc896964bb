//! The steps of `docs/runbooks.md` that change the key file, run twice, and interrupted and run again.

use std::time::Duration;

use super::tests::{Folder, START, fresh};
use super::*;
use crate::ids::KeyId;
use crate::jwt::SigningKey;
use crate::random::OsRandom;
use crate::server_secret::RootsClaim;

const DAY: Duration = Duration::from_hours(24);

/// The keys and roots of a file that matter to a server.
#[derive(Debug, PartialEq)]
struct Effect {
    /// The uses whose sealing root is not the one before the step.
    new_sealing: Vec<RootUse>,
    /// The roots before the step that are still accepted.
    kept: Vec<RootPrint>,
    /// The keys before the step that still are in the file, and the states of all.
    kept_keys: Vec<KeyId>,
    states: Vec<KeyState>,
}

fn roots(file: &KeyFile) -> RootsClaim {
    file.server_secret().unwrap().roots_claim()
}

fn keys(file: &KeyFile) -> Vec<KeyId> {
    file.key_states(START).into_iter().map(|it| it.key_id).collect()
}

fn states_at(file: &KeyFile, now: UnixTime) -> Vec<KeyState> {
    file.key_states(now).into_iter().map(|it| it.state).collect()
}

impl Effect {
    fn of(before: &KeyFile, after: &KeyFile, now: UnixTime) -> Self {
        let (old, new) = (roots(before), roots(after));
        let is_new = |print: &&RootPrint| !old.accepted.contains(print);
        let new_sealing = new.sealing.iter().filter(is_new).map(|it| it.root_use()).collect();
        let is_kept = |print: &&RootPrint| new.accepted.contains(print);
        let kept = old.accepted.iter().filter(is_kept).copied().collect();
        let (old_keys, new_keys) = (keys(before), keys(after));
        let kept_keys = old_keys.into_iter().filter(|key| new_keys.contains(key)).collect();
        let states = states_at(after, now);
        Self { new_sealing, kept, kept_keys, states }
    }
}

type Step = (&'static str, Box<dyn Fn(&mut KeyFile, UnixTime)>);

/// Every step of the runbooks on the key file `file`.
fn steps(file: &KeyFile) -> Vec<Step> {
    let pem = SigningKey::generate_pem(Algorithm::EdDSA).unwrap();
    let [signing, ..] = &keys(file)[..] else { panic!("no key") };
    let (signing, newest) = (signing.clone(), signing.clone());
    let oldest = keys(file).pop().unwrap();
    let add = |file: &mut KeyFile, uses: &[RootUse], now| {
        file.add_root(uses, &OsRandom::new(), now).unwrap();
    };
    let promote_all = |file: &mut KeyFile| {
        for root_use in RootUse::ALL {
            file.promote_root(*root_use);
        }
    };
    let retire_all = |file: &mut KeyFile| {
        for root_use in RootUse::ALL {
            file.retire_root(*root_use);
        }
    };
    vec![
        (
            "rotate",
            Box::new(|file, now| {
                file.rotate(now, &Rotation::default()).unwrap();
            }),
        ),
        (
            "rotate_to_pem",
            Box::new(move |file, now| {
                let rotation = Rotation::default();
                file.rotate_to_pem(Algorithm::EdDSA, pem.expose_secret(), now, &rotation).unwrap();
            }),
        ),
        (
            "remove_leaked_key",
            Box::new(move |file, now| {
                // The second run finds no such key, and changes nothing.
                let before = keys(file);
                if file.remove_leaked_key(&signing, now) == Err(KeyError::NoKey) {
                    assert_eq!(keys(file), before);
                }
            }),
        ),
        (
            "promote_key of the newest",
            Box::new(move |file, now| file.promote_key(&newest, now).unwrap()),
        ),
        (
            "retire_key of the oldest",
            Box::new(move |file, now| {
                let signs = states_at(file, now).last() == Some(&KeyState::Active);
                let expected = if signs { Err(KeyError::InUse) } else { Ok(()) };
                assert_eq!(file.retire_key(&oldest, now), expected);
            }),
        ),
        (
            "add_root of every use, promote each",
            Box::new(move |file, now| {
                add(file, RootUse::ALL, now);
                promote_all(file);
            }),
        ),
        ("add_root of the pepper", Box::new(move |file, now| add(file, &[RootUse::Pepper], now))),
        ("promote_root of each", Box::new(move |file, _| promote_all(file))),
        ("promote_root of the handles", Box::new(|file, _| file.promote_root(RootUse::Handles))),
        ("retire_root of each", Box::new(move |file, _| retire_all(file))),
        ("retire_root of the handles", Box::new(|file, _| file.retire_root(RootUse::Handles))),
    ]
}

/// The files on which a step may find itself.
fn files() -> Vec<KeyFile> {
    let random = OsRandom::new();
    let installed = fresh();
    let mut added = installed.clone();
    added.add_root(RootUse::ALL, &random, START).unwrap();
    let mut promoted = added.clone();
    promoted.promote_root(RootUse::Handles);
    let mut again = promoted.clone();
    again.promote_root(RootUse::Pepper);
    again.add_root(&[RootUse::Pepper], &random, START).unwrap();
    let mut rotated = installed.clone();
    rotated.rotate(START, &Rotation::default()).unwrap();
    let mut replaced = installed.clone();
    replaced.rotate(START.minus(DAY), &Rotation::default()).unwrap();
    vec![installed, added, promoted, again, rotated, replaced]
}

/// N8: a step that is run twice has the effect of one run, however long the second comes after it.
#[test]
fn every_step_may_be_run_twice() {
    for (number, before) in files().into_iter().enumerate() {
        for (name, step) in steps(&before) {
            for pause in [Duration::ZERO, Duration::from_mins(1)] {
                let mut once = before.clone();
                step(&mut once, START);
                let mut twice = once.clone();
                step(&mut twice, START.plus(pause));
                let now = START.plus(DAY);
                let (first, second) =
                    (Effect::of(&before, &once, now), Effect::of(&before, &twice, now));
                assert_eq!(first, second, "{name} on file {number}");
            }
        }
    }
}

/// N8: a process that dies before, in or after the write of a step leaves a file on which the step is run
/// again.
#[test]
fn every_step_may_be_interrupted_and_run_again() {
    let folder = Folder::new("interrupted");
    for (number, before) in files().into_iter().enumerate() {
        for (name, step) in steps(&before) {
            let mut once = before.clone();
            step(&mut once, START);
            let expected = Effect::of(&before, &once, START.plus(DAY));
            for died in ["before", "in", "after"] {
                _ = std::fs::remove_file(folder.path());
                let mut installed = KeyFile { revision: 0, ..before.clone() };
                installed.write(folder.path()).unwrap();
                let mut file = KeyFile::read(folder.path()).unwrap();
                step(&mut file, START);
                match died {
                    "in" => std::fs::write(folder.0.join("keys.json.new"), "{\"ver").unwrap(),
                    "after" => file.write(folder.path()).unwrap(),
                    _ => drop(file),
                }
                let mut file = KeyFile::read(folder.path()).unwrap();
                step(&mut file, START.plus(Duration::from_secs(5)));
                file.write(folder.path()).unwrap();
                let file = KeyFile::read(folder.path()).unwrap();
                let effect = Effect::of(&before, &file, START.plus(DAY));
                assert_eq!(effect, expected, "{name} on file {number}, died {died} the write");
            }
        }
    }
}

/// N8: after the runbook of a leaked secret, each step run as often as an operator may, and with a clock
/// that was set back, the leaked roots seal nothing and open nothing, and a root of the runbook seals.
#[test]
fn a_leaked_root_never_seals_again() {
    for leaked in files() {
        let lost = roots(&leaked).accepted;
        for (adds, promotions, retirements) in [(1, 1, 1), (1, 2, 2), (2, 1, 3), (3, 3, 1)] {
            let mut file = leaked.clone();
            for _ in 0..adds {
                let earlier = START.minus(Duration::from_hours(1));
                file.add_root(RootUse::ALL, &OsRandom::new(), earlier).unwrap();
            }
            for _ in 0..promotions {
                for root_use in RootUse::ALL {
                    file.promote_root(*root_use);
                }
                assert!(roots(&file).sealing.iter().all(|print| !lost.contains(print)));
            }
            for _ in 0..retirements {
                for root_use in RootUse::ALL {
                    file.retire_root(*root_use);
                }
            }
            let claim = roots(&file);
            assert!(claim.accepted.iter().all(|print| !lost.contains(print)));
            assert!(lost.iter().all(|print| claim.given_up.contains(print)));
            // The file is read as it was written.
            let again = KeyFile::from_json(&file.expose_json().unwrap()).unwrap();
            assert_eq!(roots(&again), claim);
        }
    }
}

/// N8: a root that was added and not promoted yet outlives a retirement that is run again.
#[test]
fn a_retirement_spares_a_root_that_waits_for_its_promotion() {
    let mut file = fresh();
    file.add_root(&[RootUse::Pepper], &OsRandom::new(), START).unwrap();
    let waiting = roots(&file).accepted;
    file.retire_root(RootUse::Pepper);
    assert_eq!(roots(&file).accepted, waiting);
    assert!(!file.expose_json().unwrap().contains("retired"));
}

/// N8: a second installation over the first is refused.
#[test]
fn a_second_installation_leaves_the_first() {
    let folder = Folder::new("installed-twice");
    fresh().write(folder.path()).unwrap();
    let before = std::fs::read(folder.path()).unwrap();
    assert!(matches!(fresh().write(folder.path()), Err(KeyFileError::Changed { .. })));
    assert_eq!(std::fs::read(folder.path()).unwrap(), before);
}
