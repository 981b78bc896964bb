//! The output of `mint_tokens --json`, verified by another JWT library.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

#[expect(dead_code, reason = "`main` is for the example alone")]
#[path = "../../examples/mint_tokens.rs"]
mod mint_tokens;

/// Every token of the example verifies under the key that its header names, for the expected
/// audience and issuer, and has the expected claims.
#[test]
fn another_library_accepts_every_minted_token() {
    let mut lines = mint_tokens::run(false).unwrap();
    let jwks: JwkSet = serde_json::from_value(lines.pop().unwrap()["jwks"].clone()).unwrap();
    let flows: Vec<_> = lines.iter().map(|line| line["flow"].as_str().unwrap()).collect();
    for flow in ["authorization_code", "refresh_token", "jwt_bearer", "client_credentials"] {
        assert!(flows.contains(&flow), "{flow}");
    }
    for line in &lines {
        let (token, expected) = (line["access_token"].as_str().unwrap(), &line["expected"]);
        let header = decode_header(token).unwrap();
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        let key = jwks.find(header.kid.as_deref().unwrap()).unwrap();

        let mut strict = Validation::new(Algorithm::ES256);
        strict.leeway = 0;
        strict.validate_nbf = true;
        strict.set_audience(&[expected["aud"].as_str().unwrap()]);
        strict.set_issuer(&[expected["iss"].as_str().unwrap()]);
        strict.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims = decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &strict);
        let claims = claims.unwrap().claims;
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&claims[name], value, "{name} of {line}");
        }
        let actor = (line["flow"] == "jwt_bearer").then_some(&expected["client_id"]);
        assert_eq!(claims.pointer("/act/sub"), actor);
    }
}
