//! Error texts: two causes that are fixed in different ways have different texts, and a text names the
//! setting that decided.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use grantor::Scope;
use grantor::app::{
    AppDraft, AppTemplate, AuthenticationMethodName, ClientMetadata, TrustedIssuer,
};
use grantor::error::Rejection;
use grantor::jwt::AssertionError;
use grantor::protocol::CodeChallengeError;
use serde_json::{Value, json};

use crate::wire_errors::{ASSERTION_ERRORS, TABLE};

/// The texts that several rejections share on the wire, because a difference would tell an attacker
/// which client, code, token, user or inner host exists. The audit log tells them apart by the reason.
const DELIBERATE: [&str; 8] = [
    "client authentication failed",
    "the code or refresh token is invalid, expired, revoked, or bound to another app, redirect_uri \
     or code_verifier",
    "the token is not active",
    "the app may not act as this user",
    "the client metadata document is not reachable",
    "the subject token is not accepted",
    "the token is not one of a trusted issuer",
    "the issuer has no such user here",
];

/// Settings of the server and of an app that are no part of an app's JSON in the seed.
const ELSEWHERE: [&str; 7] = [
    "client_secrets",
    "rate_limits",
    "hooks",
    "client_documents",
    "origin",
    "trusted_issuers",
    "delegation",
];

fn all_rejections() -> Vec<Rejection> {
    use CodeChallengeError as E;
    let mut all: Vec<_> = TABLE.iter().map(|(rejection, ..)| rejection.clone()).collect();
    all.retain(|it| !matches!(it, Rejection::Assertion(_) | Rejection::ClientAssertion(_)));
    all.retain(|it| !matches!(it, Rejection::CodeChallenge(_)));
    all.extend(ASSERTION_ERRORS.map(Rejection::Assertion));
    all.extend(
        [E::Missing, E::Plain, E::UnknownMethod, E::Malformed].map(Rejection::CodeChallenge),
    );
    all
}

/// Two rejections with one text and different reasons keep a secret. Others with one text would send
/// the developer of an app in the wrong direction.
#[test]
fn rejections_share_a_text_only_to_keep_a_secret() {
    let mut by_text = BTreeMap::<_, Vec<_>>::new();
    for rejection in all_rejections() {
        by_text.entry(rejection.description().into_owned()).or_default().push(rejection);
    }
    for (text, rejections) in by_text {
        let reasons: BTreeSet<_> = rejections.iter().map(Rejection::reason).collect();
        if reasons.len() > 1 {
            assert!(DELIBERATE.contains(&&*text), "{text}: {rejections:?}");
        }
        // `client_id_mismatch` and `assertion_replayed` have one reason for two steps.
        let told_apart: BTreeSet<_> = rejections
            .iter()
            .map(|it| (it.reason(), it.step()))
            .map(|it| format!("{it:?}"))
            .collect();
        assert_eq!(told_apart.len(), rejections.len(), "{text}: {rejections:?}");
    }
    // As a client assertion, each fault has the text that it has as a grant, unless that would tell
    // whether the app exists.
    for error in ASSERTION_ERRORS {
        let text = Rejection::ClientAssertion(error).description();
        let same = Rejection::Assertion(error).description().starts_with(&*text);
        assert!(same || text == DELIBERATE[0], "{error:?}");
    }
}

/// The setting in an audit event is one that an administrator finds, by this name, in the app's JSON or in
/// the server's configuration.
#[test]
fn every_setting_that_a_rejection_names_exists() {
    let seed = fs::read_to_string(root().join("examples/server/seed.json")).unwrap();
    let client = ASSERTION_ERRORS.map(Rejection::ClientAssertion);
    let named: BTreeSet<_> =
        all_rejections().iter().chain(&client).filter_map(Rejection::setting).collect();
    assert!(named.len() > 12, "{named:?}");
    for setting in named {
        let found = setting.split('.').all(|part| seed.contains(&format!("\"{part}\":")));
        assert!(found || ELSEWHERE.contains(&setting), "no setting {setting}");
    }
    assert_eq!(Rejection::Assertion(AssertionError::Aud).setting(), Some("jwt.audience"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Returns an app that is valid, with every member that the cases change.
pub(crate) fn valid_app() -> Value {
    json!({
        "name": "Reports",
        "flows": ["authorization_code", "jwt_bearer"],
        "redirect_uris": ["https://app.example.com/cb"],
        "resources": ["https://api.example.com/"],
        "scope": "files.read",
        "jwt": { "keys": "signature_secret" },
        "mobile_security": {},
    })
}

pub(crate) fn p256() -> Value {
    let pem = fs::read_to_string(root().join("tests/fixtures/test_only_p256_public.pem")).unwrap();
    let key = grantor::jwt::VerifyingKeys::from_pem(&pem).unwrap();
    serde_json::to_value(&key).unwrap()
}

/// Each cause for which an app is refused: what is changed in a valid app, and the error.
fn app_cases() -> Vec<(Value, &'static str)> {
    let uris: Vec<_> = (0..51).map(|number| format!("https://app.example.com/{number}")).collect();
    let origins: Vec<_> = (0..51).map(|number| format!("https://{number}.example.com")).collect();
    let apis: Vec<_> = (0..51).map(|number| format!("https://api.example.com/{number}")).collect();
    vec![
        (json!({ "name": "" }), "`name` must have 1 to 100 characters without control characters"),
        (
            json!({ "description": "x".repeat(1_001) }),
            "`description` must have at most 1000 characters; line feed is the only control character \
             allowed",
        ),
        (json!({ "flows": [] }), "`flows` must list at least one flow"),
        (
            json!({ "flows": ["authorization_code", "authorization_code"] }),
            "`flows` must not list a flow twice",
        ),
        (
            json!({ "authentication": "none", "flows": ["client_credentials"] }),
            "`flows` must not include client_credentials for a public app",
        ),
        (
            json!({ "redirect_uris": [] }),
            "`redirect_uris` must list at least one URI for the authorization code flow",
        ),
        (json!({ "redirect_uris": uris }), "`redirect_uris` must list at most 50 URIs"),
        (json!({ "origins": origins }), "`origins` must list at most 50 origins"),
        (
            json!({
                "authentication": "none", "pkce": "optional", "flows": ["authorization_code"],
            }),
            "`pkce` must be required for a public app",
        ),
        (
            json!({ "flows": ["jwt_bearer"], "refresh_token": true }),
            "`refresh_token` requires a flow that gives refresh tokens: authorization_code, \
             device_code, or jwt_bearer with `jwt.refresh_token`",
        ),
        (json!({ "resources": apis }), "`resources` must list at most 50 resources"),
        (
            json!({ "default_resource": "https://other.example.com/" }),
            "`default_resource` must be one of `resources`",
        ),
        (
            json!({ "access_token_lifetime": 0 }),
            "`access_token_lifetime` must be 1 to 2592000 seconds",
        ),
        (
            json!({ "refresh_token_lifetime": 0 }),
            "`refresh_token_lifetime` must be 1 to 63072000 seconds",
        ),
        (
            json!({ "refresh_token_idle_lifetime": 0 }),
            "`refresh_token_idle_lifetime` must be 1 to 63072000 seconds",
        ),
        (json!({ "refresh_grace": 301 }), "`refresh_grace` must be 0 to 300 seconds"),
        (json!({ "code_lifetime": 601 }), "`code_lifetime` must be 1 to 600 seconds"),
        (json!({ "jwt": null }), "`jwt` is required by the JWT bearer flow"),
        (
            json!({ "authentication": "none" }),
            "`jwt.assertion_authenticates` must be true for a public app",
        ),
        (
            json!({ "client_assertion_lifetime": 60 }),
            "`client_assertion_lifetime` requires the authentication private_key_jwt",
        ),
        (
            json!({ "client_assertion_endpoint_audience": true }),
            "`client_assertion_endpoint_audience` requires the authentication private_key_jwt",
        ),
        (
            json!({ "authentication": { "private_key_jwt": p256() }, "client_assertion_lifetime": 0 }),
            "`client_assertion_lifetime` must be 1 to 3600 seconds",
        ),
        (
            json!({ "rate_quota": { "per_minute": 0, "burst": 1 } }),
            "`rate_quota` must be 1 to 60000000 requests a minute with a burst of 1 to 1000000",
        ),
    ]
}

/// The same for the rules of a phone.
fn phone_cases() -> Vec<(Value, &'static str)> {
    let phone = |change: Value| json!({ "mobile_security": change });
    vec![
        (
            phone(json!({ "pin": { "after_idle_minutes": 0 } })),
            "`mobile_security.pin` must be 1 to 1440 minutes",
        ),
        (
            phone(json!({ "max_pin_attempts": 0 })),
            "`mobile_security.max_pin_attempts` must be 1 to 20",
        ),
        (
            phone(json!({ "allowed_apps": [""] })),
            "`mobile_security.allowed_apps` must list at most 100 patterns, each of 1 to 255 bytes of \
             printable ASCII",
        ),
        (
            phone(json!({ "allowed_apps": ["com.example*"] })),
            "`mobile_security.allowed_apps` must have a * alone, for every app, or last after a dot: \
             write com.example.* for the apps whose ids begin with com.example. and com.example.mail \
             for one app",
        ),
        (
            phone(json!({ "block_after_hours": 0 })),
            "`mobile_security.block_after_hours` must be 1 to 8760 hours",
        ),
        (
            phone(json!({ "wipe_after_days": 0 })),
            "`mobile_security.wipe_after_days` must be 1 to 3650 days",
        ),
        (
            phone(json!({ "block_after_hours": 25, "wipe_after_days": 1 })),
            "`mobile_security.wipe_after_days` must be no shorter than `block_after_hours`",
        ),
    ]
}

/// The same for the settings of assertions.
fn jwt_cases() -> Vec<(Value, &'static str)> {
    let users: Vec<_> = (0..1_001).map(|number| format!("user-{number}")).collect();
    let jwt = |change: Value| json!({ "jwt": change });
    let with_keys = |change: Value| {
        let mut jwt = json!({ "keys": { "keys": p256() } });
        merge(&mut jwt, &change);
        json!({ "jwt": jwt })
    };
    vec![
        (jwt(json!({ "issuer": "" })), "`jwt.issuer` must be 1 to 255 bytes long"),
        (jwt(json!({ "audience": "" })), "`jwt.audience` must be 1 to 255 bytes long"),
        (jwt(json!({ "user_claim": "" })), "`jwt.user_claim` must be 1 to 64 bytes long"),
        (jwt(json!({ "max_lifetime": 0 })), "`jwt.max_lifetime` must be 1 to 3600 seconds"),
        (jwt(json!({ "clock_skew": 301 })), "`jwt.clock_skew` must be 0 to 300 seconds"),
        (
            jwt(json!({ "algorithms": ["ES256"] })),
            "`jwt.algorithms` must fit the keys: HS256 if and only if the signature secret is used",
        ),
        (
            jwt(json!({ "jti": "optional", "refresh_token": true })),
            "`jwt.jti` must be required if the grant returns a refresh token",
        ),
        (
            jwt(json!({ "assertion_authenticates": true })),
            "`jwt.assertion_authenticates` requires public keys",
        ),
        (
            with_keys(json!({ "assertion_authenticates": true, "issuer": "backend" })),
            "`jwt.issuer` must be absent if the assertion alone authenticates the app",
        ),
        (
            jwt(json!({ "impersonation": { "allow": { "members": { "subjects": users } } } })),
            "`jwt.impersonation` must list at most 1000 users and groups",
        ),
    ]
}

/// The same for the settings of exchanges.
fn delegation_cases() -> Vec<(Value, &'static str)> {
    let many =
        |count: usize| -> Vec<_> { (0..count).map(|it| format!("https://x/{it}")).collect() };
    let policy = |change: Value| json!({ "delegation": change });
    let server = |resources: &[String]| json!({ "audience": "https://x.example", "client_id": "x", "resources": resources });
    let (public, flow) = (json!("none"), json!(["token_exchange"]));
    vec![
        (json!({ "flows": flow }), "`delegation` is required by the flow token_exchange"),
        (
            json!({ "authentication": public, "flows": flow, "redirect_uris": [] }),
            "`flows` must not include token_exchange for a public app",
        ),
        (policy(json!({ "apps": many(1_001) })), "`delegation.apps` must list at most 1000 apps"),
        (
            policy(json!({ "issuers": many(101) })),
            "`delegation.issuers` must list at most 100 issuers",
        ),
        (policy(json!({ "actors": many(101) })), "`delegation.actors` must list at most 100 apps"),
        (
            policy(json!({ "targets": many(51) })),
            "`delegation.targets` must list at most 50 resources",
        ),
        (
            policy(json!({ "id_jag": vec![server(&[]); 51] })),
            "`delegation.id_jag` must list at most 50 servers",
        ),
        (
            policy(json!({ "id_jag": [server(&many(51))] })),
            "`delegation.id_jag` must list at most 50 resources of a server",
        ),
        (policy(json!({ "max_actors": 5 })), "`delegation.max_actors` must be 1 to 4"),
        (
            policy(json!({ "users": { "except": { "subjects": many(1_001) } } })),
            "`delegation.users` must list at most 1000 users and groups",
        ),
    ]
}

/// Errors that the cases do not reach: JSON holds no symmetric key, and the others need a stored app. Each
/// has a test of its own.
const OTHER_APP_ERRORS: [(&str, &str); 16] = [
    ("issuer", "is one more than the server trusts: 100"),
    ("issuer", "must not be this server"),
    ("keys", "must hold public keys only"),
    (
        "jwks_uri",
        "must be an https URL of at most 2000 bytes, without user information and fragment",
    ),
    ("client_id", "must not be the subject of a user"),
    ("client_id", "must be that of the app"),
    ("client_secret", "must be a text"),
    ("jwks_uri", "is not fetched here: `jwks` is read"),
    ("client_secret", "must be absent or that of the app"),
    ("authentication", "must hold public keys only"),
    ("jwt.keys", "must hold public keys only"),
    ("scope", "still covers the removed tokens by a wider one"),
    ("authentication", "must be a client secret method"),
    ("authentication", "must not be none: a public app has no signature secret"),
    ("client_secret", "must have 1 to 255 bytes without control characters"),
    ("signature_secret", "must have 32 to 255 bytes"),
];

/// Changes members of an object, also inside of members.
pub(crate) fn merge(value: &mut Value, change: &Value) {
    match (value, change) {
        (Value::Object(own), Value::Object(change)) => {
            for (name, change) in change {
                merge(own.entry(name).or_insert(Value::Null), change);
            }
        }
        (value, change) => *value = change.clone(),
    }
}

#[test]
fn an_invalid_setting_is_named_with_its_rule() {
    let build = |app: Value| serde_json::from_value::<AppDraft>(app).unwrap().build();
    build(valid_app()).unwrap();
    let mut texts = BTreeSet::new();
    let cases = [app_cases(), phone_cases(), jwt_cases(), delegation_cases()].concat();
    for (change, text) in &cases {
        let mut app = valid_app();
        merge(&mut app, change);
        let error = build(app).unwrap_err();
        assert_eq!(error.to_string(), *text, "{change}");
        assert!(text.starts_with(&format!("`{}` ", error.field())), "{text}");
        assert!(texts.insert(text), "two causes have one text: {text}");
    }
    // Every error in the source has a case.
    let mut covered: BTreeSet<String> = cases.iter().map(|(_, text)| (*text).to_owned()).collect();
    for (metadata, text) in metadata_cases() {
        let read = ClientMetadata::parse(metadata.to_string().as_bytes());
        let template = AppTemplate::new(Scope::parse("a").unwrap());
        let method = AuthenticationMethodName::None;
        let error = read.and_then(|read| template.describe(&read, "App", method)).unwrap_err();
        assert_eq!(error.to_string(), text, "{metadata}");
        covered.insert(text.to_owned());
    }
    for (change, text) in issuer_cases() {
        let mut issuer = valid_issuer();
        merge(&mut issuer, &change);
        let error = serde_json::from_value::<TrustedIssuer>(issuer).unwrap().check().unwrap_err();
        assert_eq!(error.to_string(), text, "{change}");
        covered.insert(text.to_owned());
    }
    covered.extend(OTHER_APP_ERRORS.map(|(field, problem)| format!("`{field}` {problem}")));
    let mut found = BTreeSet::new();
    // A file of unit tests has no errors of its own, and may have quotation marks in raw literals.
    for path in sources(&root().join("src")).iter().filter(|path| !path.ends_with("tests.rs")) {
        found.extend(app_errors(&fs::read_to_string(path).unwrap()));
    }
    assert!(found.len() > 40, "{found:?}");
    let uncovered: Vec<_> = found.difference(&covered).collect();
    assert!(uncovered.is_empty(), "no case for {uncovered:#?}");
}

fn valid_issuer() -> Value {
    json!({
        "issuer": "https://idp.example.com",
        "name": "IdP",
        "keys": { "keys": p256() },
        "algorithms": ["ES256"],
    })
}

/// The same for a trusted issuer.
fn issuer_cases() -> Vec<(Value, &'static str)> {
    let rule = json!({ "app": "ci", "subject": "job" });
    let mut long = rule.clone();
    long["claims"] = json!({ "": "x" });
    vec![
        (json!({ "name": "" }), "`name` must have 1 to 100 characters without control characters"),
        (
            json!({ "algorithms": [] }),
            "`algorithms` must list at least one, and none with a shared secret",
        ),
        (json!({ "max_lifetime": 0 }), "`max_lifetime` must be 1 to 86400 seconds"),
        (json!({ "clock_skew": 301 }), "`clock_skew` must be 0 to 300 seconds"),
        (json!({ "tenant": "" }), "`tenant` must be 1 to 255 bytes long"),
        (json!({ "workload_audience": "" }), "`workload_audience` must be 1 to 255 bytes long"),
        (json!({ "workloads": vec![rule; 101] }), "`workloads` must list at most 100 rules"),
        (
            json!({ "workloads": [long] }),
            "`workloads` must have at most 16 claims of 1 to 255 bytes, with names of 1 to 64 bytes",
        ),
    ]
}

/// Metadata of clients, and the text that refuses each.
fn metadata_cases() -> [(Value, &'static str); 8] {
    let uris = json!(["https://a.example/"]);
    let long = "x".repeat(16_384);
    [
        (json!([]), "`metadata` must be a JSON object without a duplicate member"),
        (json!({"unknown": long}), "`metadata` must have at most 16384 bytes"),
        (
            json!({"jwks": p256(), "jwks_uri": "https://a.example/"}),
            "`jwks_uri` must not be beside `jwks`",
        ),
        (
            json!({"redirect_uris": uris, "grant_types": []}),
            "`grant_types` must list authorization_code",
        ),
        (json!({"redirect_uris": uris, "response_types": []}), "`response_types` must list code"),
        (json!({}), "`redirect_uris` must list at least one URI"),
        (
            json!({"redirect_uris": uris, "scope": "b"}),
            "`scope` has nothing that such apps may get",
        ),
        (
            json!({"redirect_uris": uris, "token_endpoint_auth_method": "private_key_jwt"}),
            "`jwks` or `jwks_uri` is required by private_key_jwt",
        ),
    ]
}

/// Returns the Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Returns the texts of the pairs of a field and a problem that a source file has as literals, in calls of
/// `InvalidApp::new` and in tuples.
fn app_errors(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let mut found = Vec::new();
    let literals = literals(code);
    for pair in literals.windows(2) {
        let [(start, field, end), (next, problem, _)] = pair else { continue };
        let between = code[*end..*next].trim();
        let before = code[..*start].trim_end();
        let is_call = before.ends_with("InvalidApp::new(");
        let is_pair = before.ends_with('(')
            && ["must ", "requires "].iter().any(|it| problem.starts_with(it));
        if between == "," && (is_call || is_pair) {
            found.push(format!("`{field}` {problem}"));
        }
    }
    found
}

/// Returns the string literals of a source file with their positions. Line comments hold none.
fn literals(code: &str) -> Vec<(usize, String, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(length) = code[at..].find(['"', '/', '\'']) {
        let start = at + length;
        let rest = &code[start..];
        if rest.starts_with("//") {
            at = start + rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("'\"'") {
            at = start + 3;
        } else if rest.starts_with('"') {
            let mut end = start + 1;
            while !code[end..].starts_with('"') {
                end += if code[end..].starts_with('\\') {
                    2
                } else {
                    code[end..].chars().next().unwrap().len_utf8()
                };
            }
            found.push((start, joined(&code[start + 1..end]), end + 1));
            at = end + 1;
        } else {
            at = start + 1;
        }
    }
    found
}

/// Joins a literal that continues on the next line.
fn joined(literal: &str) -> String {
    let mut parts = literal.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start())
}

/// The variants of each error type have texts of their own.
#[test]
fn the_variants_of_an_error_have_texts_of_their_own() {
    let (mut types, mut texts) = (0, 0);
    for path in sources(&root().join("src")) {
        let source = fs::read_to_string(&path).unwrap();
        for body in source.split("pub enum ").skip(1) {
            let body = body.split("\n}").next().unwrap();
            let mut seen = BTreeSet::new();
            for attribute in body.split("#[error(").skip(1) {
                let Some((_, text, _)) = literals(attribute).into_iter().next() else { continue };
                if attribute.starts_with("transparent") {
                    continue;
                }
                assert!(text.len() > 10, "{}: {text:?} says too little", path.display());
                assert!(seen.insert(text.clone()), "{}: two causes have {text:?}", path.display());
                texts += 1;
            }
            types += usize::from(!seen.is_empty());
        }
    }
    assert!(types > 12 && texts > 60, "{types} types, {texts} texts");
}

#[test]
fn literals_are_read_as_the_compiler_reads_them() {
    let code = "f(\"a\", \"b \\\n     c\"); // \"no\"\n'\"'; \"d\\\"e\"";
    let read: Vec<_> = literals(code).into_iter().map(|(_, text, _)| text).collect();
    assert_eq!(read, ["a", "b c", "d\\\"e"]);
}
