//! A token of a trusted issuer gives access only if it fulfils the rules, as a lenient JSON parser reads it, and never
//! more than it, the record and the app have. No request fails.
#![no_main]

use std::sync::LazyLock;

use grantor::endpoint::FormRequest;
use grantor::protocol::Scope;
use grantor_fuzz::world::{CLIENT_ID, CLIENT_SECRET, IDP, IDP_SCOPE, TARGETS, WORLD};
use grantor_fuzz::{ISSUER, NOW, decoded, issuer_key, parts, signed, signed_by_issuer};
use pollster::block_on;
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};

static KEY: LazyLock<Ed25519KeyPair> = LazyLock::new(issuer_key);

const EXCHANGE: &str = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token";

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Assertion,
    Jwt,
    IdToken,
}

// The rest of the form, a header, and claims.
libfuzzer_sys::fuzz_target!(|input: &str| {
    let [rest, header, claims] = parts(input);
    let own = format!("client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&{rest}");
    for place in [Place::Assertion, Place::Jwt, Place::IdToken] {
        for is_genuine in [true, false] {
            let token = match is_genuine {
                true => signed_by_issuer(&KEY, header, claims),
                false => signed(header, claims),
            };
            let name = match place {
                Place::Assertion => {
                    "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion".to_owned()
                }
                Place::Jwt => format!("{EXCHANGE}_type=urn:ietf:params:oauth:token-type:jwt&subject_token"),
                Place::IdToken => {
                    format!("{EXCHANGE}_type=urn:ietf:params:oauth:token-type:id_token&subject_token")
                }
            };
            let given = ask(&format!("{own}&{name}={token}"));
            if let Some(given) = given {
                assert!(is_genuine, "a stranger's token is accepted");
                check(place, header, claims, &given);
            }
        }
    }
});

/// Returns the claims of the token, if there is one.
fn ask(form: &str) -> Option<Value> {
    match block_on(WORLD.server.token(&FormRequest::new(form))) {
        Ok(answer) => {
            assert!(answer.refresh_token.is_none());
            let token = answer.access_token.expose_secret();
            let payload = token.split('.').nth(1).unwrap();
            Some(serde_json::from_slice(&decoded(payload)).unwrap())
        }
        Err(error) => {
            assert!((400..500).contains(&error.status()), "{error:?}");
            None
        }
    }
}

fn check(place: Place, header: &str, claims: &str, given: &Value) {
    let header: Value = serde_json::from_str(header).unwrap();
    let claims: Value = serde_json::from_str(claims).unwrap();
    let typ = header["typ"].as_str().unwrap_or("JWT").to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    assert_eq!((&header["alg"] == "EdDSA" || &header["alg"] == "Ed25519", &claims["iss"]), (true, &json!(IDP)));
    assert!(header.get("crit").is_none() && header.get("b64").is_none());
    let seconds = |name: &str| claims[name].as_f64();
    let (now, exp) = (NOW as f64, seconds("exp").unwrap());
    assert!(exp > now - 10.01 && exp <= now + 3_610.01);
    assert!(seconds("nbf").is_none_or(|nbf| nbf < now + 10.01));
    assert!(seconds("iat").is_none_or(|iat| iat < now + 10.01 && exp < iat + 3_600.01));

    let scope = Scope::parse(given["scope"].as_str().unwrap_or_default()).unwrap();
    assert!(Scope::parse(IDP_SCOPE).unwrap().covers(&scope));
    let expires_at = given["exp"].as_f64().unwrap();
    let audience = match &claims["aud"] {
        Value::Array(names) => names.clone(),
        name => vec![name.clone()],
    };
    let is_workload = place == Place::Assertion && typ != "oauth-id-jag+jwt";
    if is_workload {
        assert!(typ == "jwt" && audience == [ISSUER]);
        assert!(claims["sub"].as_str().unwrap().starts_with("job:") && claims["ns"] == "prod");
        assert_eq!((&given["sub"], given.get("act")), (&json!(CLIENT_ID), None));
        return;
    }
    // The only user, by the only link.
    assert_eq!((&claims["sub"], &given["sub"]), (&json!("u1"), &json!("ann")));
    let signed_scope = claims.get("scope").map(|it| it.as_str().unwrap());
    let is_ceiling = |it: &&str| place != Place::Assertion || !it.trim_matches(' ').is_empty();
    if let Some(ceiling) = signed_scope.filter(is_ceiling) {
        assert!(Scope::parse(ceiling).unwrap().covers(&scope));
    }
    assert!(claims.get("authorization_details").is_none() && claims.get("tenant").is_none());
    // The actors are nested whole, below the app.
    assert_eq!(given["act"]["sub"], CLIENT_ID);
    assert_eq!(actors(&given["act"]), actors(&claims["act"]) + 1);
    if place == Place::Assertion {
        assert!(audience == [ISSUER] && claims["client_id"] == CLIENT_ID);
        assert_eq!(given["evidence_issuer"], IDP);
        return;
    }
    assert!(!scope.is_empty());
    let may_come = if place == Place::Jwt { &["jwt", "at+jwt"][..] } else { &["jwt"] };
    assert!(may_come.contains(&typ), "{typ}");
    let is_for_app = |names: &[Value]| names.iter().any(|name| name == CLIENT_ID || is_own_api(name));
    // The server's own API authenticates as the app, too.
    assert!(is_for_app(&audience), "{audience:?}");
    assert!(place == Place::Jwt || audience.len() == 1);
    for absent in ["cnf", "events", "act"] {
        assert!(claims.get(absent).is_none_or(|it| absent == "act" && it.is_null()), "{absent}");
    }
    assert!(expires_at <= exp && exp > now && seconds("iat").is_some());
    assert_eq!(given["via"][0]["evidence_issuer"], IDP);
    let targets = match &given["aud"] {
        Value::Array(names) => names.clone(),
        name => vec![name.clone()],
    };
    assert!(targets.iter().all(|name| TARGETS.contains(&name.as_str().unwrap())));
    if let Some(may_act) = claims.get("may_act") {
        let is_app = |name: &str| may_act.get(name).is_none_or(|it| it == CLIENT_ID);
        assert!(may_act.is_object() && is_app("sub") && is_app("client_id"), "{may_act}");
    }
}

/// An equivalent spelling of the server's own API.
fn is_own_api(name: &Value) -> bool {
    name.as_str().and_then(|name| url::Url::parse(name).ok()) == url::Url::parse(ISSUER).ok()
}

fn actors(act: &Value) -> usize {
    if act.is_object() { 1 + actors(&act["act"]) } else { 0 }
}
