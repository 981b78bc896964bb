//! The endpoints over `http` requests and responses.

mod browser;
mod documents;
mod endpoints;
mod observed;

use std::sync::Arc;

use grantor::AuthorizationServer;
use grantor::clock::UnixTime;
use grantor::endpoint::{AuthorizationError, AuthorizationRequest, Login, Prompt};
use grantor::http::{HttpEndpoints, Interaction, Page};
use grantor::store::MemoryStore;
use grantor::users::{DirectoryError, MemoryUsers};
use http::request::Parts;
use http::{Request, Response};
use pollster::block_on;

use crate::support::{START, World, subject};
use crate::wire::Answered;

type Server = AuthorizationServer<Arc<MemoryStore>, Arc<MemoryUsers>>;

/// Pages of one line each. Who is logged in stands in the cookie: `name` or `name@auth_time`.
pub(crate) struct Lines;

impl Interaction for Lines {
    async fn login(&self, request: &Parts) -> Result<Option<Login>, DirectoryError> {
        let cookie = request.headers.get("cookie").map(|value| value.to_str().unwrap());
        match cookie {
            Some("broken") => Err(DirectoryError::new("no directory")),
            Some(user) => {
                let (name, since) = user.split_once('@').unwrap_or((user, ""));
                let login = Login::new(subject(name), "session");
                let since = since.parse::<i64>().map(UnixTime::from_seconds);
                Ok(Some(match since {
                    Ok(since) => login.with_auth_time(since),
                    Err(_) => login,
                }))
            }
            None => Ok(None),
        }
    }

    async fn login_page(&self, _: &Parts, asked: &AuthorizationRequest, to: &str) -> Page {
        page(format!("login for {}|{to}", asked.app().settings().name()))
    }

    async fn consent_page(&self, _: &Parts, prompt: &Prompt, action: &str) -> Page {
        let scopes: Vec<_> = prompt.scopes.iter().map(|it| it.token.as_str()).collect();
        page(format!("{action}|{}|{}", prompt.ticket, scopes.join(" ")))
    }

    async fn error_page(&self, _: &Parts, error: &AuthorizationError) -> Page {
        page(format!("error {}", error.rejection().map_or("failed", |it| it.reason())))
    }
}

fn page(text: String) -> Page {
    Response::new(text.into_bytes())
}

/// The endpoints of the server of a world.
pub(crate) struct Http {
    pub(crate) world: World,
    pub(crate) endpoints:
        HttpEndpoints<Arc<MemoryStore>, Arc<MemoryUsers>, grantor::hooks::NoHooks, Lines>,
}

impl Http {
    pub(crate) fn new() -> Self {
        Self::of(World::new())
    }

    pub(crate) fn of(world: World) -> Self {
        let server: Arc<Server> = Arc::clone(&world.server);
        Self { world, endpoints: HttpEndpoints::new(server, Lines) }
    }

    pub(crate) fn send(&self, request: Request<impl AsRef<[u8]> + Send>) -> Answered {
        let answer = block_on(self.endpoints.handle(request)).unwrap();
        let (parts, body) = answer.into_parts();
        Answered {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body).unwrap(),
        }
    }

    pub(crate) fn get(&self, uri: &str) -> Answered {
        self.send(Request::get(uri).body("").unwrap())
    }

    /// A form, with more headers.
    pub(crate) fn post(&self, uri: &str, headers: &[(&str, &str)], body: &str) -> Answered {
        let mut request = Request::post(uri);
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.to_owned()).unwrap())
    }
}

#[test]
fn what_is_not_a_path_of_the_server_is_left_to_the_host() {
    let http = Http::new();
    for path in ["/", "/oauth", "/oauth/token/", "/oauth/tokens", "/OAUTH/TOKEN", "/oauth//token"] {
        let request = Request::post(path).body("").unwrap();
        assert!(block_on(http.endpoints.handle(request)).is_none(), "{path}");
    }
}

/// The date is that of the injected clock, and every answer names its request.
#[test]
fn every_answer_has_a_date_and_the_id_of_its_request() {
    let http = Http::new();
    let answer = http.get("/oauth/jwks");
    assert_eq!(answer.header("date"), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
    assert_eq!(START, 1_700_000_000);
    assert_eq!(answer.header("x-request-id").unwrap().len(), 16);
    let named = http.post("/oauth/token", &[("x-request-id", "proxy-42")], "");
    assert_eq!(named.header("x-request-id"), Some("proxy-42"));
}
