//! The tool for key files in `examples/grantor_keys`.

#[path = "../../examples/grantor_keys/commands.rs"]
mod commands;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use grantor::clock::UnixTime;
use serde_json::Value;

use crate::support::START;

/// A folder of one test with the path of a key file, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = format!("grantor-keys-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder.join("keys.json"))
    }

    /// Runs a command some minutes after the start. `FILE` stands for the path.
    fn run(&self, minute: u64, line: &str) -> Result<String, String> {
        let path = self.0.to_str().unwrap();
        let arguments: Vec<_> = line
            .split(' ')
            .map(|word| if word == "FILE" { path } else { word }.to_owned())
            .collect();
        let now = UnixTime::from_seconds(START).plus(Duration::from_mins(minute));
        commands::run(&arguments, now)
    }

    /// Runs a command twice. The second run changes nothing.
    #[track_caller]
    fn run_twice(&self, minute: u64, line: &str) {
        let first = self.run(minute, line).unwrap();
        assert!(!first.contains("Nothing changed"), "{line}: {first}");
        let content = fs::read(&self.0).unwrap();
        let second = self.run(minute, line).unwrap();
        assert!(second.contains("Nothing changed"), "{line}: {second}");
        assert_eq!(fs::read(&self.0).unwrap(), content, "{line}");
    }

    fn json(&self, minute: u64) -> Value {
        serde_json::from_str(&self.run(minute, "states FILE --json").unwrap()).unwrap()
    }

    /// The states of the signing keys, newest first.
    fn keys(&self, minute: u64) -> Vec<String> {
        states(&self.json(minute)["signing_keys"])
    }

    /// The states of the roots for handles.
    fn handles(&self, minute: u64) -> Vec<String> {
        let mut roots = self.json(minute)["roots"].clone();
        let is_handle =
            |root: &Value| root["fingerprint"].as_str().unwrap().starts_with("handles:");
        roots.as_array_mut().unwrap().retain(is_handle);
        states(&roots)
    }

    fn key_id(&self, minute: u64, place: usize) -> String {
        self.json(minute)["signing_keys"][place]["key_id"].as_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

fn states(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|it| it["state"].as_str().unwrap().to_owned()).collect()
}

/// N8: each command, run again, changes nothing, through the life of a signing key.
#[test]
fn the_tool_walks_a_signing_key_through_its_states() {
    let folder = Folder::new("life");
    folder.run_twice(0, "new FILE --alg EdDSA");
    assert_eq!(folder.keys(0), ["active"]);
    let first = folder.key_id(0, 0);
    folder.run_twice(1, "publish FILE --ahead 20m --longest-token 1h");
    assert_eq!(folder.keys(1), ["published", "active"]);
    let second = folder.key_id(1, 0);
    let json = folder.json(1);
    let [new, old] = [0, 1].map(|place| json["signing_keys"][place].clone());
    assert_eq!(new["signs_from"], "2023-11-14T22:34:20Z");
    assert_eq!(new["kept_until"], Value::Null);
    assert_eq!((&new["algorithm"], &new["use"]), (&"EdDSA".into(), &"all".into()));
    assert_eq!(old["kept_until"], "2023-11-14T23:35:20Z", "an hour and a minute later");
    let refused = folder.run(1, &format!("retire FILE {first}")).unwrap_err();
    assert!(refused.contains("the key signs: publish another one"), "{refused}");
    folder.run_twice(2, "promote FILE");
    assert_eq!(folder.keys(2), ["active", "retiring"]);
    let refused = folder.run(2, &format!("promote FILE {first}")).unwrap_err();
    assert_eq!(refused, format!("the key {first} is retiring"));
    folder.run_twice(3, &format!("retire FILE {first}"));
    assert_eq!(folder.keys(3), ["active", "retired"]);
    folder.run_twice(4, &format!("leaked FILE {second}"));
    assert_eq!(folder.keys(4), ["active", "retired"]);
    assert!(![&first, &second].contains(&&folder.key_id(4, 0)));
    // A mistyped id is told from a success; an id may begin with dashes, as thumbprints do.
    let dashes = format!("--{}", "x".repeat(41));
    for id in [dashes.as_str(), "mistyped"] {
        let told = folder.run(4, &format!("leaked FILE {id}")).unwrap();
        assert!(told.starts_with(&format!("The file has no key {id}: ")), "{told}");
    }
    let table = folder.run(5, "states FILE").unwrap();
    assert!(table.contains("active     2023-11-14T22:17:20Z"), "{table}");
    assert!(!table.contains("PRIVATE"));
}

/// N8: the roots of the runbooks, added, promoted and retired.
#[test]
fn the_tool_walks_a_root_through_its_states() {
    let folder = Folder::new("roots");
    folder.run_twice(0, "new FILE");
    let before = folder.run(0, "fingerprint FILE").unwrap();
    assert_eq!(before.lines().count(), 3, "{before}");
    folder.run_twice(1, "publish FILE --root handles");
    assert_eq!(folder.handles(1), ["active", "published"]);
    folder.run_twice(2, "publish FILE --root all");
    folder.run_twice(3, "promote FILE --root all");
    assert_eq!(folder.handles(3), ["active", "retiring"]);
    folder.run_twice(4, "retire FILE --root all");
    assert_eq!(folder.handles(4), ["active", "retired"]);
    let after = folder.run(4, "fingerprint FILE --json").unwrap();
    let after: Vec<String> = serde_json::from_str(&after).unwrap();
    assert_eq!(after.len(), 3);
    assert!(before.lines().all(|print| !after.iter().any(|it| it == print)));
    let refused = folder.run(5, "promote FILE --root salt").unwrap_err();
    assert_eq!(refused, "--root salt: expected handles, pepper, sealing or all");
}

#[test]
fn the_tool_takes_an_rsa_key_of_the_host() {
    let folder = Folder::new("rsa");
    folder.run(0, "new FILE").unwrap();
    let pem = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/test_only_rsa_2048_private.pem");
    folder.run_twice(1, &format!("publish FILE --alg RS256 --pem {pem}"));
    assert_eq!(folder.json(1)["signing_keys"][0]["algorithm"], "RS256");
    for (line, text) in [
        ("publish FILE --alg RS256", "openssl genpkey"),
        ("publish FILE --pem none.pem", "--pem needs --alg"),
        ("publish FILE --alg none --pem none.pem", "--alg none: unknown algorithm"),
        ("publish FILE --ahead soon", "--ahead soon: "),
        ("publish FILE --ahead", "--ahead needs a value"),
        ("publish FILE --verbose 1", "unknown option --verbose"),
        ("retire FILE", "no KEY"),
        ("promote FILE nothing", "the file has no key nothing"),
        ("rotate FILE", "unknown command rotate"),
        ("states", "states: no FILE"),
    ] {
        let refused = folder.run(2, line).unwrap_err();
        assert!(refused.contains(text), "{line}: {refused}");
    }
    assert!(commands::run(&[], UnixTime::EPOCH).unwrap().starts_with("Usage: "));
}

/// Z15: the error names the file, the reason and the next step, and quotes nothing.
#[test]
fn the_tool_tells_why_it_cannot_read_a_file() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new("errors");
    let missing = folder.run(0, "states FILE").unwrap_err();
    assert!(missing.contains("keys.json") && missing.ends_with("; `new` creates it"), "{missing}");
    folder.run(0, "new FILE").unwrap();
    let good = fs::read_to_string(&folder.0).unwrap();
    for (content, text) in [
        ("planted".to_owned(), "keys.json is no key file, or is damaged at line 1, column 1"),
        (good.replace("\"kid\"", "\"planted\""), "is no key file, or is damaged at line"),
        ("{\"keys\": \"planted\"}".to_owned(), "keys.json is not a key file: it has no `version`"),
        (
            good.replace("\"version\": 1", "\"version\": 7"),
            "keys.json has version 7, and this program",
        ),
    ] {
        fs::write(&folder.0, content).unwrap();
        for command in
            ["states FILE", "new FILE", "publish FILE", "leaked FILE key", "fingerprint FILE"]
        {
            let refused = folder.run(0, command).unwrap_err();
            assert!(refused.contains(text) && !refused.contains("planted"), "{command}: {refused}");
        }
    }
    fs::write(&folder.0, good).unwrap();
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o644)).unwrap();
    let shared = folder.run(0, "states FILE").unwrap_err();
    assert!(shared.contains("has mode 0644") && shared.contains("chmod 600"), "{shared}");
    assert!(
        shared.ends_with("; if other users could read it, treat its keys as leaked"),
        "{shared}"
    );
}
