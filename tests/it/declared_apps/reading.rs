//! Reading a declaration: every problem with its path, references to secrets, bounds.

use std::fs;

use grantor::admin::{DeclaredApps, ImportedApp, InvalidDeclaration, SecretReference};
use grantor::app::{ClientAuthentication, GivenSecret};
use grantor::secret::{ClientSecret, SignatureSecret};
use serde_json::{Value, json};

use super::{declared, id, machine, public_pem};
use crate::support::{code_app, machine_app};

fn no_secrets(reference: &SecretReference) -> Result<String, String> {
    Err(format!("{reference:?} is not there"))
}

fn problems(apps: &Value) -> Vec<(String, String)> {
    let read = DeclaredApps::from_value(json!({ "apps": apps }), no_secrets);
    told(&read.unwrap_err())
}

fn told(invalid: &InvalidDeclaration) -> Vec<(String, String)> {
    invalid.problems().iter().map(|it| (it.path.clone(), it.problem.clone())).collect()
}

/// Z34: every problem is listed with the path of its field, and one does not hide another.
#[test]
fn every_problem_is_listed_with_its_path() {
    let apps = json!([
        { "client_id": "", "client_secret": 5, "enabled": "yes", "color": 1 },
        { "client_id": "b", "signature_secret": { "sha256": "00" }, "settings": {
            "name": 7, "flows": ["authorization_code", "implicit", "password"],
            "redirect_uris": ["https://app.example.com/cb", "http://app.example.com/", "/cb", 4],
            "scope": "a  \u{7f}", "resources": ["no uri"], "hue": true, "access_token_lifetime": -1,
            "jwt": { "keys": "none", "max_life": 3, "impersonation": { "alow": "anyone",
                "except": { "subjects": [""] } } },
            "mobile_security": { "pin": "sometimes" },
        } },
        { "client_id": "c", "client_secret": "x", "settings": {
            "name": "", "flows": ["authorization_code"], "code_lifetime": 0 } },
        { "client_id": "c", "settings": { "name": "C", "flows": ["jwt_bearer"],
            "jwt": { "keys": { "keys": "no PEM" } } } },
        { "client_id": "c", "client_secret": { "env": "NONE" }, "settings": 5 },
        5,
    ]);
    let found = problems(&apps);
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "apps[0].client_id",
            "apps[0].enabled",
            "apps[0].client_secret",
            "apps[0].settings",
            "apps[0].color",
            "apps[1].signature_secret",
            "apps[1].settings.access_token_lifetime",
            "apps[1].settings.flows[1]",
            "apps[1].settings.flows[2]",
            "apps[1].settings.hue",
            "apps[1].settings.jwt.impersonation.alow",
            "apps[1].settings.jwt.impersonation.except.subjects[0]",
            "apps[1].settings.jwt.keys",
            "apps[1].settings.jwt.max_life",
            "apps[1].settings.mobile_security.pin",
            "apps[1].settings.name",
            "apps[1].settings.redirect_uris[1]",
            "apps[1].settings.redirect_uris[2]",
            "apps[1].settings.redirect_uris[3]",
            "apps[1].settings.resources[0]",
            "apps[1].settings.scope",
            "apps[2].settings.name",
            "apps[2].settings.redirect_uris",
            "apps[2].settings.code_lifetime",
            "apps[3].settings.jwt.keys.keys",
            "apps[4].client_secret",
            "apps[4].settings",
            "apps[5]",
        ]
    );
    let text = |path: &str| &found.iter().find(|(at, _)| at == path).unwrap().1;
    assert!(text("apps[1].settings.redirect_uris[1]").contains("http is allowed on loopback only"));
    assert!(text("apps[1].settings.hue").contains("unknown field `hue`"));
    assert!(text("apps[4].client_secret").contains("is not there"));
}

/// Z34: a member that is missing is reported beside one that is wrong. Two apps have two ids.
#[test]
fn missing_members_and_equal_ids_are_problems() {
    let found = problems(&json!([{ "client_id": "a", "settings": { "flows": ["x"] } }, {}]));
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        ["apps[0].settings.flows[0]", "apps[0].settings", "apps[1].client_id", "apps[1].settings"]
    );
    assert!(found[1].1.contains("missing field `name`"), "{found:?}");
    let twice = problems(&json!([machine("a", "x"), machine("b", "x"), machine("a", "x")]));
    assert_eq!(twice, [("apps[2].client_id".to_owned(), "is that of apps[0], too".to_owned())]);
    for (json, path) in [
        (json!(5), ""),
        (json!({}), "apps"),
        (json!({ "apps": 5 }), "apps"),
        (json!({ "apps": [], "app": [] }), "app"),
    ] {
        let invalid = DeclaredApps::from_value(json, no_secrets).unwrap_err();
        assert_eq!(invalid.problems()[0].path, path);
    }
    let empty = json!({ "$schema": "x", "apps": [] });
    assert!(DeclaredApps::from_value(empty, no_secrets).unwrap().apps().is_empty());
}

/// Z34: secrets come inline, as a digest, or from a place that the host resolves. No form of a wrong one is
/// quoted, and none is in `Debug`.
#[test]
fn a_secret_is_given_in_one_of_its_forms() {
    let sandbox = crate::sandbox::Folder::temporary();
    let folder = sandbox.path();
    let file = folder.join("secret");
    fs::write(&file, "from the file\r\n").unwrap();
    let long = folder.join("long");
    fs::write(&long, "x".repeat(4097)).unwrap();
    let with = |secret: &Value| {
        let mut app = machine("one", "a");
        app["client_secret"] = secret.clone();
        DeclaredApps::from_value(json!({ "apps": [app] }), SecretReference::read)
    };
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let exact = folder.join("exact");
    fs::write(&exact, "y".repeat(4096)).unwrap();
    let read = SecretReference::File(path(&exact)).read().unwrap();
    assert_eq!(read.len(), 4096);
    for (given, written) in [
        (json!("inline"), json!("inline")),
        (json!({ "plain": "inline" }), json!("inline")),
        (json!({ "file": path(&file) }), json!("from the file")),
        (json!({ "env": "CARGO_PKG_NAME" }), json!("grantor")),
        (json!({ "slow": "$2b$x" }), json!({ "slow": "$2b$x" })),
    ] {
        let declared = with(&given).unwrap();
        let json: Value = serde_json::from_str(&declared.to_json()).unwrap();
        assert_eq!(json["apps"][0]["client_secret"], written);
        assert!(!format!("{declared:?}").contains("inline"));
    }
    for (wrong, problem) in [
        (json!({ "env": "GRANTOR UNSET" }), "the environment variable GRANTOR UNSET is not set"),
        (json!({ "env": "A=B" }), "no name of an environment variable"),
        (json!({ "file": path(&folder.join("none")) }), "cannot be read: "),
        (json!({ "file": path(&long) }), "has more than 4096 bytes"),
        (json!({ "plain": 123_456 }), "must be a text, or an object with one of plain"),
        (json!({ "slow": ["planted"] }), "must be a text, or an object with one of plain"),
        (json!({ "plain": "planted", "env": "X" }), "must be a text, or an object with one of"),
        (json!({ "sha256": "planted" }), "must be a SHA-256"),
        (json!(""), "must have 1 to 255 bytes"),
    ] {
        let invalid = with(&wrong).unwrap_err();
        let [one] = invalid.problems() else { panic!("{invalid}") };
        assert_eq!(one.path, "apps[0].client_secret");
        assert!(one.problem.contains(problem), "{one}");
        assert!(!one.problem.contains("planted") && !one.problem.contains("123456"), "{one}");
    }
}

/// Z34: keys are PEM text or a JWK Set. The older name of a digest is read, too.
#[test]
fn keys_are_read_from_pem_and_from_a_jwk_set() {
    let by_pem = json!({ "private_key_jwt": public_pem() });
    let read = |authentication: &Value| {
        let app = json!({ "client_id": "one", "settings": {
            "name": "one", "flows": ["client_credentials"], "authentication": authentication } });
        let read = declared(&json!([app]));
        let ClientAuthentication::PrivateKeyJwt(keys) = read.apps()[0].settings().authentication()
        else {
            panic!("a key")
        };
        keys.clone()
    };
    let keys = read(&by_pem);
    assert_eq!(read(&json!({ "private_key_jwt": keys })), keys);
    let mut old = machine("one", "a");
    old.as_object_mut().unwrap().remove("client_secret");
    old["client_secret_digest"] = json!({ "sha256": "00".repeat(32) });
    assert!(declared(&json!([old])).apps()[0].has_client_secret());
    old["client_secret"] = json!("both");
    assert_eq!(problems(&json!([old]))[0].0, "apps[0].client_secret_digest");
}

/// Z34: a declaration that is written is read as the same, and omits defaults.
#[test]
fn a_declaration_is_written_as_it_is_read() {
    let apps = [
        ImportedApp::new(id("web"), code_app().access_token_lifetime(60).build().unwrap())
            .with_client_secret(ClientSecret::new("inline"), None)
            .with_signature_secret(SignatureSecret::new("s".repeat(32))),
        ImportedApp::new(id("two"), machine_app().build().unwrap())
            .with_client_secret(GivenSecret::Sha256([7; 32]), None)
            .with_enabled(false),
    ];
    let written = DeclaredApps::new(apps).unwrap().to_json();
    let read = DeclaredApps::from_json(&written, no_secrets).unwrap();
    assert_eq!(read.to_json(), written);
    let json: Value = serde_json::from_str(&written).unwrap();
    let settings = json["apps"][0]["settings"].as_object().unwrap();
    let names: Vec<_> = settings.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "access_token_lifetime",
            "description",
            "flows",
            "name",
            "redirect_uris",
            "refresh_token",
            "scope"
        ]
    );
    assert_eq!(json["apps"][1]["enabled"], false);
}

/// A declaration has the bounds of `docs/limits.md`.
#[test]
fn a_declaration_has_its_documented_bounds() {
    let settings = machine_app().build().unwrap();
    let many = |count: usize| {
        let apps = (0..count).map(|at| ImportedApp::new(id(&format!("a{at}")), settings.clone()));
        DeclaredApps::new(apps)
    };
    assert_eq!(many(DeclaredApps::MAX_APPS).unwrap().apps().len(), 10_000);
    assert_eq!(many(10_001).unwrap_err().to_string(), "apps: must have at most 10000 items");
    let text = |bytes: usize| {
        let (start, end) = (r#"{"apps": [], "$schema": ""#, r#""}"#);
        format!("{start}{}{end}", "x".repeat(bytes - start.len() - end.len()))
    };
    let read = |text: &str| DeclaredApps::from_json(text, no_secrets);
    assert!(read(&text(DeclaredApps::MAX_BYTES)).is_ok());
    let long = read(&text(DeclaredApps::MAX_BYTES + 1)).unwrap_err();
    assert_eq!(long.to_string(), "the declaration: has more than 16 MiB");
    let wrong: Value = (0..101).map(|_| json!(5)).collect();
    let invalid = DeclaredApps::from_value(json!({ "apps": wrong }), no_secrets).unwrap_err();
    assert_eq!(invalid.problems().len(), 100);
    assert!(invalid.to_string().ends_with("\nand 1 more"));
    let deep = format!(r#"{{"apps": {}"#, "[".repeat(100_000));
    assert!(read(&deep).unwrap_err().to_string().contains("is not JSON: recursion limit"));
}
