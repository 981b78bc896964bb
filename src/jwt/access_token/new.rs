//! The claims of a new access token, each written once into one buffer.

use std::io::Write as _;

use serde_json::{Map, Value};

use super::rare;
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, GrantId, Issuer, Resource};
use crate::jwt::{Circumstances, Parent};
use crate::protocol::base64url;
use crate::random::JTI_BYTES;

/// The claims that a host may not add to an access token: the server writes them, or they would change
/// the meaning of the token.
///
/// A host may add `may_act` (RFC 8693 section 4.4), which restricts who exchanges the token: an object of texts with
/// `sub` or `client_id`, the client id of an app, and maybe `iss`, this server.
pub const RESERVED_CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "scope",
    "grant_id",
    "authorized_at",
    "auth_time",
    "act",
    "device",
    "cnf",
    "acr",
    "amr",
    "sid",
    "evidence_issuer",
    "authorization_details",
    "via",
];

/// The claims of a new access token.
pub(crate) struct NewAccessToken<'a> {
    pub(crate) subject: &'a str,
    /// The identifier of a resource, or the issuer if the client requested none.
    pub(crate) audience: &'a str,
    /// The other resources, if the token is for several.
    pub(crate) further_audiences: &'a [Resource],
    pub(crate) client_id: &'a ClientId,
    /// A [`Scope`](crate::protocol::Scope). Omitted if empty: RFC 6749 section 3.3 knows no empty scope.
    pub(crate) scope: &'a str,
    pub(crate) token_id: [u8; JTI_BYTES],
    pub(crate) issued_at: UnixTime,
    pub(crate) expires_at: UnixTime,
    pub(crate) grant_id: GrantId,
    pub(crate) authorized_at: UnixTime,
    /// When the user had last logged in (RFC 9068 section 2.2.1).
    pub(crate) auth_time: Option<UnixTime>,
    /// The app that acts as the subject (RFC 8693 section 4.1).
    pub(crate) actor: Option<&'a ClientId>,
    pub(crate) device: Option<&'a DeviceId>,
    pub(crate) circumstances: Option<&'a Circumstances>,
    /// The grants that a derived token descends from.
    pub(crate) via: &'a [Parent],
    /// Claims of the host, none of them in [`RESERVED_CLAIMS`].
    pub(crate) extra: &'a Map<String, Value>,
}

impl NewAccessToken<'_> {
    /// Writes the claims as JSON, for [`Signer::sign`](crate::jwt::keys::Signer::sign).
    pub(crate) fn payload(&self, issuer: &Issuer) -> Vec<u8> {
        let mut json = Vec::with_capacity(512);
        json.extend_from_slice(b"{\"iss\":");
        plain(&mut json, issuer.as_str());
        json.extend_from_slice(b",\"sub\":");
        text(&mut json, self.subject);
        json.extend_from_slice(b",\"aud\":");
        if self.further_audiences.is_empty() {
            plain(&mut json, self.audience);
        } else {
            rare::append_audiences(&mut json, self.audience, self.further_audiences);
        }
        json.extend_from_slice(b",\"client_id\":");
        text(&mut json, self.client_id.as_str());
        if !self.scope.is_empty() {
            json.extend_from_slice(b",\"scope\":");
            plain(&mut json, self.scope);
        }
        json.extend_from_slice(b",\"jti\":\"");
        base64url::append(&mut json, &self.token_id);
        json.extend_from_slice(b"\",\"grant_id\":\"");
        base64url::append(&mut json, self.grant_id.as_bytes());
        json.extend_from_slice(b"\",\"iat\":");
        integer(&mut json, self.issued_at.as_seconds());
        json.extend_from_slice(b",\"exp\":");
        integer(&mut json, self.expires_at.as_seconds());
        json.extend_from_slice(b",\"authorized_at\":");
        integer(&mut json, self.authorized_at.as_millis());
        if let Some(auth_time) = self.auth_time {
            json.extend_from_slice(b",\"auth_time\":");
            integer(&mut json, auth_time.as_seconds());
        }
        if let Some(actor) = self.actor {
            let prior = self.circumstances.map_or(&[][..], |it| &it.prior_actors);
            rare::append_act(&mut json, actor, prior);
        }
        if let Some(device) = self.device {
            json.extend_from_slice(b",\"device\":");
            text(&mut json, device.as_str());
        }
        if let Some(circumstances) = self.circumstances {
            rare::append(&mut json, circumstances);
        }
        rare::append_via(&mut json, self.via);
        for (name, value) in self.extra {
            json.push(b',');
            text(&mut json, name);
            // Writing to memory cannot fail.
            _ = write!(json, ":{value}");
        }
        json.push(b'}');
        json
    }
}

/// Appends as a JSON string a value that needs no escapes: neither identifiers that are URIs nor scopes have quotes,
/// backslashes or control characters.
pub(super) fn plain(json: &mut Vec<u8>, value: &str) {
    json.push(b'"');
    json.extend_from_slice(value.as_bytes());
    json.push(b'"');
}

/// Appends `value` as a JSON string.
pub(super) fn text(json: &mut Vec<u8>, value: &str) {
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    // No early exit, so that the compiler checks many bytes with one vector instruction.
    if value.bytes().fold(false, |found, byte| found | special(byte)) {
        _ = write!(json, "{}", Value::from(value));
    } else {
        plain(json, value);
    }
}

fn integer(json: &mut Vec<u8>, value: i64) {
    // Faster than formatting. Writing to memory cannot fail.
    _ = serde_json::to_writer(json, &value);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use pollster::block_on;

    use super::super::TYPE;
    use super::*;
    use crate::jwt::PriorActor;
    use crate::jwt::keys::Signer;
    use crate::jwt::testing::fixture;
    use crate::jwt::{Algorithm, MAX_TOKEN_BYTES, SigningError, SigningKey, VerifyingKey};

    fn decode(key: &VerifyingKey, algorithm: Algorithm, token: &str) -> Value {
        let jwk = serde_json::from_value(serde_json::to_value(key).unwrap()).unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
        let mut rules = jsonwebtoken::Validation::new(algorithm.as_str().parse().unwrap());
        rules.set_audience(&["https://api.example.com"]);
        rules.validate_exp = false;
        let decoded = jsonwebtoken::decode::<Value>(token, &key, &rules).unwrap();
        assert_eq!(decoded.header.typ.as_deref(), Some("at+jwt"));
        decoded.claims
    }

    /// RFC 9068 section 2: another implementation reads the same claims, under every algorithm.
    #[test]
    fn another_library_reads_the_claims_that_were_written() {
        let issuer = Issuer::new("https://as.example.com").unwrap();
        let client_id = ClientId::new(r#"app "7" \ x"#).unwrap();
        let device = DeviceId::new("device").unwrap();
        let circumstances = Circumstances {
            prior_actors: vec![
                PriorActor { subject: "an\"n".parse().unwrap(), issuer: "idp".parse().ok() },
                PriorActor { subject: "bob".parse().unwrap(), issuer: None },
            ],
            acr: "urn:loa:2".parse().ok(),
            amr: ["pwd", "otp"].map(|method| method.parse().unwrap()).to_vec(),
            session: "session \"7\"".parse().ok(),
            evidence_issuer: "https://idp.example.com".parse().ok(),
            authorization_details: r#"[{"type":"pay","amount":"1.50"}]"#.parse().ok(),
        };
        let parent = Parent {
            grant_id: GrantId::from_bytes([9; 16]),
            client_id: client_id.clone(),
            subject: None,
            device: None,
            session: None,
            evidence_issuer: None,
            authorized_at: UnixTime::from_millis(1_699_999_998_000),
        };
        let actor = Parent {
            grant_id: GrantId::from_bytes([8; 16]),
            subject: "worker".parse().ok(),
            device: Some(device.clone()),
            session: circumstances.session.clone(),
            evidence_issuer: circumstances.evidence_issuer.clone(),
            authorized_at: UnixTime::from_millis(1_699_999_997_000),
            ..parent.clone()
        };
        let via = [parent, actor];
        let extra = json!({ "tenant": "acme", "ro\"les": ["a", 1, null] });
        let new = NewAccessToken {
            subject: "jürgen\u{1}@example.com",
            audience: "https://api.example.com",
            further_audiences: &[],
            client_id: &client_id,
            scope: "files.read GET/users/*",
            token_id: [0xff; 16],
            issued_at: UnixTime::from_millis(1_700_000_000_999),
            expires_at: UnixTime::from_seconds(1_700_000_600),
            grant_id: GrantId::from_bytes([7; 16]),
            authorized_at: UnixTime::from_millis(1_699_999_999_123),
            auth_time: Some(UnixTime::from_millis(1_699_999_000_999)),
            actor: Some(&client_id),
            device: Some(&device),
            circumstances: Some(&circumstances),
            via: &via,
            extra: extra.as_object().unwrap(),
        };
        let expected = json!({
            "iss": "https://as.example.com",
            "sub": "jürgen\u{1}@example.com",
            "aud": "https://api.example.com",
            "client_id": r#"app "7" \ x"#,
            "scope": "files.read GET/users/*",
            "jti": "_____________________w",
            "grant_id": "BwcHBwcHBwcHBwcHBwcHBw",
            "iat": 1_700_000_000,
            "exp": 1_700_000_600,
            "authorized_at": 1_699_999_999_123_i64,
            "auth_time": 1_699_999_000,
            "act": {
                "sub": r#"app "7" \ x"#,
                "act": { "sub": "an\"n", "iss": "idp", "act": { "sub": "bob" } },
            },
            "acr": "urn:loa:2",
            "amr": ["pwd", "otp"],
            "sid": "session \"7\"",
            "evidence_issuer": "https://idp.example.com",
            "authorization_details": [{ "type": "pay", "amount": "1.50" }],
            "via": [
                {
                    "grant_id": "CQkJCQkJCQkJCQkJCQkJCQ",
                    "client_id": r#"app "7" \ x"#,
                    "authorized_at": 1_699_999_998_000_i64,
                },
                {
                    "grant_id": "CAgICAgICAgICAgICAgICA",
                    "client_id": r#"app "7" \ x"#,
                    "sub": "worker",
                    "device": "device",
                    "sid": "session \"7\"",
                    "evidence_issuer": "https://idp.example.com",
                    "authorized_at": 1_699_999_997_000_i64,
                },
            ],
            "device": "device",
            "tenant": "acme",
            "ro\"les": ["a", 1, null],
        });
        for &algorithm in Algorithm::ALL.iter().filter(|algorithm| !algorithm.is_symmetric()) {
            let key = SigningKey::generate(algorithm)
                .or_else(|_| SigningKey::from_pem(algorithm, &fixture("rsa_2048_private")));
            let key = key.unwrap();
            let public = key.verifying_key();
            let token = block_on(Signer::from(key).sign(TYPE, &new.payload(&issuer))).unwrap();
            assert_eq!(decode(&public, algorithm, &token), expected, "{algorithm}");
        }
        let written = expected.as_object().unwrap().keys();
        let own = written.filter(|name| !extra.as_object().unwrap().contains_key(*name));
        assert!({ own }.all(|name| RESERVED_CLAIMS.contains(&name.as_str())));
    }

    #[test]
    fn a_token_longer_than_verifiers_accept_is_not_issued() {
        let issuer = Issuer::new("https://as.example.com").unwrap();
        let client_id = ClientId::new("app").unwrap();
        let now = UnixTime::from_seconds(1_700_000_000);
        let signer = Signer::from(SigningKey::generate(Algorithm::HS256).unwrap());
        let sign = |scope: &str| {
            let new = NewAccessToken {
                subject: "alice",
                audience: "https://api.example.com",
                further_audiences: &[],
                client_id: &client_id,
                scope,
                token_id: [0; 16],
                issued_at: now,
                expires_at: now.plus(Duration::from_mins(1)),
                grant_id: GrantId::from_bytes([0; 16]),
                authorized_at: now,
                auth_time: None,
                actor: None,
                device: None,
                circumstances: None,
                via: &[],
                extra: &Map::new(),
            };
            block_on(signer.sign(TYPE, &new.payload(&issuer)))
        };
        assert!(sign(&"s".repeat(11_000)).unwrap().len() < MAX_TOKEN_BYTES);
        assert!(matches!(sign(&"s".repeat(12_000)), Err(SigningError::TooLong)));
    }
}
