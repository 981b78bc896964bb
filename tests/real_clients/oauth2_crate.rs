//! The crate `oauth2`, the client of most Rust apps.

use std::sync::Arc;

use grantor::protocol::CodeVerifier;
use grantor::random::OsRandom;
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AccessToken, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IntrospectionUrl, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, RevocationUrl, Scope,
    StandardRevocableToken, TokenIntrospectionResponse as _, TokenResponse as _, TokenUrl,
};

use crate::support::{Browser, Http, Seed, Server, basic, parameters, redirect_uri};

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointSet>;
type Failure = RequestTokenError<ureq::Error, BasicErrorResponse>;

/// An app of the seed that uses the crate.
struct App<'a> {
    server: &'a Server,
    seed: &'a Seed,
    http: &'a Arc<Http>,
    client: Client,
    client_id: &'a str,
}

impl<'a> App<'a> {
    fn new(server: &'a Server, seed: &'a Seed, http: &'a Arc<Http>, client_id: &'a str) -> Self {
        let method = &seed.settings(client_id)["authentication"];
        let auth_type = match method.as_str() {
            Some("client_secret_post") => AuthType::RequestBody,
            _ => AuthType::BasicAuth,
        };
        // The crate accepts only https for revocation. `send` turns it into http again.
        let revocation_url = server.url("/oauth/revoke").replacen("http:", "https:", 1);
        let mut client = BasicClient::new(ClientId::new(client_id.to_owned()))
            .set_auth_uri(AuthUrl::new(server.url("/oauth/authorize")).unwrap())
            .set_token_uri(TokenUrl::new(server.url("/oauth/token")).unwrap())
            .set_introspection_url(IntrospectionUrl::new(server.url("/oauth/introspect")).unwrap())
            .set_revocation_url(RevocationUrl::new(revocation_url).unwrap())
            .set_auth_type(auth_type);
        if let Some(secret) = seed.client_secret(client_id) {
            client = client.set_client_secret(ClientSecret::new(secret.to_owned()));
        }
        Self { server, seed, http, client, client_id }
    }

    fn with_redirect_uri(mut self) -> Self {
        let uri = redirect_uri(self.seed, self.client_id);
        self.client = self.client.set_redirect_uri(RedirectUrl::new(uri).unwrap());
        self
    }

    fn send(&self) -> impl Fn(HttpRequest) -> Result<HttpResponse, ureq::Error> {
        let http = Arc::clone(self.http);
        move |mut request| {
            let uri = request.uri().to_string().replacen("https:", "http:", 1);
            *request.uri_mut() = uri.parse().unwrap();
            http.send(request)
        }
    }

    /// Gets a code that `ann` approves, with its verifier.
    fn code(&self) -> (AuthorizationCode, PkceCodeVerifier) {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let scopes = self.seed.scope(self.client_id).split(' ');
        let (url, state) = self
            .client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(scopes.map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge)
            .url();
        let user = ("ann", self.seed.password("ann"));
        let landing = Browser::new(self.http).authorize(url.as_str(), user, "approve");
        let answer = parameters(&landing.app());
        assert_eq!(answer["state"], *state.secret());
        assert_eq!(answer["iss"], self.server.issuer);
        (AuthorizationCode::new(answer["code"].clone()), verifier)
    }

    fn redeem(
        &self,
        code: AuthorizationCode,
        verifier: PkceCodeVerifier,
    ) -> Result<BasicTokenResponse, Failure> {
        self.client.exchange_code(code).set_pkce_verifier(verifier).request(&self.send())
    }

    fn tokens(&self) -> BasicTokenResponse {
        let (code, verifier) = self.code();
        self.redeem(code, verifier).unwrap()
    }

    fn refresh(&self, token: &RefreshToken) -> Result<BasicTokenResponse, Failure> {
        self.client.exchange_refresh_token(token).request(&self.send())
    }

    fn is_active(&self, token: &str) -> bool {
        let token = AccessToken::new(token.to_owned());
        self.client.introspect(&token).request(&self.send()).unwrap().active()
    }

    fn revoke(&self, token: StandardRevocableToken) {
        self.client.revoke_token(token).unwrap().request(&self.send()).unwrap();
    }
}

#[track_caller]
fn assert_invalid_grant(result: Result<BasicTokenResponse, Failure>) {
    let Err(RequestTokenError::ServerResponse(error)) = result else { panic!("{result:?}") };
    assert_eq!(*error.error(), BasicErrorResponseType::InvalidGrant);
}

#[test]
fn apps_of_every_kind_get_tokens_by_code_and_refresh_them() {
    let (server, seed, http) = (Server::start(), Seed::read(), Arc::new(Http::new()));
    let apps = ["demo-web", "demo-post", "demo:reserved/+&=? %41", "demo-spa", "demo-native"];
    for client_id in apps {
        let app = App::new(&server, &seed, &http, client_id).with_redirect_uri();
        let (code, verifier) = app.code();
        let wrong = CodeVerifier::generate(&OsRandom::new()).unwrap();
        let wrong = PkceCodeVerifier::new(wrong.expose_secret().to_owned());
        assert_invalid_grant(app.redeem(code.clone(), wrong));
        let first = app.redeem(code, verifier).unwrap();
        assert!(first.expires_in().unwrap().as_secs() > 0);

        let second = app.refresh(first.refresh_token().unwrap()).unwrap();
        let again = app.refresh(first.refresh_token().unwrap()).unwrap();
        let secret = |token: &BasicTokenResponse| token.refresh_token().unwrap().secret().clone();
        assert_ne!(secret(&second), secret(&first), "{client_id}: refresh rotates");
        assert_eq!(secret(&second), secret(&again), "{client_id}: a lost answer is repeated");
        let third = app.refresh(second.refresh_token().unwrap()).unwrap();
        assert_invalid_grant(app.refresh(first.refresh_token().unwrap()));
        assert_invalid_grant(app.refresh(third.refresh_token().unwrap()));
    }
}

/// W1: an extra parameter of the client names the phone.
#[test]
fn an_app_on_a_phone_gets_a_token_of_its_device() {
    let (server, seed, http) = (Server::start(), Seed::read(), Arc::new(Http::new()));
    let app = App::new(&server, &seed, &http, "demo-native").with_redirect_uri();
    let (code, verifier) = app.code();
    let request = app.client.exchange_code(code).set_pkce_verifier(verifier);
    let tokens = request
        .add_extra_param("install_tag_id", "phone of ann 1")
        .add_extra_param("install_name", "Ann\u{2019}s phone")
        .request(&app.send())
        .unwrap();
    let refreshed = app.refresh(tokens.refresh_token().unwrap()).unwrap();
    let gateway = basic("demo-gateway", seed.client_secret("demo-gateway").unwrap());
    for token in [tokens.access_token(), refreshed.access_token()] {
        let form = [("token", token.secret().as_str())];
        let url = server.url("/oauth/introspect");
        let facts = http.post(&url, &[("authorization", &gateway)], &form);
        assert_eq!(facts.text("device"), "phone of ann 1");
    }
}

/// G13: of many requests with one code, each over its own connection, one gets tokens and the others are
/// refused.
#[test]
fn of_many_requests_at_once_one_redeems_a_code() {
    let (server, seed, http) = (Server::start(), Seed::read(), Arc::new(Http::new()));
    let app = App::new(&server, &seed, &http, "demo-web").with_redirect_uri();
    let (code, verifier) = app.code();
    let verifier = verifier.into_secret();
    let redeemed = std::thread::scope(|scope| {
        let redeem = || {
            let client = App::new(&server, &seed, &http, "demo-web").with_redirect_uri();
            client.redeem(code.clone(), PkceCodeVerifier::new(verifier.clone()))
        };
        let requests: Vec<_> = (0..16).map(|_| scope.spawn(redeem)).collect();
        requests.into_iter().map(|request| request.join().unwrap()).collect::<Vec<_>>()
    });
    let (good, refused): (Vec<_>, Vec<_>) = redeemed.into_iter().partition(Result::is_ok);
    assert_eq!(good.len(), 1);
    refused.into_iter().for_each(assert_invalid_grant);
    // A second redemption revokes the tokens of the first.
    let tokens = good.into_iter().next().unwrap().unwrap();
    assert_invalid_grant(app.refresh(tokens.refresh_token().unwrap()));
}

#[test]
fn an_app_acts_for_itself() {
    let (server, seed, http) = (Server::start(), Seed::read(), Arc::new(Http::new()));
    for client_id in ["demo-web", "demo-post", "demo:reserved/+&=? %41"] {
        let app = App::new(&server, &seed, &http, client_id);
        let narrow = seed.scope(client_id).split(' ').next().unwrap();
        let token = app
            .client
            .exchange_client_credentials()
            .add_scope(Scope::new(narrow.to_owned()))
            .request(&app.send())
            .unwrap();
        assert!(token.refresh_token().is_none());
    }
}

#[test]
fn a_revoked_token_is_inactive_for_the_gateway() {
    let (server, seed, http) = (Server::start(), Seed::read(), Arc::new(Http::new()));
    let gateway = App::new(&server, &seed, &http, "demo-gateway");
    let app = App::new(&server, &seed, &http, "demo-post").with_redirect_uri();
    for by_access_token in [false, true] {
        let tokens = app.tokens();
        let access = tokens.access_token();
        let refresh = tokens.refresh_token().unwrap();
        assert!(gateway.is_active(access.secret()));
        assert!(gateway.is_active(refresh.secret()));
        let revocable = if by_access_token {
            StandardRevocableToken::from(access)
        } else {
            StandardRevocableToken::from(refresh)
        };
        app.revoke(revocable);
        assert!(!gateway.is_active(access.secret()));
        assert!(!gateway.is_active(refresh.secret()));
        assert_invalid_grant(app.refresh(refresh));
    }
}
