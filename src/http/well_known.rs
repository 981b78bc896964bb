//! The places of metadata beside that of RFC 8414: those of OpenID Connect Discovery, and those of APIs (RFC 9728).

use super::{HttpEndpoints, Interaction};
use crate::hooks::Hooks;
use crate::ids::Issuer;
use crate::protocol::paths::{Paths, ServerEndpoint, path};
use crate::protocol::uri::is_same_origin;
use crate::resource_server::{ProtectedResource, ResourceServer};
use crate::store::Store;
use crate::users::UserDirectory;

/// The well-known path of OpenID Connect Discovery 1.0 section 4.
const OPENID: &str = "/.well-known/openid-configuration";

/// Returns the places at which clients look for metadata that are not at that of RFC 8414 (section 5 there): the path
/// of OpenID Connect, before and after the path of the issuer.
pub(super) fn of_openid(
    paths: &Paths,
    issuer: &Issuer,
) -> impl Iterator<Item = (String, ServerEndpoint)> + use<> {
    let of_issuer = path(issuer.as_str());
    let inserted = format!("{OPENID}{of_issuer}");
    let appended = Some(format!("{of_issuer}{OPENID}")).filter(|_| !of_issuer.is_empty());
    let offered = paths.get(ServerEndpoint::Metadata).is_some();
    let places = [Some(inserted), appended].into_iter().flatten().filter(move |_| offered);
    places.map(|path| (path, ServerEndpoint::Metadata))
}

/// Returns the metadata of each API at the issuer's own origin, with its path. If an API has two entries,
/// for example one of a gateway, the first counts.
pub(super) fn of_apis(
    well_known: &str,
    issuer: &Issuer,
    resources: &[ResourceServer],
) -> Vec<(String, String)> {
    let mut documents: Vec<(String, String)> = Vec::new();
    for resource in resources {
        let described = ProtectedResource::registered(resource, issuer);
        if is_same_origin(resource.identifier.as_str(), issuer.as_str())
            && let Some(path) = described.metadata_path_below(well_known)
            && !documents.iter().any(|(known, _)| *known == path)
        {
            documents.push((path, described.metadata_json()));
        }
    }
    documents
}

impl<S: Store, U: UserDirectory, H: Hooks, I: Interaction> HttpEndpoints<S, U, H, I> {
    /// Leaves out the metadata at `/.well-known/openid-configuration`, for example because the host has a document of
    /// its own there. The metadata stay at the path of RFC 8414.
    ///
    /// By default the same document is at three places, because MCP clients look at each: for the issuer
    /// `https://example.com/a` at `/.well-known/oauth-authorization-server/a`,
    /// `/.well-known/openid-configuration/a` and `/a/.well-known/openid-configuration`.
    #[must_use]
    pub fn without_openid_locations(mut self) -> Self {
        let mut seen = false;
        self.routes.retain(|(_, endpoint)| {
            *endpoint != ServerEndpoint::Metadata || !std::mem::replace(&mut seen, true)
        });
        self
    }
}
