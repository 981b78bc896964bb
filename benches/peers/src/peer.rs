//! The operations that every library is measured at.

/// The issuer of every server.
pub(crate) const ISSUER: &str = "https://as.example.com";
/// The scope of every request.
pub(crate) const SCOPE: &str = "files.read files.write profile";
/// The redirect URI of the client.
pub(crate) const CALLBACK: &str = "https://app.example.com/cb";
/// The secret of a client, where the library lets an administrator choose it.
pub(crate) const SECRET: &str = "qfV3wRk0cYwq1Zt5u8xA2DhKmPsNvBeG";
/// A code verifier and its challenge (RFC 7636 appendix B).
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// The key of every server that signs with ES256.
pub(crate) const ES256_PEM: &str =
    include_str!("../../../tests/fixtures/test_only_p256_private.pem");

/// A request that is not an authorization request. The client authenticates with HTTP Basic.
#[derive(Clone, Copy)]
pub(crate) enum Ask<'a> {
    Redeem { code: &'a str },
    Refresh { token: &'a str },
    ClientCredentials,
    Introspect { token: &'a str },
}

/// A library with one confidential client that needs no consent.
pub(crate) trait Peer {
    type Request;
    type Answer;

    /// Returns the authorization request of a browser in which `user` is logged in.
    fn authorization(&mut self, user: &str) -> Self::Request;
    /// Returns the request for `ask`.
    fn request(&mut self, ask: Ask<'_>) -> Self::Request;
    /// Answers a request. Measured.
    fn answer(&mut self, request: Self::Request) -> Self::Answer;
    /// Returns the URL of a redirect, or the JSON of any other answer.
    fn text(answer: Self::Answer) -> String;
    /// Returns true if an API in the process of the server accepts this `Authorization` header. Measured.
    fn check(&mut self, header: &str) -> bool;
    /// Returns the subject of an access token.
    ///
    /// # Panics
    ///
    /// If the token is not valid or has another scope.
    fn subject(&mut self, token: &str) -> String;
    /// Removes the rows that are expired two minutes from now, such as redeemed codes, if the host has to.
    fn sweep(&mut self) {}
}

/// Returns the query of an authorization request.
pub(crate) fn query(client_id: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", client_id)
        .append_pair("redirect_uri", CALLBACK)
        .append_pair("scope", SCOPE)
        .append_pair("state", "af0ifjsldkj")
        .append_pair("code_challenge", CHALLENGE)
        .append_pair("code_challenge_method", "S256")
        .finish()
}

/// Returns the body of a request.
pub(crate) fn form(ask: Ask<'_>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    match ask {
        Ask::Redeem { code } => form
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", CALLBACK)
            .append_pair("code_verifier", VERIFIER),
        Ask::Refresh { token } => {
            form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token)
        }
        Ask::ClientCredentials => {
            form.append_pair("grant_type", "client_credentials").append_pair("scope", SCOPE)
        }
        Ask::Introspect { token } => form.append_pair("token", token),
    };
    form.finish()
}

/// Returns the `Authorization` header of a client.
pub(crate) fn basic(client_id: &str, secret: &str) -> String {
    use base64::Engine as _;
    let credentials = format!("{client_id}:{secret}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credentials))
}

/// Returns the code in the URL of a redirect.
///
/// # Panics
///
/// If the URL has none, for example because the request was refused.
pub(crate) fn code_of(location: &str) -> String {
    let query = location.split_once('?').map_or("", |(_, query)| query);
    let code = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code");
    code.unwrap_or_else(|| panic!("no code: {location}")).1.into_owned()
}

/// Returns the string `name` of a JSON object.
///
/// # Panics
///
/// If there is none.
pub(crate) fn field(json: &str, name: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {json}")).to_owned()
}

/// Polls a future to its end. Everything in memory is ready at once, and an executor would be
/// measured too.
pub(crate) fn now_ready<F: Future>(future: F) -> F::Output {
    use std::task::{Context, Poll, Waker};
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}
