//! Clients of a Keycloak realm.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::members::Members;
use super::report::{Notes, quoted};
use super::settings::{
    self, BOOKKEEPING, Basics, Flows, IMPLICIT, NO_LOGOUT, NO_OPENID, NO_REQUEST_OBJECT, PASSWORD,
    Ports, SHOWN_NOWHERE,
};
use super::{Export, InvalidExport, Top, placed, top};
use crate::admin::ImportedApp;
use crate::app::{AppSettings, ClientAuthentication, Flow};
use crate::jwt::VerifyingKeys;

/// Client scopes of every realm that are no scope of a token.
const NO_SCOPES: &[&str] = &[
    "acr",
    "basic",
    "microprofile-jwt",
    "role_list",
    "roles",
    "saml_organization",
    "service_account",
    "web-origins",
];

/// Clients of every realm that belong to Keycloak itself.
const OWN_CLIENTS: &[&str] = &[
    "account",
    "account-console",
    "admin-cli",
    "broker",
    "realm-management",
    "security-admin-console",
];

const DROPPED: &[(&str, &str)] = &[
    ("id", BOOKKEEPING),
    ("rootUrl", SHOWN_NOWHERE),
    ("adminUrl", NO_LOGOUT),
    ("baseUrl", SHOWN_NOWHERE),
    ("surrogateAuthRequired", "the host authenticates users"),
    ("alwaysDisplayInConsole", SHOWN_NOWHERE),
    ("registrationAccessToken", "apps do not manage themselves"),
    ("notBefore", "revoke what is older by Admin::revoke"),
    ("authorizationServicesEnabled", "this server has no permissions of resources"),
    ("authorizationSettings", "this server has no permissions of resources"),
    ("frontchannelLogout", NO_LOGOUT),
    ("authenticationFlowBindingOverrides", "the host authenticates users"),
    ("nodeReRegistrationTimeout", NO_LOGOUT),
    ("registeredNodes", NO_LOGOUT),
    ("protocolMappers", "Hooks::before_issue of the host adds claims"),
    ("access", BOOKKEEPING),
    ("clientTemplate", "it was replaced by client scopes"),
    ("useTemplateConfig", "it was replaced by client scopes"),
    ("useTemplateScope", "it was replaced by client scopes"),
    ("useTemplateMappers", "it was replaced by client scopes"),
    ("type", BOOKKEEPING),
];

const DROPPED_ATTRIBUTES: &[(&str, &str)] = &[
    ("acr.loa.map", NO_OPENID),
    ("backchannel.logout.revoke.offline.tokens", NO_LOGOUT),
    ("backchannel.logout.session.required", NO_LOGOUT),
    ("backchannel.logout.url", NO_LOGOUT),
    ("client.offline.session.idle.timeout", "refresh tokens have one idle lifetime"),
    ("client.offline.session.max.lifespan", "refresh tokens have one lifetime"),
    ("client.secret.creation.time", BOOKKEEPING),
    ("client_credentials.use_refresh_token", "client credentials return no refresh token"),
    ("consent.screen.text", SHOWN_NOWHERE),
    ("display.on.consent.screen", "every app has its own consent"),
    ("exclude.session.state.from.auth.response", "there is no session_state"),
    ("frontchannel.logout.session.required", NO_LOGOUT),
    ("frontchannel.logout.url", NO_LOGOUT),
    ("id.token.as.detached.signature", NO_OPENID),
    ("logoUri", SHOWN_NOWHERE),
    ("login_theme", "the host has the pages"),
    ("oidc.ciba.grant.enabled", "this server has no backchannel authentication"),
    ("policyUri", SHOWN_NOWHERE),
    ("post.logout.redirect.uris", NO_LOGOUT),
    ("realm_client", BOOKKEEPING),
    ("request.object.required", NO_REQUEST_OBJECT),
    ("require.pushed.authorization.requests", NO_REQUEST_OBJECT),
    ("standard.token.exchange.enabled", "token exchange is not offered"),
    ("tls.client.certificate.bound.access.tokens", "tokens are not bound to certificates"),
    ("tls-client-certificate-bound-access-tokens", "tokens are not bound to certificates"),
    ("token.endpoint.auth.signing.alg", "the key fixes the algorithm"),
    ("tosUri", SHOWN_NOWHERE),
    ("use.jwks.string", "the keys tell it"),
    ("use.jwks.url", "the keys tell it"),
];

/// The parts of a realm that its clients share.
#[derive(Default)]
pub(super) struct Realm {
    /// Client scopes that are no scope of a token.
    hidden: BTreeSet<String>,
    access_token: Option<i64>,
    code: Option<i64>,
    session: Option<i64>,
    idle: Option<i64>,
}

/// Lists the clients of a realm, of a list, or the one client.
pub(super) fn split(json: Value, realm: &mut Realm) -> Result<Export, InvalidExport> {
    let mut notes = Notes::default();
    realm.hidden.extend(NO_SCOPES.iter().map(|&name| name.to_owned()));
    if json.as_array().is_some_and(|list| list.iter().any(|it| it.get("clients").is_some())) {
        return Err(InvalidExport::new("the export has several realms: pass one of them"));
    }
    let object = match top(json, &["clientId"])? {
        Top::Clients(clients) => return Ok(Export { clients, notes }),
        Top::Object(object) => object,
    };
    let mut members = Members::new(object, false);
    let Some(Value::Array(list)) = members.take("clients") else {
        return Err(InvalidExport::new("the realm has no list `clients`"));
    };
    realm.access_token = members.number("accessTokenLifespan", &mut notes);
    realm.code = members.number("accessCodeLifespan", &mut notes);
    realm.session = members.number("ssoSessionMaxLifespan", &mut notes);
    realm.idle = members.number("ssoSessionIdleTimeout", &mut notes);
    for scope in members.list("clientScopes", &mut notes) {
        if let Some(name) = scope.get("name").and_then(Value::as_str)
            && is_hidden(&scope)
        {
            realm.hidden.insert(name.to_owned());
        }
    }
    for name in members.names() {
        let reason = match name.as_str() {
            "users" | "federatedUsers" => "users stay in the host's directory",
            "roles" | "groups" | "scopeMappings" | "clientScopeMappings" => {
                "the host's directory and hooks decide who may do what"
            }
            _ => "a setting of the realm, no part of a client",
        };
        notes.dropped(&name, reason);
    }
    Ok(Export { clients: placed("clients", list), notes })
}

/// Checks whether a client scope adds no name to the scope of a token.
fn is_hidden(scope: &Value) -> bool {
    let attribute = scope.pointer("/attributes/include.in.token.scope").and_then(Value::as_str);
    attribute == Some("false") || scope.get("protocol").and_then(Value::as_str) == Some("saml")
}

pub(super) fn client(
    members: &mut Members,
    realm: &Realm,
    notes: &mut Notes,
) -> Option<ImportedApp> {
    let id = members.text("clientId", notes);
    if id.as_deref().is_some_and(|id| OWN_CLIENTS.contains(&id)) {
        notes.refused("", "a client of Keycloak itself");
    }
    if members.text("protocol", notes).is_some_and(|it| it != "openid-connect") {
        notes.refused("protocol", "this server speaks OAuth 2.0 alone");
    }
    if members.flag("bearerOnly", notes) == Some(true) {
        notes.refused("bearerOnly", "an API and no client: make it a ResourceServer of the host");
    }
    let mut attributes = members.object("attributes", notes);
    let flows = flows(members, &mut attributes, notes);
    let uris = redirect_uris(members, notes);
    let origins = settings::origins(members.texts("webOrigins", notes), notes);
    let authentication = authentication(members, &mut attributes, notes);
    let secret = members.text("secret", notes);
    let secret = secret.and_then(|text| settings::plain_secret("secret", &text, notes));
    let (scope, offline) = scope(members, realm, notes);
    let scope = settings::scope(scope, notes);
    if members.flag("fullScopeAllowed", notes) == Some(true) {
        notes.dropped(
            "fullScopeAllowed",
            "a token has no roles of its user: the app gets its scope, and the API or a hook decides the rest",
        );
    }
    pkce(&mut attributes, &flows, authentication.as_ref(), notes);
    let of_client = attributes.number("access.token.lifespan", notes).filter(|it| *it > 0);
    let access = of_client.or(realm.access_token);
    let access = access.and_then(|seconds| {
        settings::lifetime(
            "access.token.lifespan",
            seconds,
            AppSettings::MAX_ACCESS_TOKEN_LIFETIME,
            notes,
        )
    });
    if access.is_none() {
        notes.undecided("", "the lifetime of access tokens was the realm's: 3600 s apply");
    }
    if offline && flows.refresh {
        notes.narrowed(
            "optionalClientScopes",
            "offline_access: refresh tokens have one lifetime, the session's",
        );
    }
    let max = AppSettings::MAX_REFRESH_TOKEN_LIFETIME;
    let session = attributes.number("client.session.max.lifespan", notes).filter(|it| *it > 0);
    let session = session.or(realm.session);
    let refresh = session
        .and_then(|seconds| settings::lifetime("client.session.max.lifespan", seconds, max, notes));
    if flows.refresh && refresh.is_none() {
        notes.undecided("", "the lifetime of refresh tokens was the realm's: 60 days apply");
    }
    let idle = attributes.number("client.session.idle.timeout", notes).filter(|it| *it > 0);
    let idle = idle
        .or(realm.idle)
        .and_then(|seconds| settings::lifetime("client.session.idle.timeout", seconds, max, notes));
    let code = realm
        .code
        .and_then(|seconds| settings::lifetime("accessCodeLifespan", seconds, 600, notes));
    attributes.drop_known("attributes.", DROPPED_ATTRIBUTES, notes);
    attributes.report_rest_of("attributes.", notes);
    let consents = members.flag("consentRequired", notes).unwrap_or(false);
    members.drop_known("", DROPPED, notes);
    let refreshes = flows.refresh && flows.uses_code();
    let basics = Basics {
        client_id: id,
        // A text such as `${client_account}` is a name of a translation.
        name: members.text("name", notes).filter(|name| !name.starts_with("${")),
        description: members.text("description", notes),
        enabled: members.flag("enabled", notes).unwrap_or(true),
        authentication,
        secret: secret.map(|secret| (secret, None)),
        secret_field: "secret",
    };
    basics.finish(&flows, uris, notes, |draft| {
        let mut draft =
            draft.scope(scope).origins(origins).refresh_token(refreshes).require_consent(consents);
        if let Some(seconds) = access {
            draft = draft.access_token_lifetime(seconds);
        }
        if let (Some(seconds), true) = (refresh, refreshes) {
            draft = draft.refresh_token_lifetime(seconds).refresh_token_idle_lifetime(idle);
        }
        if let Some(seconds) = code {
            draft = draft.code_lifetime(seconds);
        }
        draft
    })
}

fn flows(members: &mut Members, attributes: &mut Members, notes: &mut Notes) -> Flows {
    let mut flows = Flows::default();
    // The defaults of an export that omits them.
    if members.flag("standardFlowEnabled", notes).unwrap_or(true) {
        flows.add(Flow::AuthorizationCode);
    }
    if members.flag("serviceAccountsEnabled", notes).unwrap_or(false) {
        flows.add(Flow::ClientCredentials);
    }
    if attributes.flag("oauth2.device.authorization.grant.enabled", notes).unwrap_or(false) {
        flows.add(Flow::DeviceCode);
    }
    if members.flag("implicitFlowEnabled", notes).unwrap_or(false) {
        notes.dropped("implicitFlowEnabled", IMPLICIT);
    }
    if members.flag("directAccessGrantsEnabled", notes).unwrap_or(false) {
        notes.dropped("directAccessGrantsEnabled", PASSWORD);
    }
    flows.refresh = attributes.flag("use.refresh.tokens", notes).unwrap_or(true);
    flows
}

/// Reads the redirect URIs. A relative one is below the root URL.
fn redirect_uris(
    members: &mut Members,
    notes: &mut Notes,
) -> Vec<crate::protocol::redirect_uri::RedirectUri> {
    let root = members.text("rootUrl", notes).filter(|root| !root.is_empty());
    let listed =
        members.texts("redirectUris", notes).into_iter().map(|(field, text)| match &root {
            Some(root) if text.starts_with('/') => {
                (field, format!("{}{text}", root.trim_end_matches('/')))
            }
            _ => (field, text),
        });
    let listed: Vec<_> = listed.collect();
    settings::redirect_uris(listed, Ports::Exact, notes)
}

fn authentication(
    members: &mut Members,
    attributes: &mut Members,
    notes: &mut Notes,
) -> Option<ClientAuthentication> {
    let kind = members.text("clientAuthenticatorType", notes);
    let certificate = attributes.text("jwt.credential.certificate", notes);
    let public_key = attributes.text("jwt.credential.public.key", notes);
    let set = attributes.text("jwks.string", notes).filter(|set| !set.is_empty());
    let url = attributes.text("jwks.url", notes).filter(|url| !url.is_empty());
    if members.flag("publicClient", notes) == Some(true) {
        return Some(ClientAuthentication::None);
    }
    match kind.as_deref() {
        None | Some("client-secret") => Some(ClientAuthentication::ClientSecret),
        Some("client-jwt") => {
            let keys = if let Some(certificate) = certificate {
                pem("attributes.jwt.credential.certificate", "CERTIFICATE", &certificate, notes)
            } else if let Some(key) = public_key {
                pem("attributes.jwt.credential.public.key", "PUBLIC KEY", &key, notes)
            } else if let Some(set) = set {
                if let Ok(set) = serde_json::from_str::<Map<String, Value>>(&set) {
                    settings::keys("attributes.jwks.string", &Value::Object(set), notes)
                } else {
                    notes.refused("attributes.jwks.string", "it is no JWK Set");
                    None
                }
            } else {
                let field =
                    if url.is_some() { "attributes.jwks.url" } else { "clientAuthenticatorType" };
                notes.refused(field, "keys are not fetched: add them as `jwks.string`");
                None
            };
            keys.map(ClientAuthentication::PrivateKeyJwt)
        }
        Some(other) => {
            notes.refused(
                "clientAuthenticatorType",
                format!("{}: this server has no such method of authentication", quoted(other)),
            );
            None
        }
    }
}

/// Reads a key that the export has as base64 alone.
fn pem(field: &str, label: &str, base64: &str, notes: &mut Notes) -> Option<VerifyingKeys> {
    let text = if base64.contains("-----BEGIN") {
        base64.to_owned()
    } else {
        let lines = base64.split_whitespace().collect::<String>();
        format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
    };
    match VerifyingKeys::from_pem(&text) {
        Ok(keys) => Some(keys),
        Err(error) => {
            notes.refused(field, format!("the key cannot be read: {error}"));
            None
        }
    }
}

/// Returns the scope tokens, and whether `offline_access` is among them.
fn scope(members: &mut Members, realm: &Realm, notes: &mut Notes) -> (Vec<(String, String)>, bool) {
    let default = members.texts("defaultClientScopes", notes);
    let optional = members.texts("optionalClientScopes", notes);
    let mut offline = false;
    let mut tokens = Vec::new();
    let mut on_request = Vec::new();
    for (is_optional, (field, name)) in
        default.into_iter().map(|it| (false, it)).chain(optional.into_iter().map(|it| (true, it)))
    {
        if name == "offline_access" {
            offline = true;
        } else if realm.hidden.contains(&name) {
            notes.dropped(&field, format!("{}: it is no scope of a token", quoted(&name)));
        } else {
            if is_optional {
                on_request.push(quoted(&name));
            }
            tokens.push((field, name));
        }
    }
    if !on_request.is_empty() {
        notes.widened(
            "optionalClientScopes",
            format!(
                "a request without `scope` gets all of it, and got none of {} before",
                quoted(&on_request.join(" "))
            ),
        );
    }
    (tokens, offline)
}

fn pkce(
    attributes: &mut Members,
    flows: &Flows,
    authentication: Option<&ClientAuthentication>,
    notes: &mut Notes,
) {
    let method = attributes.text("pkce.code.challenge.method", notes);
    match method.as_deref() {
        Some("S256") => {}
        Some("plain") => {
            notes.narrowed("attributes.pkce.code.challenge.method", "S256 is required");
        }
        _ => settings::note_pkce(flows, authentication, notes),
    }
}
