//! Public keys as administrators paste or upload them.

use crate::jwt::{KeyError, VerifyingKey, VerifyingKeys};

/// Reads PEM with one or more public keys or certificates, a JWK Set or one JWK.
pub(in super::super) fn read(text: &str) -> Result<VerifyingKeys, KeyError> {
    let text = text.trim();
    if !text.starts_with('{') {
        return VerifyingKeys::from_pem(text);
    }
    let is_set = serde_json::from_str::<serde_json::Value>(text)
        .is_ok_and(|json| json.get("keys").is_some());
    if is_set {
        VerifyingKeys::from_jwk_set(text)
    } else {
        VerifyingKey::from_jwk(text).map(VerifyingKeys::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::{Algorithm, SigningKey};

    #[test]
    fn keys_are_read_in_every_usual_form() {
        let key = SigningKey::generate(Algorithm::ES256).unwrap().verifying_key();
        let set = serde_json::to_value(VerifyingKeys::from(key)).unwrap();
        let one = set["keys"][0].to_string();
        for text in [set.to_string(), format!("\n {one} \n")] {
            assert_eq!(read(&text).unwrap().iter().count(), 1);
        }
        for text in ["", "{", "{}", "x", r#"{"keys":[]}"#, "-----BEGIN PUBLIC KEY-----"] {
            assert!(read(text).is_err(), "{text}");
        }
        let private = SigningKey::generate_pem(Algorithm::ES256).unwrap();
        assert_eq!(read(private.expose_secret()).unwrap_err(), KeyError::Private);
    }
}
