//! Optional facts of a grant and its tokens: earlier actors, the user's authentication, the issuer of
//! evidence, details, and the parents of a derived token.

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::ids::{
    AuthenticationContext, AuthenticationMethod, ClientId, DeviceId, EvidenceIssuer, GrantId,
    SessionId, Subject,
};
use crate::protocol::authorization_details::AuthorizationDetails;

/// The circumstances in which access was granted. Most grants have none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "hosts' stores and tests make it")]
pub struct Circumstances {
    /// The actors before the present one, latest first: the nested `act` of RFC 8693 section 4.1. At
    /// most [`MAX_PRIOR_ACTORS`](Self::MAX_PRIOR_ACTORS).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prior_actors: Vec<PriorActor>,
    /// `acr`: the strength of the user's authentication. Rotation never changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<AuthenticationContext>,
    /// `amr`: the methods by which the user authenticated. At most
    /// [`MAX_METHODS`](Self::MAX_METHODS).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<AuthenticationMethod>,
    /// `sid`: the session of the user at the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// `evidence_issuer`: the other issuer on whose evidence access was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_issuer: Option<EvidenceIssuer>,
    /// `authorization_details` (RFC 9396).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<AuthorizationDetails>,
}

impl Circumstances {
    /// The greatest number of actors before the present one.
    pub const MAX_PRIOR_ACTORS: usize = 3;
    /// The greatest number of authentication methods.
    pub const MAX_METHODS: usize = 8;

    /// Checks whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { prior_actors, acr, amr, session, evidence_issuer, authorization_details } = self;
        prior_actors.is_empty()
            && acr.is_none()
            && amr.is_empty()
            && session.is_none()
            && evidence_issuer.is_none()
            && authorization_details.is_none()
    }
}

/// An actor before the present one (RFC 8693 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "hosts' stores and tests make it")]
pub struct PriorActor {
    /// `sub`.
    #[serde(rename = "sub")]
    pub subject: Subject,
    /// `iss`: the issuer of this identifier, if it is another one than this server.
    #[serde(rename = "iss", default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<EvidenceIssuer>,
}

/// A parent of a derived token: an entry of its `via` claim. If it is void, so is the token.
///
/// The user is the one of the derived token, unless `subject` names another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a caller that checks tokens constructs it")]
pub struct Parent {
    /// The grant.
    pub grant_id: GrantId,
    /// The app to which it was granted.
    pub client_id: ClientId,
    /// `sub`: the subject, if it is not that of the derived token: another app, whose own token proved the
    /// actor.
    #[serde(rename = "sub", default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// The device on which it was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// `sid`: the session of the user in which it was granted.
    #[serde(rename = "sid", default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The other issuer on whose evidence it was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_issuer: Option<EvidenceIssuer>,
    /// The instant of that decision; milliseconds in the claim.
    pub authorized_at: UnixTime,
}

impl Parent {
    /// The greatest number of parents of one token.
    pub const MAX: usize = 4;
}
