//! The user's own page: the apps that may act as the user, and their end.
//!
//! It shares assets, policy, forms and texts with the console, and none of its frame: a user is no administrator.

mod access;
mod apps;
mod devices;
mod remove;
mod sign_out;
mod visit;

use std::fmt;
use std::sync::Arc;

use http::{Request, Response};

pub use access::AccountAccess;

use super::assets::Assets;
use super::brand::ConsoleBrand;
use super::path::Mount;
use super::visit::finish;
use crate::hooks::Hooks;
use crate::protocol::paths::InvalidPath;
use crate::server::AuthorizationServer;
use crate::store::Store;
use crate::users::UserDirectory;
use visit::AccountVisit;

/// The page of a user: the apps with access to the account, what each may do, and its removal; the user's devices
/// and their wipe, if the server has [devices](crate::ServerBuilder::devices); *Sign out everywhere*.
///
/// ```
/// use std::sync::Arc;
///
/// use grantor::AuthorizationServer;
/// use grantor::http::console::{AccountAccess, AccountPages};
/// use grantor::store::MemoryStore;
/// use grantor::users::MemoryUsers;
///
/// fn page(
///     server: Arc<AuthorizationServer<MemoryStore, MemoryUsers>>,
///     site: impl AccountAccess,
/// ) -> Result<(), Box<dyn std::error::Error>> {
///     let pages = AccountPages::new(server, site, "/account")?;
///     assert_eq!(pages.path(), "/account");
///     Ok(())
/// }
/// ```
pub struct AccountPages<S, U, H, A> {
    server: Arc<AuthorizationServer<S, U, H>>,
    access: A,
    look: Look,
}

/// The parts that are the same for each request.
struct Look {
    mount: Mount,
    brand: ConsoleBrand,
    assets: Assets,
}

impl<S: Store, U: UserDirectory, H: Hooks, A: AccountAccess> AccountPages<S, U, H, A> {
    /// Returns the user's page at `path` as the browser sees it, such as `/account`.
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
        let look = Look { mount: Mount::new(path)?, assets: Assets::new(&brand, false), brand };
        Ok(Self { server, access, look })
    }

    /// States that a proxy, or the host's router, removes `prefix` from the path, as
    /// [`Console::behind_prefix`](super::Console::behind_prefix) does.
    ///
    /// # Errors
    ///
    /// [`InvalidPath`] if the path does not begin with `prefix`.
    pub fn behind_prefix(mut self, prefix: &str) -> Result<Self, InvalidPath> {
        self.look.mount = self.look.mount.stripped(prefix)?;
        Ok(self)
    }

    /// Shows the host's name, logo and colour.
    #[must_use]
    pub fn with_brand(mut self, brand: ConsoleBrand) -> Self {
        self.look.assets = Assets::new(&brand, false);
        self.look.brand = brand;
        self
    }

    /// Returns the path at which requests arrive, without a prefix that is stripped before.
    pub fn path(&self) -> &str {
        self.look.mount.inner()
    }

    /// Answers `request`, or returns `None` if its path is not below the page's.
    ///
    /// `request` has its whole body, or the first [`MAX_CONSOLE_BODY_BYTES`](super::MAX_CONSOLE_BODY_BYTES) and one
    /// more byte. For the audit log, its extensions may have a [`Source`](crate::ids::Source) and a
    /// [`RequestId`](crate::ids::RequestId).
    pub async fn handle<B>(&self, request: Request<B>) -> Option<Response<Vec<u8>>>
    where
        B: AsRef<[u8]> + Send,
    {
        let (parts, body) = request.into_parts();
        let below = self.look.mount.below(parts.uri.path())?;
        // The page after a sign-out needs its style, too. It tells nothing but the brand.
        let asset = below.strip_prefix("/assets/").and_then(|name| self.look.assets.find(name));
        let mut page = match asset {
            Some(asset) => asset,
            None => match self.access.login(&parts).await {
                Ok(Some(login)) => {
                    let visit = AccountVisit::new(&self.server, &self.look, &login, &parts);
                    match visit.answer(&self.access, below, body.as_ref()).await {
                        Ok(page) => page,
                        Err(problem) => visit.problem(problem),
                    }
                }
                Ok(None) => self.access.no_login(&parts).await,
                Err(_) => super::problem::without_administrator(),
            },
        };
        finish(&mut page, &parts.method);
        Some(page)
    }
}

impl<S, U, H, A> fmt::Debug for AccountPages<S, U, H, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountPages")
            .field("path", &self.look.mount.outer())
            .finish_non_exhaustive()
    }
}
