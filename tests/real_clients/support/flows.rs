//! URLs of the code flow.

use std::collections::HashMap;

use grantor::protocol::CodeVerifier;
use url::Url;

use super::{Seed, Server, encode};

/// The address of an app of the seed on loopback. Any port is valid (RFC 8252 section 7.3).
const CALLBACK: &str = "http://127.0.0.1:49213/";

/// Returns the redirect URI of an app of the seed.
pub(crate) fn redirect_uri(seed: &Seed, client_id: &str) -> String {
    let uri = seed.settings(client_id)["redirect_uris"][0].as_str().unwrap();
    uri.replace("http://127.0.0.1/", CALLBACK)
}

/// Returns the URL with which an app sends a browser to the authorization endpoint.
pub(crate) fn code_url(
    server: &Server,
    seed: &Seed,
    client_id: &str,
    verifier: &CodeVerifier,
    more: &[(&str, &str)],
) -> String {
    let challenge = verifier.challenge().to_string();
    let redirect_uri = redirect_uri(seed, client_id);
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", &redirect_uri),
        ("state", "af0ifjsldkj"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    parameters.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    parameters.extend(more);
    format!("{}?{}", server.url("/oauth/authorize"), encode(&parameters))
}

/// Returns the parameters in the query of a URL.
pub(crate) fn parameters(url: &Url) -> HashMap<String, String> {
    url.query_pairs().into_owned().collect()
}
