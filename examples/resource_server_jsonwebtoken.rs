//! An API without this crate: it verifies the tokens with `jsonwebtoken` alone, and fetches the issuer's
//! metadata and keys with `ureq`.
//!
//! Run it with `cargo run --example resource_server_jsonwebtoken --features axum`. It starts an
//! authorization server on the loopback interface.
//!
//! The price of doing without `BearerVerifier`: a revoked token is accepted until it expires, keys are not
//! fetched again, and each check of RFC 9068 section 4 stands here.
#![expect(clippy::print_stdout, reason = "the example explains its steps")]

#[expect(dead_code, reason = "this API reads no feed, and no administrator changes anything")]
mod common;

use std::error::Error;
use std::fmt;

use common::{API, token_form};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The claims that the API reads.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    client_id: String,
    scope: String,
}

/// The members of the metadata that the API reads (RFC 8414).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// The API's side: an issuer and its keys.
struct Verifier {
    issuer: String,
    keys: JwkSet,
}

/// The status of a refused request, and its reason.
#[derive(Debug)]
struct Refused(u16, String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, self.1)
    }
}

fn fetch<T: DeserializeOwned>(url: &str) -> Result<T, Box<dyn Error>> {
    let mut answer = ureq::get(url).call()?;
    Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
}

impl Verifier {
    /// Reads the metadata of `issuer`, whose URL has no path, and its keys.
    fn discover(issuer: &str) -> Result<Self, Box<dyn Error>> {
        let metadata: Metadata =
            fetch(&format!("{issuer}/.well-known/oauth-authorization-server"))?;
        if metadata.issuer != issuer {
            return Err("the metadata are those of another issuer".into());
        }
        Ok(Self { issuer: metadata.issuer, keys: fetch(&metadata.jwks_uri)? })
    }

    fn verify(&self, token: &str) -> Result<Claims, Refused> {
        let invalid = |error: &dyn fmt::Display| Refused(401, error.to_string());
        let header = decode_header(token).map_err(|error| invalid(&error))?;
        if header.typ.as_deref() != Some("at+jwt") {
            return Err(invalid(&"the token is not an access token"));
        }
        let kid = header.kid.ok_or_else(|| invalid(&"the token names no key"))?;
        let jwk = self.keys.find(&kid).ok_or_else(|| invalid(&"the key is unknown"))?;
        // The key decides on the algorithm, not the token.
        let algorithm = jwk.common.key_algorithm.map(|it| it.to_string());
        let algorithm: Algorithm = algorithm
            .and_then(|it| it.parse().ok())
            .ok_or_else(|| invalid(&"the key has no algorithm"))?;
        let key = DecodingKey::from_jwk(jwk).map_err(|error| invalid(&error))?;
        let mut rules = Validation::new(algorithm);
        rules.set_issuer(&[&self.issuer]);
        rules.set_audience(&[API]);
        // Only listed claims are required: a token without `aud` would pass.
        rules.set_required_spec_claims(&["aud", "exp", "iss", "sub"]);
        rules.validate_nbf = true;
        rules.leeway = 5;
        let token = decode::<Claims>(token, &key, &rules).map_err(|error| invalid(&error))?;
        Ok(token.claims)
    }

    /// Checks a request of `GET /users/{id}`.
    fn authorize(&self, authorization: &str) -> Result<Claims, Refused> {
        let none = || Refused(401, "there is no bearer token".to_owned());
        let claims = self.verify(authorization.strip_prefix("Bearer ").ok_or_else(none)?)?;
        if claims.scope.split(' ').any(|scope| scope == "GET/users/*") {
            Ok(claims)
        } else {
            Err(Refused(403, "the scope is insufficient".to_owned()))
        }
    }
}

/// Requests a token, and returns the `Authorization` header.
fn request_token(issuer: &str, form: &str) -> Result<String, Box<dyn Error>> {
    #[derive(Deserialize)]
    struct Response {
        access_token: String,
    }
    let mut answer = ureq::post(format!("{issuer}/oauth/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .send(form)?;
    let answer: Response = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
    Ok(format!("Bearer {}", answer.access_token))
}

fn run(issuer: &str, form: &str) -> Result<(), Box<dyn Error>> {
    let verifier = Verifier::discover(issuer)?;
    println!("The issuer {issuer} has {} key(s).", verifier.keys.keys.len());
    let header = request_token(issuer, form)?;
    let claims = verifier.authorize(&header).map_err(|refused| refused.to_string())?;
    println!("200: the token of {} for {} allows {}", claims.client_id, claims.sub, claims.scope);

    let other_api = request_token(issuer, &form.replace("api.example.com", "other.example.com"));
    assert!(other_api.is_err(), "the app may not have tokens for other APIs");
    // The first character of the signature: the last one has bits that do not count.
    let (signed, signature) = header.rsplit_once('.').ok_or("not a JWT")?;
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{signed}.{first}{}", signature.get(1..).unwrap_or_default());
    for (header, why) in [(forged.as_str(), "a wrong signature"), ("Basic YTpi", "no token")] {
        let refused = verifier.authorize(header).err().ok_or("it must be refused")?;
        println!("{refused} ({why})");
        assert_eq!(refused.0, 401);
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let started = common::start().await?;
    let (issuer, form) = (started.issuer, token_form(&started.app));
    // `ureq` blocks its thread.
    let ran = tokio::task::spawn_blocking(move || {
        run(issuer.as_str(), &form).map_err(|error| error.to_string())
    });
    Ok(ran.await??)
}
