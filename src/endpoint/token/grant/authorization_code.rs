//! The authorization code grant: RFC 6749 section 4.1.3, RFC 7636 section 4.6.

use super::{Claimed, Grant, ProofContext, Right, Valid, required, valid_row};
use crate::app::{ClientType, CustomApp, Flow, Pkce};
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::AuditTrail;
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::endpoint::context::Context;
use crate::endpoint::devices::NamedDevice;
use crate::endpoint::request_facts::RequestFacts;
use crate::endpoint::token::decide::Decided;
use crate::error::{EndpointError, Fault, Rejection};
use crate::ids::GrantId;
use crate::protocol::form::Form;
use crate::protocol::grant_type::GrantType;
use crate::protocol::pkce::{CodeChallenge, CodeVerifier, CodeVerifierError};
use crate::protocol::redirect_uri::{self, InstanceHosts};
use crate::secret::Digest;
use crate::server_secret::handle::{GrantHandle, HandleKind, Salt};
use crate::store::{
    CodeRedemption, Grant as GrantRow, GrantRefusal, RedeemCode, RevocationReason, Store,
};
use crate::users::UserDirectory;

pub(in crate::endpoint::token) struct AuthorizationCode;

pub(in crate::endpoint::token) struct PresentedCode<'f> {
    code: &'f str,
    redirect_uri: Option<&'f str>,
    verifier: Option<&'f str>,
}

/// An opened code, with the parameters that have to match its bindings.
pub(in crate::endpoint::token) struct OpenedCode<'f> {
    handle: GrantHandle,
    redirect_uri: Option<&'f str>,
    challenge: Option<CodeChallenge>,
}

/// The right to redeem a code.
pub(in crate::endpoint::token) struct CodeRight {
    redemption: CodeRedemption,
    salt: Salt,
    authorized_at: UnixTime,
    issues_refresh_token: bool,
}

impl Grant for AuthorizationCode {
    const TYPE: GrantType = GrantType::AuthorizationCode;
    const PARAMETERS: &'static [&'static str] =
        &["code", "redirect_uri", "code_verifier", NamedDevice::ID, NamedDevice::NAME];
    type Presented<'f> = PresentedCode<'f>;
    type Proof<'f> = OpenedCode<'f>;
    type Right = CodeRight;

    fn read<'f>(form: &'f Form<'_>) -> Result<Self::Presented<'f>, Rejection> {
        Ok(PresentedCode {
            code: required(form, "code")?,
            redirect_uri: form.get("redirect_uri"),
            verifier: form.get("code_verifier"),
        })
    }

    fn prove<'f>(
        presented: Self::Presented<'f>,
        app: &CustomApp,
        against: &ProofContext<'_>,
    ) -> Result<Self::Proof<'f>, EndpointError> {
        if !app.settings().allows(Flow::AuthorizationCode) {
            return Err(Rejection::FlowNotAllowed(Self::TYPE).into());
        }
        let challenge = proven_challenge(presented.verifier, app.settings().pkce())?;
        let handle = against.open(app, Self::TYPE, HandleKind::Code, presented.code)?;
        Ok(OpenedCode { handle, redirect_uri: presented.redirect_uri, challenge })
    }

    fn name<'p>(proof: &'p Self::Proof<'_>) -> Option<&'p [u8]> {
        Some(proof.handle.grant_id.as_bytes())
    }

    async fn validate<S: Store, U: UserDirectory, H: Sync>(
        proof: Self::Proof<'_>,
        app: &AuthenticatedApp,
        context: &Context<S, U, H>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<Valid<CodeRight>, EndpointError> {
        let row = context.row_of(&proof.handle, Self::TYPE, trail).await?;
        let OpenedCode { handle: GrantHandle { grant_id, salt, .. }, redirect_uri, challenge } =
            proof;
        let redemption = CodeRedemption {
            grant_id,
            client_id: app.own_client_id(),
            binding: proven_binding(app, &context.hosts, &row, redirect_uri, challenge.as_ref()),
            salt_digest: salt.digest(&grant_id),
            confirmation: None,
            binds: app.settings().client_type() == ClientType::Public,
            device: facts.device.and_then(|named| named.id.clone()),
            polling: None,
            claim: facts.claim_id(),
            now: facts.now,
        };
        if row.generation > 0 || !row.binding.matches(&redemption.binding) {
            return Err(refuse(&context.store, &redemption).await);
        }
        let user = context.active_user(&row.subject).await?;
        let sighting = facts.device.and_then(|named| named.sighting(&row, facts.now));
        if sighting.is_some() {
            check_is_live(&context.store, &row, &redemption).await?;
        }
        let authorized_at = row.authorized_at;
        let issues_refresh_token = app.settings().issues_refresh_token();
        let right = CodeRight { redemption, salt, authorized_at, issues_refresh_token };
        let mut valid = valid_row(row, user, None, right);
        valid.see_on(sighting.map(Box::new));
        Ok(valid)
    }
}

impl Right for CodeRight {
    async fn claim<S: Store>(
        self,
        store: &S,
        _: &Decided<'_>,
        _: &mut AuditTrail<'_>,
    ) -> Result<Claimed, EndpointError> {
        let Self { redemption, salt, authorized_at, issues_refresh_token } = self;
        if let Some(rejection) = refused(store.redeem_code(&redemption).await?) {
            return Err(rejection.into());
        }
        if issues_refresh_token {
            Ok(Claimed::with_successor(authorized_at, redemption.grant_id, salt, 1))
        } else {
            Ok(Claimed { authorized_at, successor: None })
        }
    }
}

/// Returns the challenge that the verifier proves. Only an app that is set so may send none, and then
/// the code must have been requested without a challenge.
fn proven_challenge(
    verifier: Option<&str>,
    pkce: Pkce,
) -> Result<Option<CodeChallenge>, Rejection> {
    if verifier.is_none() && pkce == Pkce::Optional {
        return Ok(None);
    }
    let verifier = CodeVerifier::from_request(verifier).map_err(|error| match error {
        CodeVerifierError::Missing => Rejection::VerifierMissing,
        CodeVerifierError::Malformed => Rejection::VerifierMalformed,
    })?;
    Ok(Some(verifier.challenge()))
}

/// Returns the digest that binds a code to its redirect URI, to whether the authorization request
/// named that URI, and to the code challenge or its absence. The handle itself binds the app.
pub(crate) fn code_binding(
    redirect_uri: &str,
    named: bool,
    challenge: Option<&CodeChallenge>,
) -> Digest {
    let named: &[u8] = if named { b"named" } else { b"default" };
    let challenge = challenge.map_or(&[][..], |challenge| challenge.as_bytes());
    Digest::of_fields(&[named, redirect_uri.as_bytes(), challenge])
}

/// Returns the binding that the token request proves.
fn proven_binding(
    app: &CustomApp,
    hosts: &InstanceHosts,
    row: &GrantRow,
    redirect_uri: Option<&str>,
    challenge: Option<&CodeChallenge>,
) -> Digest {
    let Some(uri) = redirect_uri else {
        let uri = redirect_uri::resolve(app.settings().redirect_uris(), None, hosts);
        return code_binding(uri.as_ref().map_or("", |uri| uri.as_str()), false, challenge);
    };
    // RFC 6749 section 4.1.3: a URI in the authorization request must be repeated here.
    let named = code_binding(uri, true, challenge);
    if row.binding.matches(&named) {
        return named;
    }
    let default = code_binding(uri, false, challenge);
    if row.binding.matches(&default) { default } else { named }
}

/// Refuses a dead code as the claim would, before its device is seen. The sighting would make a wiped device new,
/// and replace its newest grant by a dead one.
async fn check_is_live<S: Store>(
    store: &S,
    row: &GrantRow,
    redemption: &CodeRedemption,
) -> Result<(), EndpointError> {
    let is_expired = row.code_expires_at <= redemption.now || row.expires_at <= redemption.now;
    let refusal =
        if row.revoked.is_some() || store.is_revoked(&row.facts_of_redemption(redemption)).await? {
            GrantRefusal::Revoked
        } else if is_expired {
            GrantRefusal::Expired
        } else {
            return Ok(());
        };
    Err(Rejection::GrantRefused(AuthorizationCode::TYPE, refusal).into())
}

/// Refuses a spent code or wrong bindings. The store revokes or counts, even if more is wrong with
/// the request.
async fn refuse<S: Store>(store: &S, redemption: &CodeRedemption) -> EndpointError {
    match store.redeem_code(redemption).await {
        Ok(RedeemCode::Mismatch) => mismatch(store, &redemption.grant_id).await.into(),
        Ok(answer) => refused(answer).map_or_else(
            || Fault::StoreContract("a code was redeemed twice or unbound").into(),
            EndpointError::from,
        ),
        Err(error) => error.into(),
    }
}

/// Reads after a counted mismatch if it made the code void, for the audit log. If the store fails,
/// reports a plain mismatch.
async fn mismatch<S: Store>(store: &S, grant_id: &GrantId) -> Rejection {
    let revoked = store.find_grant(grant_id).await.ok().flatten().and_then(|it| it.revoked);
    match revoked {
        Some((_, RevocationReason::CodeGuessed)) => Rejection::CodeGuessed,
        _ => Rejection::BindingMismatch,
    }
}

/// Returns why a redemption failed; `None` if it succeeded.
const fn refused(answer: RedeemCode) -> Option<Rejection> {
    match answer {
        RedeemCode::Redeemed => None,
        RedeemCode::AlreadyRedeemed => Some(Rejection::CodeReplayed),
        RedeemCode::Mismatch => Some(Rejection::BindingMismatch),
        // Only a polled code is answered again.
        RedeemCode::Retried | RedeemCode::Spent => {
            Some(Rejection::GrantRefused(AuthorizationCode::TYPE, GrantRefusal::Unknown))
        }
        RedeemCode::Refused(refusal) => {
            Some(Rejection::GrantRefused(AuthorizationCode::TYPE, refusal))
        }
    }
}
