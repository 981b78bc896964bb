//! Apps that use the server beside the browser: they tell whether access has really begun or ended.

use std::sync::Arc;

use grantor::protocol::CodeVerifier;
use grantor::random::OsRandom;
use http::Method;
use serde_json::{Value, json};
use url::Url;

use crate::sandbox::wait_until;
use crate::support::{
    Answer, Browser, Http, Seed, Server, basic, encode, parameters, redirect_uri, seed_file,
};

const NATIVE: &str = "demo-native";

/// A client id and a client secret.
pub(super) type Credentials<'a> = (&'a str, &'a str);

/// An installation of `demo-native`.
pub(super) struct Phone<'a> {
    apps: &'a Apps<'a>,
    pub(super) tag: &'a str,
    tokens: Answer,
}

impl Phone<'_> {
    pub(super) fn is_live(&self) -> bool {
        self.apps.is_active(&self.tokens)
    }

    /// Checks that access has ended.
    #[track_caller]
    pub(super) fn assert_ended(&self) {
        assert!(!self.is_live());
        let token = self.tokens.text("refresh_token");
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
        self.send("/oauth/token", &form).assert_error(400, "invalid_grant");
    }

    /// Asks whether it has to wipe its data.
    pub(super) fn asks(&self) -> bool {
        self.send_token("/oauth/device/wipe/check")
    }

    /// Reports that its data is gone.
    pub(super) fn reports(&self) -> bool {
        self.send_token("/oauth/device/wipe/success")
    }

    fn send_token(&self, path: &str) -> bool {
        let answer = self.send(path, &[("token", &*self.tokens.text("refresh_token"))]);
        assert!([200, 404].contains(&answer.status), "{answer:?}");
        answer.status == 200
    }

    fn send(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let form = [&[("client_id", NATIVE)], form].concat();
        self.apps.http.post(&self.apps.server.url(path), &[], &form)
    }
}

/// The apps of the seed, and others.
pub(super) struct Apps<'a> {
    server: &'a Server,
    seed: Seed,
    http: Arc<Http>,
}

impl<'a> Apps<'a> {
    pub(super) fn of(server: &'a Server) -> Self {
        Self { server, seed: Seed::read(), http: Arc::new(Http::new()) }
    }

    /// Returns the credentials of an app of the seed.
    pub(super) fn credentials<'b>(&'b self, client_id: &'b str) -> Credentials<'b> {
        (client_id, self.seed.client_secret(client_id).unwrap())
    }

    fn post(&self, path: &str, credentials: Credentials<'_>, form: &[(&str, &str)]) -> Answer {
        let authorization = basic(credentials.0, credentials.1);
        self.http.post(&self.server.url(path), &[("authorization", &authorization)], form)
    }

    /// Asks for a token of the app itself.
    pub(super) fn by_itself(&self, credentials: Credentials<'_>, scope: &str) -> Answer {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        self.post("/oauth/token", credentials, &form)
    }

    /// Sends a user, who logs in, through the code flow. Returns where the browser came back to the app, and the
    /// secret of the request.
    fn authorize(
        &self,
        (client_id, redirect_uri): (&str, &str),
        user: &str,
        decision: &str,
    ) -> (Url, CodeVerifier) {
        let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
        let challenge = verifier.challenge().to_string();
        let request = [
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", redirect_uri),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let url = format!("{}?{}", self.server.url("/oauth/authorize"), encode(&request));
        let user = (user, self.seed.password(user));
        (Browser::new(&self.http).authorize(&url, user, decision).app(), verifier)
    }

    /// Sends a user who agrees through the code flow, and asks for the tokens.
    pub(super) fn by_user(
        &self,
        credentials: Credentials<'_>,
        redirect_uri: &str,
        user: &str,
    ) -> Answer {
        let (came_back, verifier) = self.authorize((credentials.0, redirect_uri), user, "approve");
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &*parameters(&came_back)["code"]),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier.expose_secret()),
        ];
        self.post("/oauth/token", credentials, &form)
    }

    /// Installs `demo-native` on a phone of a user.
    pub(super) fn install<'b>(&'b self, user: &str, tag: &'b str) -> Phone<'b> {
        let (first, rest) = user.split_at(1);
        self.install_as(user, tag, &format!("{}{rest}’s {tag}", first.to_uppercase()))
    }

    /// Installs `demo-native` on a phone with this name.
    pub(super) fn install_as<'b>(&'b self, user: &str, tag: &'b str, name: &str) -> Phone<'b> {
        let redirect_uri = redirect_uri(&self.seed, NATIVE);
        let mut tokens = None;
        // Those of the second of a revocation may be dead.
        wait_until("the tokens live", || {
            let (came_back, verifier) = self.authorize((NATIVE, &redirect_uri), user, "approve");
            let form = [
                ("grant_type", "authorization_code"),
                ("client_id", NATIVE),
                ("code", &*parameters(&came_back)["code"]),
                ("redirect_uri", &*redirect_uri),
                ("code_verifier", verifier.expose_secret()),
                ("install_tag_id", tag),
                ("install_name", name),
            ];
            let answer = self.http.post(&self.server.url("/oauth/token"), &[], &form);
            assert_eq!(answer.status, 200, "{answer:?}");
            self.is_active(tokens.insert(answer))
        });
        Phone { apps: self, tag, tokens: tokens.unwrap() }
    }

    /// Returns live tokens of an app of the seed as a user. Those of the second of a revocation may be dead.
    pub(super) fn tokens(&self, client_id: &str, user: &str) -> Answer {
        let redirect_uri = redirect_uri(&self.seed, client_id);
        let mut tokens = None;
        wait_until("the tokens live", || {
            let answer = self.by_user(self.credentials(client_id), &redirect_uri, user);
            assert_eq!(answer.status, 200, "{answer:?}");
            self.is_active(tokens.insert(answer))
        });
        tokens.unwrap()
    }

    /// Checks whether an app of the seed has to ask a user again. The user denies.
    pub(super) fn must_ask(&self, client_id: &str, user: &str) -> bool {
        let app = (client_id, &*redirect_uri(&self.seed, client_id));
        let (came_back, _) = self.authorize(app, user, "deny");
        parameters(&came_back).get("error").is_some_and(|error| error == "access_denied")
    }

    /// Asks for new tokens by the refresh token of `tokens`.
    pub(super) fn refresh(&self, client_id: &str, tokens: &Answer) -> Answer {
        let token = tokens.text("refresh_token");
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
        self.post("/oauth/token", self.credentials(client_id), &form)
    }

    /// Asks the server, as its gateway does, whether an access token is valid.
    pub(super) fn is_active(&self, tokens: &Answer) -> bool {
        let token = tokens.text("access_token");
        let gateway = self.credentials("demo-gateway");
        let answer = self.post("/oauth/introspect", gateway, &[("token", &*token)]);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["active"] == true
    }

    /// Checks that access has ended: the API refuses its access token, and the server its refresh token.
    #[track_caller]
    pub(super) fn assert_ended(&self, client_id: &str, tokens: &Answer) {
        assert!(!self.is_active(tokens), "the access token of {client_id}");
        self.refresh(client_id, tokens).assert_error(400, "invalid_grant");
    }

    /// Asks for a token as a user that `demo-backend` names.
    pub(super) fn by_assertion(&self, user: &str) -> Answer {
        let claims = json!({
            "iss": "demo-backend",
            "sub": user,
            "aud": self.server.issuer,
            "exp": jsonwebtoken::get_current_timestamp() + 60,
            "jti": CodeVerifier::generate(&OsRandom::new()).unwrap().expose_secret(),
        });
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
        header.kid = Some("p256-1".to_owned());
        let key = std::fs::read(seed_file().with_file_name("demo_jwt_p256.pem")).unwrap();
        let key = jsonwebtoken::EncodingKey::from_ec_pem(&key).unwrap();
        let assertion = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        self.present(&assertion)
    }

    /// Returns an identity assertion of an issuer with the key of `demo-backend`, for that app.
    pub(super) fn evidence(&self, issuer: &str, user: &str) -> String {
        let now = jsonwebtoken::get_current_timestamp();
        let claims = json!({
            "iss": issuer,
            "sub": user,
            "aud": self.server.issuer,
            "client_id": "demo-backend",
            "act": { "sub": "agent" },
            "iat": now,
            "exp": now + 300,
            "jti": CodeVerifier::generate(&OsRandom::new()).unwrap().expose_secret(),
        });
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
        header.typ = Some("oauth-id-jag+jwt".to_owned());
        header.kid = Some("p256-1".to_owned());
        let key = std::fs::read(seed_file().with_file_name("demo_jwt_p256.pem")).unwrap();
        let key = jsonwebtoken::EncodingKey::from_ec_pem(&key).unwrap();
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    }

    /// Presents an assertion as `demo-backend`.
    pub(super) fn present(&self, assertion: &str) -> Answer {
        let kind = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        let form = [("grant_type", kind), ("assertion", assertion)];
        self.post("/oauth/token", self.credentials("demo-backend"), &form)
    }

    /// Asks for a token on the evidence of an issuer. Those of the second of a revocation may be dead.
    pub(super) fn by_evidence(&self, issuer: &str, user: &str) -> Answer {
        let mut answer = None;
        wait_until("the token lives, or is refused", || {
            let answer = answer.insert(self.present(&self.evidence(issuer, user)));
            answer.status != 200 || self.is_active(answer)
        });
        answer.unwrap()
    }

    /// Returns the `Authorization` header of an administrator's program.
    fn administrator(&self, credentials: Credentials<'_>) -> String {
        format!("Bearer {}", self.by_itself(credentials, "admin").text("access_token"))
    }

    /// Returns the settings of an app, as an administrator's program with these credentials reads them.
    pub(super) fn settings_by(&self, administrator: Credentials<'_>, client_id: &str) -> Value {
        let url = self.server.url(&format!("/admin/apps/{client_id}"));
        let authorization = self.administrator(administrator);
        let answer = self.http.request(Method::GET, &url, &[("authorization", &authorization)]);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["settings"].take()
    }

    /// Returns the settings of an app of the seed as they are stored.
    pub(super) fn settings(&self, client_id: &str) -> Value {
        self.settings_by(self.credentials("demo-admin"), client_id)
    }

    /// Rotates the client secret of an app by an administrator's program.
    pub(super) fn rotate(&self, client_id: &str) -> Answer {
        let url = self.server.url(&format!("/admin/apps/{client_id}/rotate-secret"));
        let authorization = self.administrator(self.credentials("demo-admin"));
        self.http.post(&url, &[("authorization", &authorization)], &[])
    }
}
