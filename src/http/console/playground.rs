//! The settings of the playground: its place, its app, and the APIs that its page may call.

use http::header::HeaderValue;
use url::Url;

use super::path::Mount;
use super::texts::playground as text;
use crate::app::{AppDraft, AppSettings, ClientType, CustomApp, Flow, InvalidApp};
use crate::catalog::ApiCatalog;
use crate::ids::{ClientId, InvalidId, Issuer};
use crate::protocol::redirect_uri::{InstanceHosts, RedirectUri};
use crate::protocol::scope::{Scope, ScopeToken};
use crate::protocol::uri::WebOrigin;
use crate::resource_server::ResourceServer;

/// Tokens of the playground end soon: they are for trying out.
const ACCESS_TOKEN_SECONDS: u32 = 600;
const REFRESH_TOKEN_SECONDS: u32 = 8 * 3_600;
/// The most APIs that an app may name.
const MOST_APIS: usize = 50;

/// The playground of a [`Console`](super::Console): a page that runs the code flow in the browser and calls the
/// endpoints of the [`ApiCatalog`].
///
/// Its app is a public one with the client id [`CLIENT_ID`](Self::CLIENT_ID) and the redirect URI
/// `{console}/playground/callback`. An administrator who may edit apps registers it by a button on the page, or the
/// host registers or declares it. A token of the playground is like any other: it is granted by the user who is
/// logged in, listed, and revoked with the user.
///
/// ```
/// use grantor::http::console::Playground;
/// use grantor::protocol::WebOrigin;
///
/// let playground = Playground::new().with_api(WebOrigin::new("https://api.example.com")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "the playground is off until a console has it"]
pub struct Playground {
    origin: Option<WebOrigin>,
    apis: Vec<WebOrigin>,
}

impl Playground {
    /// The client id of the playground's app.
    pub const CLIENT_ID: &'static str = "grantor-playground";

    /// Creates the playground of a console at the origin of the issuer, which calls APIs at that origin only.
    pub fn new() -> Self {
        Self::default()
    }

    /// States that browsers see the console at another origin than the issuer's. It is not guessed from headers.
    pub fn with_console_origin(mut self, origin: WebOrigin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Lets the page call the endpoints of the catalog at this origin too. The API there has to allow requests of
    /// the console's origin by CORS, with the header `Authorization`.
    pub fn with_api(mut self, origin: WebOrigin) -> Self {
        self.apis.push(origin);
        self
    }

    /// Returns the client id of the playground's app.
    pub(super) fn client_id() -> Result<ClientId, InvalidId> {
        ClientId::new(Self::CLIENT_ID)
    }

    /// Returns the origin of the console, if it is not the issuer's.
    pub(super) fn console_origin(&self) -> Option<&str> {
        self.origin.as_ref().map(WebOrigin::as_str)
    }

    /// Returns the redirect URI of the playground's app, or `None` if browsers reach the console neither by `https`
    /// nor on this machine.
    pub(super) fn redirect_uri(&self, issuer: &Issuer, mount: &Mount) -> Option<RedirectUri> {
        let own = web_origin(self.console_origin().unwrap_or(issuer.as_str()))?;
        let uri = format!("{own}{}/playground/callback", mount.outer());
        RedirectUri::parse(&uri).or_else(|_| RedirectUri::loopback_with_localhost(&uri)).ok()
    }

    /// Returns the origins whose API the page may call, the issuer's first.
    pub(super) fn api_origins(&self, issuer: &Issuer) -> Vec<String> {
        let mut origins = Vec::new();
        let listed = self.apis.iter().map(WebOrigin::as_str);
        for origin in [issuer.as_str()].into_iter().chain(listed).filter_map(web_origin) {
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        origins
    }

    /// Returns the content security policy of the page: the one of the other pages, and the origins that its script
    /// may call.
    pub(super) fn policy(&self, issuer: &Issuer, others: &str) -> Option<HeaderValue> {
        let origins = self.api_origins(issuer).join(" ");
        HeaderValue::try_from(format!("{others}; connect-src 'self' {origins}")).ok()
    }

    /// Returns the settings of the playground's app: every scope of the catalog and every known API can be tried.
    pub(super) fn settings(
        redirect_uri: RedirectUri,
        catalog: Option<&ApiCatalog>,
        apis: &[ResourceServer],
    ) -> Result<AppSettings, InvalidApp> {
        let tokens = catalog.map(ApiCatalog::scopes_supported).unwrap_or_default();
        let tokens: Vec<&str> = tokens.into_iter().map(ScopeToken::as_str).collect();
        AppDraft::public(text::APP_NAME)
            .description(text::APP_DESCRIPTION)
            .flow(Flow::AuthorizationCode)
            .redirect_uri(redirect_uri)
            // A catalog may have more scopes than an app. The administrator then chooses.
            .scope(Scope::parse(&tokens.join(" ")).unwrap_or_default())
            .resources(apis.iter().take(MOST_APIS).map(|api| api.identifier.clone()))
            .refresh_token(true)
            .access_token_lifetime(ACCESS_TOKEN_SECONDS)
            .refresh_token_lifetime(REFRESH_TOKEN_SECONDS)
            .build()
    }

    /// Returns why `app` cannot be the playground's, if it cannot.
    pub(super) fn problem(
        app: &CustomApp,
        redirect_uri: &RedirectUri,
        hosts: &InstanceHosts,
    ) -> Option<&'static str> {
        let settings = app.settings();
        let is_registered = || {
            settings
                .redirect_uris()
                .iter()
                .any(|it| it.matches(redirect_uri.as_str(), hosts).is_some())
        };
        if !app.is_enabled() {
            Some(text::APP_DISABLED)
        } else if settings.client_type() != ClientType::Public
            || !settings.allows(Flow::AuthorizationCode)
        {
            Some(text::APP_OTHER)
        } else if !is_registered() {
            Some(text::APP_REDIRECT)
        } else if !settings.requires_consent() {
            Some(text::APP_UNASKED)
        } else {
            None
        }
    }
}

/// Returns the origin of a web page, as browsers write it.
fn web_origin(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    Some(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> WebOrigin {
        WebOrigin::new(text).unwrap()
    }

    /// H18: the redirect URI is on the console's own origin, which is not guessed.
    #[test]
    fn the_redirect_uri_is_below_the_console_as_browsers_see_it() {
        let mount = Mount::new("/admin/oauth").unwrap().stripped("/admin").unwrap();
        for (issuer, own, expected) in [
            ("https://as.example.com/tenant", None, Some("https://as.example.com")),
            ("https://as.example.com:443", None, Some("https://as.example.com")),
            ("http://127.0.0.1:8089", None, Some("http://127.0.0.1:8089")),
            ("http://localhost:8089", None, Some("http://localhost:8089")),
            ("http://auth:8080", None, None),
            (
                "http://auth:8080",
                Some("https://Desk.example.com"),
                Some("https://desk.example.com"),
            ),
            ("https://as.example.com", Some("capacitor://localhost"), None),
        ] {
            let issuer = Issuer::with_plain_http(issuer).unwrap();
            let mut playground = Playground::new();
            if let Some(own) = own {
                playground = playground.with_console_origin(origin(own));
            }
            let uri = playground.redirect_uri(&issuer, &mount);
            let uri = uri.as_ref().map(RedirectUri::as_str);
            let expected = expected.map(|it| format!("{it}/admin/oauth/playground/callback"));
            assert_eq!(uri, expected.as_deref());
        }
    }

    /// H20: a page calls the issuer's origin and listed ones, each once.
    #[test]
    fn the_policy_names_the_issuer_and_the_listed_apis() {
        let issuer = Issuer::new("https://as.example.com/tenant").unwrap();
        let playground = Playground::new()
            .with_api(origin("https://API.example.com:8443"))
            .with_api(origin("https://as.example.com:443"))
            .with_api(origin("capacitor://localhost"));
        let policy = playground.policy(&issuer, "default-src 'none'").unwrap();
        assert_eq!(
            policy,
            "default-src 'none'; connect-src 'self' https://as.example.com https://api.example.com:8443"
        );
    }
}
