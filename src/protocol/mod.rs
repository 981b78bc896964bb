//! The wire formats of the RFCs: forms, grant types, PKCE, paths, redirect URIs, origins, resources and scopes.

pub(crate) mod authorization_details;
pub(crate) mod base64url;
pub(crate) mod basic_header;
pub(crate) mod confirmation;
pub(crate) mod form;
pub(crate) mod grant_type;
pub(crate) mod paths;
pub(crate) mod pkce;
pub(crate) mod redirect_uri;
pub(crate) mod resources;
pub(crate) mod scope;
pub(crate) mod uri;

pub use authorization_details::{AuthorizationDetails, InvalidAuthorizationDetails};
pub use confirmation::Confirmation;
pub use grant_type::GrantType;
pub use paths::{InvalidPath, Paths, ServerEndpoint};
pub use pkce::{CodeChallenge, CodeChallengeError, CodeVerifier, CodeVerifierError};
pub use redirect_uri::{
    InstanceHosts, InvalidRedirectUri, RedirectUri, RedirectUriError, ResolvedRedirectUri,
    resolve as resolve_redirect_uri,
};
pub use resources::Resources;
pub use scope::{InvalidScope, NarrowError, Scope, ScopeToken};
pub use uri::{InvalidOrigin, WebOrigin};
