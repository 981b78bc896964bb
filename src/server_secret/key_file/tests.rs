use std::collections::HashMap;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::random::OsRandom;

const START: UnixTime = UnixTime::from_seconds(1_700_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn fresh() -> KeyFile {
    KeyFile::generate(Algorithm::ES256, &OsRandom::new(), START).unwrap()
}

/// A folder of this test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("grantor-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.join("keys.json")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

fn states(file: &KeyFile, now: UnixTime) -> Vec<KeyState> {
    file.key_states(now).into_iter().map(|(_, state)| state).collect()
}

#[test]
fn what_was_written_is_read_again() {
    let folder = Folder::new("again");
    let mut file = fresh();
    file.write(folder.path()).unwrap();
    file.rotate(START, &Rotation::default()).unwrap();
    file.add_root(&[RootUse::Pepper], &OsRandom::new(), START).unwrap();
    file.write(folder.path()).unwrap();
    let again = KeyFile::read(folder.path()).unwrap();
    assert_eq!(again.expose_json().unwrap(), file.expose_json().unwrap());
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1, "nothing is left beside it");
    assert!(KeyFile::from_json(&file.expose_json().unwrap()).is_ok());
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new("alone");
    fresh().write(folder.path()).unwrap();
    let mode = std::fs::metadata(folder.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    for shared in [0o640, 0o604, 0o620, 0o602, 0o610] {
        let permissions = std::fs::Permissions::from_mode(shared);
        std::fs::set_permissions(folder.path(), permissions).unwrap();
        let refused = KeyFile::read(folder.path()).map(|_| ());
        assert!(matches!(refused, Err(KeyFileError::Permissions { mode }) if mode == shared));
    }
}

#[test]
fn one_write_does_not_undo_another() {
    let folder = Folder::new("undo");
    fresh().write(folder.path()).unwrap();
    assert!(matches!(fresh().write(folder.path()), Err(KeyFileError::Changed)), "a second install");
    let (mut one, mut other) =
        (KeyFile::read(folder.path()).unwrap(), KeyFile::read(folder.path()).unwrap());
    one.rotate(START, &Rotation::default()).unwrap();
    one.write(folder.path()).unwrap();
    other.rotate(START, &Rotation::default()).unwrap();
    assert!(matches!(other.write(folder.path()), Err(KeyFileError::Changed)));
    // And the one that is in the place of another at this moment.
    std::fs::write(folder.0.join("keys.json.new"), "").unwrap();
    assert!(matches!(one.write(folder.path()), Err(KeyFileError::Busy)));
    assert!(folder.0.join("keys.json.new").exists(), "it is not ours");
    assert_eq!(KeyFile::read(folder.path()).unwrap().signing_keys.len(), 2);
}

#[test]
fn a_new_key_is_published_signs_and_the_old_one_goes() {
    let mut file = fresh();
    let rotation = Rotation::default().longest_token(DAY);
    let begun = file.rotate(START, &rotation).unwrap();
    let signs_from = START.plus(Duration::from_secs(600));
    let Rotated::Begun { key_id, signs_from: from } = begun else { panic!("{begun:?}") };
    assert_eq!(from, signs_from);
    let gone = signs_from.plus(DAY).plus(Duration::from_secs(60));
    let ring = file.key_ring().unwrap();
    let before = |instant: UnixTime| instant.minus(Duration::from_millis(1));
    for (now, expected) in [
        (START, [KeyState::Next, KeyState::Signing]),
        (before(signs_from), [KeyState::Next, KeyState::Signing]),
        (signs_from, [KeyState::Signing, KeyState::Retired]),
        (before(gone), [KeyState::Signing, KeyState::Retired]),
        (gone, [KeyState::Signing, KeyState::Gone]),
    ] {
        assert_eq!(states(&file, now), expected, "{now}");
        let signing = file.key_states(now).into_iter().find(|it| it.1 == KeyState::Signing);
        assert_eq!(ring.signing_key_id(now), signing.map(|it| it.0), "the ring agrees");
    }
    // Again, before the new key signs: nothing. Afterwards: the next, and the first is gone.
    let again = file.rotate(before(signs_from), &rotation).unwrap();
    assert_eq!(again, Rotated::UnderWay { key_id: key_id.clone(), signs_from });
    assert!(matches!(file.rotate(gone, &rotation), Ok(Rotated::Begun { .. })));
    assert_eq!(states(&file, gone), [KeyState::Next, KeyState::Signing]);
    assert_eq!(file.key_states(gone)[1].0, key_id);
}

/// Whatever is rotated when: one key signs, no key goes before its tokens, and no more than a set
/// may hold are there.
#[test]
fn rotating_too_often_is_refused_before_keys_are_too_many() {
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
    assert_eq!(states(&file, now), [KeyState::Next, KeyState::Signing]);
}

#[test]
fn a_leaked_key_is_gone_at_once_whatever_it_did() {
    for leaked in 0..3 {
        let mut file = fresh();
        file.rotate(START, &Rotation::default()).unwrap();
        let now = START.plus(DAY);
        file.rotate(now, &Rotation::default()).unwrap();
        let states_before = [KeyState::Next, KeyState::Signing, KeyState::Retired];
        assert_eq!(states(&file, now), states_before);
        let key_id = file.key_states(now)[leaked].0.clone();
        file.remove_leaked_key(&key_id, now).unwrap();
        for later in [now, now.plus(DAY), now.plus(60 * DAY)] {
            let ring = file.key_ring().unwrap();
            assert!(ring.signing_key_id(later).is_some_and(|signing| signing != key_id));
            assert!(file.key_states(later).iter().all(|(other, _)| *other != key_id));
        }
        assert_eq!(file.remove_leaked_key(&key_id, now), Err(KeyError::NoKey));
    }
    let mut only = fresh();
    let key_id = only.key_states(START)[0].0.clone();
    only.remove_leaked_key(&key_id, START).unwrap();
    assert_eq!(states(&only, START), [KeyState::Signing]);
    assert!(only.key_ring().is_ok());
}

#[test]
fn an_rsa_key_is_followed_by_one_that_is_brought() {
    let pem = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/test_only_rsa_2048_private.pem"
    ));
    let mut file = fresh();
    let rotation = Rotation::default().publish_ahead(Duration::ZERO);
    file.rotate_to_pem(Algorithm::RS256, &pem.unwrap(), START, &rotation).unwrap();
    assert_eq!(states(&file, START), [KeyState::Signing, KeyState::Retired]);
    assert_eq!(file.rotate(START, &rotation), Err(KeyError::CannotGenerate));
    file.key_ring().unwrap();
}

/// A root is known everywhere before anything is made with it, and as long as what was made with it.
#[test]
fn a_root_is_accepted_makes_and_is_retired() {
    let mut file = fresh();
    let keys = |file: &KeyFile| file.server_secret().unwrap().handle_keys("code", "https://as");
    let first = keys(&file).newest().0;
    file.add_root(&[RootUse::Handles], &OsRandom::new(), START).unwrap();
    assert_eq!(keys(&file).newest().0, first, "it makes nothing yet");
    file.promote_root(RootUse::Handles);
    let second = keys(&file).newest().0;
    assert_ne!(second, first);
    assert!(keys(&file).find(first).is_some());
    file.retire_root(RootUse::Handles);
    assert_eq!(keys(&file).newest().0, second);
    assert!(keys(&file).find(first).is_none());
    assert_eq!(file.roots.len(), 2, "the first still is for the other uses");
    file.retire_root(RootUse::Handles);
    assert_eq!(keys(&file).newest().0, second);
}

#[test]
fn what_is_not_a_key_file_is_refused_and_not_quoted() {
    let good = fresh().expose_json().unwrap();
    for bad in [
        String::new(),
        "{}".to_owned(),
        good.replace("\"version\": 1", "\"version\": 2"),
        good.replace("\"revision\"", "\"planted\""),
        good.replace("\"ES256\"", "\"planted\""),
        good.replace("\"pepper\"", "\"planted\""),
    ] {
        let refused = KeyFile::from_json(&bad).unwrap_err();
        assert!(matches!(refused, KeyFileError::Malformed { .. }));
        assert!(!format!("{refused:?} {refused}").contains("planted"));
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

/// What happens to a key file, and how many seconds later.
#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    Rotate,
    /// The key at this place leaks.
    Leak(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..4_000_u64).prop_map(Event::Pass),
        2 => Just(Event::Rotate),
        1 => (0..4_usize).prop_map(Event::Leak),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is rotated and leaks when: one key signs, it was published before, and what it signed is
    /// believed until it expires, unless its key leaked; what a leaked key signed is not.
    #[test]
    fn a_token_is_believed_for_as_long_as_it_lives(
        events in prop::collection::vec(event(), 1..60),
    ) {
        let (ahead, life) = (Duration::from_secs(600), Duration::from_secs(3_600));
        let rotation = Rotation::default().publish_ahead(ahead).longest_token(life);
        let mut file = KeyFile::generate(Algorithm::EdDSA, &OsRandom::new(), START).unwrap();
        let mut now = START;
        // Since when each key is published; since always where one had to sign at once.
        let mut published: HashMap<KeyId, UnixTime> = HashMap::new();
        let mut tokens: Vec<(KeyId, UnixTime)> = Vec::new();
        let mut leaked: Vec<KeyId> = Vec::new();
        for event in events.into_iter().chain([Event::Rotate]) {
            let mut at_once = published.is_empty();
            match event {
                Event::Pass(seconds) => now = now.plus(Duration::from_secs(seconds)),
                Event::Rotate => {
                    file.rotate(now, &rotation).unwrap();
                }
                Event::Leak(place) => {
                    if let Some((key_id, _)) = file.key_states(now).get(place).cloned() {
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
            let signing = ring.signing_key_id(now).unwrap();
            prop_assert!(published[&signing] <= now.minus(ahead), "{signing} signs too early");
            let states = file.key_states(now);
            let signs = |it: &&(KeyId, KeyState)| it.1 == KeyState::Signing;
            prop_assert_eq!(states.iter().filter(signs).count(), 1);
            tokens.push((signing, now.plus(life)));
            for (key_id, expires_at) in &tokens {
                let is_believed = ids.contains(&key_id);
                if leaked.contains(key_id) {
                    prop_assert!(!is_believed);
                } else if now < *expires_at {
                    prop_assert!(is_believed, "{key_id} is gone at {now}, before {expires_at}");
                }
            }
        }
    }
}
