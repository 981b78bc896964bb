//! The registration endpoint (RFC 7591): an app that no administrator knows registers itself, within the template of
//! the host.
//!
//! A public app has a client id that follows from its source and its metadata. So a client that registers again at
//! every start gets the same app, and no second row.

mod count;
mod management;
mod pruning;
mod response;
mod settings;
mod stated;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use response::RegistrationResponse;
pub use settings::{Registration, RegistrationAccess};

use crate::app::{
    AppOrigin, AppSettings, ClientAuthentication, ClientType, Credentials, CustomApp,
    SelfRegistration, StoredSecret,
};
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::{Answered, AuditTrail};
use crate::endpoint::context::Context;
use crate::endpoint::form_request::FormRequest;
use crate::endpoint::request_facts::RequestFacts;
use crate::error::{EndpointError, Fault, RegistrationRefusal, Rejection};
use crate::ids::{ClientId, Source};
use crate::observe::Step;
use crate::random::RandomError;
use crate::rate_limit::{RetryAfter, SourceKey};
use crate::resource_server::{BearerRequest, Refusal};
use crate::secret::{ClientSecret, RegistrationAccessToken};
use crate::server_secret::{KeyedDigest, SecretDigest, declared_form};
use crate::store::{InsertApp, Store};
use count::AppCount;
use settings::is_one_of;
use stated::{Described, Stated};

/// The `Retry-After` if as many apps as allowed have registered themselves: some may be pruned by then.
const WHEN_FULL: RetryAfter = RetryAfter { seconds: 300 };

/// The kind of the digest of a registration access token.
const ACCESS_TOKEN: &str = "registration access token";

/// The registration of apps by themselves, and its state in this process.
#[derive(Debug)]
pub(crate) struct Registrations {
    rules: Registration,
    /// The URL of the endpoint at which apps manage their registration.
    configuration: Option<String>,
    count: AppCount,
    /// The app after which the next prune goes on.
    pruned_to: Mutex<Option<ClientId>>,
}

impl Registrations {
    pub(crate) fn new(rules: Registration, configuration: Option<String>) -> Self {
        let configuration = configuration.filter(|_| rules.has_management);
        Self { rules, configuration, count: AppCount::default(), pruned_to: Mutex::default() }
    }

    /// Returns the URL at which the app manages its registration (RFC 7592 section 3).
    fn configuration_of(&self, client_id: &ClientId) -> Option<String> {
        let id: String =
            url::form_urlencoded::byte_serialize(client_id.as_str().as_bytes()).collect();
        self.configuration.as_ref().map(|url| format!("{url}?client_id={id}"))
    }

    /// Checks that the caller may register apps. A software statement is checked with the metadata.
    fn admit(&self, request: &FormRequest<'_>) -> Result<(), RegistrationRefusal> {
        match &self.rules.access {
            RegistrationAccess::Open | RegistrationAccess::SoftwareStatement(_) => Ok(()),
            RegistrationAccess::InitialAccessToken(tokens) => {
                let token = bearer_token(request, RegistrationRefusal::InitialAccessToken)?;
                if is_one_of(tokens, token) {
                    Ok(())
                } else {
                    Err(RegistrationRefusal::InitialAccessToken)
                }
            }
        }
    }

    fn pruned_to(&self) -> Option<ClientId> {
        self.pruned_to.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn prune_after(&self, last: Option<ClientId>) {
        *self.pruned_to.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }
}

/// An app to insert, and the secrets that its registration answers once.
struct NewApp {
    app: CustomApp,
    client_secret: Option<ClientSecret>,
    access_token: Option<RegistrationAccessToken>,
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Answers a registration.
    pub(crate) async fn register(
        &self,
        request: &FormRequest<'_>,
    ) -> Answered<RegistrationResponse> {
        let facts = RequestFacts::new(&*self.clock, request);
        let mut trail = AuditTrail::new(Action::RegisterApp, request, &*self.audit);
        let result = self.register_app(request, &facts, &mut trail).await;
        self.record(&facts, trail, result)
    }

    async fn register_app(
        &self,
        request: &FormRequest<'_>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<RegistrationResponse, EndpointError> {
        let registrations = self.registrations.as_deref().ok_or(RegistrationRefusal::NotOffered)?;
        registrations.admit(request)?;
        trail.enter(Step::RateLimit);
        // Before the metadata are parsed, and a signature is verified: a stranger may choose both.
        let charged = self.charge_source(facts)?;
        trail.enter(Step::Parse);
        let stated = Stated::parse(request.body())?;
        let described = self.described(stated, registrations, facts.now)?;
        trail.enter(Step::Claim);
        let repeatable = self.repeatable_id(registrations, &described, facts.caller.source);
        if let Some(client_id) = &repeatable
            && let Some(app) = self.store.find_app(client_id).await?
        {
            self.limiter.give_back_registration(charged);
            return repeated(app, described, trail);
        }
        let rules = &registrations.rules;
        if !registrations.count.reserve(&self.store, rules.max_apps, facts.now).await? {
            return Err(limited(RegistrationRefusal::TooManyApps, WHEN_FULL));
        }
        let client_id = match repeatable {
            Some(client_id) => client_id,
            None => ClientId::generate(&*self.random)?,
        };
        trail.claimed(&client_id);
        let new = self.new_app(&client_id, &described, rules.has_management, facts.now)?;
        match self.store.insert_app(new.app.clone()).await? {
            InsertApp::Inserted => {}
            // Another registration of the same app came first.
            InsertApp::AlreadyExists => {
                registrations.count.forget(1).await;
                self.limiter.give_back_registration(charged);
                let app = self.store.read_app(&client_id).await?;
                let app = app.ok_or(Fault::StoreContract("an app that exists is not found"))?;
                return repeated(app, described, trail);
            }
        }
        Ok(RegistrationResponse {
            configuration: registrations.configuration_of(&client_id),
            app: Arc::new(new.app),
            client_secret: new.client_secret,
            access_token: new.access_token,
            dropped: described.dropped,
            statement: described.statement,
        })
    }

    /// Charges a registration, or a change of one, to the source of the request.
    fn charge_source(&self, facts: &RequestFacts<'_>) -> Result<Option<u64>, EndpointError> {
        let charged = self.limiter.charge_registration(facts.caller.source, facts.now);
        charged.map_err(|retry| limited(RegistrationRefusal::TooMany, retry))
    }

    fn described(
        &self,
        stated: Stated,
        registrations: &Registrations,
        now: UnixTime,
    ) -> Result<Described, RegistrationRefusal> {
        stated.described(&registrations.rules, &self.issuer, self.app_keys.is_some(), now)
    }

    /// Returns the client id of an app that is the same if its source registers it again: a public one, without a
    /// token that manages it. Two sources share no app, because one could not tell the other's from its own.
    fn repeatable_id(
        &self,
        registrations: &Registrations,
        described: &Described,
        source: Option<&Source>,
    ) -> Option<ClientId> {
        let is_public = described.settings.client_type() == ClientType::Public;
        let source = source.filter(|_| is_public && !registrations.rules.has_management)?;
        let source = SourceKey::of(source).to_bytes();
        // Settings and facts are records of strings and numbers, which always have a JSON form.
        let metadata = serde_json::to_vec(&(&described.settings, &described.registration)).ok()?;
        let name = self.pepper.registration(&source, &metadata);
        name.as_bytes().first_chunk().map(|bits| ClientId::of_bytes(*bits))
    }

    fn new_app(
        &self,
        client_id: &ClientId,
        described: &Described,
        is_managed: bool,
        now: UnixTime,
    ) -> Result<NewApp, RandomError> {
        let mut credentials = Credentials::default();
        let mut client_secret = None;
        if uses_secret(&described.settings) {
            let (secret, stored) = self.new_registered_secret(client_id, now)?;
            credentials.client_secrets.push(stored);
            client_secret = Some(secret);
        }
        let access_token =
            if is_managed { Some(RegistrationAccessToken::generate(&*self.random)?) } else { None };
        let digest =
            access_token.as_ref().map(|it| self.access_token_digest(client_id, it.expose_secret()));
        let registration =
            SelfRegistration { access_token: digest, ..described.registration.clone() };
        let version = CustomApp::first_version(&*self.random)?;
        let settings = described.settings.clone();
        let app = CustomApp::new(client_id.clone(), settings, credentials, version, now);
        let app = app.edited(now, |edit| {
            *edit.origin = AppOrigin::SelfRegistered;
            *edit.registration = Some(Box::new(registration));
        });
        Ok(NewApp { app, client_secret, access_token })
    }

    fn new_registered_secret(
        &self,
        client_id: &ClientId,
        now: UnixTime,
    ) -> Result<(ClientSecret, StoredSecret), RandomError> {
        let secret = ClientSecret::generate(&*self.random)?;
        let digest = SecretDigest::Keyed(self.pepper.digest(client_id, &secret));
        let stored =
            StoredSecret { digest, created_at: now, expires_at: None, imported: false, long: true };
        Ok((secret, stored))
    }

    fn access_token_digest(&self, client_id: &ClientId, token: &str) -> KeyedDigest {
        self.pepper.mark(client_id, &declared_form(ACCESS_TOKEN, token.as_bytes()))
    }
}

/// Returns the answer to a registration of an app that its source has registered before. No secret is issued again,
/// and nothing has changed.
///
/// If an administrator has edited or adopted the app meanwhile, the client goes on with what is left of its description,
/// and learns nothing that the administrator has added.
fn repeated(
    mut app: Arc<CustomApp>,
    described: Described,
    trail: &mut AuditTrail<'_>,
) -> Result<RegistrationResponse, EndpointError> {
    trail.claimed(app.client_id());
    let left = described.left_of(app.settings()).ok_or(RegistrationRefusal::Administered)?;
    trail.silence();
    if left != *app.settings() {
        app = Arc::new(app.edited(app.updated_at(), |edit| {
            *edit.settings = left;
            *edit.credentials = Credentials::default();
            *edit.registration = Some(Box::new(described.registration));
        }));
    }
    Ok(RegistrationResponse {
        app,
        client_secret: None,
        access_token: None,
        configuration: None,
        dropped: described.dropped,
        statement: described.statement,
    })
}

/// Returns the bearer token of a request, or refuses one that is malformed as `wrong`.
fn bearer_token<'r>(
    request: &FormRequest<'r>,
    wrong: RegistrationRefusal,
) -> Result<&'r str, RegistrationRefusal> {
    let token = BearerRequest::new(request.authorization_header()).token();
    token.map_err(|refusal| {
        if matches!(refusal, Refusal::NoToken) { RegistrationRefusal::NoToken } else { wrong }
    })
}

fn limited(refusal: RegistrationRefusal, retry: RetryAfter) -> EndpointError {
    EndpointError::limited(Rejection::Registration(refusal), retry)
}

/// Checks whether an app authenticates by a client secret.
fn uses_secret(settings: &AppSettings) -> bool {
    match settings.authentication() {
        ClientAuthentication::ClientSecret
        | ClientAuthentication::ClientSecretBasic
        | ClientAuthentication::ClientSecretPost => true,
        ClientAuthentication::PrivateKeyJwt(_)
        | ClientAuthentication::PrivateKeyJwtUri(_)
        | ClientAuthentication::None => false,
    }
}

/// How much later a consent has to be given than an app has changed: clocks of hosts differ.
const CONSENT_MARGIN: Duration = Duration::from_secs(10);
