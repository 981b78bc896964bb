//! The metadata of the server (RFC 8414). They list only endpoints and features that are available.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::catalog::ApiCatalog;
use crate::ids::Issuer;
use crate::jwt::Algorithm;
use crate::jwt::evidence::{GRANT_PROFILE, REVOCATION_TYPE};
use crate::protocol::grant_type::GrantType;
use crate::protocol::paths::{Paths, ServerEndpoint};
use crate::protocol::scope::ScopeToken;
use crate::resource_server::resource::ResourceServer;

/// The methods of client authentication, as RFC 7591 section 2 names them.
const CONFIDENTIAL: [&str; 3] = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
const ANY: [&str; 4] = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];

#[derive(Serialize)]
struct ServerMetadata<'a> {
    issuer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    scopes_supported: BTreeSet<&'a str>,
    response_types_supported: &'static [&'static str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    response_modes_supported: &'static [&'static str],
    grant_types_supported: Vec<&'static str>,
    /// ID-JAG section 7.2.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    authorization_grant_profiles_supported: &'static [&'static str],
    #[serde(flatten)]
    token_endpoint_auth: Option<TokenEndpointAuth>,
    #[serde(flatten)]
    revocation: Option<Revocation>,
    #[serde(flatten)]
    introspection: Option<Introspection>,
    #[serde(flatten)]
    global_revocation: Option<GlobalRevocation>,
    /// RFC 8628 section 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_authorization_endpoint: Option<String>,
    /// This member and the next three are extensions: RFC 8414 section 2 allows more members.
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_feed_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_wipe_check_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_wipe_success_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_policy_endpoint: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    code_challenge_methods_supported: &'static [&'static str],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    authorization_response_iss_parameter_supported: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    client_id_metadata_document_supported: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    prompt_values_supported: &'static [&'static str],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    protected_resources: Vec<&'a str>,
}

#[derive(Serialize)]
struct TokenEndpointAuth {
    token_endpoint_auth_methods_supported: &'static [&'static str],
    token_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "as the RFC names them")]
struct Revocation {
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: &'static [&'static str],
    revocation_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "as the RFC names them")]
struct Introspection {
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: &'static [&'static str],
    introspection_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
}

/// draft-parecki-oauth-global-token-revocation-06 section 5.
#[derive(Serialize)]
struct GlobalRevocation {
    global_token_revocation_endpoint: String,
    global_token_revocation_endpoint_auth_methods_supported: [&'static str; 1],
}

/// The parts of a server that it may lack.
#[derive(Clone, Copy)]
pub(crate) struct Offers {
    /// It accepts documents that describe apps.
    pub(crate) documents: bool,
    pub(crate) exchanges_tokens: bool,
    /// An issuer is trusted for ID-JAG.
    pub(crate) id_jag: bool,
}

/// Returns the metadata of the server `issuer` with its endpoints at `paths`, as JSON.
pub(crate) fn server_metadata_json(
    issuer: &Issuer,
    paths: &Paths,
    publishes_keys: bool,
    catalog: Option<&ApiCatalog>,
    resources: &[ResourceServer],
    offers: Offers,
) -> String {
    let Offers { documents, exchanges_tokens, id_jag } = offers;
    let url = |endpoint| paths.url(issuer, endpoint);
    let browsers = paths.get(ServerEndpoint::Authorization).is_some();
    let devices = paths.get(ServerEndpoint::DeviceAuthorization).is_some();
    let only = |offered: bool, all: &'static [&'static str]| if offered { all } else { &[] };
    let grant_types = GrantType::ALL
        .into_iter()
        .filter(|it| match it {
            GrantType::AuthorizationCode => browsers,
            GrantType::DeviceCode => devices,
            GrantType::TokenExchange => exchanges_tokens,
            GrantType::RefreshToken | GrantType::JwtBearer | GrantType::ClientCredentials => true,
        })
        .map(GrantType::as_str);
    let of_catalog = catalog.into_iter().flat_map(ApiCatalog::scopes_supported);
    let of_resources = resources.iter().flat_map(|resource| resource.scopes.tokens());
    let metadata = ServerMetadata {
        issuer: issuer.as_str(),
        authorization_endpoint: url(ServerEndpoint::Authorization),
        token_endpoint: url(ServerEndpoint::Token),
        registration_endpoint: url(ServerEndpoint::Registration),
        jwks_uri: url(ServerEndpoint::JwkSet).filter(|_| publishes_keys),
        scopes_supported: of_catalog.map(ScopeToken::as_str).chain(of_resources).collect(),
        response_types_supported: only(browsers, &["code"]),
        response_modes_supported: only(browsers, &["query"]),
        grant_types_supported: match url(ServerEndpoint::Token) {
            Some(_) => grant_types.collect(),
            None => Vec::new(),
        },
        authorization_grant_profiles_supported: only(id_jag, &[GRANT_PROFILE]),
        token_endpoint_auth: url(ServerEndpoint::Token).map(|_| TokenEndpointAuth {
            token_endpoint_auth_methods_supported: &ANY,
            token_endpoint_auth_signing_alg_values_supported: assertion_algorithms(),
        }),
        revocation: url(ServerEndpoint::Revocation).map(|revocation_endpoint| Revocation {
            revocation_endpoint,
            revocation_endpoint_auth_methods_supported: &ANY,
            revocation_endpoint_auth_signing_alg_values_supported: assertion_algorithms(),
        }),
        introspection: url(ServerEndpoint::Introspection).map(|introspection_endpoint| {
            Introspection {
                introspection_endpoint,
                introspection_endpoint_auth_methods_supported: &CONFIDENTIAL,
                introspection_endpoint_auth_signing_alg_values_supported: assertion_algorithms(),
            }
        }),
        global_revocation: url(ServerEndpoint::GlobalRevocation).map(|url| GlobalRevocation {
            global_token_revocation_endpoint: url,
            global_token_revocation_endpoint_auth_methods_supported: [REVOCATION_TYPE],
        }),
        device_authorization_endpoint: url(ServerEndpoint::DeviceAuthorization),
        revocation_feed_endpoint: url(ServerEndpoint::Revocations),
        device_wipe_check_endpoint: url(ServerEndpoint::DeviceWipeCheck),
        device_wipe_success_endpoint: url(ServerEndpoint::DeviceWipeSuccess),
        device_policy_endpoint: url(ServerEndpoint::DevicePolicy),
        code_challenge_methods_supported: only(browsers, &["S256"]),
        authorization_response_iss_parameter_supported: browsers,
        client_id_metadata_document_supported: documents && browsers,
        prompt_values_supported: only(browsers, &["none", "login", "consent", "select_account"]),
        protected_resources: resources.iter().map(|it| it.identifier.as_str()).collect(),
    };
    // A record of strings and lists always has a JSON form.
    serde_json::to_string(&metadata).unwrap_or_default()
}

/// Returns the algorithms of `private_key_jwt`, which uses public keys only.
fn assertion_algorithms() -> Vec<&'static str> {
    Algorithm::ALL.iter().filter(|it| !it.is_symmetric()).map(|it| it.as_str()).collect()
}
