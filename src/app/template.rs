//! The settings that a host gives to apps that describe themselves.

use serde::{Deserialize, Serialize};

use super::{
    AppDraft, AppSettings, AuthenticationMethodName, ClientAuthentication, ClientMetadata, Flow,
    InvalidApp, JwksUri, RateQuota, ScopePolicy,
};
use crate::ids::Resource;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scope;

/// The settings of apps that no administrator registered: the host decides them once, and an app's own
/// [`ClientMetadata`] can only narrow them.
///
/// Such an app has the authorization code flow with PKCE and no other flow, and users always consent. A request
/// for more scope than the template has gets the rest ([`ScopePolicy::Reduce`]).
///
/// ```
/// use grantor::Scope;
/// use grantor::app::{AppTemplate, AuthenticationMethodName, ClientMetadata};
///
/// let template = AppTemplate::new(Scope::parse("mcp.read mcp.write")?).refresh_token(true);
/// let metadata = ClientMetadata::parse(
///     br#"{"redirect_uris": ["http://localhost/callback", "http://intranet.example/"]}"#,
/// )?;
/// let app = template.describe(&metadata, "Unnamed", AuthenticationMethodName::None)?;
/// assert_eq!(app.settings.redirect_uris().len(), 1);
/// assert_eq!(app.dropped[0].problem, "http is allowed on loopback only");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In JSON: an object with `scope` and any of the other settings, by the names of their methods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use = "a template has no effect until the server has it"]
pub struct AppTemplate {
    scope: Scope,
    #[serde(default)]
    resources: Vec<Resource>,
    #[serde(default)]
    default_resource: Option<Resource>,
    #[serde(default)]
    refresh_token: bool,
    #[serde(default)]
    access_token_lifetime: Option<u32>,
    #[serde(default)]
    refresh_token_lifetime: Option<u32>,
    #[serde(default)]
    refresh_token_idle_lifetime: Option<u32>,
    #[serde(default)]
    custom_schemes: Vec<String>,
    #[serde(default)]
    reverse_domain_schemes: bool,
    #[serde(default)]
    rate_quota: Option<RateQuota>,
}

/// An app as it describes itself, within a template.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescribedApp {
    /// The settings.
    pub settings: AppSettings,
    /// The redirect URIs that the app stated and does not have.
    pub dropped: Vec<DroppedRedirectUri>,
}

/// A stated redirect URI that is not usable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DroppedRedirectUri {
    /// The URI as the app wrote it.
    pub uri: String,
    /// The problem, as a clause: `it has a fragment`.
    pub problem: &'static str,
}

impl AppTemplate {
    /// Creates a template with this scope, for the server's own API, without refresh tokens and custom schemes.
    /// The lifetimes are the defaults of an [`AppDraft`].
    pub const fn new(scope: Scope) -> Self {
        Self {
            scope,
            resources: Vec::new(),
            default_resource: None,
            refresh_token: false,
            access_token_lifetime: None,
            refresh_token_lifetime: None,
            refresh_token_idle_lifetime: None,
            custom_schemes: Vec::new(),
            reverse_domain_schemes: false,
            rate_quota: None,
        }
    }

    /// Sets the APIs that the apps may request tokens for by `resource`: see [`AppDraft::resources`].
    pub fn resources(mut self, resources: impl IntoIterator<Item = Resource>) -> Self {
        self.resources = resources.into_iter().collect();
        self
    }

    /// Sets the audience of tokens if the request names no `resource`: see [`AppDraft::default_resource`].
    pub fn default_resource(mut self, resource: Option<Resource>) -> Self {
        self.default_resource = resource;
        self
    }

    /// Sets whether the apps get refresh tokens. An app that lists `grant_types` without `refresh_token` gets none.
    /// Default: no.
    pub fn refresh_token(mut self, issued: bool) -> Self {
        self.refresh_token = issued;
        self
    }

    /// Sets the lifetime of access tokens, in seconds: see [`AppDraft::access_token_lifetime`].
    pub fn access_token_lifetime(mut self, seconds: u32) -> Self {
        self.access_token_lifetime = Some(seconds);
        self
    }

    /// Sets the lifetime of grants, in seconds: see [`AppDraft::refresh_token_lifetime`].
    pub fn refresh_token_lifetime(mut self, seconds: u32) -> Self {
        self.refresh_token_lifetime = Some(seconds);
        self
    }

    /// Sets how long a refresh token may stay unused, in seconds: see
    /// [`AppDraft::refresh_token_idle_lifetime`].
    pub fn refresh_token_idle_lifetime(mut self, seconds: Option<u32>) -> Self {
        self.refresh_token_idle_lifetime = seconds;
        self
    }

    /// Allows redirect URIs with one of these schemes, such as `cursor`. Default: none.
    ///
    /// The price: any program on the user's device may claim such a scheme (RFC 8252 section 8.6). Consent is
    /// therefore never skipped for it.
    pub fn custom_schemes<T: Into<String>>(mut self, schemes: impl IntoIterator<Item = T>) -> Self {
        self.custom_schemes = schemes.into_iter().map(Into::into).collect();
        self
    }

    /// Allows redirect URIs with every scheme that has a dot, such as `com.example.app` (RFC 8252 section 7.1).
    /// Default: no. The price is that of [`custom_schemes`](Self::custom_schemes).
    pub fn reverse_domain_schemes(mut self, allowed: bool) -> Self {
        self.reverse_domain_schemes = allowed;
        self
    }

    /// Sets the limit on token requests of each app. `None` means the server's default.
    pub fn rate_quota(mut self, quota: Option<RateQuota>) -> Self {
        self.rate_quota = quota;
        self
    }

    /// Checks the settings, alone and in combination.
    ///
    /// # Errors
    ///
    /// [`InvalidApp`] names the setting at fault.
    pub fn check(&self) -> Result<(), InvalidApp> {
        // Any app will do: what the template sets does not depend on it.
        let uri = RedirectUri::parse("https://app.example/")
            .map_err(|error| InvalidApp::new("redirect_uris", error.problem))?;
        self.draft("App", ClientAuthentication::None).redirect_uri(uri).build().map(|_| ())
    }

    /// Returns the app that `metadata` describe, without a client id: they narrow the scope and the refresh tokens of
    /// this template. `unnamed` is its name if they have none, and `default_method` its authentication.
    ///
    /// The name is unverified: no administrator vouches for it.
    ///
    /// A client secret method needs a secret, which the caller gives.
    ///
    /// # Errors
    ///
    /// [`InvalidApp`] names the member at fault. Unusable redirect URIs are [dropped](DescribedApp::dropped) as long
    /// as one is usable.
    pub fn describe(
        &self,
        metadata: &ClientMetadata,
        unnamed: &str,
        default_method: AuthenticationMethodName,
    ) -> Result<DescribedApp, InvalidApp> {
        let lists = |list: &Option<Vec<String>>, word: &str| {
            list.as_ref().is_none_or(|words| words.iter().any(|one| one == word))
        };
        if !lists(&metadata.grant_types, "authorization_code") {
            return Err(InvalidApp::new("grant_types", "must list authorization_code"));
        }
        if !lists(&metadata.response_types, "code") {
            return Err(InvalidApp::new("response_types", "must list code"));
        }
        let method = metadata.token_endpoint_auth_method.unwrap_or(default_method);
        let name = metadata.client_name.as_deref().unwrap_or(unnamed);
        let refreshes = self.refresh_token && lists(&metadata.grant_types, "refresh_token");
        let (redirect_uris, dropped) = self.redirect_uris(&metadata.redirect_uris)?;
        let settings = self
            .draft(name, authentication(method, metadata)?)
            .scope(self.narrowed(metadata.scope.as_ref())?)
            .refresh_token(refreshes)
            .redirect_uris(redirect_uris)
            .build()?;
        Ok(DescribedApp { settings, dropped })
    }

    fn draft(&self, name: &str, authentication: ClientAuthentication) -> AppDraft {
        let mut draft = AppDraft::public(name)
            .authentication(authentication)
            .flow(Flow::AuthorizationCode)
            .scope(self.scope.clone())
            .scope_policy(ScopePolicy::Reduce)
            .resources(self.resources.iter().cloned())
            .default_resource(self.default_resource.clone())
            .refresh_token(self.refresh_token)
            .refresh_token_idle_lifetime(self.refresh_token_idle_lifetime)
            .require_consent(true)
            .rate_quota(self.rate_quota);
        if let Some(seconds) = self.access_token_lifetime {
            draft = draft.access_token_lifetime(seconds);
        }
        if let Some(seconds) = self.refresh_token_lifetime {
            draft = draft.refresh_token_lifetime(seconds);
        }
        draft
    }

    /// Returns the part of the template's scope that the app wants, or all of it if it names none.
    fn narrowed(&self, wanted: Option<&Scope>) -> Result<Scope, InvalidApp> {
        let wanted = wanted.cloned().map(Scope::without_offline_access);
        let Some(wanted) = wanted.filter(|scope| !scope.is_empty()) else {
            return Ok(self.scope.clone());
        };
        let left = wanted.intersection(&self.scope);
        if left.is_empty() {
            return Err(InvalidApp::new("scope", "has nothing that such apps may get"));
        }
        Ok(left)
    }

    /// Returns the usable URIs among `stated`, and the others.
    fn redirect_uris(
        &self,
        stated: &[String],
    ) -> Result<(Vec<RedirectUri>, Vec<DroppedRedirectUri>), InvalidApp> {
        let (mut usable, mut dropped) = (Vec::new(), Vec::new());
        for uri in stated {
            match self.redirect_uri(uri) {
                Ok(known) if usable.contains(&known) => {}
                Ok(new) => usable.push(new),
                Err(problem) => dropped.push(DroppedRedirectUri { uri: uri.clone(), problem }),
            }
        }
        match (usable.is_empty(), dropped.first()) {
            (false, _) => Ok((usable, dropped)),
            (true, Some(DroppedRedirectUri { problem, .. })) => {
                let all = format!("must list a usable URI, and of the first {problem}");
                Err(InvalidApp::new("redirect_uris", all))
            }
            (true, None) => Err(InvalidApp::new("redirect_uris", "must list at least one URI")),
        }
    }

    fn redirect_uri(&self, uri: &str) -> Result<RedirectUri, &'static str> {
        // It resolves on the user's device: a stranger's port there is no other than that of 127.0.0.1.
        let parsed = if uri.starts_with("http://localhost") {
            RedirectUri::loopback_with_localhost(uri)
        } else {
            RedirectUri::parse(uri)
        };
        let parsed = parsed.map_err(|error| error.problem)?;
        if parsed.is_template() {
            return Err("its host is that of this server");
        }
        match parsed.custom_scheme() {
            Some(scheme) if !self.allows_scheme(scheme) => Err("its scheme is not allowed here"),
            _ => Ok(parsed),
        }
    }

    fn allows_scheme(&self, scheme: &str) -> bool {
        (self.reverse_domain_schemes && scheme.contains('.'))
            || self.custom_schemes.iter().any(|allowed| allowed == scheme)
    }
}

fn authentication(
    method: AuthenticationMethodName,
    metadata: &ClientMetadata,
) -> Result<ClientAuthentication, InvalidApp> {
    match method {
        AuthenticationMethodName::None => Ok(ClientAuthentication::None),
        AuthenticationMethodName::ClientSecretBasic => Ok(ClientAuthentication::ClientSecretBasic),
        AuthenticationMethodName::ClientSecretPost => Ok(ClientAuthentication::ClientSecretPost),
        AuthenticationMethodName::PrivateKeyJwt => match (&metadata.jwks, &metadata.jwks_uri) {
            (Some(keys), _) => Ok(ClientAuthentication::PrivateKeyJwt(keys.clone())),
            (None, Some(uri)) => Ok(ClientAuthentication::PrivateKeyJwtUri(JwksUri::new(uri)?)),
            (None, None) => {
                Err(InvalidApp::new("jwks", "or `jwks_uri` is required by private_key_jwt"))
            }
        },
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
