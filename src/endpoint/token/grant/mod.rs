//! The grants of the token endpoint. Each has one file with all that is its own: parameters, proof,
//! validation, claim and refusals.
//!
//! A new grant needs its file here and its line in the `match` of [`Context::token`].

pub(super) mod authorization_code;
pub(super) mod client_credentials;
pub(super) mod device_code;
pub(super) mod evidence;
mod id_jag;
pub(super) mod jwt_bearer;
pub(super) mod refresh_token;
pub(super) mod subject_token;
pub(super) mod token_exchange;

use std::time::Duration;

use super::decide::Decided;
use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::AuditTrail;
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::endpoint::context::Context;
use crate::endpoint::request_facts::RequestFacts;
use crate::endpoint::trusted_issuers::Trust;
use crate::error::{EndpointError, Rejection};
use crate::ids::{ClientId, DeviceId, GrantId, Issuer, Subject};
use crate::jwt::{Circumstances, KeyRing, Parent};
use crate::protocol::form::Form;
use crate::protocol::grant_type::GrantType;
use crate::protocol::resources::Resources;
use crate::protocol::scope::Scope;
use crate::server_secret::Sealing;
use crate::server_secret::handle::{GrantHandle, HandleKind, Handles, Salt};
use crate::store::{DeviceSighting, Grant as GrantRow, GrantRefusal, Store};
use crate::users::{User, UserDirectory};

/// A grant type of the token endpoint (RFC 6749 section 4).
pub(super) trait Grant: Sized + 'static {
    const TYPE: GrantType;
    /// The names of the parameters that this grant reads, beside those of every token request.
    const PARAMETERS: &'static [&'static str];
    /// The names of the parameters that may repeat (RFC 8707 section 2).
    const REPEATABLE: &'static [&'static str] = &["resource"];
    /// Whether the grant itself reads the APIs of the token, which may be several.
    const READS_TARGETS: bool = false;
    /// The type of the issued token, if the response states it (RFC 8693 section 2.2.1).
    const ISSUED_TOKEN_TYPE: Option<&'static str> = None;
    /// The parameters, unchecked.
    type Presented<'f>: Send;
    /// The result of every check that needs neither store nor host: an opened handle, a verified
    /// assertion.
    type Proof<'f>: Send;
    type Right: Right;

    /// Reads the parameters.
    fn read<'f>(form: &'f Form<'_>) -> Result<Self::Presented<'f>, Rejection>;

    /// Returns the assertion that is the grant, if it is one. It may name the app, and alone
    /// authenticate it.
    fn assertion<'f>(_: &Self::Presented<'f>) -> Option<&'f str> {
        None
    }

    /// Returns the token that a trusted issuer may have signed, if there is one.
    fn evidence<'f>(presented: &Self::Presented<'f>) -> Option<&'f str> {
        Self::assertion(presented)
    }

    /// Checks that the app has the grant type, and that the credential was issued to it or signed by
    /// it. For an app that only named itself, this is the proof of its identity.
    fn prove<'f>(
        presented: Self::Presented<'f>,
        app: &CustomApp,
        against: &ProofContext<'_>,
    ) -> Result<Self::Proof<'f>, EndpointError>;

    /// Returns the name by which the uses of the grant are counted, if its proof alone may prove the app.
    fn name<'p>(_: &'p Self::Proof<'_>) -> Option<&'p [u8]> {
        None
    }

    /// Checks the proof against the store, the user directory and the policies of the app.
    ///
    /// Nothing changes, with two exceptions: a code with wrong bindings is counted, and a spent code
    /// or refresh token revokes its grant. The store decides both.
    fn validate<S: Store, U: UserDirectory, H: Sync>(
        proof: Self::Proof<'_>,
        app: &AuthenticatedApp,
        context: &Context<S, U, H>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> impl Future<Output = Result<Valid<Self::Right>, EndpointError>> + Send;
}

/// The right to one token, taken by one atomic store call.
pub(super) trait Right: Send + Sized {
    /// Makes this request, and no other, the owner of the code, the rotation or the assertion.
    fn claim<S: Store>(
        self,
        store: &S,
        decided: &Decided<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> impl Future<Output = Result<Claimed, EndpointError>> + Send;
}

/// The server's keys and names, and the present instant: everything that [`Grant::prove`] needs.
pub(super) struct ProofContext<'a> {
    handles: &'a Handles,
    sealing: &'a Sealing,
    issuer: &'a Issuer,
    token_endpoint_url: &'a String,
    keys: &'a KeyRing,
    /// How far ahead the clock of the host may be that issued a token.
    host_skew: Duration,
    /// The issuer that signed the [evidence](Grant::evidence), if it is a trusted one.
    trust: Option<&'a Trust<'a>>,
    now: UnixTime,
}

impl ProofContext<'_> {
    /// Opens a code or refresh token of `app`.
    fn open(
        &self,
        app: &CustomApp,
        grant_type: GrantType,
        kind: HandleKind,
        text: &str,
    ) -> Result<GrantHandle, Rejection> {
        GrantHandle::open(self.handles, kind, app.client_id().as_str(), text)
            .map_err(|_| Rejection::InvalidHandle(grant_type))
    }
}

/// A grant that was valid when it was read. The claim decides again.
#[derive(Debug)]
pub(super) struct Valid<R> {
    origin: Origin,
    offer: Offer,
    right: R,
    sighting: Option<Box<DeviceSighting>>,
}

impl<R> Valid<R> {
    const fn new(origin: Origin, offer: Offer, right: R) -> Self {
        Self { origin, offer, right, sighting: None }
    }

    pub(super) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Takes the device that is seen before the claim.
    pub(super) const fn take_sighting(&mut self) -> Option<Box<DeviceSighting>> {
        self.sighting.take()
    }

    /// Lets the device be seen before the claim. The token names it.
    fn see_on(&mut self, sighting: Option<Box<DeviceSighting>>) {
        if let Some(sighting) = &sighting {
            self.origin.device.get_or_insert_with(|| sighting.key.device_id.clone());
        }
        self.sighting = sighting;
    }

    pub(super) fn into_parts(self) -> (Origin, Offer, R) {
        (self.origin, self.offer, self.right)
    }
}

impl Valid<()> {
    /// Wraps a grant that gives no token, for a preview.
    pub(super) const fn without_right(origin: Origin, offer: Offer) -> Self {
        Self::new(origin, offer, ())
    }
}

/// The user or app that a token acts as, and the grant that it descends from.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) grant_id: GrantId,
    pub(super) subject: Subject,
    pub(super) user: Option<User>,
    /// The app that acts as the user, if it impersonates.
    pub(super) actor: Option<ClientId>,
    pub(super) device: Option<DeviceId>,
    /// When the user had last logged in, if the grant tells.
    pub(super) auth_time: Option<UnixTime>,
    pub(super) circumstances: Option<Box<Circumstances>>,
    /// The grants that a derived token descends from.
    pub(super) via: Vec<Parent>,
}

impl Origin {
    /// Refuses a user that has the identifier of the app. In a token, `sub` is `client_id` exactly if the app
    /// acts for itself (RFC 9068 section 5).
    pub(super) fn check_subject(&self, client_id: &ClientId) -> Result<(), Rejection> {
        if self.user.is_some() { check_subject(&self.subject, client_id) } else { Ok(()) }
    }
}

/// Refuses the subject of a user that is the identifier of the app.
pub(super) fn check_subject(subject: &Subject, client_id: &ClientId) -> Result<(), Rejection> {
    if subject.is_client(client_id) { Err(Rejection::SubjectIsClientId) } else { Ok(()) }
}

/// The most that a grant gives.
#[derive(Debug)]
pub(super) struct Offer {
    /// The scope of the grant. Without a row, the scope that the app may have.
    pub(super) scope: Scope,
    /// The scope that the app signed in its assertion: a ceiling, and the scope if the request names
    /// none.
    pub(super) signed_scope: Option<String>,
    pub(super) resource: OfferedResource,
    /// When everything that descends from the grant ends.
    pub(super) ends_at: UnixTime,
}

/// The API that a grant is for.
#[derive(Debug)]
pub(super) enum OfferedResource {
    /// A user decided on these; `None` is the app's default.
    Decided(Option<Resources>),
    /// No user decided: the request may choose among those of the app.
    Open,
    /// The request chose these, and the app's policy for exchanges allows them.
    Targets(Resources),
}

/// Proof that this request owns its grant. Only [`Right::claim`] makes one.
#[derive(Debug)]
pub(super) struct Claimed {
    authorized_at: UnixTime,
    successor: Option<GrantHandle>,
}

impl Claimed {
    /// The instant of the decision. Cutoffs are compared with it.
    pub(super) const fn authorized_at(&self) -> UnixTime {
        self.authorized_at
    }

    /// The refresh token that the app gets, not sealed.
    pub(super) const fn successor(&self) -> Option<&GrantHandle> {
        self.successor.as_ref()
    }

    fn with_successor(
        authorized_at: UnixTime,
        grant_id: GrantId,
        salt: Salt,
        generation: u32,
    ) -> Self {
        Self { authorized_at, successor: Some(GrantHandle { grant_id, salt, generation }) }
    }
}

impl<S: Store, U: UserDirectory, H: Sync> Context<S, U, H> {
    pub(super) fn proof_context<'a>(
        &'a self,
        trust: Option<&'a Trust<'a>>,
        now: UnixTime,
    ) -> ProofContext<'a> {
        ProofContext {
            handles: &self.handles,
            sealing: &self.sealing,
            issuer: &self.issuer,
            token_endpoint_url: &self.token_endpoint_url,
            keys: &self.keys,
            host_skew: self.host_skew(),
            trust,
            now,
        }
    }

    /// Reads the row of an opened code or refresh token.
    async fn row_of(
        &self,
        handle: &GrantHandle,
        grant_type: GrantType,
        trail: &mut AuditTrail<'_>,
    ) -> Result<GrantRow, EndpointError> {
        trail.grant_id = Some(handle.grant_id);
        let row = self.store.find_grant(&handle.grant_id).await?;
        let row = row.ok_or(Rejection::GrantRefused(grant_type, GrantRefusal::Unknown))?;
        Ok(recorded(row, trail))
    }

    /// Returns what the store knows of the row without a read, if the refresh token is the one that it knows to be
    /// live. The claim judges the row itself. A token that the store knows to be spent proves reuse only by a read.
    fn known_row(&self, handle: &GrantHandle, trail: &mut AuditTrail<'_>) -> Option<GrantRow> {
        let row = self.store.known_grant(&handle.grant_id);
        let row = row.filter(|row| row.generation == handle.generation)?;
        trail.grant_id = Some(handle.grant_id);
        Some(recorded(row, trail))
    }

    /// Returns the user that the token acts as, if the account is active.
    pub(super) async fn active_user(&self, subject: &Subject) -> Result<User, EndpointError> {
        let user = self.users.find_user(subject).await?;
        user.filter(|user| user.active && user.subject == *subject)
            .ok_or(Rejection::InactiveUser.into())
    }
}

/// Records the user and the flow of `row`.
fn recorded(row: GrantRow, trail: &mut AuditTrail<'_>) -> GrantRow {
    trail.concerns(&row.subject);
    trail.flow = Some(row.made_by());
    row
}

/// Returns what a row gives, with `scope` in place of its own if there is one.
pub(super) fn valid_row<R>(row: GrantRow, user: User, scope: Option<Scope>, right: R) -> Valid<R> {
    let origin = Origin {
        grant_id: row.grant_id,
        subject: row.subject,
        user: Some(user),
        actor: row.actor,
        device: row.device,
        auth_time: row.auth_time,
        circumstances: row.circumstances,
        via: Vec::new(),
    };
    let offer = Offer {
        scope: scope.unwrap_or(row.scope),
        signed_scope: None,
        resource: OfferedResource::Decided(row.resources),
        ends_at: row.expires_at,
    };
    Valid::new(origin, offer, right)
}

/// Returns the part of `scope` within `limit`. An empty rest is refused: a token without scope would
/// still say that the app acts as the user.
fn narrowed(scope: &Scope, limit: Option<&Scope>) -> Result<Scope, Rejection> {
    let Some(limit) = limit else { return Ok(scope.clone()) };
    let left = scope.intersection(limit);
    let withdrawn = left.is_empty() && !scope.is_empty();
    if withdrawn { Err(Rejection::ScopeWithdrawn) } else { Ok(left) }
}

/// Returns the value of a mandatory parameter.
fn required<'f>(form: &'f Form<'_>, name: &'static str) -> Result<&'f str, Rejection> {
    form.get(name).ok_or(Rejection::MissingParameter(name))
}
