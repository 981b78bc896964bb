//! The requests that clients and browsers send, and what the tests read from the answers.

use std::collections::HashMap;

use base64::Engine as _;
use grantor::clock::Clock;
use grantor::endpoint::{
    Approval, AuthorizationError, Caller, ConsentPrompt, Decision, Login, NextStep,
};
use grantor::hooks::Hooks;
use grantor::store::Store;
use grantor::store::conformance::Runner;
use http::Request;

use super::{Answer, Answered, App, CALLBACK, World, ann, code_query, new_verifier};

impl<H, S, C, R> World<H, S, C, R>
where
    H: Hooks + 'static,
    S: Store + 'static,
    C: Clock + 'static,
    R: Runner,
{
    /// Sends a form to `path`, with the `Authorization` header if there is one.
    pub(crate) fn send_form(
        &self,
        path: &str,
        authorization: Option<&str>,
        body: &str,
    ) -> Answered {
        let mut request = form_request(path);
        if let Some(header) = authorization {
            request = request.header("authorization", header);
        }
        self.send(request.body(body.to_owned()).unwrap())
    }

    /// Sends the browser of `user` to the authorization endpoint.
    pub(crate) fn visit(&self, query: &str, user: &str) -> Answered {
        let request = match format!("/oauth/authorize?{query}").parse::<http::Uri>() {
            Ok(uri) => Request::get(uri).body(String::new()),
            // A query that no URL can hold may come in a form (RFC 6749 section 3.1).
            Err(_) => form_request("/oauth/authorize").body(query.to_owned()),
        };
        let mut request = request.unwrap();
        request.headers_mut().insert("cookie", user.parse().unwrap());
        self.send(request)
    }

    /// Sends a token request as `app`: with its secret in the body, or with its client id only.
    pub(crate) fn post(&self, app: &App, parameters: &[(&str, &str)]) -> Answer {
        self.post_form(None, &body_of(app, parameters))
    }

    /// Sends a token request of these bytes.
    pub(crate) fn post_form(&self, authorization: Option<&str>, body: &str) -> Answer {
        Answer::from(self.send_form("/oauth/token", authorization, body))
    }

    /// Returns the prompt for a valid request that needs consent.
    pub(crate) fn prompt(&self, query: &str, login: &Login) -> ConsentPrompt {
        let request =
            self.block_on(self.server.authorization_request(query, Caller::default())).unwrap();
        match self.block_on(self.server.authorize(request, Some(login))).unwrap() {
            NextStep::AskConsent(prompt) => prompt,
            NextStep::Redirect(_) => panic!("the user was not asked"),
            NextStep::LogIn(_) => panic!("the user has to log in"),
        }
    }

    /// Returns the parameters of the redirect that answers `query`. If asked, `ann` approves.
    pub(crate) fn approve(
        &self,
        query: &str,
    ) -> Result<HashMap<String, String>, AuthorizationError> {
        let login = ann().with_moment(self.block_on(self.server.moment()).unwrap());
        let request = self.block_on(self.server.authorization_request(query, Caller::default()))?;
        let response = match self.block_on(self.server.authorize(request, Some(&login)))? {
            NextStep::LogIn(_) => panic!("the user has to log in"),
            NextStep::Redirect(response) => response,
            NextStep::AskConsent(prompt) => {
                let yes = Decision::Approve(Approval::default().with_remember(false));
                self.block_on(self.server.decide(&prompt.ticket, &login, yes, Caller::default()))?
            }
        };
        Ok(parameters(response.location()))
    }

    /// Returns a code for `app` that `ann` approved in her browser, and its verifier.
    pub(crate) fn code(&self, app: &App) -> (String, String) {
        let verifier = new_verifier();
        let page = self.visit(&code_query(app, &verifier, &[]), "ann");
        let answer = if page.status == 303 { page } else { self.consent(&page) };
        let code = parameters(answer.header("location").unwrap()).remove("code").unwrap();
        (code, verifier.expose_secret().to_owned())
    }

    /// Sends the form of a consent page, with every scope approved by `ann`.
    fn consent(&self, page: &Answered) -> Answered {
        let parts: Vec<_> = page.body.split('|').collect();
        let mut form = vec![("ticket", parts[1]), ("decision", "approve")];
        form.extend(parts[2].split(' ').map(|scope| ("scope", scope)));
        let request = form_request(parts[0]).header("cookie", "ann");
        self.send(request.body(encode(&form)).unwrap())
    }

    /// Redeems a code.
    pub(crate) fn redeem(&self, app: &App, code: &str, verifier: &str) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ];
        self.post(app, &form)
    }

    /// Returns the tokens of a whole code flow.
    pub(crate) fn tokens(&self, app: &App) -> Answer {
        let (code, verifier) = self.code(app);
        let answer = self.redeem(app, &code, &verifier);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// Refreshes.
    pub(crate) fn refresh(&self, app: &App, refresh_token: &str) -> Answer {
        self.post(app, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
    }

    /// Sends a revocation request of these bytes.
    pub(crate) fn revoke_form(&self, authorization: Option<&str>, body: &str) -> Answer {
        Answer::from(self.send_form("/oauth/revoke", authorization, body))
    }

    /// Gives `token` back as `app`.
    pub(crate) fn revoke(&self, app: &App, token: &str) -> Answer {
        self.revoke_form(None, &body_of(app, &[("token", token)]))
    }

    /// Sends an introspection request of these bytes.
    pub(crate) fn introspect_form(&self, authorization: Option<&str>, body: &str) -> Answer {
        Answer::from(self.send_form("/oauth/introspect", authorization, body))
    }

    /// Asks about `token` as `app`.
    pub(crate) fn introspect(&self, app: &App, token: &str) -> Answer {
        self.introspect_form(None, &body_of(app, &[("token", token)]))
    }
}

fn form_request(path: &str) -> http::request::Builder {
    Request::post(path).header("content-type", "application/x-www-form-urlencoded")
}

/// Form-encodes.
pub(crate) fn encode(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// The body of a request as `app`: with its secret, or with its client id only.
pub(crate) fn body_of(app: &App, parameters: &[(&str, &str)]) -> String {
    let mut form = vec![("client_id", app.id.as_str())];
    form.extend(app.secret.as_deref().map(|secret| ("client_secret", secret)));
    form.extend(parameters);
    encode(&form)
}

/// `Authorization: Basic` with a form-encoded client id and secret (RFC 6749 section 2.3.1).
pub(crate) fn basic(id: &str, secret: &str) -> String {
    let encode =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(id), encode(secret));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// The parameters in the query of a URL.
pub(crate) fn parameters(location: &str) -> HashMap<String, String> {
    url::Url::parse(location).unwrap().query_pairs().into_owned().collect()
}

/// The code of an error that is shown to the user; the test fails if it is redirected.
#[track_caller]
pub(crate) fn shown(error: &AuthorizationError) -> &'static str {
    assert_eq!(error.location(), None);
    let AuthorizationError::Show { error, .. } = error else { panic!("not shown: {error:?}") };
    error.error_code().as_str()
}

/// The redirect URI that receives an error, without its query, and the parameters; the test fails if
/// the error is shown.
#[track_caller]
pub(crate) fn redirected(error: &AuthorizationError) -> (String, HashMap<String, String>) {
    let location = error.location().unwrap_or_else(|| panic!("not redirected: {error:?}"));
    (location.split('?').next().unwrap().to_owned(), parameters(location))
}
