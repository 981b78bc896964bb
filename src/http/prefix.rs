//! Endpoints behind a proxy that strips a prefix of the path.

use super::{HttpEndpoints, Interaction};
use crate::hooks::Hooks;
use crate::protocol::paths::is_plain_path;
use crate::store::Store;
use crate::users::UserDirectory;

/// The prefix is no path, or no path of the server begins with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error(
    "the prefix must be a path without a slash at its end, and the path of the issuer must begin with it"
)]
pub struct InvalidPrefix;

impl<S: Store, U: UserDirectory, H: Hooks, I: Interaction> HttpEndpoints<S, U, H, I> {
    /// Answers at paths without `prefix`, for a proxy that strips it: the issuer is
    /// `https://example.com/auth`, and a request for `/auth/oauth/token` arrives here as `/oauth/token`.
    ///
    /// Metadata, redirects and forms keep the public URLs. A path that does not begin with the prefix stays as
    /// it is: let the proxy pass on `/.well-known/oauth-authorization-server/auth` unchanged.
    ///
    /// # Errors
    ///
    /// [`InvalidPrefix`].
    pub fn behind_prefix(mut self, prefix: &str) -> Result<Self, InvalidPrefix> {
        if !is_plain_path(prefix) || prefix.ends_with('/') {
            return Err(InvalidPrefix);
        }
        let mut is_found = false;
        let routes = self.routes.iter_mut().map(|(path, _)| path);
        for path in routes.chain(self.resources.iter_mut().map(|(path, _)| path)) {
            if let Some(rest) = path.strip_prefix(prefix)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                *path = if rest.is_empty() { "/".to_owned() } else { rest.to_owned() };
                is_found = true;
            }
        }
        if is_found { Ok(self) } else { Err(InvalidPrefix) }
    }
}
