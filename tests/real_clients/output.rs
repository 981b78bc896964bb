//! The log of the server.

use std::sync::Arc;

use grantor::protocol::CodeVerifier;
use grantor::random::OsRandom;

use crate::support::{
    Answer, Browser, Http, Seed, Server, basic, code_url, encode, parameters, redirect_uri,
};

/// A client that goes through every flow and every refusal.
struct Client<'a> {
    server: &'a Server,
    seed: &'a Seed,
    http: &'a Arc<Http>,
}

impl Client<'_> {
    fn post(&self, path: &str, client_id: &str, form: &[(&str, &str)]) -> Answer {
        let secret = self.seed.client_secret(client_id);
        let mut form = form.to_vec();
        let mut headers = Vec::new();
        let authorization;
        let by_header = self.seed.settings(client_id)["authentication"] == "client_secret_basic";
        if let Some(secret) = secret.filter(|_| by_header) {
            authorization = basic(client_id, secret);
            headers.push(("authorization", &*authorization));
        } else {
            form.push(("client_id", client_id));
            form.extend(secret.map(|secret| ("client_secret", secret)));
        }
        self.http.post(&self.server.url(path), &headers, &form)
    }

    fn token(&self, client_id: &str, form: &[(&str, &str)]) -> Answer {
        self.post("/oauth/token", client_id, form)
    }

    /// Gets a code and its verifier.
    fn code(&self, client_id: &str) -> (String, CodeVerifier) {
        let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
        let prompt = [("prompt", "consent")];
        let url = code_url(self.server, self.seed, client_id, &verifier, &prompt);
        let user = ("ann", self.seed.password("ann"));
        let landing = Browser::new(self.http).authorize(&url, user, "approve");
        (parameters(&landing.app())["code"].clone(), verifier)
    }

    fn redeem(&self, client_id: &str, code: &str, verifier: &CodeVerifier) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri(self.seed, client_id)),
            ("code_verifier", verifier.expose_secret()),
        ];
        self.token(client_id, &form)
    }

    fn refresh(&self, client_id: &str, token: &str) -> Answer {
        self.token(client_id, &[("grant_type", "refresh_token"), ("refresh_token", token)])
    }

    /// Redeems with a wrong and a right verifier, refreshes, reuses and replays.
    fn code_flow(&self, client_id: &str) {
        let (code, verifier) = self.code(client_id);
        let wrong = CodeVerifier::generate(&OsRandom::new()).unwrap();
        self.redeem(client_id, &code, &wrong).assert_error(400, "invalid_grant");
        let first = self.redeem(client_id, &code, &verifier);
        assert_eq!(first.status, 200, "{first:?}");
        let second = self.refresh(client_id, &first.text("refresh_token"));
        let third = self.refresh(client_id, &second.text("refresh_token"));
        assert_eq!(third.status, 200, "{third:?}");
        for token in [first, third] {
            let again = self.refresh(client_id, &token.text("refresh_token"));
            again.assert_error(400, "invalid_grant");
        }
        let (code, verifier) = self.code(client_id);
        assert_eq!(self.redeem(client_id, &code, &verifier).status, 200);
        self.redeem(client_id, &code, &verifier).assert_error(400, "invalid_grant");
    }

    /// Introspects and revokes tokens.
    fn revocation(&self) {
        let (code, verifier) = self.code("demo-post");
        let tokens = self.redeem("demo-post", &code, &verifier);
        for name in ["access_token", "refresh_token"] {
            let form = [("token", &*tokens.text(name))];
            let facts = self.post("/oauth/introspect", "demo-gateway", &form);
            assert_eq!(facts.json()["active"], true, "{facts:?}");
            // By another app, without authentication, and by its owner.
            assert_eq!(self.post("/oauth/revoke", "demo-web", &form).status, 200);
            let anonymous = self.http.post(&self.server.url("/oauth/revoke"), &[], &form);
            anonymous.assert_error(401, "invalid_client");
        }
        let form = [("token", &*tokens.text("access_token"))];
        assert_eq!(self.post("/oauth/revoke", "demo-post", &form).status, 200);
        let facts = self.post("/oauth/introspect", "demo-gateway", &form);
        assert_eq!(facts.json(), serde_json::json!({ "active": false }));
    }

    /// Requests client credentials rightly, with a wrong secret, and with an unknown scope.
    fn machine(&self) {
        let form = [("grant_type", "client_credentials")];
        assert_eq!(self.token("demo-web", &form).status, 200);
        let wrong = basic("demo-web", "not-its-secret-but-a-secret");
        let url = self.server.url("/oauth/token");
        let headers = [("authorization", &*wrong)];
        self.http.post(&url, &headers, &form).assert_error(401, "invalid_client");
        let wide = [form[0], ("scope", "no-such-scope")];
        self.token("demo-web", &wide).assert_error(400, "invalid_scope");
    }

    /// Uses an assertion, the same again, and one for a forbidden user.
    fn jwt_bearer(&self) {
        let mut seen = Vec::new();
        for (user, status) in [("ann", 200), ("root", 400)] {
            let assertion = self.assertion(user);
            let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            let form = [("grant_type", grant_type), ("assertion", &*assertion)];
            let answer = self.token("demo-backend", &form);
            assert_eq!(answer.status, status, "{answer:?}");
            self.token("demo-backend", &form).assert_error(400, "invalid_grant");
            seen.push(assertion);
        }
    }

    fn assertion(&self, user: &str) -> String {
        let claims = serde_json::json!({
            "iss": "demo-backend",
            "sub": user,
            "aud": self.server.issuer,
            "exp": jsonwebtoken::get_current_timestamp() + 60,
            "jti": CodeVerifier::generate(&OsRandom::new()).unwrap().expose_secret(),
        });
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
        header.kid = Some("p256-1".to_owned());
        let file = crate::support::seed_file().with_file_name("demo_jwt_p256.pem");
        let key = jsonwebtoken::EncodingKey::from_ec_pem(&std::fs::read(file).unwrap()).unwrap();
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    }

    /// Sends requests that are refused before the app is known.
    fn strangers(&self) {
        let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
        for more in [("client_id", "no-such-app"), ("redirect_uri", "https://attacker.example/")] {
            let url = code_url(self.server, self.seed, "demo-post", &verifier, &[more]);
            let page = Browser::new(self.http).open(&url).page();
            assert!((400..500).contains(&page.status), "{page:?}");
        }
        let user = ("ann", "not her password, but a password");
        let url = code_url(self.server, self.seed, "demo-post", &verifier, &[]);
        Browser::new(self.http).authorize(&url, user, "approve").page();
        let user = ("ann", self.seed.password("ann"));
        let denied = Browser::new(self.http).authorize(&url, user, "deny").app();
        assert_eq!(parameters(&denied)["error"], "access_denied");
        // Credentials in the URL.
        let secret = self.seed.client_secret("demo-post").unwrap();
        let query = encode(&[("client_id", "demo-post"), ("client_secret", secret)]);
        let url = format!("{}?{query}", self.server.url("/oauth/token"));
        let form = [("grant_type", "client_credentials")];
        self.http.post(&url, &[], &form).assert_error(401, "invalid_client");
    }
}

/// No secret that the server issues or receives is in its output, with logging on.
#[test]
fn no_secret_is_written_to_the_log() {
    let (mut server, seed) = (Server::with(&["--no-limits", "--log"]), Seed::read());
    let http = Arc::new(Http::new());
    let client = Client { server: &server, seed: &seed, http: &http };
    client.strangers();
    for client_id in ["demo-web", "demo-post", "demo:reserved/+&=? %41", "demo-spa", "demo-native"]
    {
        client.code_flow(client_id);
    }
    client.revocation();
    client.machine();
    client.jwt_bearer();
    server.terminate();
    assert!(server.wait().success());

    let output = server.output();
    assert!(output.contains("demo-web") && output.lines().count() > 20, "{output}");
    let mut secrets = seed.secrets();
    let of_seed = secrets.len();
    secrets.extend(http.secrets());
    assert!(secrets.len() > of_seed + 50, "{} secrets", secrets.len());
    for secret in &secrets {
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for text in [secret, &encoded] {
            // The log must not contain the secret, in either form.
            let line = output.lines().find(|line| line.contains(&**text));
            assert!(line.is_none(), "a secret is written in: {line:?}");
        }
    }
}
