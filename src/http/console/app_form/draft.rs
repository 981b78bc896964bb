//! From what was typed to checked settings, or to mistakes beside their fields.

use super::exchange::EXCHANGE;
use super::{AppForm, JwtForm, keys};
use crate::app::{
    AppDraft, AppSettings, ClientAuthentication, ClientType, Flow, Impersonable, InvalidApp,
    JwksUri, JwtSettings, Pkce,
};
use crate::http::console::lines::{self, lines, numbered};
use crate::http::console::mistakes::{FormFields, Mistakes};
use crate::http::console::texts::{app_form as text, impersonation};
use crate::ids::{Group, Subject};
use crate::jwt::VerifyingKeys;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::{Scope, ScopeToken};
use crate::users::Members;

/// Settings that can be stored.
pub(in super::super) struct Checked {
    pub(in super::super) settings: AppSettings,
    /// Whether keys were left out, because they cannot verify signatures.
    pub(in super::super) left_keys_out: bool,
}

/// The fields in the order of the form.
const FIELDS: FormFields = &[
    ("form", text::THE_APP),
    ("name", text::NAME),
    ("description", text::DESCRIPTION),
    ("flows", text::FLOWS),
    ("authentication", text::AUTHENTICATION),
    ("client_keys", text::CLIENT_KEYS),
    ("refresh_token", text::REFRESH),
    ("redirect_uris", text::REDIRECTS),
    ("access", text::ACCESS),
    ("refresh", text::REFRESH_LIFETIME),
    ("scope", text::SCOPES),
    ("jwt_issuer", text::JWT_ISSUER),
    ("jwt_audience", text::JWT_AUDIENCE),
    ("jwt_keys", text::JWT_KEYS),
    ("jwt_user_claim", text::JWT_CLAIM),
    ("jwt_authenticates", text::JWT_ALONE),
    ("jwt_refresh_token", text::JWT_REFRESH),
    ("jwt_members", text::JWT_ALLOW),
    ("exchange_apps", text::EXCHANGE_APPS),
    ("exchange_issuers", text::EXCHANGE_ISSUERS),
    ("exchange_impersonated", text::EXCHANGE_IMPERSONATED),
    ("exchange_actors", text::EXCHANGE_ACTORS),
    ("exchange_max_actors", text::EXCHANGE_MAX_ACTORS),
    ("exchange_targets", text::EXCHANGE_TARGETS),
    ("exchange_id_jag", text::EXCHANGE_ID_JAG),
    (EXCHANGE.allow, text::EXCHANGE_ALLOW),
    (EXCHANGE.subjects, impersonation::SUBJECTS),
    (EXCHANGE.groups, impersonation::LIST_GROUPS),
    (EXCHANGE.except_subjects, impersonation::EXCEPT_SUBJECTS),
    (EXCHANGE.except_groups, impersonation::EXCEPT_GROUPS),
    (EXCHANGE.scope, impersonation::SCOPE_LIST),
];

/// Returns the mistakes of a form that has none.
pub(in super::super) const fn no_mistakes() -> Mistakes {
    Mistakes::new(FIELDS)
}

fn add_invalid(mistakes: &mut Mistakes, invalid: &InvalidApp) {
    let field = match invalid.field() {
        "access_token_lifetime" => "access",
        "refresh_token_lifetime" => "refresh",
        "jwt" | "jwt.algorithms" => "jwt_keys",
        "jwt.issuer" => "jwt_issuer",
        "jwt.audience" => "jwt_audience",
        "jwt.user_claim" => "jwt_user_claim",
        "jwt.assertion_authenticates" => "jwt_authenticates",
        "jwt.jti" | "jwt.refresh_token" => "jwt_refresh_token",
        "jwt.impersonation" => "jwt_members",
        "delegation.apps" => "exchange_apps",
        "delegation.issuers" => "exchange_issuers",
        "delegation.actors" => "exchange_actors",
        "delegation.targets" => "exchange_targets",
        "delegation.id_jag" => "exchange_id_jag",
        "delegation.users" => EXCHANGE.subjects,
        known if FIELDS.iter().any(|(own, _)| *own == known) => known,
        _ => "form",
    };
    let sentence = match (field, invalid.field()) {
        ("form", name) => text::other_field(name, invalid.problem()),
        _ => text::sentence(invalid.problem()),
    };
    mistakes.add(field, sentence);
}

impl AppForm {
    /// Checks the form. Settings that it does not show are those of `base`.
    pub(in super::super) fn check(&self, base: Option<&AppSettings>) -> Result<Checked, Mistakes> {
        let mut mistakes = no_mistakes();
        let draft = base.map_or_else(|| AppDraft::confidential(&*self.name), AppDraft::from);
        let authentication = self.authentication(&mut mistakes);
        let is_public = authentication.client_type() == ClientType::Public;
        let signs = matches!(
            authentication,
            ClientAuthentication::PrivateKeyJwt(_) | ClientAuthentication::PrivateKeyJwtUri(_)
        );
        let mut draft = draft
            .name(&*self.name)
            .description(&*self.description)
            .authentication(authentication)
            .flows(self.flows())
            .redirect_uris(self.redirect_uris(base, &mut mistakes))
            .scope(self.scope(&mut mistakes))
            .require_consent(self.require_consent)
            .refresh_token(self.gets_refresh_tokens());
        if is_public {
            draft = draft.pkce(Pkce::Required);
        }
        if !signs {
            draft = draft.client_assertion_lifetime(None).client_assertion_endpoint_audience(false);
        }
        match self.access.seconds() {
            Some(seconds) => draft = draft.access_token_lifetime(seconds),
            None => mistakes.add("access", text::WHOLE_NUMBERS),
        }
        match self.refresh.seconds() {
            Some(seconds) => draft = draft.refresh_token_lifetime(seconds),
            None => mistakes.add("refresh", text::WHOLE_NUMBERS),
        }
        if self.jwt_bearer
            && let Some(jwt) = self.jwt.settings(base.and_then(AppSettings::jwt), &mut mistakes)
        {
            draft = draft.jwt(jwt);
        }
        if self.token_exchange {
            draft = draft.delegation(self.exchange.policy(&mut mistakes));
        }
        for invalid in draft.problems() {
            let known = match invalid.field() {
                "name" if self.name.is_empty() => Some(("name", text::NAME_MISSING)),
                "flows" if self.flows().is_empty() => Some(("flows", text::FLOWS_MISSING)),
                // A line that cannot be read has its own sentence.
                "redirect_uris" if mistakes.has("redirect_uris") => None,
                "redirect_uris" if lines(&self.redirect_uris).next().is_none() => {
                    Some(("redirect_uris", text::REDIRECTS_MISSING))
                }
                "jwt" if mistakes.has("jwt_keys") || mistakes.has("jwt_members") => None,
                _ => {
                    add_invalid(&mut mistakes, &invalid);
                    None
                }
            };
            if let Some((field, sentence)) = known {
                mistakes.add(field, sentence);
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        match draft.build() {
            Ok(settings) => {
                let left_keys_out = settings.passed_over_keys().next().is_some();
                Ok(Checked { settings, left_keys_out })
            }
            Err(invalid) => {
                add_invalid(&mut mistakes, &invalid);
                Err(mistakes)
            }
        }
    }

    fn flows(&self) -> Vec<Flow> {
        let all = [
            (self.authorization_code, Flow::AuthorizationCode),
            (self.jwt_bearer, Flow::JwtBearer),
            (self.client_credentials, Flow::ClientCredentials),
            (self.device_code, Flow::DeviceCode),
            (self.token_exchange, Flow::TokenExchange),
        ];
        all.into_iter().filter(|(is_chosen, _)| *is_chosen).map(|(_, flow)| flow).collect()
    }

    /// The switch counts only if a chosen flow gives refresh tokens: otherwise the page does not show it.
    fn gets_refresh_tokens(&self) -> bool {
        let by_assertion = self.jwt_bearer && self.jwt.refresh_token;
        let by_user = self.authorization_code || self.device_code;
        (self.refresh_token && by_user) || by_assertion
    }

    fn authentication(&self, mistakes: &mut Mistakes) -> ClientAuthentication {
        match &*self.authentication {
            "client_secret" => ClientAuthentication::ClientSecret,
            "client_secret_basic" => ClientAuthentication::ClientSecretBasic,
            "client_secret_post" => ClientAuthentication::ClientSecretPost,
            "none" => ClientAuthentication::None,
            "private_key_jwt" if self.client_keys.trim().starts_with("https://") => {
                match JwksUri::new(self.client_keys.trim()) {
                    Ok(uri) => ClientAuthentication::PrivateKeyJwtUri(uri),
                    Err(error) => {
                        mistakes.add("client_keys", text::sentence(error.problem()));
                        ClientAuthentication::default()
                    }
                }
            }
            "private_key_jwt" => match read_keys(&self.client_keys, "client_keys", mistakes) {
                Some(keys) => ClientAuthentication::PrivateKeyJwt(keys),
                None => ClientAuthentication::default(),
            },
            _ => {
                mistakes.add("authentication", text::AUTHENTICATION_MISSING);
                ClientAuthentication::default()
            }
        }
    }

    fn redirect_uris(
        &self,
        base: Option<&AppSettings>,
        mistakes: &mut Mistakes,
    ) -> Vec<RedirectUri> {
        let known = base.map_or(&[][..], AppSettings::redirect_uris);
        let did_allow = known.iter().any(allows_localhost);
        let mut uris: Vec<RedirectUri> = Vec::new();
        for (number, line) in numbered(&self.redirect_uris) {
            // Loopback URIs of an app may differ in whether they allow localhost.
            let same = known.iter().find(|uri| uri.as_str() == line);
            let uri = match same {
                Some(same) if did_allow == self.allow_localhost => Ok(same.clone()),
                _ if self.allow_localhost && line.starts_with("http://") => {
                    RedirectUri::loopback_with_localhost(line)
                }
                _ => RedirectUri::parse(line),
            };
            match uri {
                Ok(uri) if uris.contains(&uri) => {}
                Ok(uri) => uris.push(uri),
                Err(invalid) => {
                    mistakes.add("redirect_uris", text::redirect(number, line, invalid.problem));
                }
            }
        }
        uris
    }

    fn scope(&self, mistakes: &mut Mistakes) -> Scope {
        let others = numbered(&self.other_scopes).flat_map(|(number, line)| {
            line.split_ascii_whitespace().map(move |token| (number, token))
        });
        let mut tokens: Vec<&str> = Vec::new();
        for (number, token) in self.scopes.iter().map(|token| (0, token.as_str())).chain(others) {
            match ScopeToken::new(token) {
                Ok(_) => tokens.push(token),
                Err(invalid) => mistakes.add("scope", text::scope(number, token, invalid.problem)),
            }
        }
        Scope::parse(&tokens.join(" ")).unwrap_or_else(|invalid| {
            mistakes.add("scope", text::sentence(invalid.problem));
            Scope::default()
        })
    }
}

impl JwtForm {
    /// Returns the settings, with those that the form does not show from `base`.
    fn settings(&self, base: Option<&JwtSettings>, mistakes: &mut Mistakes) -> Option<JwtSettings> {
        let mut settings = if self.by_secret {
            JwtSettings::signature_secret()
        } else {
            JwtSettings::keys(read_keys(&self.keys, "jwt_keys", mistakes)?)
        };
        if let Some(base) = base {
            settings = settings
                .with_token_endpoint_audience(base.allows_token_endpoint_audience())
                .with_max_lifetime(base.max_lifetime())
                .with_clock_skew(base.clock_skew())
                .with_jti(base.jti());
            // Algorithms are those of the kind of key.
            if Self::of(Some(base)).by_secret == self.by_secret {
                settings = settings.with_algorithms(base.algorithms().iter().copied());
            }
        }
        if !self.issuer.is_empty() {
            settings = settings.with_issuer(&*self.issuer);
        }
        if !self.audience.is_empty() {
            settings = settings.with_audience(&*self.audience);
        }
        let mut policy = base.map(|base| base.impersonation().clone()).unwrap_or_default();
        policy.except = members(&self.except_subjects, &self.except_groups, mistakes);
        policy.allow = match &*self.allow {
            "anyone" => Impersonable::Anyone,
            "members" => Impersonable::Members(members(&self.subjects, &self.groups, mistakes)),
            _ => Impersonable::None,
        };
        Some(
            settings
                .with_user_claim(&*self.user_claim)
                .with_assertion_authenticates(self.authenticates)
                .with_refresh_token(self.refresh_token)
                .with_impersonation(policy),
        )
    }
}

fn members(subjects: &str, groups: &str, mistakes: &mut Mistakes) -> Members {
    let mut sentences = Vec::new();
    let members = Members::subjects(lines::names(subjects, Subject::new, &mut sentences))
        .and_groups(lines::names(groups, Group::new, &mut sentences));
    for sentence in sentences {
        mistakes.add("jwt_members", sentence);
    }
    members
}

fn read_keys(typed: &str, field: &'static str, mistakes: &mut Mistakes) -> Option<VerifyingKeys> {
    if typed.trim().is_empty() {
        mistakes.add(field, text::KEYS_MISSING);
        return None;
    }
    match keys::read(typed) {
        Ok(keys) => Some(keys),
        Err(error) => {
            mistakes.add(field, text::sentence(&error.to_string()));
            None
        }
    }
}

/// Checks whether a registered URI allows `localhost`: its JSON says so.
pub(super) fn allows_localhost(uri: &RedirectUri) -> bool {
    serde_json::to_value(uri).is_ok_and(|json| json.is_object())
}
