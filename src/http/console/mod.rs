//! Pages for administrators, mounted under a path of the host: the *console*.
//!
//! The console is built on [`Admin`](crate::admin::Admin), as any host's own console would be, and every change is
//! audited under the administrator's name. It brings no login: the host tells by [`ConsoleAccess`] who the
//! administrator is, and which [`ConsoleRole`] the administrator has. [`AccountPages`] is the page of a user.
//! `docs/console.md` explains the rest.
//!
//! ```
//! use std::sync::Arc;
//!
//! use grantor::AuthorizationServer;
//! use grantor::http::console::{Administrator, Console, ConsoleAccess, ConsoleRole};
//! use grantor::users::DirectoryError;
//! use http::request::Parts;
//! # use grantor::ids::Issuer;
//! # use grantor::jwt::{Algorithm, SigningKey};
//! # use grantor::random::OsRandom;
//! # use grantor::server_secret::ServerSecret;
//! # use grantor::store::MemoryStore;
//! # use grantor::users::MemoryUsers;
//!
//! /// The host's login. Here a proxy has checked it.
//! struct Staff;
//!
//! impl ConsoleAccess for Staff {
//!     async fn administrator(
//!         &self,
//!         request: &Parts,
//!     ) -> Result<Option<Administrator>, DirectoryError> {
//!         let header = |name: &str| request.headers.get(name)?.to_str().ok();
//!         let (Some(name), Some(session)) = (header("x-user"), header("x-session")) else {
//!             return Ok(None);
//!         };
//!         Ok(Some(Administrator::new(name, ConsoleRole::Edit, session)))
//!     }
//! }
//!
//! # pollster::block_on(async {
//! # let issuer = Issuer::new("https://as.example.com")?;
//! # let secret = ServerSecret::generate(&OsRandom::new())?;
//! # let key = SigningKey::generate(Algorithm::ES256)?;
//! # let (store, users) = (MemoryStore::new(), MemoryUsers::default());
//! let server = AuthorizationServer::builder(issuer, secret, key, store, users).build();
//! let console = Console::new(Arc::new(server), Staff, "/admin/oauth")?;
//! let request = http::Request::get("/admin/oauth/apps")
//!     .header("x-user", "ann")
//!     .header("x-session", "a text that no other session has")
//!     .body("")?;
//! let page = console.handle(request).await.ok_or("not a path of the console")?;
//! assert_eq!(page.status(), 200);
//! // Without an administrator there is nothing.
//! let request = http::Request::get("/admin/oauth/apps").body("")?;
//! assert_eq!(console.handle(request).await.ok_or("not a path")?.status(), 404);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

// To add a page, for example *Sessions*:
//
// 1. Write `pages/sessions.rs`: a struct with `#[derive(Template)]`, whose field `frame` is a `Frame`, and an
//    `impl Visit` with one method for each form or link. A method begins with `self.require(role)?`, calls
//    `self.admin()`, and ends with `self.page(&Sessions { .. })`, or after a change with
//    `self.see(path, Done::Saved)`. It returns a `Problem` for everything that has a page of its own.
// 2. Write `templates/console/sessions.html`, which extends `console/layout.html`. Texts that users of the host or
//    apps chose stand in `<bdi>`. No inline style, script or handler: the tests refuse it.
// 3. Put its words into `texts/sessions.rs`. A template has no words of its own.
// 4. Add the paths to `routes.rs`. A page beside *Apps* is a `Place`, and a page of one app is a `Tab`: see
//    `frame.rs`. Posts are checked for origin and token before they reach a route.
// 5. Add the page to the lists in `tests/it/console/hostile_texts.rs` and in
//    `tests/real_clients/console_in_chromium/pages.rs`. A test beside the latter presses each of its buttons.

mod access;
mod account;
mod app_form;
mod assets;
#[cfg(feature = "axum")]
mod axum;
mod brand;
mod chart;
mod conflict;
mod fields;
mod frame;
mod import_differences;
mod import_file;
mod issuer_form;
mod lines;
mod log;
mod mistakes;
mod multipart;
mod once;
mod own_form;
mod pages;
mod path;
mod playground;
mod policy;
mod policy_form;
mod problem;
mod routes;
mod scope_grid;
mod sentence;
mod snippets;
mod texts;
mod times;
mod visit;
mod wipe_state;

use std::fmt;
use std::sync::Arc;

use http::{Request, Response};

pub use access::{Administrator, ConsoleAccess, ConsoleRole};
pub use account::{AccountAccess, AccountPages};
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use axum::{account_router, console_router};
pub use brand::{ConsoleBrand, InvalidBrand};
pub use playground::Playground;

use crate::audit::AuditStore;
use crate::hooks::Hooks;
use crate::protocol::paths::InvalidPath;
use crate::server::{AuthorizationServer, UpkeepHandle};
use crate::store::Store;
use crate::users::UserDirectory;
use assets::Assets;
use log::Log;
use once::Shown;
use path::Mount;
use visit::Visit;

/// The longest body of a form, in bytes. A longer one is answered with a page of status 413, and need not be read
/// completely.
pub const MAX_CONSOLE_BODY_BYTES: usize = 1024 * 1024;

/// The pages for administrators of an [`AuthorizationServer`].
pub struct Console<S, U, H, A> {
    server: Arc<AuthorizationServer<S, U, H>>,
    access: A,
    site: Site,
}

/// The parts of a console that are the same for each request.
pub(crate) struct Site {
    mount: Mount,
    brand: ConsoleBrand,
    assets: Assets,
    log: Option<Arc<dyn Log>>,
    shown: Shown,
    playground: Option<Playground>,
    upkeep: Option<UpkeepHandle>,
}

impl<S: Store, U: UserDirectory, H: Hooks, A: ConsoleAccess> Console<S, U, H, A> {
    /// Returns the console of `server`, at `path` as the browser sees it, such as `/admin/oauth`. All links begin
    /// with it.
    ///
    /// # Errors
    ///
    /// [`InvalidPath`].
    pub fn new(
        server: Arc<AuthorizationServer<S, U, H>>,
        access: A,
        path: &str,
    ) -> Result<Self, InvalidPath> {
        let brand = ConsoleBrand::default();
        let site = Site {
            mount: Mount::new(path)?,
            assets: Assets::new(&brand, false),
            brand,
            log: None,
            shown: Shown::default(),
            playground: None,
            upkeep: None,
        };
        Ok(Self { server, access, site })
    }

    /// States that a proxy, or the host's router, removes `prefix` from the path before the console sees it. With
    /// the path `/admin/oauth` and the prefix `/admin`, the console answers at `/oauth`, and its links begin with
    /// `/admin/oauth`.
    ///
    /// # Errors
    ///
    /// [`InvalidPath`] if the console's path does not begin with `prefix`.
    pub fn behind_prefix(mut self, prefix: &str) -> Result<Self, InvalidPath> {
        self.site.mount = self.site.mount.stripped(prefix)?;
        Ok(self)
    }

    /// Shows the host's name, logo and colour.
    #[must_use]
    pub fn with_brand(mut self, brand: ConsoleBrand) -> Self {
        self.site.assets = Assets::new(&brand, self.site.playground.is_some());
        self.site.brand = brand;
        self
    }

    /// Shows usage and events from `log`, over all processes and since the first event. Without it, pages show
    /// the usage since the start of this process, and no events.
    #[must_use]
    pub fn with_audit_log(mut self, log: impl AuditStore + 'static) -> Self {
        self.site.log = Some(Arc::new(log));
        self
    }

    /// Adds a page that runs the code flow in the browser and calls the host's API with the token. Without it, the
    /// console has no path, no link and no script of the playground.
    #[must_use]
    pub fn with_playground(mut self, playground: Playground) -> Self {
        self.site.assets = Assets::new(&self.site.brand, true);
        self.site.playground = Some(playground);
        self
    }

    /// Shows how the jobs of an [`Upkeep`](crate::Upkeep) go, on the page *Server*.
    #[must_use]
    pub fn with_upkeep(mut self, upkeep: UpkeepHandle) -> Self {
        self.site.upkeep = Some(upkeep);
        self
    }

    /// Returns the path at which requests arrive, without a prefix that is stripped before.
    pub fn path(&self) -> &str {
        self.site.mount.inner()
    }

    /// Answers `request`, or returns `None` if its path is not below the console's.
    ///
    /// `request` has its whole body, or the first [`MAX_CONSOLE_BODY_BYTES`] and one more byte.
    pub async fn handle<B>(&self, request: Request<B>) -> Option<Response<Vec<u8>>>
    where
        B: AsRef<[u8]> + Send,
    {
        let (parts, body) = request.into_parts();
        let below = self.site.mount.below(parts.uri.path())?;
        let mut page = match self.access.administrator(&parts).await {
            Ok(Some(administrator)) => {
                let visit = Visit::new(&self.server, &self.site, &administrator, &parts);
                match visit.answer(below, body.as_ref()).await {
                    Ok(page) => page,
                    Err(problem) => visit.problem(problem),
                }
            }
            Ok(None) => self.access.no_administrator(&parts).await,
            Err(_) => problem::without_administrator(),
        };
        visit::finish(&mut page, &parts.method);
        Some(page)
    }
}

impl<S, U, H, A> fmt::Debug for Console<S, U, H, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("path", &self.site.mount.outer()).finish_non_exhaustive()
    }
}
