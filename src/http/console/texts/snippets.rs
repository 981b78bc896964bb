//! Texts of programs that get a token. They stand in comments, on one line each, and have no quotation marks.

use crate::app::Flow;

type Text = &'static str;

pub(in super::super) const SHELL: Text = "curl";
pub(in super::super) const RUST: Text = "Rust";
pub(in super::super) const PYTHON: Text = "Python";
pub(in super::super) const JAVASCRIPT: Text = "JavaScript";
pub(in super::super) const NODE: Text = "Node 20 or later, as a module (.mjs).";
pub(in super::super) const ENCODED_SECRET: Text = "a secret with other characters than letters, digits, - and _ is form-encoded first (RFC 6749 section 2.3.1).";
pub(in super::super) const STANDARD_INPUT: Text = "curl reads the values from its standard input: other users of the machine can list the arguments of a program.";
pub(in super::super) const RANDOM_ID: Text = ", and a random jti";
pub(in super::super) const OPEN: Text = "Open the URL. The app gets code, state and iss at its redirect URI. Go on if they are as below, and type the code.";
pub(in super::super) const PASTE: Text =
    "Open the URL, sign in, and paste the address that the browser comes back to.";
pub(in super::super) const WRONG_ANSWER: Text = "not the answer to this request";

pub(in super::super) fn signed(algorithm: &str) -> String {
    format!("a JWT ({algorithm}) with these claims. The program in Python shows how it is signed.")
}

pub(in super::super) fn lifetime(seconds: u32) -> String {
    format!("iat now, exp in {seconds} seconds")
}

/// Says what the flow gives.
pub(in super::super) const fn about(flow: Flow) -> Text {
    match flow {
        Flow::AuthorizationCode => {
            "A user signs in and agrees in a browser. The app gets a code for its redirect URI, and exchanges it with \
             the verifier of PKCE."
        }
        Flow::JwtBearer => {
            "The app signs an assertion that names a user (OAUTH_USER), and acts as that user within its policy. This \
             page never does."
        }
        Flow::ClientCredentials => "The app acts for itself, without a user.",
        Flow::DeviceCode => {
            "A device shows a code. A user types it on another device, signs in and agrees, while the app asks \
             for its token again and again."
        }
        Flow::TokenExchange => {
            "The app presents a token that it got for a user, and gets one for another API (RFC 8693)."
        }
    }
}
