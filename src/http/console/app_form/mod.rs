//! The form of an app's settings, as it was typed. *New app*, *Settings* and the page of a conflict share it.

mod draft;
mod exchange;
pub(super) mod keys;
mod lifetime;
mod security;
mod view;

use serde_json::Value;

pub(super) use draft::no_mistakes;
pub(super) use exchange::EXCHANGE;
use exchange::ExchangeForm;
pub(super) use lifetime::Lifetime;
pub(super) use security::beyond_edit;
pub(super) use view::AppFormView;

use super::conflict::Difference;
use super::fields::Fields;
use super::lines::{joined, lines};
use super::texts::app_form as text;
use crate::app::{
    AppSettings, AssertionKeys, ClientAuthentication, Flow, Impersonable, JwtSettings,
};
use crate::ids::{Group, Subject};
use crate::jwt::VerifyingKeys;
use crate::protocol::redirect_uri::RedirectUri;
use crate::users::Members;

/// The settings of an app as texts and boxes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a box of the form")]
pub(super) struct AppForm {
    /// The version of the app that the edit is based on.
    pub(super) version: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) authorization_code: bool,
    pub(super) jwt_bearer: bool,
    pub(super) client_credentials: bool,
    pub(super) device_code: bool,
    pub(super) token_exchange: bool,
    /// A name of [`ClientAuthentication`] in JSON.
    pub(super) authentication: String,
    pub(super) client_keys: String,
    pub(super) refresh_token: bool,
    pub(super) redirect_uris: String,
    pub(super) allow_localhost: bool,
    pub(super) require_consent: bool,
    pub(super) access: Lifetime,
    pub(super) refresh: Lifetime,
    /// Scopes of the catalog that are ticked.
    pub(super) scopes: Vec<String>,
    /// Other scopes, one a line.
    pub(super) other_scopes: String,
    pub(super) jwt: JwtForm,
    pub(super) exchange: ExchangeForm,
}

/// The settings of assertions as texts and boxes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct JwtForm {
    pub(super) issuer: String,
    pub(super) audience: String,
    /// Whether the app signs with its signature secret.
    pub(super) by_secret: bool,
    pub(super) keys: String,
    pub(super) user_claim: String,
    pub(super) authenticates: bool,
    pub(super) refresh_token: bool,
    /// "nobody", "members" or "anyone".
    pub(super) allow: String,
    pub(super) subjects: String,
    pub(super) groups: String,
    pub(super) except_subjects: String,
    pub(super) except_groups: String,
}

impl AppForm {
    /// Returns the form of a new app, with defaults that fit most.
    pub(super) fn of_new_app() -> Self {
        Self {
            authorization_code: true,
            authentication: "client_secret".to_owned(),
            refresh_token: true,
            require_consent: true,
            access: Lifetime::of(3_600),
            refresh: Lifetime::of(60 * 86_400),
            jwt: JwtForm::of(None),
            exchange: ExchangeForm::of(None),
            ..Self::default()
        }
    }

    /// Returns the form of an app. `is_known` tells the scopes of the catalog.
    pub(super) fn of_settings(
        settings: &AppSettings,
        version: u64,
        is_known: impl Fn(&str) -> bool,
    ) -> Self {
        let (scopes, others): (Vec<_>, Vec<_>) =
            settings.scope().tokens().partition(|it| is_known(it));
        let client_keys = match settings.authentication() {
            ClientAuthentication::PrivateKeyJwt(keys) => written_keys(keys),
            ClientAuthentication::PrivateKeyJwtUri(uri) => uri.as_str().to_owned(),
            ClientAuthentication::ClientSecret
            | ClientAuthentication::ClientSecretBasic
            | ClientAuthentication::ClientSecretPost
            | ClientAuthentication::None => String::new(),
        };
        let uris: Vec<_> = settings.redirect_uris().iter().map(RedirectUri::as_str).collect();
        Self {
            version: version.to_string(),
            name: settings.name().to_owned(),
            description: settings.description().to_owned(),
            authorization_code: settings.allows(Flow::AuthorizationCode),
            jwt_bearer: settings.allows(Flow::JwtBearer),
            client_credentials: settings.allows(Flow::ClientCredentials),
            device_code: settings.allows(Flow::DeviceCode),
            token_exchange: settings.allows(Flow::TokenExchange),
            authentication: authentication(settings.authentication()).to_owned(),
            client_keys,
            refresh_token: settings.issues_refresh_token(),
            redirect_uris: uris.join("\n"),
            allow_localhost: settings.redirect_uris().iter().any(draft::allows_localhost),
            require_consent: settings.requires_consent(),
            access: Lifetime::of(settings.access_token_lifetime()),
            refresh: Lifetime::of(settings.refresh_token_lifetime()),
            scopes: scopes.into_iter().map(str::to_owned).collect(),
            other_scopes: others.join("\n"),
            jwt: JwtForm::of(settings.jwt()),
            exchange: ExchangeForm::of(settings.delegation()),
        }
    }

    /// Reads what was typed. A file of keys replaces the text beside it.
    pub(super) fn of_fields(fields: &Fields) -> Self {
        let one = |name: &str| fields.one(name).replace("\r\n", "\n");
        let keys = |name: &str| {
            let file = one(&format!("{name}_file"));
            if file.trim().is_empty() { one(name) } else { file }
        };
        Self {
            version: one("version"),
            name: one("name").trim().to_owned(),
            description: one("description").trim().to_owned(),
            authorization_code: fields.has("authorization_code"),
            jwt_bearer: fields.has("jwt_bearer"),
            client_credentials: fields.has("client_credentials"),
            device_code: fields.has("device_code"),
            token_exchange: fields.has("token_exchange"),
            authentication: one("authentication"),
            client_keys: keys("client_keys"),
            refresh_token: fields.has("refresh_token"),
            redirect_uris: one("redirect_uris"),
            allow_localhost: fields.has("allow_localhost"),
            require_consent: fields.has("require_consent"),
            access: Lifetime::of_fields(fields, "access"),
            refresh: Lifetime::of_fields(fields, "refresh"),
            scopes: fields.all("scope").map(str::to_owned).collect(),
            other_scopes: one("other_scopes"),
            jwt: JwtForm {
                issuer: one("jwt_issuer").trim().to_owned(),
                audience: one("jwt_audience").trim().to_owned(),
                by_secret: one("jwt_signed_by") == "secret",
                keys: keys("jwt_keys"),
                user_claim: one("jwt_user_claim").trim().to_owned(),
                authenticates: fields.has("jwt_authenticates"),
                refresh_token: fields.has("jwt_refresh_token"),
                allow: one("jwt_allow"),
                subjects: one("jwt_subjects"),
                groups: one("jwt_groups"),
                except_subjects: one("jwt_except_subjects"),
                except_groups: one("jwt_except_groups"),
            },
            exchange: ExchangeForm::of_fields(fields),
        }
    }

    /// Returns every setting in words, in the order of the form, for a comparison.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let yes = |value: bool| if value { text::YES } else { text::NO }.to_owned();
        let mut scopes = self.scopes.clone();
        scopes.extend(lines(&self.other_scopes).map(str::to_owned));
        scopes.sort();
        let mut rows = vec![
            (text::NAME, self.name.clone()),
            (text::DESCRIPTION, self.description.clone()),
            (text::CODE, yes(self.authorization_code)),
            (text::JWT, yes(self.jwt_bearer)),
            (text::MACHINE, yes(self.client_credentials)),
            (text::DEVICE, yes(self.device_code)),
            (text::EXCHANGE, yes(self.token_exchange)),
            (text::AUTHENTICATION, self.authentication.clone()),
            (text::CLIENT_KEYS, self.client_keys.trim().to_owned()),
            (text::REFRESH, yes(self.refresh_token)),
            (text::CONSENT, yes(self.require_consent)),
            (text::REDIRECTS, joined(lines(&self.redirect_uris))),
            (text::LOCALHOST, yes(self.allow_localhost)),
            (text::ACCESS, self.access.in_words()),
            (text::REFRESH_LIFETIME, self.refresh.in_words()),
            (text::SCOPES, scopes.join("\n")),
            (text::JWT_ISSUER, self.jwt.issuer.clone()),
            (text::JWT_AUDIENCE, self.jwt.audience.clone()),
            (text::JWT_BY_SECRET, yes(self.jwt.by_secret)),
            (text::JWT_KEYS, self.jwt.keys.trim().to_owned()),
            (text::JWT_CLAIM, self.jwt.user_claim.clone()),
            (text::JWT_ALONE, yes(self.jwt.authenticates)),
            (text::JWT_REFRESH, yes(self.jwt.refresh_token)),
            (text::JWT_ALLOW, self.jwt.allow.clone()),
            (text::JWT_SUBJECTS, self.jwt.subjects.trim().to_owned()),
            (text::JWT_GROUPS, self.jwt.groups.trim().to_owned()),
            (text::JWT_EXCEPT_SUBJECTS, self.jwt.except_subjects.trim().to_owned()),
            (text::JWT_EXCEPT_GROUPS, self.jwt.except_groups.trim().to_owned()),
        ];
        rows.extend(self.exchange.rows());
        rows
    }

    /// Returns the settings that differ from those of `stored`.
    pub(super) fn differences(&self, stored: &Self) -> Vec<Difference> {
        let pairs = self.rows().into_iter().zip(stored.rows());
        pairs.filter_map(|((name, own), (_, other))| Difference::of(name, own, other)).collect()
    }

    pub(super) fn is_authentication(&self, name: &str) -> bool {
        self.authentication == name
    }

    pub(super) fn has_scope(&self, token: &str) -> bool {
        self.scopes.iter().any(|own| own == token)
    }
}

impl JwtForm {
    fn of(settings: Option<&JwtSettings>) -> Self {
        let Some(jwt) = settings else {
            return Self {
                user_claim: "sub".to_owned(),
                allow: "nobody".to_owned(),
                by_secret: true,
                ..Self::default()
            };
        };
        let policy = jwt.impersonation();
        let (allow, members) = match &policy.allow {
            Impersonable::None => ("nobody", Members::default()),
            Impersonable::Members(members) => ("members", members.clone()),
            Impersonable::Anyone => ("anyone", Members::default()),
        };
        let (by_secret, keys) = match jwt.assertion_keys() {
            AssertionKeys::Keys(keys) => (false, written_keys(keys)),
            AssertionKeys::SignatureSecret => (true, String::new()),
        };
        Self {
            issuer: jwt.issuer().unwrap_or_default().to_owned(),
            audience: jwt.audience().unwrap_or_default().to_owned(),
            by_secret,
            keys,
            user_claim: jwt.user_claim().to_owned(),
            authenticates: jwt.assertion_authenticates(),
            refresh_token: jwt.issues_refresh_token(),
            allow: allow.to_owned(),
            subjects: joined(members.subjects.iter().map(Subject::as_str)),
            groups: joined(members.groups.iter().map(Group::as_str)),
            except_subjects: joined(policy.except.subjects.iter().map(Subject::as_str)),
            except_groups: joined(policy.except.groups.iter().map(Group::as_str)),
        }
    }
}

/// Returns the name of a method in JSON (RFC 7591 section 2).
pub(super) const fn authentication(method: &ClientAuthentication) -> &'static str {
    match method {
        ClientAuthentication::ClientSecret => "client_secret",
        ClientAuthentication::ClientSecretBasic => "client_secret_basic",
        ClientAuthentication::ClientSecretPost => "client_secret_post",
        ClientAuthentication::PrivateKeyJwt(_) | ClientAuthentication::PrivateKeyJwtUri(_) => {
            "private_key_jwt"
        }
        ClientAuthentication::None => "none",
    }
}

/// Returns public keys as they can be read again: a JWK Set.
pub(super) fn written_keys(keys: &VerifyingKeys) -> String {
    let json: Value = serde_json::to_value(keys).unwrap_or_default();
    serde_json::to_string_pretty(&json).unwrap_or_default()
}
