//! The subject token of an exchange: an access token of this server, or a token of a trusted issuer about a user.

use std::sync::Arc;

use serde_json::Value;

use super::ProofContext;
use super::evidence::{find_user, rules_of, user_rules};
use crate::app::{CustomApp, TokenSource, TrustedIssuer};
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::error::{EndpointError, ExchangeRefusal, TokenFault};
use crate::ids::{ClientId, Issuer};
use crate::jwt::access_token::AccessTokenRules;
use crate::jwt::evidence::{SubjectTokenRules, VerifiedSubjectToken};
use crate::jwt::{
    AccessTokenClaims, AccessTokenError, AssertionError, Circumstances, Parent, PriorActor,
};
use crate::protocol::scope::Scope;
use crate::resource_server::resource::ResourceServer;
use crate::secret::Digest;
use crate::store::{AccessFacts, Store};
use crate::users::{User, UserDirectory};

/// The token type identifier of access tokens (RFC 8693 section 3): those of this server.
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The type by which a request for an exchange calls its subject token (RFC 8693 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectTokenType {
    /// An access token of this server.
    AccessToken,
    /// A JWT of a trusted issuer.
    Jwt,
    /// An ID token of a trusted issuer.
    IdToken,
}

impl SubjectTokenType {
    /// Reads a token type identifier (RFC 8693 section 3).
    pub(super) fn from_wire(name: &str) -> Option<Self> {
        match name {
            ACCESS_TOKEN => Some(Self::AccessToken),
            "urn:ietf:params:oauth:token-type:jwt" => Some(Self::Jwt),
            "urn:ietf:params:oauth:token-type:id_token" => Some(Self::IdToken),
            _ => None,
        }
    }
}

/// A verified subject token.
pub(super) enum VerifiedSubject {
    /// This server issued it.
    Own(Box<AccessTokenClaims>),
    /// A trusted issuer issued it.
    OfIssuer(Box<OfIssuer>),
}

/// A verified subject token of a trusted issuer.
pub(super) struct OfIssuer {
    token: VerifiedSubjectToken,
    scope: Option<Scope>,
    record: Arc<TrustedIssuer>,
    is_id_token: bool,
}

impl VerifiedSubject {
    /// Verifies a token that the request calls `named`.
    pub(super) fn verify(
        token: &str,
        named: SubjectTokenType,
        against: &ProofContext<'_>,
    ) -> Result<Self, ExchangeRefusal> {
        if named == SubjectTokenType::AccessToken {
            let claims = verify_own(token, against).map_err(ExchangeRefusal::Subject)?;
            return Ok(Self::Own(Box::new(claims)));
        }
        let trust = against.trust.ok_or(ExchangeRefusal::UnknownIssuer)?;
        let record = &trust.record;
        let keys = trust.keys().ok_or(ExchangeRefusal::IssuerKeysUnavailable)?;
        let is_id_token = named == SubjectTokenType::IdToken;
        let rules = SubjectTokenRules {
            evidence: rules_of(record, keys, against),
            users: user_rules(record, record.subject_tokens()),
            is_id_token,
        };
        let token = rules.verify(trust.token, against.now).map_err(ExchangeRefusal::Evidence)?;
        let scope = token.user.scope.as_deref().map(Scope::parse).transpose();
        let scope = scope.map_err(|_| ExchangeRefusal::Evidence(AssertionError::Scope))?;
        let record = Arc::clone(record);
        Ok(Self::OfIssuer(Box::new(OfIssuer { token, scope, record, is_id_token })))
    }

    /// The claims of an access token of this server.
    pub(super) fn own(&self) -> Option<&AccessTokenClaims> {
        if let Self::Own(claims) = self { Some(claims) } else { None }
    }

    pub(super) fn source(&self) -> TokenSource<'_> {
        match self {
            Self::Own(claims) => TokenSource::App(&claims.client_id),
            Self::OfIssuer(it) => TokenSource::Issuer(&it.record),
        }
    }

    /// When the token expires.
    pub(super) fn expires_at(&self) -> UnixTime {
        match self {
            Self::Own(claims) => claims.expires_at,
            Self::OfIssuer(it) => it.token.evidence.expires_at,
        }
    }

    pub(super) fn may_act(&self) -> Option<&Value> {
        match self {
            Self::Own(claims) => claims.extra.get("may_act"),
            Self::OfIssuer(it) => it.token.user.may_act.as_ref(),
        }
    }

    /// Returns true if the token was issued to the app, or names it or one of its APIs as its audience. Any other app is
    /// a confused deputy: the token has leaked to it.
    ///
    /// A token of another issuer may also be for this server alone. The apps of that issuer are not those of this
    /// server, so the app that it was issued to does not matter.
    pub(super) fn is_for(
        &self,
        app: &ClientId,
        servers: &[ResourceServer],
        issuer: &Issuer,
    ) -> bool {
        let own = || servers.iter().filter(|server| server.client_id == *app);
        let names_api = |name: &String| own().any(|server| server.is_named(name));
        let is_app = |name: &String| name == app.as_str();
        match self {
            Self::Own(claims) => {
                claims.client_id == *app
                    || claims.audience.iter().any(|it| is_app(it) || names_api(it))
            }
            Self::OfIssuer(it) => {
                // An ID token is for a client, never for an API (OpenID Connect Core section 2).
                let names_api = |name| !it.is_id_token && names_api(name);
                let audience = &it.token.audience;
                audience.iter().any(|it| is_app(it) || names_api(it))
                    || matches!(audience.as_slice(), [only] if only == issuer.as_str())
            }
        }
    }

    /// Returns the actors that the token names, latest first.
    pub(super) fn actors(&self) -> Vec<PriorActor> {
        match self {
            Self::Own(claims) => {
                let last = claims.actor.as_ref();
                let last = last.map(|it| PriorActor { subject: it.into(), issuer: None });
                let earlier = &claims.circumstances.prior_actors;
                last.into_iter().chain(earlier.iter().cloned()).collect()
            }
            Self::OfIssuer(it) => it.token.user.actors.clone(),
        }
    }

    /// Returns what a token descends from that `app` gets for this one.
    ///
    /// The token of another issuer stands for a grant to the app at the instant of its issue: what ends its issuer, its
    /// user or the app ends the derived token, too.
    pub(super) fn parents(&self, app: &ClientId) -> Vec<Parent> {
        match self {
            Self::Own(claims) => {
                let own = AccessFacts::from(&**claims).to_parent();
                [own].into_iter().chain(claims.via.iter().cloned()).collect()
            }
            Self::OfIssuer(it) => vec![Parent {
                grant_id: it.token.name,
                client_id: app.clone(),
                subject: None,
                device: None,
                session: None,
                evidence_issuer: Some(it.record.issuer().clone()),
                authorized_at: it.token.issued_at,
            }],
        }
    }

    /// Returns true if no user decided about the first of the grants that the token descends from, but an app
    /// impersonated the user. Each exchange adds an actor and a parent: an actor without one was there at the start.
    ///
    /// Another issuer does not tell how its actors came to act.
    pub(super) fn is_impersonated(&self) -> bool {
        match self {
            Self::Own(claims) => {
                let earlier = claims.circumstances.prior_actors.len();
                let actors = usize::from(claims.actor.is_some()) + earlier;
                actors > claims.via.iter().filter(|parent| parent.subject.is_none()).count()
            }
            Self::OfIssuer(it) => !it.token.user.actors.is_empty(),
        }
    }

    /// Returns the most scope that the token can give to `app`. What another issuer signed is a ceiling of what the app
    /// may have.
    pub(super) fn scope(&self, app: &CustomApp) -> Scope {
        let of_app = app.settings().scope();
        match self {
            Self::Own(claims) => claims.scope.clone(),
            Self::OfIssuer(it) => {
                it.scope.as_ref().map_or_else(|| of_app.clone(), |it| of_app.intersection(it))
            }
        }
    }

    /// Returns the time and the circumstances of the user's authentication.
    pub(super) fn into_authentication(self) -> (Option<UnixTime>, Circumstances) {
        let (auth_time, acr, amr) = match self {
            Self::Own(claims) => {
                let Circumstances { acr, amr, .. } = claims.circumstances;
                (claims.auth_time, acr, amr)
            }
            Self::OfIssuer(it) => {
                let user = it.token.user;
                (user.auth_time, user.acr, user.amr)
            }
        };
        (auth_time, Circumstances { acr, amr, ..Circumstances::default() })
    }

    /// Returns the name of a token that is good for one use.
    pub(super) fn single_use(&self) -> Option<Digest> {
        if let Self::OfIssuer(it) = self { it.token.evidence.jti } else { None }
    }
}

impl<S: Store, U: UserDirectory, H: Sync> Context<S, U, H> {
    /// Finds the user of a subject token, and asks the store whether the token is void: one read. `None`: another issuer
    /// names a user that this server does not have.
    pub(super) async fn user_of(
        &self,
        token: &VerifiedSubject,
        app: &ClientId,
    ) -> Result<Option<User>, EndpointError> {
        let it = match token {
            VerifiedSubject::Own(claims) => {
                self.check_live(&AccessFacts::from(&**claims), ExchangeRefusal::Subject).await?;
                let user = self.users.find_user(&claims.subject).await?;
                let user = user.filter(|user| user.active && user.subject == claims.subject);
                return Ok(Some(user.ok_or(ExchangeRefusal::InactiveUser)?));
            }
            VerifiedSubject::OfIssuer(it) => it,
        };
        // The policy engine has refused an issuer without it.
        let trust = it.record.subject_tokens().ok_or(ExchangeRefusal::UnknownIssuer)?;
        let (name, claims) = (&it.token.evidence.subject, &it.token.user);
        let user = find_user(name, claims, &it.record, trust, &self.users).await?;
        let Some(user) = user else { return Ok(None) };
        if user.subject.is_client(app) {
            return Err(ExchangeRefusal::Subject(TokenFault::WrongSubject).into());
        }
        // Issued before a revocation that ends what it would give, it is void, too.
        let facts = AccessFacts {
            grant_id: it.token.name,
            client_id: app,
            subject: &user.subject,
            device: None,
            session: None,
            evidence_issuer: Some(it.record.issuer()),
            authorized_at: it.token.issued_at,
            via: &[],
        };
        self.check_live(&facts, ExchangeRefusal::Subject).await?;
        Ok(Some(user))
    }

    /// Asks the store whether a presented token is void: with all that it descends from, one read.
    pub(super) async fn check_live(
        &self,
        token: &AccessFacts<'_>,
        refusal: fn(TokenFault) -> ExchangeRefusal,
    ) -> Result<(), EndpointError> {
        if self.store.is_revoked(token).await? {
            return Err(refusal(TokenFault::Revoked).into());
        }
        Ok(())
    }
}

/// Verifies an access token of this server, for any API. Another host may have issued it, whose clock is ahead.
pub(super) fn verify_own(
    token: &str,
    against: &ProofContext<'_>,
) -> Result<AccessTokenClaims, TokenFault> {
    let keys = against.keys.at(against.now);
    let rules = AccessTokenRules {
        keys: keys.verifying(),
        issuer: against.issuer,
        audiences: None,
        clock_skew: against.host_skew,
    };
    let claims = rules.verify(token, against.now).map_err(|error| {
        if error == AccessTokenError::Exp { TokenFault::Expired } else { TokenFault::Invalid }
    })?;
    // The skew is for `iat` in the future, not for `exp`.
    if claims.expires_at <= against.now {
        return Err(TokenFault::Expired);
    }
    // The request proves no key.
    if claims.extra.contains_key("cnf") { Err(TokenFault::Bound) } else { Ok(claims) }
}
