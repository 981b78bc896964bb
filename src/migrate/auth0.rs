//! Clients of Auth0.

use std::collections::BTreeMap;

use serde_json::Value;

use super::members::Members;
use super::report::{Notes, quoted};
use super::settings::{
    self, BOOKKEEPING, Basics, Flows, NO_LOGOUT, NO_OPENID, NO_REQUEST_OBJECT, Ports, SHOWN_NOWHERE,
};
use super::{Export, InvalidExport, Top, placed, top};
use crate::admin::ImportedApp;
use crate::app::{AppSettings, ClientAuthentication};

const HOST_LOGS_IN: &str = "the host authenticates users";

const DROPPED: &[(&str, &str)] = &[
    ("tenant", BOOKKEEPING),
    ("owners", BOOKKEEPING),
    ("global", BOOKKEEPING),
    ("is_first_party", "every app has its own consent: set require_consent"),
    ("is_token_endpoint_ip_header_trusted", "the host tells the source of a request"),
    ("oidc_conformant", NO_OPENID),
    ("allowed_clients", "token exchange is not offered"),
    ("client_aliases", "an app has one id"),
    ("allowed_logout_urls", NO_LOGOUT),
    ("oidc_logout", NO_LOGOUT),
    ("oidc_backchannel_logout", NO_LOGOUT),
    ("jwt_configuration", NO_OPENID),
    ("signing_keys", "the server signs with keys of its own"),
    ("encryption_key", "tokens are not encrypted"),
    ("sso", HOST_LOGS_IN),
    ("sso_disabled", HOST_LOGS_IN),
    ("cross_origin_auth", HOST_LOGS_IN),
    ("cross_origin_authentication", HOST_LOGS_IN),
    ("cross_origin_loc", HOST_LOGS_IN),
    ("custom_login_page", HOST_LOGS_IN),
    ("custom_login_page_on", HOST_LOGS_IN),
    ("custom_login_page_preview", HOST_LOGS_IN),
    ("form_template", HOST_LOGS_IN),
    ("addons", "the server speaks OAuth 2.0 alone"),
    ("mobile", HOST_LOGS_IN),
    ("native_social_login", HOST_LOGS_IN),
    ("client_metadata", "apps have no metadata of the host"),
    ("initiate_login_uri", NO_OPENID),
    ("logo_uri", SHOWN_NOWHERE),
    ("organization_usage", "this server has no organizations"),
    ("organization_require_behavior", "this server has no organizations"),
    ("organization_discovery_methods", "this server has no organizations"),
    ("default_organization", "this server has no organizations"),
    ("session_transfer", HOST_LOGS_IN),
    ("token_exchange", "token exchange is not offered"),
    ("token_quota", "set rate_quota"),
    ("par_request_expiry", NO_REQUEST_OBJECT),
    ("callback_url_template", BOOKKEEPING),
    (
        "skip_non_verifiable_callback_uri_confirmation_prompt",
        "the prompt is never skipped for such URIs",
    ),
    ("compliance_level", "there is no such profile"),
    ("resource_server_identifier", BOOKKEEPING),
    ("external_client_id", BOOKKEEPING),
    ("third_party_security_mode", BOOKKEEPING),
    ("async_approval_notification_channels", "this server has no backchannel authentication"),
    ("express_configuration", HOST_LOGS_IN),
];

/// The parts of a tenant that its clients share.
#[derive(Default)]
pub(super) struct Tenant {
    /// By client id: the APIs with their scope tokens.
    grants: BTreeMap<String, Vec<(String, Vec<String>)>>,
    /// By identifier: the lifetime of access tokens.
    lifetimes: BTreeMap<String, i64>,
}

/// Lists the clients of a list, of a page, of an exported tenant, or the one client.
pub(super) fn split(json: Value, tenant: &mut Tenant) -> Result<Export, InvalidExport> {
    let mut notes = Notes::default();
    let object = match top(json, &["client_id"])? {
        Top::Clients(clients) => return Ok(Export { clients, notes }),
        Top::Object(object) => object,
    };
    let mut members = Members::new(object, false);
    let Some(Value::Array(list)) = members.take("clients") else {
        return Err(InvalidExport::new("the export has no list `clients`"));
    };
    for name in ["clientGrants", "client_grants"] {
        for (field, grant) in placed(name, members.list(name, &mut notes)) {
            tenant.add_grant(&field, grant, &mut notes);
        }
    }
    for name in ["resourceServers", "resource_servers"] {
        for (field, api) in placed(name, members.list(name, &mut notes)) {
            tenant.add_api(&field, &api, &mut notes);
        }
    }
    let paging = "it is no part of a client";
    let known = ["start", "limit", "length", "total", "next"].map(|name| (name, paging));
    members.drop_known("", &known, &mut Notes::default());
    for name in members.names() {
        notes.dropped(&name, "a setting of the tenant, no part of a client");
    }
    Ok(Export { clients: placed("clients", list), notes })
}

impl Tenant {
    fn add_grant(&mut self, field: &str, grant: Value, notes: &mut Notes) {
        let Value::Object(grant) = grant else {
            notes.dropped(field, "it is no object");
            return;
        };
        let mut grant = Members::new(grant, false);
        let (id, api) = (grant.text("client_id", notes), grant.text("audience", notes));
        let scope = grant.texts("scope", notes).into_iter().map(|(_, token)| token).collect();
        let other =
            [("id", BOOKKEEPING), ("subject_type", "the scope is the app's, for users and itself")];
        grant.drop_known("", &other[..1], &mut Notes::default());
        grant.drop_known(&format!("{field}."), &other[1..], notes);
        grant.report_rest_of(&format!("{field}."), notes);
        if let (Some(id), Some(api)) = (id, api) {
            self.grants.entry(id).or_default().push((api, scope));
        } else {
            notes.dropped(field, "it names no client and API");
        }
    }

    fn add_api(&mut self, field: &str, api: &Value, notes: &mut Notes) {
        let lifetime = api.get("token_lifetime").and_then(Value::as_i64);
        match (api.get("identifier").and_then(Value::as_str), lifetime) {
            (Some(name), Some(lifetime)) => {
                self.lifetimes.insert(name.to_owned(), lifetime);
                notes.undecided(
                    field,
                    format!("{}: make it a ResourceServer of the host", quoted(name)),
                );
            }
            (Some(name), None) => {
                notes.undecided(
                    field,
                    format!("{}: make it a ResourceServer of the host", quoted(name)),
                );
            }
            (None, _) => notes.dropped(field, "it has no identifier"),
        }
    }
}

pub(super) fn client(
    members: &mut Members,
    tenant: &Tenant,
    notes: &mut Notes,
) -> Option<ImportedApp> {
    let id = members.text("client_id", notes);
    if members.flag("global", notes) == Some(true) {
        notes.refused("global", "the client of the tenant itself");
    }
    let kind = members.text("app_type", notes);
    let mut flows = Flows::of_grant_types(members.texts("grant_types", notes), notes);
    let uris = members.texts("callbacks", notes);
    let uris = settings::redirect_uris(uris, Ports::Exact, notes);
    let mut origins = members.texts("web_origins", notes);
    origins.extend(members.texts("allowed_origins", notes));
    let origins = settings::origins(origins, notes);
    let authentication = authentication(kind.as_deref(), members, notes);
    let secret = members.text("client_secret", notes);
    let secret = secret.and_then(|text| settings::plain_secret("client_secret", &text, notes));
    if members.flag("require_pushed_authorization_requests", notes) == Some(true) {
        notes.refused("require_pushed_authorization_requests", NO_REQUEST_OBJECT);
    }
    if members.flag("require_proof_of_possession", notes) == Some(true) {
        notes.refused(
            "require_proof_of_possession",
            "tokens are not bound to keys, so the app would get weaker ones",
        );
    }
    if members
        .take("signed_request_object")
        .is_some_and(|it| it.get("required") == Some(&Value::Bool(true)))
    {
        notes.refused("signed_request_object", NO_REQUEST_OBJECT);
    }
    let grants = id.as_ref().and_then(|id| tenant.grants.get(id)).map_or(&[][..], Vec::as_slice);
    let tokens = grants.iter().flat_map(|(api, scope)| {
        scope.iter().map(move |token| (format!("client grant for {}", quoted(api)), token.clone()))
    });
    let scope = settings::scope(tokens.collect(), notes);
    let apis = grants.iter().map(|(api, _)| ("audience".to_owned(), api.clone())).collect();
    let resources = settings::resources(apis, notes);
    if scope.is_empty() {
        notes.undecided(
            "",
            "the export lists no scope of this client: add `scope` to the declaration",
        );
    } else if flows.uses_code() {
        notes.widened(
            "",
            "an authorization request without `scope` gets all of the scope of the client grants",
        );
    }
    if resources.len() > 1 {
        notes.widened(
            "",
            "the scope of each API is asked for at any of them: the scope is the app's",
        );
    }
    let lifetimes = grants.iter().filter_map(|(api, _)| tenant.lifetimes.get(api));
    let access = lifetimes.min().and_then(|seconds| {
        settings::lifetime(
            "token_lifetime",
            *seconds,
            AppSettings::MAX_ACCESS_TOKEN_LIFETIME,
            notes,
        )
    });
    if access.is_none() {
        notes.undecided("", "the lifetime of access tokens was the API's: 3600 s apply");
    }
    settings::note_pkce(&flows, authentication.as_ref(), notes);
    let refresh = refresh_tokens(&mut flows, members, notes);
    members.drop_known("", DROPPED, notes);
    let refreshes = flows.refresh && flows.uses_code();
    let basics = Basics {
        client_id: id,
        name: members.text("name", notes),
        description: members.text("description", notes),
        enabled: true,
        authentication,
        secret: secret.map(|secret| (secret, None)),
        secret_field: "client_secret",
    };
    let default_api = resources.first().cloned().filter(|_| resources.len() == 1);
    basics.finish(&flows, uris, notes, |draft| {
        let mut draft = draft
            .scope(scope)
            .resources(resources)
            .default_resource(default_api)
            .origins(origins)
            .refresh_token(refreshes);
        if let Some(seconds) = access {
            draft = draft.access_token_lifetime(seconds);
        }
        if refreshes {
            draft = draft.refresh_token_idle_lifetime(refresh.idle).refresh_grace(refresh.grace);
            if let Some(seconds) = refresh.lifetime {
                draft = draft.refresh_token_lifetime(seconds);
            }
        }
        draft
    })
}

fn authentication(
    kind: Option<&str>,
    members: &mut Members,
    notes: &mut Notes,
) -> Option<ClientAuthentication> {
    let method = members.text("token_endpoint_auth_method", notes);
    if members.take("client_authentication_methods").is_some() {
        notes.refused(
            "client_authentication_methods",
            "the keys are not in the export: register the app with `private_key_jwt`",
        );
        return None;
    }
    match (method.as_deref(), kind) {
        (Some("none"), _) | (None, Some("native" | "spa")) => Some(ClientAuthentication::None),
        (Some("client_secret_post"), _) => Some(ClientAuthentication::ClientSecretPost),
        (Some("client_secret_basic"), _) => Some(ClientAuthentication::ClientSecretBasic),
        (None, _) => Some(ClientAuthentication::ClientSecret),
        (Some(other), _) => {
            notes.refused(
                "token_endpoint_auth_method",
                format!("{}: this server has no such method of authentication", quoted(other)),
            );
            None
        }
    }
}

/// The settings of refresh tokens.
#[derive(Default)]
struct Refresh {
    lifetime: Option<u32>,
    idle: Option<u32>,
    grace: Option<u32>,
}

fn refresh_tokens(flows: &mut Flows, members: &mut Members, notes: &mut Notes) -> Refresh {
    let mut stated = members.object("refresh_token", notes);
    let mut refresh = Refresh::default();
    let at = |name: &str| format!("refresh_token.{name}");
    let max = AppSettings::MAX_REFRESH_TOKEN_LIFETIME;
    let rotation = stated.text("rotation_type", notes);
    let expires = stated.text("expiration_type", notes);
    let infinite = stated.flag("infinite_token_lifetime", notes).unwrap_or(false);
    let lifetime = stated.number("token_lifetime", notes).filter(|_| !infinite);
    let never_idle = stated.flag("infinite_idle_token_lifetime", notes).unwrap_or(false);
    let idle = stated.number("idle_token_lifetime", notes).filter(|_| !never_idle);
    let leeway = stated.number("leeway", notes);
    stated.drop_known("refresh_token.", &[("policies", "the scope is the app's")], notes);
    stated.report_rest_of("refresh_token.", notes);
    settings::note_refresh("grant_types", flows, notes);
    flows.refresh &= flows.uses_code();
    if !flows.refresh {
        return refresh;
    }
    if rotation.as_deref() == Some("non-rotating") {
        notes.narrowed(
            &at("rotation_type"),
            "refresh tokens rotate; a lost answer can be asked for again",
        );
    }
    if expires.as_deref() == Some("non-expiring") || infinite {
        notes.narrowed(&at("expiration_type"), "every refresh token expires: 60 days apply");
    } else {
        refresh.lifetime =
            lifetime.and_then(|it| settings::lifetime(&at("token_lifetime"), it, max, notes));
        if lifetime.is_none() {
            notes.undecided("refresh_token", "it states no lifetime: 60 days apply");
        }
    }
    refresh.idle =
        idle.and_then(|it| settings::lifetime(&at("idle_token_lifetime"), it, max, notes));
    if let Some(leeway) = leeway {
        refresh.grace = Some(u32::try_from(leeway).unwrap_or(0).min(300));
        if leeway > 300 {
            notes.narrowed(&at("leeway"), "the limit of 300 s applies");
        }
    }
    refresh
}
