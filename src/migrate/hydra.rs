//! Clients of Ory Hydra.

use serde_json::Value;

use super::members::Members;
use super::report::Notes;
use super::settings::{
    self, BOOKKEEPING, Basics, Flows, NO_LOGOUT, NO_OPENID, NO_REQUEST_OBJECT, Ports, SHOWN_NOWHERE,
};
use super::{Export, InvalidExport, Top, placed, top};
use crate::admin::ImportedApp;
use crate::app::{AppSettings, ClientAuthentication, GivenSecret};
use crate::clock::UnixTime;

/// The first second after the year 9999.
const YEAR_10000: i64 = 253_402_300_800;

const DROPPED: &[(&str, &str)] = &[
    ("owner", "apps have no owner"),
    ("policy_uri", SHOWN_NOWHERE),
    ("tos_uri", SHOWN_NOWHERE),
    ("client_uri", SHOWN_NOWHERE),
    ("logo_uri", SHOWN_NOWHERE),
    ("contacts", SHOWN_NOWHERE),
    ("subject_type", "every app gets the same subject of a user"),
    ("sector_identifier_uri", "every app gets the same subject of a user"),
    ("userinfo_signed_response_alg", NO_OPENID),
    ("request_uris", NO_REQUEST_OBJECT),
    ("request_object_signing_alg", NO_REQUEST_OBJECT),
    ("created_at", BOOKKEEPING),
    ("updated_at", BOOKKEEPING),
    ("frontchannel_logout_uri", NO_LOGOUT),
    ("frontchannel_logout_session_required", NO_LOGOUT),
    ("backchannel_logout_uri", NO_LOGOUT),
    ("backchannel_logout_session_required", NO_LOGOUT),
    ("post_logout_redirect_uris", NO_LOGOUT),
    ("skip_logout_consent", NO_LOGOUT),
    ("metadata", "apps have no metadata of the host"),
    ("registration_access_token", "apps do not manage themselves"),
    ("registration_client_uri", "apps do not manage themselves"),
    ("token_endpoint_auth_signing_alg", "the key fixes the algorithm"),
    ("authorization_code_grant_id_token_lifespan", NO_OPENID),
    ("refresh_token_grant_id_token_lifespan", NO_OPENID),
    ("implicit_grant_access_token_lifespan", "the implicit flow is not offered"),
    ("implicit_grant_id_token_lifespan", "the implicit flow is not offered"),
    ("jwt_bearer_grant_access_token_lifespan", "an app has one lifetime of access tokens"),
    (
        "device_authorization_grant_access_token_lifespan",
        "an app has one lifetime of access tokens",
    ),
    ("device_authorization_grant_id_token_lifespan", NO_OPENID),
    (
        "device_authorization_grant_refresh_token_lifespan",
        "an app has one lifetime of refresh tokens",
    ),
];

/// Lists the clients of an export: a list, an object with `items` or `clients`, or one client.
pub(super) fn split(json: Value) -> Result<Export, InvalidExport> {
    let mut notes = Notes::default();
    let object = match top(json, &["client_id"])? {
        Top::Clients(clients) => return Ok(Export { clients, notes }),
        Top::Object(object) => object,
    };
    let mut members = Members::new(object, false);
    let name = if members.has("items") { "items" } else { "clients" };
    let Some(Value::Array(list)) = members.take(name) else {
        return Err(InvalidExport::new("the export has no list `items` or `clients`"));
    };
    let paging = "it is no part of a client";
    members.drop_known("", &[("next_page_token", paging), ("is_last_page", paging)], &mut notes);
    members.report_rest(&mut notes);
    Ok(Export { clients: placed(name, list), notes })
}

pub(super) fn client(members: &mut Members, notes: &mut Notes) -> Option<ImportedApp> {
    let mut flows = Flows::of_grant_types(members.texts("grant_types", notes), notes);
    for (field, kind) in members.texts("response_types", notes) {
        if kind.split_whitespace().any(|part| part != "code") {
            notes.dropped(&field, "the answer of an authorization request is a code alone");
        }
    }
    let uris =
        settings::redirect_uris(members.texts("redirect_uris", notes), Ports::AnyOnLoopback, notes);
    let method = members.text("token_endpoint_auth_method", notes);
    let method = method.unwrap_or_else(|| "client_secret_basic".to_owned());
    let authentication = authentication(&method, members, notes);
    let secret = secret(members, notes);
    let mut scope = settings::words("scope", &members.text("scope", notes).unwrap_or_default());
    // They ask for a refresh token, and are no scope of a token here.
    scope.retain(|(_, token)| token != "offline" && token != "offline_access");
    if scope.len() > 1 || !flows.uses_code() {
        notes.widened("scope", "a request without `scope` gets all of it, and got none before");
    }
    let scope = settings::scope(scope, notes);
    let resources = settings::resources(members.texts("audience", notes), notes);
    let origins = settings::origins(members.texts("allowed_cors_origins", notes), notes);
    settings::note_pkce(&flows, authentication.as_ref(), notes);
    settings::note_refresh("grant_types", &flows, notes);
    flows.refresh &= flows.uses_code();
    if members.text("access_token_strategy", notes).is_some_and(|it| it != "jwt") {
        notes.narrowed("access_token_strategy", "access tokens are JWTs (RFC 9068)");
    }
    let access = access_lifetime(members, notes);
    let refresh = [
        "refresh_token_grant_refresh_token_lifespan",
        "authorization_code_grant_refresh_token_lifespan",
    ]
    .map(|name| duration(name, AppSettings::MAX_REFRESH_TOKEN_LIFETIME, members, notes));
    let refresh = refresh.into_iter().flatten().min();
    if flows.refresh && refresh.is_none() {
        notes.undecided("", "the lifetime of refresh tokens was the server's: 60 days apply");
    }
    let consents = !members.flag("skip_consent", notes).unwrap_or(false);
    members.drop_known("", DROPPED, notes);
    let basics = Basics {
        client_id: members.text("client_id", notes),
        name: members.text("client_name", notes),
        description: None,
        enabled: true,
        authentication,
        secret,
        secret_field: "client_secret",
    };
    let refreshes = flows.refresh;
    basics.finish(&flows, uris, notes, |draft| {
        let mut draft = draft
            .scope(scope)
            .resources(resources)
            .origins(origins)
            .refresh_token(refreshes)
            .require_consent(consents);
        if let Some(seconds) = access {
            draft = draft.access_token_lifetime(seconds);
        }
        if let Some(seconds) = refresh {
            draft = draft.refresh_token_lifetime(seconds);
        }
        draft
    })
}

fn authentication(
    method: &str,
    members: &mut Members,
    notes: &mut Notes,
) -> Option<ClientAuthentication> {
    let set = members
        .take("jwks")
        .filter(|set| set.get("keys").is_some_and(|keys| *keys != Value::Array(vec![])));
    let url = members.text("jwks_uri", notes).filter(|url| !url.is_empty());
    if method == "private_key_jwt" {
        match (set, url) {
            (Some(set), _) => {
                settings::keys("jwks", &set, notes).map(ClientAuthentication::PrivateKeyJwt)
            }
            (None, Some(_)) => {
                notes.refused("jwks_uri", "keys are not fetched: add them to the export as `jwks`");
                None
            }
            (None, None) => {
                notes.refused("jwks", "it is missing");
                None
            }
        }
    } else {
        if set.is_some() {
            notes.dropped("jwks", "the app does not authenticate with keys");
        }
        if url.is_some() {
            notes.dropped("jwks_uri", "the app does not authenticate with keys");
        }
        match method {
            "client_secret_basic" => Some(ClientAuthentication::ClientSecretBasic),
            "client_secret_post" => Some(ClientAuthentication::ClientSecretPost),
            "none" => Some(ClientAuthentication::None),
            _ => {
                notes.refused(
                    "token_endpoint_auth_method",
                    "this server has no such method of authentication",
                );
                None
            }
        }
    }
}

fn secret(members: &mut Members, notes: &mut Notes) -> settings::Secret {
    let text = members.text("client_secret", notes);
    let expires = members.number("client_secret_expires_at", notes).filter(|at| *at != 0);
    if expires.is_some_and(|at| !(0..YEAR_10000).contains(&at)) {
        notes.refused("client_secret_expires_at", "it must lie in the years 1970 to 9999");
    }
    let text = text?;
    let secret = if ["$2a$", "$2b$", "$2y$", "$pbkdf2"].iter().any(|kind| text.starts_with(kind)) {
        let slow = GivenSecret::Slow(text);
        match slow.problem() {
            None => slow,
            Some(problem) => {
                notes.refused("client_secret", problem);
                return None;
            }
        }
    } else {
        settings::plain_secret("client_secret", &text, notes)?
    };
    Some((secret, expires.map(UnixTime::from_seconds)))
}

/// Returns the shortest lifetime of access tokens, since an app has one.
fn access_lifetime(members: &mut Members, notes: &mut Notes) -> Option<u32> {
    let stated = [
        "authorization_code_grant_access_token_lifespan",
        "client_credentials_grant_access_token_lifespan",
        "refresh_token_grant_access_token_lifespan",
    ]
    .map(|name| duration(name, AppSettings::MAX_ACCESS_TOKEN_LIFETIME, members, notes));
    let shortest = stated.into_iter().flatten().min();
    match shortest {
        Some(shortest) if stated.iter().flatten().any(|it| *it != shortest) => {
            notes.narrowed("", format!("an app has one lifetime of access tokens: {shortest} s"));
        }
        None => notes.undecided("", "the lifetime of access tokens was the server's: 3600 s apply"),
        Some(_) => {}
    }
    shortest
}

/// Reads a duration such as `1h30m0s`, in whole seconds.
fn duration(name: &str, max: u32, members: &mut Members, notes: &mut Notes) -> Option<u32> {
    let text = members.text(name, notes)?;
    if let Ok(duration) = humantime::parse_duration(&text) {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        settings::lifetime(name, seconds, max, notes)
    } else {
        notes.refused(name, "it must be a duration such as 1h30m0s");
        None
    }
}
