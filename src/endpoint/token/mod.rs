//! The token endpoint: RFC 6749 section 3.2. This file is the pipeline; each stage is a file.
//!
//! ```text
//! bytes -> read -> authenticate -> prove -> admit -> validate -> decide -> ask host -> claim -> mint -> respond
//!          (pure)  store           (pure)   rate     store,      (pure)    hooks       one      keys    JSON
//!                                           budgets  users                             atomic
//!                                                                                      store call
//! ```
//!
//! If the server keeps devices, one is seen before the claim: a phone that has to be wiped gets nothing.
//!
//! Every stage returns a value that only it can make, so the order of the calls is fixed. Everything
//! is decided before the claim, and the claim decides every race: a failure before it has changed
//! nothing, and nothing is signed before it. What no row dates is dated before the first check.

mod check_evidence;
mod check_user;
mod decide;
mod device;
mod grant;
mod host;
mod mint;
mod preview;
mod request;
mod response;

pub use check_evidence::{EvidenceCheck, ExchangeQuestion};
pub use check_user::UserCheck;
pub use grant::subject_token::SubjectTokenType;
pub use preview::{LeftOutScope, PreviewRequest, PreviewedToken, ScopeLimit, TokenPreview};
pub use response::TokenResponse;

pub(crate) use grant::authorization_code::code_binding;
pub(crate) use grant::refresh_token::check_flow;

use crate::audit::Action;
use crate::endpoint::audit_trail::{Answered, AuditTrail};
use crate::endpoint::client_authentication::GrantAssertion;
use crate::endpoint::context::Context;
use crate::endpoint::form_request::FormRequest;
use crate::endpoint::request_facts::RequestFacts;
use crate::error::{EndpointError, Rejection};
use crate::hooks::Hooks;
use crate::jwt::evidence::{DecodedToken, ID_JAG, UnverifiedToken};
use crate::observe::Step;
use crate::protocol::form::Form;
use crate::protocol::grant_type::GrantType;
use crate::store::Store;
use crate::users::UserDirectory;

use grant::authorization_code::AuthorizationCode;
use grant::client_credentials::ClientCredentials;
use grant::device_code::DeviceCode;
use grant::jwt_bearer::JwtBearer;
use grant::refresh_token::RefreshToken;
use grant::token_exchange::TokenExchange;
use grant::{Grant, Right as _};
use request::TokenRequest;

/// Checks whether an exchange is for an identity assertion.
fn asks_for_id_jag(form: &Form<'_>) -> bool {
    form.get("requested_token_type") == Some(ID_JAG)
}

impl<S: Store, U: UserDirectory, H: Hooks> Context<S, U, H> {
    /// Answers a token request, and records how it ended.
    pub(crate) async fn token(&self, request: &FormRequest<'_>) -> Answered<TokenResponse> {
        let facts = RequestFacts::new(&*self.clock, request);
        let mut trail =
            AuditTrail::new(Action::IssueToken { grant_type: None }, request, &*self.audit);
        let result = self.dispatch(request, facts, &mut trail).await;
        let wipe_check = trail.wipe_check.take();
        let result = result.map_err(|error| error.with_wipe_check(wipe_check));
        self.record(&facts, trail, result)
    }

    async fn dispatch(
        &self,
        request: &FormRequest<'_>,
        facts: RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<TokenResponse, EndpointError> {
        let facts = &facts.with_token_id(self.token_ids.next(&*self.random)?);
        let form = request.form()?;
        match request::grant_type(&form)? {
            GrantType::AuthorizationCode => {
                self.respond::<AuthorizationCode>(request, &form, facts, trail).await
            }
            GrantType::RefreshToken => {
                self.respond::<RefreshToken>(request, &form, facts, trail).await
            }
            GrantType::JwtBearer => self.respond::<JwtBearer>(request, &form, facts, trail).await,
            GrantType::ClientCredentials => {
                self.respond::<ClientCredentials>(request, &form, facts, trail).await
            }
            GrantType::DeviceCode if self.device_grants.is_some() => {
                self.respond::<DeviceCode>(request, &form, facts, trail).await
            }
            GrantType::TokenExchange if self.exchanges_tokens && asks_for_id_jag(&form) => {
                Box::pin(self.issue_id_jag(request, &form, facts, trail)).await
            }
            GrantType::TokenExchange if self.exchanges_tokens => {
                self.respond::<TokenExchange>(request, &form, facts, trail).await
            }
            GrantType::DeviceCode | GrantType::TokenExchange => {
                Err(Rejection::UnsupportedGrantType.into())
            }
        }
    }

    /// Answers a request for the grant `G`.
    #[expect(
        clippy::manual_async_fn,
        reason = "the compiler cannot derive that an async fn which borrows from the form is Send \
                  (rust-lang/rust#100013)"
    )]
    fn respond<G: Grant>(
        &self,
        request: &FormRequest<'_>,
        form: &Form<'_>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> impl Future<Output = Result<TokenResponse, EndpointError>> + Send {
        async move {
            let TokenRequest { credentials, presented, asked } =
                TokenRequest::<G>::read(request, form)?;
            trail.action = Action::IssueToken { grant_type: Some(G::TYPE) };

            trail.enter(Step::Client);
            self.store.refresh().await?;
            // Before every check, so that a revocation that overlaps one of them covers the token.
            let facts = &facts.dated(self.date(facts.now));
            let (assertion, evidence) = (G::assertion(&presented), G::evidence(&presented));
            // A token of a trusted issuer is parsed once. Boxed, so that other grants carry no room for it.
            let parts = evidence.filter(|_| self.issuers.is_some());
            let parts = parts.and_then(|text| DecodedToken::new(text).ok().map(Box::new));
            let token = parts.as_ref().map(|parts| Box::new(UnverifiedToken::of(parts)));
            let record = self.issuer_of(token.as_deref(), facts.now).await?;
            let issued = record.as_deref().zip(token.as_deref());
            let grant = assertion.map(|text| GrantAssertion { text, issued });
            let client = self.authenticate(credentials, grant, facts, trail).await?;
            trail.enter(Step::Grant);
            let trust = match record.zip(token.as_deref()) {
                Some((record, token)) => {
                    let source = facts.caller.source;
                    Some(Box::pin(self.trust(record, token, source, facts.now)).await?)
                }
                None => None,
            };
            let against = self.proof_context(trust.as_ref(), facts.now);
            let prove = |app: &_, _: &mut _| G::prove(presented, app, &against);
            let (app, proof) = self.admit(client, prove, G::name, facts, trail)?;
            // From here on the credential is genuine, and a refusal may be the end of a phone's access.
            trail.wipe_check = self.wipe_hint(G::TYPE, &app).cloned();
            let device = self.named_device(G::TYPE, form, &app)?;
            let facts = &facts.on_device(device.as_ref());
            let mut valid = G::validate(proof, &app, self, facts, trail).await?;
            valid.origin().check_subject(app.client_id())?;
            trail.enter(Step::Scope);
            let apis = decide::Apis { issuer: &self.issuer, servers: &self.resource_servers };
            let sighting = valid.take_sighting();
            let (origin, offer, right) = valid.into_parts();
            let decided = decide::decide(&app, offer, &asked, &apis, facts.now)?;
            trail.decided(decided.scope(), decided.resource());
            trail.enter(Step::Hook);
            let extra = self.ask_host(G::TYPE, &app, &origin, &decided, facts.now).await?;
            trail.enter(Step::Claim);
            self.see(sighting.as_deref()).await?;
            let claimed = right.claim(&self.store, &decided, trail).await?;
            trail.enter(Step::Mint);
            let response = self.mint(&app, &origin, decided, &claimed, &extra, facts).await?;
            Ok(TokenResponse { issued_token_type: G::ISSUED_TOKEN_TYPE, ..response })
        }
    }
}
