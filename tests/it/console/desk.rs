//! The console of a world, and the browser of an administrator.

use std::sync::Arc;

use grantor::app::AppDraft;
use grantor::hooks::NoHooks;
use grantor::http::Page;
use grantor::http::console::{Administrator, Console, ConsoleAccess, ConsoleRole};
use grantor::store::{MemoryStore, Store};
use grantor::users::{DirectoryError, MemoryUsers};
use http::request::Parts;
use http::{Request, Response};

use super::html::value_of;
use crate::support::{Answered, App, Server, World, code_app, encode};

/// The mount of most tests.
pub(crate) const MOUNT: &str = "/admin/oauth";

/// Administrators are known by a cookie: `name.role.session`.
pub(crate) struct Staff;

impl ConsoleAccess for Staff {
    async fn administrator(
        &self,
        request: &Parts,
    ) -> Result<Option<Administrator>, DirectoryError> {
        let cookie = request.headers.get("cookie").map(|it| it.to_str().unwrap());
        let staff = cookie.and_then(|it| it.split("; ").find_map(|it| it.strip_prefix("staff=")));
        let Some((name, rest)) = staff.and_then(|staff| staff.split_once('.')) else {
            return Ok(None);
        };
        let (role, session) = rest.split_once('.').unwrap();
        let role = match role {
            "view" => ConsoleRole::View,
            "edit" => ConsoleRole::Edit,
            "security" => ConsoleRole::Security,
            _ => return Err(DirectoryError::new("no directory")),
        };
        Ok(Some(Administrator::new(name, role, session)))
    }

    async fn no_administrator(&self, request: &Parts) -> Page {
        let to_login = request.headers.contains_key("x-login");
        let page = Response::builder().status(if to_login { 303 } else { 404 });
        page.header("location", "/login").body(Vec::new()).unwrap()
    }
}

pub(crate) type Desks<S = MemoryStore> = Console<Arc<S>, Arc<MemoryUsers>, NoHooks, Staff>;

/// A console in the browser of one administrator.
pub(crate) struct Desk<'a, S = MemoryStore> {
    pub(crate) console: &'a Desks<S>,
    pub(crate) cookie: String,
}

/// The console of `world`.
pub(crate) fn console(world: &World) -> Desks {
    console_of(&world.server)
}

pub(crate) fn console_of<S: Store>(server: &Arc<Server<S>>) -> Desks<S> {
    Console::new(Arc::clone(server), Staff, MOUNT).unwrap()
}

impl<'a, S: Store> Desk<'a, S> {
    /// The browser of `ann` in her session.
    pub(crate) fn new(console: &'a Desks<S>, role: &str) -> Self {
        Self { console, cookie: format!("staff=ann.{role}.session of ann") }
    }

    pub(crate) fn with_cookie(&self, more: &str) -> Self {
        Self { console: self.console, cookie: format!("{}; {more}", self.cookie) }
    }

    pub(crate) fn send(&self, request: Request<Vec<u8>>) -> Answered {
        pollster::block_on(self.console.handle(request)).unwrap().into()
    }

    /// Requests a page, by its path below the mount.
    pub(crate) fn get(&self, below: &str) -> Answered {
        self.send(self.request("GET", &format!("{MOUNT}{below}")).body(Vec::new()).unwrap())
    }

    /// Requests a page that has to be there.
    #[track_caller]
    pub(crate) fn page(&self, below: &str) -> String {
        let answer = self.get(below);
        assert_eq!(answer.status, 200, "{below}: {}", answer.body);
        answer.body
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(path).header("cookie", &self.cookie)
    }

    /// Returns the token of this session's forms, which each page with a form has.
    pub(crate) fn token(&self) -> String {
        let world = World::new();
        let app = world.register(code_app());
        world.block_on(world.server.admin("tester").disable(&app.id)).unwrap();
        let (other, session) = (console(&world), self.cookie.splitn(3, '.').last().unwrap());
        let session = session.split("; ").next().unwrap();
        let other = Desk { console: &other, cookie: format!("staff=bob.security.{session}") };
        value_of(&other.page(&format!("/apps/{}", app.id)), "token")
    }

    /// Sends a form of the console's own page.
    pub(crate) fn post(&self, below: &str, fields: &[(&str, &str)]) -> Answered {
        self.post_with(below, &self.token(), fields)
    }

    pub(crate) fn post_with(&self, below: &str, token: &str, fields: &[(&str, &str)]) -> Answered {
        let fields = [&[("token", token)], fields].concat();
        let request = self
            .request("POST", &format!("{MOUNT}{below}"))
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(encode(&fields).into_bytes()).unwrap())
    }
}

/// Returns the link to which an answer leads after a change, without the proof that it was made in the session.
#[track_caller]
pub(crate) fn reported(answer: &Answered) -> String {
    assert_eq!(answer.status, 303, "{}", answer.body);
    let (link, proof) = answer.header("location").unwrap().rsplit_once('.').unwrap();
    assert_eq!(proof.len(), 43, "{proof}");
    link.to_owned()
}

/// Registers an app and returns it with the path of its page.
pub(crate) fn registered(world: &World, draft: AppDraft) -> (App, String) {
    let app = world.register(draft);
    let path = format!("/apps/{}", app.id);
    (app, path)
}
