//! The rules by which apps register themselves.

use std::time::Duration;

use crate::app::{AppTemplate, InvalidApp};
use crate::jwt::StatementIssuer;
use crate::secret::{Digest, InitialAccessToken};

/// The fewest bytes of an initial access token: 128 random bits in base64url.
const MIN_TOKEN: usize = 22;
/// The most initial access tokens, and the most issuers of software statements.
const MAX_PARTIES: usize = 20;
/// The most apps that may register themselves.
const MAX_APPS: usize = 1_000_000;

/// The rules by which apps register themselves (RFC 7591): for [`ServerBuilder::registration`].
///
/// An app gets what the template allows and its own metadata ask for. It gets tokens by the consent of users only.
///
/// ```
/// use grantor::Scope;
/// use grantor::app::AppTemplate;
/// use grantor::endpoint::{Registration, RegistrationAccess};
///
/// let template = AppTemplate::new(Scope::parse("mcp.read mcp.write")?).refresh_token(true);
/// let registration = Registration::new(template, RegistrationAccess::Open)?.max_apps(2_000);
/// # let _ = registration;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`ServerBuilder::registration`]: crate::ServerBuilder::registration
#[derive(Debug)]
#[must_use = "the rules have no effect until the server has them"]
pub struct Registration {
    pub(super) template: AppTemplate,
    pub(super) access: RegistrationAccess,
    pub(super) has_management: bool,
    pub(super) drops_redirect_uris: bool,
    pub(super) narrows_scope: bool,
    pub(super) max_apps: usize,
    pub(super) unused_lifetime: Duration,
    pub(super) idle_lifetime: Duration,
}

/// The callers that may register an app.
#[derive(Debug)]
#[non_exhaustive]
pub enum RegistrationAccess {
    /// Every caller. A `software_statement` is ignored.
    Open,
    /// A caller with one of these tokens, 1 to 20 of at least 22 bytes, as `Authorization: Bearer` (RFC 7591 section
    /// 3). A `software_statement` is ignored.
    InitialAccessToken(Vec<InitialAccessToken>),
    /// A caller with a software statement of one of these issuers, 1 to 20 (RFC 7591 section 2.3). Its claims win over
    /// the other members of the request.
    SoftwareStatement(Vec<StatementIssuer>),
}

impl Registration {
    /// Creates rules without management, for at most 10,000 apps.
    ///
    /// # Errors
    ///
    /// [`InvalidApp`] names the setting of the template at fault, or `access` if there are no tokens or issuers, too
    /// many, a short token, or an issuer with a symmetric key.
    pub fn new(template: AppTemplate, access: RegistrationAccess) -> Result<Self, InvalidApp> {
        template.check()?;
        access.check()?;
        Ok(Self {
            template,
            access,
            has_management: false,
            drops_redirect_uris: true,
            narrows_scope: true,
            max_apps: 10_000,
            unused_lifetime: Duration::from_hours(1),
            idle_lifetime: Duration::from_hours(14 * 24),
        })
    }

    /// Lets each app read, change and delete its own registration with a token (RFC 7592). Default: no.
    ///
    /// An app with such a token of its own is never shared: a registration that repeats another then makes another
    /// app.
    pub const fn management(mut self, allowed: bool) -> Self {
        self.has_management = allowed;
        self
    }

    pub(crate) const fn has_management(&self) -> bool {
        self.has_management
    }

    /// Sets whether unusable redirect URIs among usable ones are dropped, which the answer tells in
    /// `dropped_redirect_uris`. Otherwise they refuse the registration. Default: yes, because clients register a list
    /// for every platform.
    pub const fn drop_unusable_redirect_uris(mut self, dropped: bool) -> Self {
        self.drops_redirect_uris = dropped;
        self
    }

    /// Sets whether a stated `scope` narrows that of the template. Otherwise each app has the template's scope, which
    /// the answer tells. Default: yes.
    ///
    /// Set it to no for clients of MCP: they register the scope of their first request, and later ask for more (RFC
    /// 7591 section 3.2.1 lets the server replace the value). Users still consent to each scope.
    pub const fn narrow_scope(mut self, narrowed: bool) -> Self {
        self.narrows_scope = narrowed;
        self
    }

    /// Sets how many apps may have registered themselves at a time: 1 to 1,000,000. Default: 10,000.
    ///
    /// Each process counts again every minute at most. In between, others may exceed the number by what they register.
    pub fn max_apps(mut self, apps: usize) -> Self {
        self.max_apps = apps.clamp(1, MAX_APPS);
        self
    }

    /// Sets how long an app is kept that no user gave access: at least a minute. Default: one hour.
    pub fn unused_lifetime(mut self, lifetime: Duration) -> Self {
        self.unused_lifetime = lifetime.max(Duration::from_mins(1));
        self
    }

    /// Sets about how long an app is kept after its last access ended: at least a minute. Default: 14 days.
    pub fn idle_lifetime(mut self, lifetime: Duration) -> Self {
        self.idle_lifetime = lifetime.max(Duration::from_mins(1));
        self
    }
}

impl RegistrationAccess {
    fn check(&self) -> Result<(), InvalidApp> {
        let invalid = |problem: &'static str| Err(InvalidApp::new("access", problem));
        match self {
            Self::Open => Ok(()),
            Self::InitialAccessToken(tokens) => {
                if !(1..=MAX_PARTIES).contains(&tokens.len()) {
                    return invalid("must list 1 to 20 initial access tokens");
                }
                let is_usable = |token: &InitialAccessToken| {
                    let token = token.expose_secret();
                    token.len() >= MIN_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic())
                };
                if tokens.iter().all(is_usable) {
                    return Ok(());
                }
                invalid("must have tokens of at least 22 bytes of printable ASCII")
            }
            Self::SoftwareStatement(issuers) => {
                if !(1..=MAX_PARTIES).contains(&issuers.len()) {
                    return invalid("must list 1 to 20 issuers of software statements");
                }
                if issuers.iter().any(|it| it.issuer().is_empty() || it.keys().hold_secret()) {
                    return invalid("must have issuers with a name and public keys only");
                }
                Ok(())
            }
        }
    }
}

/// Checks whether `presented` is one of `tokens`, in a time that does not depend on which.
pub(super) fn is_one_of(tokens: &[InitialAccessToken], presented: &str) -> bool {
    let digest = |token: &str| Digest::of_fields(&[b"initial access token", token.as_bytes()]);
    let presented = digest(presented);
    let matches = |token: &InitialAccessToken| digest(token.expose_secret()).matches(&presented);
    tokens.iter().fold(false, |found, token| matches(token) | found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::{Algorithm, SigningKey, VerifyingKeys};
    use crate::protocol::scope::Scope;

    fn with(access: RegistrationAccess) -> Option<&'static str> {
        let template = AppTemplate::new(Scope::parse("a").unwrap());
        Registration::new(template, access).err().map(|invalid| invalid.field())
    }

    fn tokens(number: usize, length: usize) -> RegistrationAccess {
        let token = || InitialAccessToken::new("t".repeat(length));
        RegistrationAccess::InitialAccessToken((0..number).map(|_| token()).collect())
    }

    fn issuers(number: usize, algorithm: Algorithm) -> RegistrationAccess {
        let key = SigningKey::generate(algorithm).unwrap();
        let issuer = || StatementIssuer::new("vendor", VerifyingKeys::from(key.verifying_key()));
        RegistrationAccess::SoftwareStatement((0..number).map(|_| issuer()).collect())
    }

    /// Y4: each mode has its documented bounds.
    #[test]
    fn tokens_and_issuers_have_their_documented_bounds() {
        assert_eq!(with(RegistrationAccess::Open), None);
        assert_eq!([with(tokens(1, 22)), with(tokens(20, 22))], [None, None]);
        assert_eq!(with(issuers(20, Algorithm::EdDSA)), None);
        for bad in [tokens(0, 22), tokens(21, 22), tokens(1, 21)] {
            assert_eq!(with(bad), Some("access"));
        }
        for bad in [
            issuers(0, Algorithm::EdDSA),
            issuers(21, Algorithm::EdDSA),
            issuers(1, Algorithm::HS256),
        ] {
            assert_eq!(with(bad), Some("access"));
        }
    }

    #[test]
    fn the_rules_have_their_documented_bounds() {
        let template = AppTemplate::new(Scope::parse("a").unwrap());
        let rules = || Registration::new(template.clone(), RegistrationAccess::Open).unwrap();
        assert_eq!(rules().max_apps, 10_000);
        let numbers = [0, 1, 1_000_000, 1_000_001].map(|apps| rules().max_apps(apps).max_apps);
        assert_eq!(numbers, [1, 1, 1_000_000, 1_000_000]);
        let defaults = [rules().unused_lifetime, rules().idle_lifetime];
        assert_eq!(defaults, [Duration::from_hours(1), Duration::from_hours(336)]);
        let least = Duration::from_mins(1);
        let shortest =
            rules().unused_lifetime(Duration::from_secs(59)).idle_lifetime(Duration::ZERO);
        assert_eq!([shortest.unused_lifetime, shortest.idle_lifetime], [least; 2]);
    }

    #[test]
    fn a_token_is_one_of_the_list_or_not() {
        let tokens = [InitialAccessToken::new("one"), InitialAccessToken::new("two")];
        assert!(is_one_of(&tokens, "one") && is_one_of(&tokens, "two"));
        assert!(!is_one_of(&tokens, "three") && !is_one_of(&tokens, "") && !is_one_of(&[], ""));
        assert!(!format!("{tokens:?}").contains("two"));
    }
}
