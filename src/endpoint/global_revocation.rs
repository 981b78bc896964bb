//! Global token revocation (draft-parecki-oauth-global-token-revocation-06): a trusted issuer ends all access of one of
//! its users.
//!
//! ```text
//! token -> budget of the source -> record, keys, signature -> body -> the token is used up -> user -> sessions -> access
//! ```
//!
//! The body is not signed, so a token is good once, also if the record of the issuer allows reuse. It is used up before
//! the user is looked up: a thief learns about one name for each.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::app::{AppSettings, RevocationTrust, TrustedIssuer};
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::{Answered, AuditTrail};
use crate::endpoint::client_authentication::claim_expiry;
use crate::endpoint::context::Context;
use crate::endpoint::form_request::FormRequest;
use crate::endpoint::request_facts::RequestFacts;
use crate::error::{EndpointError, GlobalRevocationRefusal as Refusal, Rejection};
use crate::hooks::Hooks;
use crate::ids::{Issuer, Subject};
use crate::jwt::AssertionError;
use crate::jwt::evidence::{DecodedToken, Evidence, EvidenceRules, UnverifiedToken};
use crate::observe::Step;
use crate::resource_server::{self, BearerRequest};
use crate::secret::Digest;
use crate::store::{
    Keep, PendingRecord, PendingStore, Revocation, RevocationReason, RevocationTarget,
    SharedPending, Store,
};
use crate::users::{DirectoryError, User, UserDirectory};

/// The longest body, in bytes.
const MAX_BODY: usize = 8 * 1024;

/// The purpose of the records of used tokens.
const USED: &[u8] = b"global token revocation";

/// Global token revocation, for a server that offers it.
pub(crate) struct GlobalRevocation {
    /// The names of the tokens that were used.
    pub(crate) used: Box<dyn SharedPending>,
    /// The URL of the endpoint, which is the audience of Okta's tokens. The issuer is, too.
    url: String,
}

impl GlobalRevocation {
    /// Keeps the names of used tokens in `used`. The server tells the URL when it is built.
    pub(crate) fn new(used: impl PendingStore + 'static) -> Self {
        Self { used: Box::new(used), url: String::new() }
    }

    pub(crate) fn at(self, url: String) -> Self {
        Self { url, ..self }
    }
}

/// The body of a request: a subject identifier (RFC 9493) alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    sub_id: SubjectIdentifier,
}

#[derive(Deserialize)]
#[serde(tag = "format", rename_all = "snake_case", deny_unknown_fields)]
enum SubjectIdentifier {
    IssSub { iss: String, sub: String },
    Opaque { id: String },
    Email { email: String },
}

/// A name of a user that the record of the issuer allows.
enum UserName {
    /// The `sub` at the issuer.
    Linked(String),
    Subject(String),
    Email(String),
}

impl SubjectIdentifier {
    fn read(body: &[u8]) -> Option<Self> {
        let body = Some(body).filter(|body| body.len() <= MAX_BODY)?;
        serde_json::from_slice(body).ok().map(|Body { sub_id }| sub_id)
    }

    /// Returns the name, unless the record does not allow the format.
    fn allowed(
        self,
        record: &TrustedIssuer,
        trust: &RevocationTrust,
        own: &Issuer,
    ) -> Option<UserName> {
        match self {
            Self::IssSub { iss, sub } if iss == record.issuer().as_str() => {
                Some(UserName::Linked(sub))
            }
            Self::IssSub { iss, sub } if iss == own.as_str() && trust.by_subject => {
                Some(UserName::Subject(sub))
            }
            Self::Opaque { id } if trust.by_subject => Some(UserName::Subject(id)),
            Self::Email { email } if trust.by_email => Some(UserName::Email(email)),
            Self::IssSub { .. } | Self::Opaque { .. } | Self::Email { .. } => None,
        }
    }
}

impl<S: Store, U: UserDirectory, H: Hooks> Context<S, U, H> {
    /// Answers a request that ends all access of a user, and records how it ended.
    pub(crate) async fn revoke_globally(&self, request: &FormRequest<'_>) -> Answered<()> {
        let facts = RequestFacts::new(&*self.clock, request);
        let mut trail = AuditTrail::new(Action::RevokeGlobally, request, &*self.audit);
        // Boxed, so that other requests pay nothing for its state.
        let result = Box::pin(self.end_access_of_user(request, &facts, &mut trail)).await;
        self.record(&facts, trail, result).and(|result| match result {
            // Some of the access may be left, and the issuer has to repeat the request.
            Err(EndpointError::Failed(fault)) => Err(EndpointError::Unavailable(fault)),
            result => result,
        })
    }

    async fn end_access_of_user(
        &self,
        request: &FormRequest<'_>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<(), EndpointError> {
        let offered = self.global_revocation.as_deref().ok_or(Refusal::NotOffered)?;
        trail.enter(Step::RateLimit);
        // Before keys are fetched and a signature is verified: a stranger may ask for both.
        let reserved = self.limiter.reserve_failure(None, facts.caller.source, facts.now);
        let reserved =
            reserved.map_err(|retry| EndpointError::limited(Rejection::TooManyFailures, retry))?;
        trail.reserved_failure();
        trail.enter(Step::Client);
        let proven = self.prove_issuer(request, offered, facts).await;
        if !matches!(proven, Err(EndpointError::Rejected { .. })) {
            self.limiter.give_back_failure(reserved);
        }
        let (record, evidence) = proven?;
        trail.proven_issuer(record.issuer());
        trail.enter(Step::Grant);
        let trust = record.global_revocation().ok_or(Refusal::IssuerNotAllowed)?;
        let named = SubjectIdentifier::read(request.body()).ok_or(Refusal::Subject)?;
        let name = named.allowed(&record, trust, &self.issuer).ok_or(Refusal::SubjectNotAllowed)?;
        trail.enter(Step::Claim);
        self.use_up(offered, &evidence, facts.now).await?;
        trail.enter(Step::Grant);
        let user = self.find_named(&record, &name).await?.ok_or(Refusal::UnknownUser)?;
        trail.concerns(&user.subject);
        if !trust.covers(&user) {
            return Err(Refusal::UserNotCovered.into());
        }
        trail.enter(Step::Hook);
        // Sessions first: none that is left may give new access. Whether or not they have ended, access does.
        let sessions = self.hooks.end_sessions(&user.subject).await;
        trail.enter(Step::Claim);
        let longest = Duration::from_secs(AppSettings::MAX_REFRESH_TOKEN_LIFETIME.into());
        let revocation = Revocation {
            target: RevocationTarget::Subject(user.subject),
            at: facts.now,
            why: RevocationReason::Administrator,
            until: facts.now.plus(longest),
        };
        self.store.revoke(&revocation).await?;
        trail.enter(Step::Hook);
        Ok(sessions?)
    }

    /// Verifies the token of the request, and returns the record of its issuer.
    async fn prove_issuer(
        &self,
        request: &FormRequest<'_>,
        offered: &GlobalRevocation,
        facts: &RequestFacts<'_>,
    ) -> Result<(Arc<TrustedIssuer>, Evidence), EndpointError> {
        let token = BearerRequest::new(request.authorization_header()).token();
        let token = token.map_err(|refusal| {
            let has_none = matches!(refusal, resource_server::Refusal::NoToken);
            if has_none { Refusal::NoToken } else { Refusal::Token(AssertionError::NotAJwt) }
        })?;
        let parts = DecodedToken::new(token).map_err(Refusal::Token)?;
        let token = UnverifiedToken::of(&parts);
        token.check_revocation_type().map_err(Refusal::Token)?;
        let record = self.issuer_of(Some(&token), facts.now).await?;
        let record = record.filter(|record| !record.has_expired(facts.now));
        let record = record.ok_or(Refusal::UnknownIssuer)?;
        let trust = self.trust(record, &token, facts.caller.source, facts.now).await;
        let trust = trust.map_err(|error| match error.rejection() {
            Some(Rejection::IssuerKeysUnavailable) => Refusal::KeysUnavailable.into(),
            _ => error,
        })?;
        let record = &*trust.record;
        let rules = EvidenceRules {
            issuer: record.issuer().as_str(),
            audience: self.issuer.as_str(),
            keys: trust.keys().ok_or(Refusal::KeysUnavailable)?,
            algorithms: record.algorithms(),
            max_lifetime: Duration::from_secs(record.max_lifetime().into()),
            clock_skew: Duration::from_secs(record.clock_skew().into()),
            reuse: false,
        };
        let evidence = rules.verify_revocation(&token, &offered.url, record.tenant(), facts.now);
        let evidence = evidence.map_err(Refusal::Token)?;
        Ok((trust.record, evidence))
    }

    /// Uses the token up. Exactly one request does.
    async fn use_up(
        &self,
        offered: &GlobalRevocation,
        evidence: &Evidence,
        now: UnixTime,
    ) -> Result<(), EndpointError> {
        let jti = evidence.jti.ok_or(Refusal::Token(AssertionError::JtiMissing))?;
        let own = self.issuer.as_str().as_bytes();
        let used = PendingRecord {
            key: Digest::of_fields(&[USED, own, jti.as_bytes()]),
            sealed: Vec::new(),
            // For the largest skew: a later edit of the record must not make a used token usable.
            expires_at: claim_expiry(
                evidence.expires_at,
                Duration::from_secs(TrustedIssuer::MAX_CLOCK_SKEW.into()),
            ),
        };
        match offered.used.keep(&used, now).await? {
            Keep::Kept => Ok(()),
            Keep::Taken => Err(Refusal::Replayed.into()),
        }
    }

    async fn find_named(
        &self,
        record: &TrustedIssuer,
        name: &UserName,
    ) -> Result<Option<User>, DirectoryError> {
        match name {
            UserName::Linked(sub) => self.users.find_linked_user(record.issuer(), sub).await,
            UserName::Subject(subject) => {
                let Ok(subject) = Subject::new(subject.as_str()) else { return Ok(None) };
                // A directory that folds case must not end the access of another user.
                Ok(self.users.find_user(&subject).await?.filter(|user| user.subject == subject))
            }
            UserName::Email(address) => self.users.find_user_by_claim("email", address).await,
        }
    }
}

impl std::fmt::Debug for GlobalRevocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GlobalRevocation").field("url", &self.url).finish_non_exhaustive()
    }
}
