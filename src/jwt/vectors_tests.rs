//! Published test vectors. The ones in `tests/vectors` are part of the project. The larger collections
//! are read from a folder `shared/vectors` beside or above the project, if present.
//!
//! Every vector must end as its authors say, except valid ones that this crate refuses on purpose. Each
//! of these is listed with its reason, so that no vector is skipped silently.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::jws::{Compact, Header, JwsError};
use super::testing::signed_segment;
use super::{Algorithm, KeyError, SigningKey, VerifyingKey, VerifyingKeys, jwk_set_json};
use crate::ids::KeyId;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Reads a file of the larger collections. If they are absent, prints a line and returns `None`.
#[expect(clippy::print_stderr, reason = "a test that did nothing should say so")]
fn shared(file: &str) -> Option<Value> {
    let mut above = project().ancestors().map(|folder| folder.join("shared/vectors"));
    let Some(folder) = above.find(|folder| folder.is_dir()) else {
        eprintln!("skipped {file}: there is no folder shared/vectors");
        return None;
    };
    Some(read(&folder.join(file)))
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap()
}

fn hex(value: &Value, member: &str) -> Vec<u8> {
    let digits = text(value, member);
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// Returns the public part of a JWK.
fn public(jwk: &Value) -> Value {
    let mut jwk = jwk.clone();
    for private in ["d", "p", "q", "dp", "dq", "qi"] {
        jwk.as_object_mut().unwrap().remove(private);
    }
    jwk
}

/// Reads the key of a vector. The crate reads no HS256 secret from a JWK, so the test decodes it.
fn key(jwk: &Value) -> Result<VerifyingKey, KeyError> {
    if text(jwk, "kty") != "oct" {
        return VerifyingKey::from_jwk(&public(jwk).to_string());
    }
    if jwk.get("alg").is_some_and(|alg| alg != "HS256") {
        return Err(KeyError::Unsupported);
    }
    let secret = URL_SAFE_NO_PAD.decode(text(jwk, "k")).map_err(|_| KeyError::Malformed)?;
    let key = VerifyingKey::from_hmac_secret(&secret)?;
    Ok(match jwk["kid"].as_str() {
        Some(kid) => key.with_key_id(KeyId::new(kid).unwrap()),
        None => key,
    })
}

fn keys(jwk: &Value) -> Result<VerifyingKeys, KeyError> {
    let Some(set) = jwk["keys"].as_array() else { return key(jwk).map(VerifyingKeys::from) };
    if set.iter().all(|jwk| jwk["kty"] == "oct") {
        return VerifyingKeys::new(set.iter().map(key).collect::<Result<_, _>>()?);
    }
    let public: Vec<Value> = set.iter().map(public).collect();
    VerifyingKeys::from_jwk_set(&json!({ "keys": public }).to_string())
}

#[derive(Debug, PartialEq)]
enum Refusal {
    Key(KeyError),
    Token(JwsError),
}

/// Returns the payload of `token`, if it verifies under the key or set `jwk`.
fn verify(jwk: &Value, token: &str) -> Result<Vec<u8>, Refusal> {
    let keys = keys(jwk).map_err(Refusal::Key)?;
    let judge = || {
        let jws = Compact::parse(token)?;
        jws.verify(&Header::of(&jws)?, &keys, Algorithm::ALL)?;
        Ok(jws.payload().to_vec())
    };
    judge().map_err(Refusal::Token)
}

/// The id of a vector, and its result.
type Different = (u64, Result<Vec<u8>, Refusal>);

/// Verifies every JWS of a Wycheproof file. Returns their number, and the ones whose result differs from
/// the authors'.
fn play(file: &Value) -> (usize, Vec<Different>) {
    let (mut played, mut different) = (0, Vec::new());
    for group in file["testGroups"].as_array().unwrap() {
        let jwk = group.get("public").unwrap_or(&group["private"]);
        for test in group["tests"].as_array().unwrap() {
            let Some(jws) = test.get("jws") else { continue };
            // A token in JSON serialization is passed as its JSON text, which must be refused.
            let token = jws.as_str().map_or_else(|| jws.to_string(), str::to_owned);
            let id = test["tcId"].as_u64().unwrap();
            let verdict = verify(jwk, &token);
            if verdict.is_ok() != (text(test, "result") == "valid") {
                different.push((id, verdict));
            }
            played += 1;
        }
    }
    (played, different)
}

/// C25, C26, J7, J8: forged, stripped, re-encoded and confused tokens.
#[test]
fn wycheproof_web_signatures_end_as_their_authors_say() {
    let Some(file) = shared("wycheproof/json_web_signature_test.json") else { return };
    let (played, different) = play(&file);
    assert_eq!(played, 401);
    let refused = |refusal| Err(refusal);
    let expected = [
        // The key is for PS256, the token is PS384: one algorithm a key.
        (346, refused(Refusal::Token(JwsError::Algorithm))),
        (350, refused(Refusal::Token(JwsError::Algorithm))),
        // "ES521" on P-521.
        (347, refused(Refusal::Key(KeyError::Unsupported))),
        (351, refused(Refusal::Key(KeyError::Unsupported))),
        // These two lost the padding that made them invalid, and equal the valid 357.
        (367, Ok(b"Test".to_vec())),
        (370, Ok(b"Test".to_vec())),
        // A `?` inside base64url, which the authors accept.
        (372, refused(Refusal::Token(JwsError::Malformed))),
        (373, refused(Refusal::Token(JwsError::Malformed))),
    ];
    assert_eq!(different.len(), expected.len());
    for verdict in expected {
        assert!(different.contains(&verdict), "{verdict:?}");
    }
}

/// Weak keys, keys for another use, duplicate keys, and sets with symmetric keys.
#[test]
fn wycheproof_web_keys_end_as_their_authors_say() {
    let Some(file) = shared("wycheproof/json_web_key_test.json") else { return };
    let (played, different) = play(&file);
    assert_eq!(played, 26);
    // HS384 and HS512 are not supported.
    let not_offered = || Err(Refusal::Key(KeyError::Unsupported));
    assert_eq!(different, [(14, not_offered()), (15, not_offered())]);
}

#[test]
fn wycheproof_web_crypto_ends_as_its_authors_say() {
    let Some(file) = shared("wycheproof/json_web_crypto_test.json") else { return };
    // The other 34 of 83 are JWE.
    assert_eq!(play(&file), (49, Vec::new()));
}

/// Verifies a file of raw signatures with one algorithm. Returns their number.
fn play_raw(file: &Value, jwk_member: &str, algorithm: Algorithm) -> usize {
    let mut played = 0;
    for group in file["testGroups"].as_array().unwrap() {
        let from_pem = VerifyingKey::from_pem(text(group, "publicKeyPem"));
        for test in group["tests"].as_array().unwrap() {
            let verified = from_pem.as_ref().is_ok_and(|key| {
                key.clone().with_algorithm(algorithm).unwrap().verifies(
                    algorithm,
                    &hex(test, "msg"),
                    &hex(test, "sig"),
                )
            });
            let expected = match text(test, "result") {
                "valid" => true,
                // BER in place of DER is refused.
                "invalid" | "acceptable" => false,
                other => panic!("{other}"),
            };
            assert_eq!(verified, expected, "{}", test["tcId"]);
            played += 1;
        }
        // The JWK gives the same key, or the same refusal.
        let mut jwk = group[jwk_member].clone();
        if jwk.is_object() {
            jwk.as_object_mut().unwrap().remove("kid");
            let from_jwk = VerifyingKey::from_jwk(&jwk.to_string());
            let thumbprint = |key: Result<VerifyingKey, _>| key.map(|key| key.thumbprint().clone());
            assert_eq!(thumbprint(from_jwk), thumbprint(from_pem));
        }
    }
    played
}

#[test]
fn wycheproof_ecdsa_signatures_end_as_their_authors_say() {
    let Some(file) = shared("wycheproof/ecdsa_secp256r1_sha256_p1363_test.json") else { return };
    assert_eq!(play_raw(&file, "publicKeyJwk", Algorithm::ES256), 262);
    let Some(file) = shared("wycheproof/ecdsa_secp384r1_sha384_p1363_test.json") else { return };
    assert_eq!(play_raw(&file, "publicKeyJwk", Algorithm::ES384), 280);
}

#[test]
fn keys_on_an_unsupported_curve_are_refused() {
    let Some(file) = shared("wycheproof/ecdsa_secp521r1_sha512_p1363_test.json") else { return };
    let groups = file["testGroups"].as_array().unwrap();
    for group in groups {
        let from_pem = VerifyingKey::from_pem(text(group, "publicKeyPem"));
        assert_eq!(from_pem, Err(KeyError::Unsupported));
        if group["publicKeyJwk"].is_object() {
            let from_jwk = VerifyingKey::from_jwk(&group["publicKeyJwk"].to_string());
            assert_eq!(from_jwk, Err(KeyError::Unsupported));
        }
    }
    assert_eq!(groups.len(), 107);
}

#[test]
fn wycheproof_ed25519_signatures_end_as_their_authors_say() {
    let Some(file) = shared("wycheproof/ed25519_test.json") else { return };
    assert_eq!(play_raw(&file, "publicKeyJwk", Algorithm::EdDSA), 151);
}

#[test]
fn wycheproof_rsa_signatures_end_as_their_authors_say() {
    let Some(file) = shared("wycheproof/rsa_signature_2048_sha256_test.json") else { return };
    assert_eq!(play_raw(&file, "keyJwk", Algorithm::RS256), 259);
    let Some(file) = shared("wycheproof/rsa_pss_2048_sha256_mgf1_32_test.json") else { return };
    assert_eq!(play_raw(&file, "publicKeyJwk", Algorithm::PS256), 108);
}

#[test]
fn wycheproof_macs_end_as_their_authors_say() {
    let Some(file) = shared("wycheproof/hmac_sha256_test.json") else { return };
    let (mut played, mut short_keys, mut short_tags) = (0, 0, 0);
    for group in file["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            played += 1;
            let Ok(key) = VerifyingKey::from_hmac_secret(&hex(test, "key")) else {
                assert_eq!(group["keySize"], 128);
                short_keys += 1;
                continue;
            };
            let (message, tag) = (hex(test, "msg"), hex(test, "tag"));
            let verified = key.verifies(Algorithm::HS256, &message, &tag);
            // JWS knows no truncated MAC (RFC 7518 section 3.2).
            let truncated = group["tagSize"] == 128;
            short_tags += usize::from(truncated);
            assert_eq!(verified, text(test, "result") == "valid" && !truncated);
        }
    }
    assert_eq!((played, short_keys, short_tags), (174, 6, 84));
}

/// RFC 7515 A.1 to A.5, RFC 8037 A.4.
#[test]
fn the_tokens_of_the_rfcs_verify_if_their_algorithm_is_supported() {
    let vectors = read(&project().join("tests/vectors/jws.json"));
    let vectors = vectors.as_array().unwrap();
    for vector in vectors {
        let verified = verify(&vector["jwk"], text(vector, "token"));
        assert_eq!(verified.is_ok(), vector["verifies"], "{}: {verified:?}", vector["source"]);
    }
    assert_eq!(vectors.len(), 6);
}

/// RFC 7515 appendix A.1: HMAC is deterministic, so the token must be equal byte for byte.
#[test]
fn the_hs256_token_of_rfc_7515_is_reproduced() {
    let vectors = read(&project().join("tests/vectors/jws.json"));
    let secret = URL_SAFE_NO_PAD.decode(text(&vectors[0]["jwk"], "k")).unwrap();
    let token = text(&vectors[0], "token");
    let jws = Compact::parse(token).unwrap();
    let key = SigningKey::from_hmac_secret(&secret).unwrap();
    assert_eq!(signed_segment(&key, jws.header, jws.payload()), token);
}

/// RFC 7638 section 3.1, RFC 8037 A.3.
#[test]
fn thumbprints_are_those_of_the_rfcs() {
    let vectors = read(&project().join("tests/vectors/thumbprints.json"));
    for vector in vectors.as_array().unwrap() {
        let key = key(&vector["jwk"]).unwrap();
        assert_eq!(key.thumbprint().as_str(), text(vector, "thumbprint"));
    }
}

#[test]
fn the_cookbook_of_rfc_7520_verifies_if_it_is_compact_and_supported() {
    let offered = |file| {
        let example = shared(file)?;
        let token = text(&example["output"], "compact");
        let payload = text(&example["input"], "payload").as_bytes().to_vec();
        Some(verify(&example["input"]["key"], token).map(|verified| verified == payload))
    };
    for (file, expected) in [
        ("rfc7520/jws_4_1.rsa_v15_signature.json", Ok(true)),
        ("rfc7520/jws_4_2.rsa-pss_signature.json", Ok(true)),
        // P-521.
        ("rfc7520/jws_4_3.ecdsa_signature.json", Err(Refusal::Key(KeyError::Unsupported))),
        ("rfc7520/jws_4_4.hmac-sha2_integrity_protection.json", Ok(true)),
        // A detached payload.
        (
            "rfc7520/jws_4_5.signature_with_detached_content.json",
            Err(Refusal::Token(JwsError::Signature)),
        ),
        ("rfc8037/curve25519_jws.json", Ok(true)),
        // `b64` is false: the payload is not base64url, which is detected before `crit`.
        ("rfc7797/rfc7797_hmac-sha2_b64_false.json", Err(Refusal::Token(JwsError::Malformed))),
    ] {
        let Some(verdict) = offered(file) else { return };
        assert_eq!(verdict, expected, "{file}");
    }
}

/// RFC 7517 appendix A: a key for encryption is skipped, private and symmetric keys are refused.
#[test]
fn the_key_sets_of_rfc_7517_are_read_or_refused() {
    let Some(set) = shared("rfc7517/rfc7517_A.1.jwkset") else { return };
    let keys = VerifyingKeys::from_jwk_set(&set.to_string()).unwrap();
    let ids: Vec<_> = keys.iter().map(VerifyingKey::key_id).collect();
    assert_eq!(ids, [Some(&KeyId::new("2011-04-29").unwrap())]);
    assert_eq!(keys, VerifyingKeys::from_jwk_set(&jwk_set_json(keys.iter())).unwrap());

    let private = shared("rfc7517/rfc7517_A.2.jwkset").unwrap();
    assert_eq!(VerifyingKeys::from_jwk_set(&private.to_string()), Err(KeyError::Private));
    let symmetric = shared("rfc7517/rfc7517_A.3.jwkset").unwrap();
    assert_eq!(VerifyingKeys::from_jwk_set(&symmetric.to_string()), Err(KeyError::Symmetric));
}
