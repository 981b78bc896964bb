use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::ids::KeyId;
use crate::jwt::{KeyUse, SigningKey, VerifyingKeys};
use crate::random::OsRandom;

pub(super) const START: UnixTime = UnixTime::from_seconds(1_700_000_000);
const DAY: Duration = Duration::from_hours(24);

pub(super) fn fresh() -> KeyFile {
    KeyFile::generate(Algorithm::ES256, &OsRandom::new(), START).unwrap()
}

/// A folder of one test, removed at its end.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("grantor-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.join("keys.json")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

fn states(file: &KeyFile, now: UnixTime) -> Vec<KeyState> {
    file.key_states(now).into_iter().map(|it| it.state).collect()
}

#[test]
fn a_written_file_is_read_again() {
    let folder = Folder::new("again");
    let mut file = fresh();
    file.write(folder.path()).unwrap();
    file.rotate(START, &Rotation::default()).unwrap();
    file.add_root(&[RootUse::Pepper], &OsRandom::new(), START).unwrap();
    file.write(folder.path()).unwrap();
    let again = KeyFile::read(folder.path()).unwrap();
    assert_eq!(again.expose_json().unwrap(), file.expose_json().unwrap());
    let entries = std::fs::read_dir(&folder.0).unwrap();
    let names: BTreeSet<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["keys.json", "keys.json.lock"].map(Into::into).into());
    assert!(KeyFile::from_json(&file.expose_json().unwrap()).is_ok());
}

/// Z39: of processes that start at once without a key file, one generates it, and all have the same.
#[test]
fn a_missing_file_is_generated_once() {
    let folder = Folder::new("once");
    let make =
        |algorithm| KeyFile::read_or_generate(folder.path(), algorithm, &OsRandom::new(), START);
    let refused = make(Algorithm::HS256).unwrap_err();
    assert!(matches!(refused, KeyFileError::NotGenerated { .. }), "{refused:?}");
    assert!(refused.to_string().contains(&*folder.path().display().to_string()), "{refused}");
    assert!(!folder.path().exists());
    let texts: BTreeSet<_> = std::thread::scope(|scope| {
        let make = || make(Algorithm::ES256).unwrap().expose_json().unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(texts.len(), 1);
    let mut file = make(Algorithm::EdDSA).unwrap();
    assert!(texts.contains(&file.expose_json().unwrap()), "an existing file stays");
    file.rotate(START, &Rotation::default()).unwrap();
    file.write(folder.path()).unwrap();
}

/// A damaged file is not replaced.
#[test]
fn a_file_that_cannot_be_read_is_not_generated_anew() {
    let folder = Folder::new("anew");
    std::fs::write(folder.path(), "{").unwrap();
    #[cfg(unix)]
    set_mode(&folder, 0o600);
    let make = |path: PathBuf| {
        KeyFile::read_or_generate(path, Algorithm::ES256, &OsRandom::new(), START).unwrap_err()
    };
    assert!(matches!(make(folder.path()), KeyFileError::Malformed { .. }));
    assert_eq!(std::fs::read_to_string(folder.path()).unwrap(), "{");
    let no_folder = make(folder.0.join("none").join("keys.json"));
    assert!(matches!(no_folder, KeyFileError::Io { .. }), "{no_folder:?}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_have_rights_to_the_file() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new("alone");
    fresh().write(folder.path()).unwrap();
    let mode = std::fs::metadata(folder.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    for shared in [0o640, 0o604, 0o620, 0o602, 0o610, 0o440] {
        set_mode(&folder, shared);
        let refused = KeyFile::read(folder.path()).map(|_| ()).unwrap_err();
        let KeyFileError::Permissions { mode, allowed, .. } = &refused else {
            panic!("{refused:?}")
        };
        assert_eq!((*mode, *allowed), (shared, 0o600));
        let text = refused.to_string();
        for part in [&*folder.path().display().to_string(), "0600", "read_group_readable"] {
            assert!(text.contains(part), "{text}");
        }
    }
}

#[cfg(unix)]
fn set_mode(folder: &Folder, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;

    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Z17: the volume of a secret has a group (`fsGroup`) and the mode 0440. The group may read, and no more.
#[cfg(unix)]
#[test]
fn a_group_may_read_the_file_if_the_host_says_so() {
    let folder = Folder::new("group");
    fresh().write(folder.path()).unwrap();
    for accepted in [0o440, 0o640, 0o600, 0o400] {
        set_mode(&folder, accepted);
        assert!(KeyFile::read_group_readable(folder.path()).is_ok(), "{accepted:o}");
    }
    for refused in [0o444, 0o644, 0o660, 0o650, 0o604, 0o602, 0o601] {
        set_mode(&folder, refused);
        let answer = KeyFile::read_group_readable(folder.path()).map(|_| ());
        let Err(KeyFileError::Permissions { mode, allowed, .. }) = answer else {
            panic!("{refused:o}");
        };
        assert_eq!((mode, allowed), (refused, 0o640));
    }
}

/// Z15: every error of a key file names the file, and says why.
#[test]
fn an_error_names_the_file() {
    let folder = Folder::new("named");
    let missing = KeyFile::read(folder.path()).unwrap_err();
    assert!(missing.is_not_found());
    std::fs::write(folder.path(), "{\"planted\": 1}").unwrap();
    #[cfg(unix)]
    set_mode(&folder, 0o600);
    let malformed = KeyFile::read(folder.path()).unwrap_err();
    std::fs::write(folder.path(), vec![b' '; 1024 * 1024 + 1]).unwrap();
    let too_large = KeyFile::read(folder.path()).unwrap_err();
    let changed = fresh().write(folder.0.join("keys.json")).unwrap_err();
    let no_folder = fresh().write(folder.0.join("none").join("keys.json")).unwrap_err();
    for error in [missing, malformed, too_large, changed, no_folder] {
        let text = error.to_string();
        assert!(text.contains(&*folder.0.display().to_string()), "{text}");
        assert!(!format!("{error:?} {text}").contains("planted"));
    }
}

#[test]
fn one_write_does_not_undo_another() {
    let folder = Folder::new("undo");
    fresh().write(folder.path()).unwrap();
    assert!(
        matches!(fresh().write(folder.path()), Err(KeyFileError::Changed { .. })),
        "a second install"
    );
    let (mut one, mut other) =
        (KeyFile::read(folder.path()).unwrap(), KeyFile::read(folder.path()).unwrap());
    one.rotate(START, &Rotation::default()).unwrap();
    one.write(folder.path()).unwrap();
    other.rotate(START, &Rotation::default()).unwrap();
    assert!(matches!(other.write(folder.path()), Err(KeyFileError::Changed { .. })));
    assert_eq!(KeyFile::read(folder.path()).unwrap().signing_keys.len(), 2);
}

#[test]
fn two_writers_do_not_write_at_the_same_time() {
    let folder = Folder::new("busy");
    let mut file = fresh();
    file.write(folder.path()).unwrap();
    let other = std::fs::File::open(folder.0.join("keys.json.lock")).unwrap();
    other.lock().unwrap();
    assert!(matches!(file.write(folder.path()), Err(KeyFileError::Busy { .. })));
    drop(other);
    file.write(folder.path()).unwrap();
}

/// A crash in the middle of a write leaves a `.new` and no lock.
#[test]
fn a_file_that_a_crashed_writer_left_behind_does_not_stop_the_next() {
    let folder = Folder::new("crash");
    std::fs::write(folder.0.join("keys.json.new"), "{").unwrap();
    let mut file = fresh();
    file.write(folder.path()).unwrap();
    let again = KeyFile::read(folder.path()).unwrap();
    assert_eq!(again.expose_json().unwrap(), file.expose_json().unwrap());
    assert!(!folder.0.join("keys.json.new").exists());
}

#[cfg(unix)]
#[test]
fn a_failed_write_leaves_the_old_file() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new("fail");
    let mut file = fresh();
    file.write(folder.path()).unwrap();
    let before = std::fs::read(folder.path()).unwrap();
    // A folder cannot be removed as a file, so the new version cannot be written.
    std::fs::create_dir(folder.0.join("keys.json.new")).unwrap();
    file.rotate(START, &Rotation::default()).unwrap();
    assert!(matches!(file.write(folder.path()), Err(KeyFileError::Io { .. })));
    assert_eq!(std::fs::read(folder.path()).unwrap(), before);
    let mode = std::fs::metadata(folder.0.join("keys.json.lock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    std::fs::remove_dir(folder.0.join("keys.json.new")).unwrap();
    file.write(folder.path()).unwrap();
    assert_eq!(KeyFile::read(folder.path()).unwrap().signing_keys.len(), 2);
}

#[test]
fn a_new_key_is_published_then_signs_and_the_old_one_retires() {
    let mut file = fresh();
    let rotation = Rotation::default().longest_token(DAY);
    let begun = file.rotate(START, &rotation).unwrap();
    let signs_from = START.plus(Duration::from_mins(10));
    let Rotated::Begun { key_id, signs_from: from } = begun else { panic!("{begun:?}") };
    assert_eq!(from, signs_from);
    let gone = signs_from.plus(DAY).plus(Duration::from_mins(1));
    let ring = file.key_ring().unwrap();
    let before = |instant: UnixTime| instant.minus(Duration::from_millis(1));
    for (now, expected) in [
        (START, [KeyState::Published, KeyState::Active]),
        (before(signs_from), [KeyState::Published, KeyState::Active]),
        (signs_from, [KeyState::Active, KeyState::Retiring]),
        (before(gone), [KeyState::Active, KeyState::Retiring]),
        (gone, [KeyState::Active, KeyState::Retired]),
    ] {
        assert_eq!(states(&file, now), expected, "{now}");
        let signing = file.key_states(now).into_iter().find(|it| it.state == KeyState::Active);
        assert_eq!(
            ring.signing_key_id(KeyUse::AccessToken, now),
            signing.map(|it| it.key_id),
            "the ring agrees"
        );
    }
    // Again, before the new key signs: nothing. Afterwards: the next, and the first is gone.
    let again = file.rotate(before(signs_from), &rotation).unwrap();
    assert_eq!(again, Rotated::UnderWay { key_id: key_id.clone(), signs_from });
    assert!(matches!(file.rotate(gone, &rotation), Ok(Rotated::Begun { .. })));
    assert_eq!(states(&file, gone), [KeyState::Published, KeyState::Active]);
    assert_eq!(file.key_states(gone)[1].key_id, key_id);
}

#[test]
fn a_rotation_is_refused_if_the_keys_would_be_too_many() {
    let mut file = fresh();
    let mut now = START;
    for _ in 1..VerifyingKeys::MAX_KEYS {
        assert!(matches!(file.rotate(now, &Rotation::default()), Ok(Rotated::Begun { .. })));
        file.key_ring().unwrap();
        now = now.plus(DAY);
    }
    assert_eq!(file.rotate(now, &Rotation::default()), Err(KeyError::TooManyKeys));
    now = now.plus(30 * DAY);
    assert!(matches!(file.rotate(now, &Rotation::default()), Ok(Rotated::Begun { .. })));
    assert_eq!(states(&file, now), [KeyState::Published, KeyState::Active]);
}

#[test]
fn a_leaked_key_is_gone_at_once_in_every_state() {
    for leaked in 0..3 {
        let mut file = fresh();
        file.rotate(START, &Rotation::default()).unwrap();
        let now = START.plus(DAY);
        file.rotate(now, &Rotation::default()).unwrap();
        let states_before = [KeyState::Published, KeyState::Active, KeyState::Retiring];
        assert_eq!(states(&file, now), states_before);
        let key_id = file.key_states(now)[leaked].key_id.clone();
        file.remove_leaked_key(&key_id, now).unwrap();
        for later in [now, now.plus(DAY), now.plus(60 * DAY)] {
            let ring = file.key_ring().unwrap();
            assert!(
                ring.signing_key_id(KeyUse::AccessToken, later)
                    .is_some_and(|signing| signing != key_id)
            );
            assert!(file.key_states(later).iter().all(|other| other.key_id != key_id));
        }
        assert_eq!(file.remove_leaked_key(&key_id, now), Err(KeyError::NoKey));
    }
    let mut only = fresh();
    let key_id = only.key_states(START)[0].key_id.clone();
    only.remove_leaked_key(&key_id, START).unwrap();
    assert_eq!(states(&only, START), [KeyState::Active]);
    assert!(only.key_ring().is_ok());
}

/// Z32: each state comes with its instants, and an operator may shorten both waits.
#[test]
fn a_key_is_promoted_and_retired_before_its_instants() {
    let mut file = fresh();
    let [old] = &file.key_states(START)[..] else { panic!("one key") };
    let old = old.clone();
    assert_eq!((old.state, old.signs_from, old.kept_until), (KeyState::Active, START, None));
    assert_eq!(file.retire_key(&old.key_id, START), Err(KeyError::InUse));
    file.rotate(START, &Rotation::default().longest_token(DAY)).unwrap();
    let signs_from = START.plus(Duration::from_mins(10));
    let kept_until = signs_from.plus(DAY).plus(Duration::from_mins(1));
    let [new, replaced] = &file.key_states(START)[..] else { panic!("two keys") };
    assert_eq!(
        (new.state, new.signs_from, new.kept_until),
        (KeyState::Published, signs_from, None)
    );
    assert_eq!((replaced.state, replaced.kept_until), (KeyState::Active, Some(kept_until)));
    // A published key that is not wanted any more leaves no trace.
    let new = new.key_id.clone();
    let mut without = file.clone();
    without.retire_key(&new, START).unwrap();
    assert_eq!(without.key_states(START), std::slice::from_ref(&old));
    assert_eq!(without.retire_key(&new, START), Err(KeyError::NoKey));

    let soon = START.plus(Duration::from_secs(5));
    for _ in 0..2 {
        file.promote_key(&new, soon).unwrap();
        assert_eq!(states(&file, soon), [KeyState::Active, KeyState::Retiring]);
        assert_eq!(file.key_states(soon)[0].signs_from, soon);
        assert_eq!(file.key_states(soon)[1].kept_until, Some(kept_until), "as long as planned");
    }
    assert_eq!(file.promote_key(&old.key_id, soon), Err(KeyError::NoKey));
    for _ in 0..2 {
        file.retire_key(&old.key_id, soon).unwrap();
        assert_eq!(states(&file, soon), [KeyState::Active, KeyState::Retired]);
        assert_eq!(file.key_states(soon)[1].kept_until, Some(soon));
    }
    assert_eq!(file.key_ring().unwrap().at(soon).verifying().iter().count(), 1);
}

/// Z32: the schedule is in the file, so that any number of processes agree on it.
#[test]
fn a_rotation_is_due_when_the_newest_key_has_signed_for_long_enough() {
    let mut file = fresh();
    let rotation = Rotation::default();
    let is_due =
        |file: &KeyFile, after: Duration| file.is_rotation_due(START.plus(after), DAY, &rotation);
    let (before, next) = (Duration::from_millis(86_399_999), 2 * DAY + Duration::from_mins(10));
    assert_eq!([is_due(&file, before), is_due(&file, DAY)], [false, true]);
    file.rotate(START.plus(DAY), &rotation).unwrap();
    assert_eq!(
        [is_due(&file, DAY), is_due(&file, next), is_due(&file, 2 * DAY)],
        [false, true, false]
    );
    let of_a_use = rotation.only_for(KeyUse::IdToken);
    assert!(!file.is_rotation_due(START.plus(9 * DAY), DAY, &of_a_use), "there is no such key");
}

#[test]
fn an_rsa_key_comes_from_the_host() {
    let pem = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/test_only_rsa_2048_private.pem"
    ));
    let mut file = fresh();
    let rotation = Rotation::default().publish_ahead(Duration::ZERO);
    file.rotate_to_pem(Algorithm::RS256, &pem.unwrap(), START, &rotation).unwrap();
    assert_eq!(states(&file, START), [KeyState::Active, KeyState::Retiring]);
    assert_eq!(file.rotate(START, &rotation), Err(KeyError::CannotGenerate));
    file.key_ring().unwrap();
}

/// Every process knows a root before one seals with it, and for as long as the sealed handles live.
#[test]
fn a_root_is_accepted_then_seals_then_retires() {
    let mut file = fresh();
    let keys = |file: &KeyFile| file.server_secret().unwrap().handle_keys("code", "https://as");
    let first = keys(&file).newest().0;
    file.add_root(&[RootUse::Handles], &OsRandom::new(), START).unwrap();
    assert_eq!(keys(&file).newest().0, first, "it seals nothing yet");
    let states = |file: &KeyFile| {
        let states = file.root_states().unwrap().into_iter();
        let handles = states.filter(|it| it.print.root_use() == RootUse::Handles);
        handles.map(|it| (it.state, it.made_at.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(states(&file), [(KeyState::Active, true), (KeyState::Published, true)]);
    file.promote_root(RootUse::Handles);
    assert_eq!(states(&file), [(KeyState::Active, true), (KeyState::Retiring, true)]);
    let second = keys(&file).newest().0;
    assert_ne!(second, first);
    assert!(keys(&file).find(first).is_some());
    file.retire_root(RootUse::Handles);
    assert_eq!(keys(&file).newest().0, second);
    assert!(keys(&file).find(first).is_none());
    assert_eq!(states(&file), [(KeyState::Active, true), (KeyState::Retired, false)]);
    assert_eq!(file.root_states().unwrap().len(), 4, "the other uses have one root each");
    assert_eq!(file.roots.len(), 2, "the first one keeps its other uses");
    file.retire_root(RootUse::Handles);
    assert_eq!(keys(&file).newest().0, second);
}

#[test]
fn a_malformed_file_is_refused_and_not_quoted() {
    let good = fresh().expose_json().unwrap();
    for bad in [
        String::new(),
        "-----BEGIN PRIVATE KEY-----".to_owned(),
        good.replace("\"version\": 1", "\"version\": \"planted\""),
        good.replace("\"revision\"", "\"planted\""),
        good.replace("\"ES256\"", "\"planted\""),
        good.replace("\"pepper\"", "\"planted\""),
    ] {
        let refused = KeyFile::from_json(&bad).unwrap_err();
        assert!(matches!(refused, KeyFileError::Malformed { .. }));
        assert!(!format!("{refused:?} {refused}").contains("planted"));
    }
    for (foreign, text) in [
        ("{}".to_owned(), "the file is not a key file: it has no `version`"),
        (
            "{\"keys\":[{\"k\":\"planted\"}]}".to_owned(),
            "the file is not a key file: it has no `version`",
        ),
        (
            good.replace("\"version\": 1", "\"version\": 2"),
            "the file has version 2, and this program reads version 1: run the program that wrote it",
        ),
    ] {
        assert_eq!(KeyFile::from_json(&foreign).unwrap_err().to_string(), text);
    }
    let none = KeyFile::from_json(&good.replace("\"pepper\"", "\"handles\"")).unwrap();
    assert!(none.server_secret().is_err(), "a use without a root");
}

#[test]
fn debug_shows_no_secret() {
    let file = fresh();
    let shown = format!("{file:?}");
    assert!(!shown.contains("PRIVATE") && !shown.contains(file.roots[0].bytes.as_str()), "{shown}");
    assert!(shown.contains(file.signing_keys[0].kid.as_str()));
}

/// An event in the life of a key file.
#[derive(Clone, Debug)]
enum Event {
    /// Seconds pass.
    Pass(u64),
    /// The keys for one use, or those for every use, rotate.
    Rotate(Option<KeyUse>),
    /// The key at this place leaks.
    Leak(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..4_000_u64).prop_map(Event::Pass),
        2 => Just(Event::Rotate(None)),
        1 => Just(Event::Rotate(Some(KeyUse::IdToken))),
        1 => (0..4_usize).prop_map(Event::Leak),
    ]
}

/// A rotation, and a leaked key, change the keys of one use alone.
#[test]
fn the_rotation_of_one_use_leaves_the_other() {
    let mut file = fresh();
    let pem = SigningKey::generate_pem(Algorithm::EdDSA).unwrap();
    let id_tokens = Rotation::default().only_for(KeyUse::IdToken).longest_token(DAY);
    assert_eq!(file.rotate(START, &id_tokens), Err(KeyError::NoKey), "there is none to follow");
    file.rotate_to_pem(Algorithm::EdDSA, pem.expose_secret(), START, &id_tokens).unwrap();
    let access = file.key_states(START)[1].key_id.clone();
    let later = START.plus(DAY);
    let signing = |file: &KeyFile, now| {
        let ring = file.key_ring().unwrap();
        [KeyUse::AccessToken, KeyUse::IdToken].map(|key_use| {
            let keys = ring.at(now);
            let id = ring.signing_key_id(key_use, now).unwrap();
            let key = keys.verifying().iter().find(|key| key.key_id() == Some(&id));
            key.unwrap().algorithm().unwrap()
        })
    };
    assert_eq!(signing(&file, START), [Algorithm::ES256; 2], "the new key has not begun");
    assert_eq!(signing(&file, later), [Algorithm::ES256, Algorithm::EdDSA]);
    assert_eq!(states(&file, later), [KeyState::Active; 2]);

    file.rotate(later, &id_tokens).unwrap();
    assert_eq!(states(&file, later), [KeyState::Published, KeyState::Active, KeyState::Active]);
    let much_later = later.plus(2 * DAY);
    assert_eq!(states(&file, much_later), [KeyState::Active, KeyState::Retired, KeyState::Active]);
    assert_eq!(file.key_states(much_later)[2].key_id, access);
    assert_eq!(signing(&file, much_later), [Algorithm::ES256, Algorithm::EdDSA]);

    let leaked = file.key_states(much_later)[0].key_id.clone();
    file.remove_leaked_key(&leaked, much_later).unwrap();
    assert_eq!(signing(&file, much_later), [Algorithm::ES256, Algorithm::EdDSA]);
    assert_eq!(file.key_states(much_later)[2].key_id, access);
}

/// A file that was written before keys had a use reads and writes as it did.
#[test]
fn a_key_without_a_use_is_for_every_use() {
    let file = fresh();
    let json = file.expose_json().unwrap();
    assert!(!json.contains("\"use\""), "{json}");
    let again = KeyFile::from_json(&json).unwrap();
    let [access, id] = [KeyUse::AccessToken, KeyUse::IdToken]
        .map(|key_use| again.key_ring().unwrap().signing_key_id(key_use, START));
    assert!(access.is_some() && access == id);
    let named = json.replace("\"alg\"", "\"use\": \"access_token\", \"alg\"");
    let named = KeyFile::from_json(&named).unwrap().key_ring().unwrap();
    assert_eq!(named.signing_key_id(KeyUse::AccessToken, START), access);
    assert_eq!(named.signing_key_id(KeyUse::IdToken, START), None);
    assert!(KeyFile::from_json(&json.replace("\"alg\"", "\"use\": \"\", \"alg\"")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In any order of rotations and leaks, one key signs for each use, was published before, and its
    /// tokens are accepted until they expire, unless it leaked. Tokens of a leaked key are refused.
    #[test]
    fn a_token_is_accepted_for_as_long_as_it_lives(
        events in prop::collection::vec(event(), 1..60),
        has_id_key in any::<bool>(),
    ) {
        let (ahead, life) = (Duration::from_mins(10), Duration::from_hours(1));
        let rotation = Rotation::default().publish_ahead(ahead).longest_token(life);
        let mut file = KeyFile::generate(Algorithm::EdDSA, &OsRandom::new(), START).unwrap();
        let id_rotation = rotation.only_for(KeyUse::IdToken);
        if has_id_key {
            let pem = SigningKey::generate_pem(Algorithm::ES256).unwrap();
            let at_once = id_rotation.publish_ahead(Duration::ZERO);
            let begun =
                file.rotate_to_pem(Algorithm::ES256, pem.expose_secret(), START, &at_once);
            prop_assert!(begun.is_ok());
        }
        let mut now = START;
        // The instant from which each key is published; long ago for a key that must sign at once.
        let mut published: HashMap<KeyId, UnixTime> = HashMap::new();
        let mut tokens: Vec<(KeyId, UnixTime)> = Vec::new();
        let mut leaked: Vec<KeyId> = Vec::new();
        for event in events.into_iter().chain([Event::Rotate(None)]) {
            let mut at_once = published.is_empty();
            match event {
                Event::Pass(seconds) => now = now.plus(Duration::from_secs(seconds)),
                Event::Rotate(None) => {
                    file.rotate(now, &rotation).unwrap();
                }
                Event::Rotate(Some(_)) => {
                    let rotated = file.rotate(now, &id_rotation);
                    prop_assert_eq!(rotated.err(), (!has_id_key).then_some(KeyError::NoKey));
                }
                Event::Leak(place) => {
                    if let Some(status) = file.key_states(now).get(place).cloned() {
                        let key_id = status.key_id;
                        file.remove_leaked_key(&key_id, now).unwrap();
                        leaked.push(key_id);
                        at_once = true;
                    }
                }
            }
            let ring = file.key_ring().unwrap();
            let keys = ring.at(now);
            let ids: Vec<_> = keys.verifying().iter().filter_map(|key| key.key_id()).collect();
            for id in &ids {
                let since = if at_once { now.minus(ahead) } else { now };
                published.entry((*id).clone()).or_insert(since);
            }
            let mut all_signing = BTreeSet::new();
            for &key_use in KeyUse::ALL {
                let signing = ring.signing_key_id(key_use, now).unwrap();
                prop_assert!(published[&signing] <= now.minus(ahead), "{signing} signs too early");
                let is_es256 = keys.verifying().iter().any(|key| {
                    key.key_id() == Some(&signing) && key.algorithm() == Some(Algorithm::ES256)
                });
                prop_assert_eq!(is_es256, has_id_key && key_use == KeyUse::IdToken);
                all_signing.insert(signing.clone());
                tokens.push((signing, now.plus(life)));
            }
            let states = file.key_states(now).into_iter();
            let states = states.filter(|it| it.state == KeyState::Active);
            prop_assert_eq!(states.map(|it| it.key_id).collect::<BTreeSet<_>>(), all_signing);
            for (key_id, expires_at) in &tokens {
                let is_accepted = ids.contains(&key_id);
                if leaked.contains(key_id) {
                    prop_assert!(!is_accepted);
                } else if now < *expires_at {
                    prop_assert!(is_accepted, "{key_id} is gone at {now}, before {expires_at}");
                }
            }
        }
    }
}
