//! Clients of Duende `IdentityServer` and `IdentityServer4`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::members::Members;
use super::report::{Notes, quoted};
use super::settings::{
    self, BOOKKEEPING, Basics, Flows, IMPLICIT, NO_LOGOUT, NO_OPENID, NO_REQUEST_OBJECT, PASSWORD,
    Ports, SHOWN_NOWHERE,
};
use super::{Export, InvalidExport, Top, placed, top};
use crate::admin::ImportedApp;
use crate::app::{AppSettings, ClientAuthentication, Flow, GivenSecret};
use crate::clock::UnixTime;
use crate::jwt::{VerifyingKey, VerifyingKeys};

/// The tables beside `Clients`, and the members of a client that hold their rows.
const TABLES: &[(&str, &str)] = &[
    ("ClientSecrets", "ClientSecrets"),
    ("ClientGrantTypes", "AllowedGrantTypes"),
    ("ClientRedirectUris", "RedirectUris"),
    ("ClientScopes", "AllowedScopes"),
    ("ClientCorsOrigins", "AllowedCorsOrigins"),
    ("ClientPostLogoutRedirectUris", "PostLogoutRedirectUris"),
    ("ClientClaims", "Claims"),
    ("ClientProperties", "Properties"),
    ("ClientIdPRestrictions", "IdentityProviderRestrictions"),
];

const DROPPED: &[(&str, &str)] = &[
    ("Id", BOOKKEEPING),
    ("Created", BOOKKEEPING),
    ("Updated", BOOKKEEPING),
    ("LastAccessed", BOOKKEEPING),
    ("NonEditable", BOOKKEEPING),
    ("ClientUri", SHOWN_NOWHERE),
    ("LogoUri", SHOWN_NOWHERE),
    ("AllowRememberConsent", "a user may always remember a consent"),
    ("ConsentLifetime", "a remembered consent ends when the user withdraws it"),
    ("AlwaysIncludeUserClaimsInIdToken", NO_OPENID),
    ("IdentityTokenLifetime", NO_OPENID),
    ("AllowedIdentityTokenSigningAlgorithms", NO_OPENID),
    ("AllowAccessTokensViaBrowser", "the authorization endpoint returns no tokens"),
    ("FrontChannelLogoutUri", NO_LOGOUT),
    ("FrontChannelLogoutSessionRequired", NO_LOGOUT),
    ("BackChannelLogoutUri", NO_LOGOUT),
    ("BackChannelLogoutSessionRequired", NO_LOGOUT),
    ("PostLogoutRedirectUris", NO_LOGOUT),
    ("LogoutUri", NO_LOGOUT),
    ("LogoutSessionRequired", NO_LOGOUT),
    ("InitiateLoginUri", NO_OPENID),
    ("UserSsoLifetime", "the host authenticates users"),
    ("EnableLocalLogin", "the host authenticates users"),
    ("IdentityProviderRestrictions", "the host authenticates users"),
    ("CoordinateLifetimeWithUserSession", "the host ends sessions by Admin::revoke"),
    ("UpdateAccessTokenClaimsOnRefresh", "every access token is made anew"),
    ("IncludeJwtId", "every access token has a jti"),
    ("Claims", "Hooks::before_issue of the host adds claims"),
    ("AlwaysSendClientClaims", "Hooks::before_issue of the host adds claims"),
    ("ClientClaimsPrefix", "Hooks::before_issue of the host adds claims"),
    ("PrefixClientClaims", "Hooks::before_issue of the host adds claims"),
    ("PairWiseSubjectSalt", "every app gets the same subject of a user"),
    ("Properties", "apps have no properties of the host"),
    ("UserCodeType", "every user code has 8 letters"),
    ("DeviceCodeLifetime", "the server has one lifetime of device codes"),
    ("CibaLifetime", "this server has no backchannel authentication"),
    ("PollingInterval", "this server has no backchannel authentication"),
    ("PushedAuthorizationLifetime", NO_REQUEST_OBJECT),
    ("DPoPValidationMode", "tokens are not bound to keys"),
    ("DPoPClockSkew", "tokens are not bound to keys"),
];

/// Lists the clients of a list, of tables, or of a section of `appsettings.json`.
pub(super) fn split(json: Value) -> Result<Export, InvalidExport> {
    let mut notes = Notes::default();
    let object = match top(json, &[])? {
        Top::Clients(clients) => return Ok(Export { clients, notes }),
        Top::Object(object) => object,
    };
    let mut members = Members::new(object, true);
    let mut place = "";
    if let Some(section) = members.take("IdentityServer") {
        let Value::Object(section) = section else {
            return Err(InvalidExport::new("IdentityServer must be an object"));
        };
        // The rest is the settings of the host.
        members.report_rest(&mut notes);
        (place, members) = ("IdentityServer.", Members::new(section, true));
    }
    let mut rows = Vec::new();
    for (table, member) in TABLES {
        for (path, row) in placed(table, members.list(table, &mut notes)) {
            rows.push((*member, path, row));
        }
    }
    let list = match members.take("Clients") {
        Some(Value::Array(list)) => list,
        // Clients by name, with the profile of a template.
        Some(Value::Object(named)) => {
            named.into_iter().map(|(name, json)| profile(name, json)).collect()
        }
        _ => return Err(InvalidExport::new("the export has no list `Clients`")),
    };
    members.report_rest_of(place, &mut notes);
    let mut clients = placed(&format!("{place}Clients"), list);
    join(&mut clients, rows, &mut notes);
    Ok(Export { clients, notes })
}

/// Returns a client that has a profile in place of its settings. Its profile is not a known member.
fn profile(name: String, json: Value) -> Value {
    let mut object = Map::from_iter([("ClientId".to_owned(), Value::String(name))]);
    if let Value::Object(members) = json {
        object.extend(members);
    } else {
        object.insert("Profile".to_owned(), json);
    }
    Value::Object(object)
}

/// Puts the rows of the other tables into their clients.
fn join(clients: &mut [(String, Value)], rows: Vec<(&str, String, Value)>, notes: &mut Notes) {
    let mut places = BTreeMap::new();
    for (at, (_, client)) in clients.iter_mut().enumerate() {
        if let Value::Object(client) = client {
            for (_, member) in TABLES {
                spell(client, member);
            }
        }
        if let Some(id) = client.get("Id").or_else(|| client.get("id")).and_then(Value::as_i64) {
            places.insert(id, at);
        }
    }
    for (member, path, row) in rows {
        let id = row.get("ClientId").or_else(|| row.get("clientId")).and_then(Value::as_i64);
        let client = id.and_then(|id| places.get(&id)).and_then(|at| clients.get_mut(*at));
        let Some((_, Value::Object(client))) = client else {
            notes.dropped(&path, "no client has its ClientId");
            continue;
        };
        let list = client.entry(member).or_insert(Value::Null);
        if list.is_null() {
            *list = Value::Array(Vec::new());
        }
        // A wrong type stays, and refuses the client.
        if let Value::Array(list) = list {
            list.push(row);
        }
    }
}

/// Gives a member its usual spelling.
fn spell(client: &mut Map<String, Value>, name: &str) {
    if client.contains_key(name) {
        return;
    }
    let own = client.keys().find(|own| own.eq_ignore_ascii_case(name)).cloned();
    if let Some(value) = own.and_then(|own| client.remove(&own)) {
        client.insert(name.to_owned(), value);
    }
}

pub(super) fn client(members: &mut Members, notes: &mut Notes) -> Option<ImportedApp> {
    if members.take("Profile").is_some() {
        notes.refused(
            "Profile",
            "a profile of a template states no settings: export the client itself",
        );
        return None;
    }
    if members.text("ProtocolType", notes).is_some_and(|it| it != "oidc") {
        notes.refused("ProtocolType", "this server speaks OAuth 2.0 alone");
    }
    let mut flows = flows(members, notes);
    let uris = members.texts_of("RedirectUris", "RedirectUri", notes);
    let uris = settings::redirect_uris(uris, Ports::Exact, notes);
    let origins = members.texts_of("AllowedCorsOrigins", "Origin", notes);
    let origins = settings::origins(origins, notes);
    let needs_secret = members.flag("RequireClientSecret", notes).unwrap_or(true);
    let (authentication, secret) = credentials(needs_secret, members, notes);
    let mut scope = members.texts_of("AllowedScopes", "Scope", notes);
    scope.retain(|(_, token)| token != "offline_access");
    if flows.uses_code() && scope.len() > 1 {
        notes.widened(
            "AllowedScopes",
            "an authorization request without `scope` gets all of it, and was refused before",
        );
    }
    let scope = settings::scope(scope, notes);
    flows.refresh = members.flag("AllowOfflineAccess", notes).unwrap_or(false);
    settings::note_refresh("AllowOfflineAccess", &flows, notes);
    pkce(flows.uses_code(), members, notes);
    if members.number_or_name("AccessTokenType", &["Jwt", "Reference"], notes) == Some(1) {
        notes.narrowed(
            "AccessTokenType",
            "access tokens are JWTs; an API asks for revoked ones by introspection",
        );
    }
    if members.flag("RequireDPoP", notes) == Some(true) {
        notes.refused(
            "RequireDPoP",
            "tokens are not bound to keys, so the app would get weaker ones",
        );
    }
    for name in ["RequireRequestObject", "RequirePushedAuthorization"] {
        if members.flag(name, notes) == Some(true) {
            notes.refused(name, NO_REQUEST_OBJECT);
        }
    }
    let access = members.number("AccessTokenLifetime", notes).and_then(|seconds| {
        settings::lifetime(
            "AccessTokenLifetime",
            seconds,
            AppSettings::MAX_ACCESS_TOKEN_LIFETIME,
            notes,
        )
    });
    let code = members
        .number("AuthorizationCodeLifetime", notes)
        .or(Some(300))
        .and_then(|seconds| settings::lifetime("AuthorizationCodeLifetime", seconds, 600, notes));
    let refresh = refresh_lifetimes(flows.refresh && flows.uses_code(), members, notes);
    members.drop_known("", DROPPED, notes);
    let refreshes = flows.refresh && flows.uses_code();
    let basics = Basics {
        client_id: members.text("ClientId", notes),
        name: members.text("ClientName", notes),
        description: members.text("Description", notes),
        enabled: members.flag("Enabled", notes).unwrap_or(true),
        authentication,
        secret,
        secret_field: "ClientSecrets",
    };
    let consents = members.flag("RequireConsent", notes).unwrap_or(false);
    basics.finish(&flows, uris, notes, |draft| {
        let mut draft =
            draft.scope(scope).origins(origins).refresh_token(refreshes).require_consent(consents);
        if let Some(seconds) = access {
            draft = draft.access_token_lifetime(seconds);
        }
        if let Some(seconds) = code {
            draft = draft.code_lifetime(seconds);
        }
        if let (Some((absolute, idle)), true) = (refresh, refreshes) {
            draft = draft.refresh_token_idle_lifetime(idle);
            if let Some(seconds) = absolute {
                draft = draft.refresh_token_lifetime(seconds);
            }
        }
        draft
    })
}

fn flows(members: &mut Members, notes: &mut Notes) -> Flows {
    let mut flows = Flows::default();
    for (field, name) in members.texts_of("AllowedGrantTypes", "GrantType", notes) {
        match name.as_str() {
            "authorization_code" => flows.add(Flow::AuthorizationCode),
            "hybrid" => {
                flows.add(Flow::AuthorizationCode);
                notes.narrowed(&field, "hybrid: the code flow alone is offered");
            }
            "client_credentials" => flows.add(Flow::ClientCredentials),
            "urn:ietf:params:oauth:grant-type:device_code" => flows.add(Flow::DeviceCode),
            "implicit" => notes.dropped(&field, IMPLICIT),
            "password" => notes.dropped(&field, PASSWORD),
            _ => notes.dropped(&field, format!("{}: this server has no such grant", quoted(&name))),
        }
    }
    flows
}

/// Reads the secrets. An app keeps one: the newest that is shared and has not expired, or the keys.
fn credentials(
    needs_secret: bool,
    members: &mut Members,
    notes: &mut Notes,
) -> (Option<ClientAuthentication>, settings::Secret) {
    let mut shared = Vec::new();
    let mut keys = Vec::new();
    for (at, row) in members.list("ClientSecrets", notes).into_iter().enumerate() {
        let field = format!("ClientSecrets[{at}]");
        let row = match row {
            Value::Object(row) => row,
            value @ Value::String(_) => Map::from_iter([("Value".to_owned(), value)]),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                notes.refused(&field, "it must be an object");
                continue;
            }
        };
        let mut row = Members::new(row, true);
        let expires = row.text("Expiration", notes).and_then(|text| {
            let at = instant(&text);
            if at.is_none() {
                notes.refused(&field, "its Expiration must be an instant");
            }
            at
        });
        let created = row.text("Created", notes).and_then(|text| instant(&text));
        let kind = row.text("Type", notes).unwrap_or_else(|| "SharedSecret".to_owned());
        let value = row.text("Value", notes);
        row.drop_known("", &[("Id", ""), ("ClientId", ""), ("Client", "")], &mut Notes::default());
        if row.take("Description").is_some() {
            notes.dropped(&field, "its description: secrets have none");
        }
        row.report_rest_of(&format!("{field}."), notes);
        let Some(value) = value else {
            notes.refused(&field, "it has no Value");
            continue;
        };
        match kind.as_str() {
            "SharedSecret" => match digest(&value) {
                Some(secret) => shared.push((created, at, secret, expires)),
                None => {
                    notes.dropped(&field, "its Value is no SHA-256 or SHA-512 digest in base64");
                }
            },
            "JsonWebKey" => match VerifyingKey::from_jwk(&value) {
                Ok(key) => keys.push(key),
                Err(error) => notes.dropped(&field, format!("the key cannot be read: {error}")),
            },
            "X509CertificateBase64" => {
                let pem = format!(
                    "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                    value.trim()
                );
                match VerifyingKey::from_pem(&pem) {
                    Ok(key) => keys.push(key),
                    Err(error) => {
                        notes.dropped(&field, format!("the certificate cannot be read: {error}"));
                    }
                }
            }
            _ => {
                notes.dropped(&field, format!("{}: this server has no such secret", quoted(&kind)));
            }
        }
    }
    if !needs_secret {
        if !shared.is_empty() || !keys.is_empty() {
            notes.dropped("ClientSecrets", "the app is public: it does not authenticate");
        }
        return (Some(ClientAuthentication::None), None);
    }
    if !keys.is_empty() {
        if !shared.is_empty() {
            notes.narrowed(
                "ClientSecrets",
                "the app authenticates with its keys alone; the shared secrets are left out",
            );
        }
        return match VerifyingKeys::new(keys) {
            Ok(keys) => (Some(ClientAuthentication::PrivateKeyJwt(keys)), None),
            Err(error) => {
                notes.refused("ClientSecrets", format!("the keys cannot be kept: {error}"));
                (None, None)
            }
        };
    }
    shared.sort_by_key(|(created, at, ..)| (*created, *at));
    let newest = shared.pop();
    for (_, at, ..) in shared {
        notes.narrowed(&format!("ClientSecrets[{at}]"), "an app moves with one secret, the newest");
    }
    let secret = newest.map(|(_, _, secret, expires)| (secret, expires));
    (Some(ClientAuthentication::ClientSecret), secret)
}

fn digest(value: &str) -> Option<GivenSecret> {
    GivenSecret::sha256(value).or_else(|_| GivenSecret::sha512(value)).ok()
}

/// Parses an instant of .NET, with or without a zone, with up to seven decimals.
fn instant(text: &str) -> Option<UnixTime> {
    let time = humantime::parse_rfc3339_weak(text.trim_end_matches("+00:00")).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(UnixTime::EPOCH.plus(since))
}

fn pkce(uses_code: bool, members: &mut Members, notes: &mut Notes) {
    let required = members.flag("RequirePkce", notes).unwrap_or(true);
    if members.flag("AllowPlainTextPkce", notes) == Some(true) {
        notes.narrowed("AllowPlainTextPkce", "S256 is required");
    }
    if uses_code && !required {
        notes.narrowed(
            "RequirePkce",
            "PKCE is required; set `pkce` to optional if the app sends none",
        );
    }
}

/// Returns the absolute and the idle lifetime of refresh tokens.
fn refresh_lifetimes(
    refreshes: bool,
    members: &mut Members,
    notes: &mut Notes,
) -> Option<(Option<u32>, Option<u32>)> {
    const MAX: u32 = AppSettings::MAX_REFRESH_TOKEN_LIFETIME;
    let absolute = members.number("AbsoluteRefreshTokenLifetime", notes);
    let sliding = members.number("SlidingRefreshTokenLifetime", notes);
    let slides = members.number_or_name("RefreshTokenExpiration", &["Sliding", "Absolute"], notes)
        == Some(0);
    let reused =
        members.number_or_name("RefreshTokenUsage", &["ReUse", "OneTimeOnly"], notes) == Some(0);
    if !refreshes {
        return None;
    }
    if reused {
        notes.narrowed(
            "RefreshTokenUsage",
            "refresh tokens rotate; a lost answer can be asked for again",
        );
    }
    // Members that are missing have the other server's defaults.
    let absolute = absolute.or(Some(2_592_000)).and_then(|seconds| {
        settings::lifetime("AbsoluteRefreshTokenLifetime", seconds, MAX, notes)
    });
    let idle = sliding
        .or(Some(1_296_000))
        .filter(|_| slides)
        .and_then(|seconds| settings::lifetime("SlidingRefreshTokenLifetime", seconds, MAX, notes));
    Some((absolute, idle))
}
