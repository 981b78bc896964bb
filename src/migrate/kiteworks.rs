//! Custom applications of Kiteworks.

use serde_json::Value;

use super::members::{self, Members};
use super::report::{Notes, quoted};
use super::settings::{self, BOOKKEEPING, Basics, Flows, PASSWORD, Ports, SHOWN_NOWHERE};
use super::{Export, InvalidExport, Top, placed, top};
use crate::admin::ImportedApp;
use crate::app::{AppSettings, ClientAuthentication, Flow, MobileSecurity, PinPolicy};

const DROPPED: &[(&str, &str)] = &[
    ("links", BOOKKEEPING),
    ("created", BOOKKEEPING),
    ("modified", BOOKKEEPING),
    ("autoUpdate", "this server distributes no apps"),
    ("installer", "this server distributes no apps"),
    ("emailMatch", "the host authenticates users"),
    ("minVersion", "this server does not know the version of an app"),
    ("icon", SHOWN_NOWHERE),
];

/// Lists the clients of a list, of an answer with `data` or `clients`, or the one client.
pub(super) fn split(json: Value) -> Result<Export, InvalidExport> {
    let mut notes = Notes::default();
    let object = match top(json, &["redirectUri", "client_id"])? {
        Top::Clients(clients) => return Ok(Export { clients, notes }),
        Top::Object(object) => object,
    };
    let mut members = Members::new(object, false);
    let name = if members.has("data") { "data" } else { "clients" };
    let Some(Value::Array(list)) = members.take(name) else {
        return Err(InvalidExport::new("the export has no list `data` or `clients`"));
    };
    let paging = "it is no part of a client";
    members.drop_known("", &[("metadata", paging), ("links", paging)], &mut notes);
    members.report_rest(&mut notes);
    Ok(Export { clients: placed(name, list), notes })
}

pub(super) fn client(members: &mut Members, notes: &mut Notes) -> Option<ImportedApp> {
    let own = members.text("id", notes);
    let id = members.text("client_id", notes).or(own);
    let kind = members.number("type", notes).unwrap_or(0);
    if kind & 1 != 0 {
        notes.refused("type", "a client of Kiteworks itself");
    }
    let is_mobile = kind & 2 != 0;
    let flows = flows(members, notes);
    let uris = members.text("redirectUri", notes).unwrap_or_default();
    let uris = settings::redirect_uris(settings::words("redirectUri", &uris), Ports::Exact, notes);
    if !uris.is_empty() {
        notes.narrowed(
            "redirectUri",
            "a requested URI must be the same; one that begins with it was enough",
        );
    }
    let authentication = ClientAuthentication::ClientSecret;
    settings::note_pkce(&flows, Some(&authentication), notes);
    let scope = members.text("scope", notes).unwrap_or_default().replace(',', " ");
    let scope = settings::scope(settings::words("scope", &scope), notes);
    let secret = ["client_secret", "clientSecret", "secret"]
        .into_iter()
        .find_map(|name| members.text(name, notes))
        .and_then(|text| settings::plain_secret("client_secret", &text, notes));
    if members.text("signatureKey", notes).is_some_and(|key| !key.is_empty()) {
        notes.undecided(
            "signatureKey",
            "the signature flow is not offered; for assertions under HS256 with this key, add the flow \
             jwt_bearer, `jwt` and `signature_secret` to the declaration",
        );
    }
    let flag = members.number("flag", notes).unwrap_or(0);
    if flag & 4 != 0 {
        notes.dropped("flag", "4: no app is hidden from administrators");
    }
    if flag & 8 != 0 {
        notes.narrowed("flag", "8: every token expires");
    }
    if flag & !15 != 0 {
        notes.undecided("flag", "it has bits that are not known");
    }
    let access =
        hours("accessTokenLifetime", AppSettings::MAX_ACCESS_TOKEN_LIFETIME, members, notes);
    let refresh =
        hours("refreshTokenLifetime", AppSettings::MAX_REFRESH_TOKEN_LIFETIME, members, notes);
    let mobile = mobile_security(is_mobile, members, notes);
    members.drop_known("", DROPPED, notes);
    let refreshes = flows.refresh && flows.uses_code();
    let basics = Basics {
        client_id: id,
        name: members.text("name", notes),
        description: members.text("description", notes),
        enabled: flag & 2 == 0,
        authentication: Some(authentication),
        secret: secret.map(|secret| (secret, None)),
        secret_field: "client_secret",
    };
    basics.finish(&flows, uris, notes, |draft| {
        let mut draft = draft
            .scope(scope)
            .refresh_token(refreshes)
            .require_consent(flag & 1 == 0)
            .mobile_security(mobile);
        if let Some(seconds) = access {
            draft = draft.access_token_lifetime(seconds);
        }
        if let Some(seconds) = refresh {
            draft = draft.refresh_token_lifetime(seconds);
        }
        draft
    })
}

/// Reads the bits of the flows. The JWT flow has none that is published.
fn flows(members: &mut Members, notes: &mut Notes) -> Flows {
    let bits = members.number("flow", notes).unwrap_or(0);
    let mut flows = Flows { flows: Vec::new(), refresh: bits & 8 != 0 };
    if bits & 1 != 0 {
        flows.add(Flow::AuthorizationCode);
    }
    if bits & 2 != 0 {
        notes.dropped("flow", format!("2: {PASSWORD}"));
    }
    if bits & 4 != 0 {
        notes.dropped(
            "flow",
            "4: the signature flow, which its vendor withdraws at the end of 2026",
        );
    }
    if bits & !15 != 0 {
        notes.undecided(
            "flow",
            "it has bits that are not known; for the JWT flow, add jwt_bearer and `jwt` to the declaration",
        );
    }
    flows
}

fn hours(name: &str, max: u32, members: &mut Members, notes: &mut Notes) -> Option<u32> {
    let Some(hours) = members.number(name, notes) else {
        notes.undecided(name, "it is missing: the default of this server applies");
        return None;
    };
    settings::lifetime(name, hours.saturating_mul(3_600), max, notes)
}

fn mobile_security(is_mobile: bool, client: &mut Members, notes: &mut Notes) -> MobileSecurity {
    let mut security = MobileSecurity { remote_wipe: is_mobile, ..MobileSecurity::default() };
    let minutes = client.number("pinTimeout", notes);
    if client.number("askPin", notes).is_some_and(|it| it != 0) {
        let minutes = minutes.and_then(|minutes| u16::try_from(minutes).ok());
        security.pin = match minutes {
            Some(minutes @ 1..=1_440) => PinPolicy::AfterIdleMinutes(minutes),
            _ => PinPolicy::Always,
        };
        notes.undecided(
            "askPin",
            "its values are not published: check when the app asks for the PIN",
        );
    }
    if let Some(attempts) = client.number("maxPinAttempts", notes).filter(|it| *it != 0) {
        let fitting = u8::try_from(attempts).ok().filter(|it| (1..=20).contains(it));
        if fitting.is_none() {
            notes.narrowed("maxPinAttempts", "the limit of 20 applies");
        }
        security.max_pin_attempts = Some(fitting.unwrap_or(20));
    }
    security.biometrics = client.flag("touchId", notes).unwrap_or(security.biometrics);
    security.clipboard = client.flag("clipboardEnabled", notes).unwrap_or(security.clipboard);
    if let Some(list) = client.take("whiteList") {
        let apps: Vec<String> = if let Some(text) = list.as_str() {
            text.split([',', ';', '\n', ' ']).map(|app| app.trim().to_owned()).collect()
        } else if let Value::Array(items) = list {
            items.into_iter().filter_map(members::text).collect()
        } else {
            notes.refused("whiteList", "it must be a list of texts");
            Vec::new()
        };
        let apps = apps.into_iter().filter(|app| !app.is_empty());
        let (kept, dropped): (Vec<_>, Vec<_>) =
            apps.partition(|app| MobileSecurity::is_pattern(app));
        security.allowed_apps = kept;
        for app in dropped {
            let text = format!("{}: a * stands alone, or last after a dot", quoted(&app));
            notes.dropped("whiteList", text);
        }
    }
    if security.has_rules() && security.allowed_apps.is_empty() {
        notes.undecided(
            "whiteList",
            "it is empty: no app may receive content; write * to allow every app",
        );
    }
    security
}
