//! Revocations, their targets, and the facts of a token that they are compared with.

use serde::{Deserialize, Serialize};

use super::Consent;
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, EvidenceIssuer, GrantId, SessionId, Subject};
use crate::jwt::{AccessTokenClaims, Parent};

/// The facts of a token that decide whether it is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by callers that check tokens")]
pub struct AccessFacts<'a> {
    /// Its grant. It need not have a row.
    pub grant_id: GrantId,
    /// Its app.
    pub client_id: &'a ClientId,
    /// Its user, or the app itself.
    pub subject: &'a Subject,
    /// Its device, if it has one.
    pub device: Option<&'a DeviceId>,
    /// The session of the user in which access was granted, if the host named it.
    pub session: Option<&'a SessionId>,
    /// The other issuer on whose evidence access was granted, if there is one.
    pub evidence_issuer: Option<&'a EvidenceIssuer>,
    /// The instant of the decision from which it descends.
    pub authorized_at: UnixTime,
    /// The grants that a derived token descends from. If one of them is void, so is the token.
    pub via: &'a [Parent],
}

impl<'a> AccessFacts<'a> {
    /// Iterates over the facts of the token itself and of each of its parents. The token is void if one
    /// of them is.
    ///
    /// The user of a parent is the user of the token, unless the parent names another subject.
    pub fn lineage(self) -> impl Iterator<Item = Self> {
        let of_parent = move |parent: &'a Parent| Self {
            grant_id: parent.grant_id,
            client_id: &parent.client_id,
            subject: parent.subject.as_ref().unwrap_or(self.subject),
            device: parent.device.as_ref(),
            session: parent.session.as_ref(),
            evidence_issuer: parent.evidence_issuer.as_ref(),
            authorized_at: parent.authorized_at,
            via: &[],
        };
        std::iter::once(Self { via: &[], ..self }).chain(self.via.iter().map(of_parent))
    }

    /// Returns the token itself as a parent of a token for the same user that is derived from it. The parents of
    /// the derived token are this one and those of [`via`](Self::via).
    #[must_use]
    pub fn to_parent(&self) -> Parent {
        Parent {
            grant_id: self.grant_id,
            client_id: self.client_id.clone(),
            subject: None,
            device: self.device.cloned(),
            session: self.session.cloned(),
            evidence_issuer: self.evidence_issuer.cloned(),
            authorized_at: self.authorized_at,
        }
    }
}

impl<'a> From<&'a AccessTokenClaims> for AccessFacts<'a> {
    fn from(claims: &'a AccessTokenClaims) -> Self {
        Self {
            grant_id: claims.grant_id,
            client_id: &claims.client_id,
            subject: &claims.subject,
            device: claims.device.as_ref(),
            session: claims.circumstances.session.as_ref(),
            evidence_issuer: claims.circumstances.evidence_issuer.as_ref(),
            authorized_at: claims.authorized_at,
            via: &claims.via,
        }
    }
}

/// The access that a revocation ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RevocationTarget {
    /// All access.
    Everything,
    /// All access of an app.
    App(ClientId),
    /// All access as a user.
    Subject(Subject),
    /// The access of one app as one user.
    AppAndSubject(ClientId, Subject),
    /// The access of one app as one user on one device.
    #[serde(rename = "device_of")]
    Device(ClientId, Subject, DeviceId),
    /// The access on every device of this name, for every app and user: how databases of schema 2 name a
    /// device. It still ends access; revoke [`Device`](Self::Device) instead.
    #[serde(rename = "device")]
    NamedDevice(DeviceId),
    /// All access that was granted in a session of a user.
    Session(SessionId),
    /// All access that was granted on the evidence of another issuer.
    EvidenceIssuer(EvidenceIssuer),
    /// One grant, with or without a row.
    Grant(GrantId),
}

impl RevocationTarget {
    /// Checks whether a token with these facts, or one of its parents, belongs to the target.
    #[must_use]
    pub fn covers(&self, facts: &AccessFacts<'_>) -> bool {
        facts.lineage().any(|facts| self.covers_one(&facts))
    }

    fn covers_one(&self, facts: &AccessFacts<'_>) -> bool {
        match self {
            Self::Everything => true,
            Self::App(client_id) => client_id == facts.client_id,
            Self::Subject(subject) => subject == facts.subject,
            Self::AppAndSubject(client_id, subject) => {
                client_id == facts.client_id && subject == facts.subject
            }
            Self::Device(client_id, subject, device) => {
                client_id == facts.client_id
                    && subject == facts.subject
                    && Some(device) == facts.device
            }
            Self::NamedDevice(device) => Some(device) == facts.device,
            Self::Session(session) => Some(session) == facts.session,
            Self::EvidenceIssuer(issuer) => Some(issuer) == facts.evidence_issuer,
            Self::Grant(grant_id) => *grant_id == facts.grant_id,
        }
    }
}

/// The reason why access ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RevocationReason {
    /// The user denied the request: it never became a grant.
    Denied,
    /// The code was presented again after its redemption.
    CodeReplayed,
    /// The code was presented too often with wrong bindings.
    CodeGuessed,
    /// A spent refresh token was presented.
    RefreshTokenReused,
    /// The app gave it back (RFC 7009).
    Client,
    /// The user withdrew the consent, or signed out everywhere.
    ConsentWithdrawn,
    /// An administrator revoked it.
    Administrator,
    /// The app was disabled.
    AppDisabled,
    /// The app was deleted.
    AppDeleted,
}

/// The end of access: everything of `target` that was authorized at or before `at` is void.
///
/// For a [`RevocationTarget::Grant`] the instant does not matter: a grant ends for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "hosts call the store in their own tests")]
pub struct Revocation {
    /// The access that ends.
    pub target: RevocationTarget,
    /// When, by the store's clock; in a call to [`GrantStore::revoke`](super::GrantStore::revoke) the present instant.
    pub at: UnixTime,
    /// Why.
    pub why: RevocationReason,
    /// The latest expiry of a token that it covers; the store keeps it until then.
    pub until: UnixTime,
}

impl Revocation {
    /// Checks whether this revocation voids a token with these facts, or one of its parents: the
    /// comparison that every store and every reader of the feed makes.
    #[must_use]
    pub fn voids(&self, facts: &AccessFacts<'_>) -> bool {
        facts.lineage().any(|facts| self.is_in_time(&facts) && self.target.covers_one(&facts))
    }

    fn is_in_time(&self, facts: &AccessFacts<'_>) -> bool {
        matches!(self.target, RevocationTarget::Grant(_)) || facts.authorized_at <= self.at
    }

    /// Checks whether it came after `consent`, which is then forgotten.
    #[must_use]
    pub fn ends(&self, consent: &Consent) -> bool {
        let Consent { client_id, subject, given_at, .. } = consent;
        let covers = match &self.target {
            RevocationTarget::Everything => true,
            RevocationTarget::App(app) => app == client_id,
            RevocationTarget::Subject(user) => user == subject,
            RevocationTarget::AppAndSubject(app, user) => app == client_id && user == subject,
            RevocationTarget::Device(..)
            | RevocationTarget::NamedDevice(_)
            | RevocationTarget::Session(_)
            | RevocationTarget::EvidenceIssuer(_)
            | RevocationTarget::Grant(_) => false,
        };
        covers && *given_at <= self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> UnixTime {
        UnixTime::from_millis(millis)
    }

    fn end(target: RevocationTarget) -> Revocation {
        Revocation { target, at: at(10), why: RevocationReason::Administrator, until: at(1_000) }
    }

    /// A feed of this version names devices of schema 2 as before, so that what was logged and stored
    /// then is still read.
    #[test]
    fn targets_have_names_of_their_own_in_json() {
        let app = ClientId::new("app").unwrap();
        let user = Subject::new("ann").unwrap();
        let phone = DeviceId::new("phone").unwrap();
        let targets = [
            (RevocationTarget::NamedDevice(phone.clone()), r#"{"device":"phone"}"#),
            (RevocationTarget::Device(app, user, phone), r#"{"device_of":["app","ann","phone"]}"#),
            (RevocationTarget::Session(SessionId::new("s").unwrap()), r#"{"session":"s"}"#),
            (
                RevocationTarget::EvidenceIssuer(EvidenceIssuer::new("https://idp").unwrap()),
                r#"{"evidence_issuer":"https://idp"}"#,
            ),
        ];
        for (target, json) in targets {
            assert_eq!(serde_json::to_string(&target).unwrap(), json);
            assert_eq!(serde_json::from_str::<RevocationTarget>(json).unwrap(), target);
        }
    }

    #[test]
    fn a_token_is_void_if_any_of_its_parents_is() {
        let (app, other) = (ClientId::new("app").unwrap(), ClientId::new("other").unwrap());
        let user = Subject::new("ann").unwrap();
        let phone = DeviceId::new("phone").unwrap();
        let session = SessionId::new("s").unwrap();
        let idp = EvidenceIssuer::new("https://idp.example").unwrap();
        let parent = Parent {
            grant_id: GrantId::from_bytes([2; 16]),
            client_id: other.clone(),
            subject: None,
            device: Some(phone.clone()),
            session: Some(session.clone()),
            evidence_issuer: Some(idp.clone()),
            authorized_at: at(5),
        };
        let facts = AccessFacts {
            grant_id: GrantId::from_bytes([1; 16]),
            client_id: &app,
            subject: &user,
            device: None,
            session: None,
            evidence_issuer: None,
            // Too late for any cutoff but those of its parent.
            authorized_at: at(20),
            via: std::slice::from_ref(&parent),
        };
        for target in [
            RevocationTarget::Everything,
            RevocationTarget::App(other.clone()),
            RevocationTarget::Subject(user.clone()),
            RevocationTarget::AppAndSubject(other.clone(), user.clone()),
            RevocationTarget::Device(other.clone(), user.clone(), phone.clone()),
            RevocationTarget::NamedDevice(phone.clone()),
            RevocationTarget::Session(session),
            RevocationTarget::EvidenceIssuer(idp),
            RevocationTarget::Grant(parent.grant_id),
        ] {
            let revocation = end(target);
            assert!(revocation.voids(&facts) && revocation.target.covers(&facts), "{revocation:?}");
            assert!(!revocation.voids(&AccessFacts { via: &[], ..facts }), "{revocation:?}");
        }
        for target in [
            RevocationTarget::App(app.clone()),
            RevocationTarget::AppAndSubject(app.clone(), user.clone()),
            RevocationTarget::Device(app.clone(), user.clone(), phone),
        ] {
            assert!(!end(target).voids(&facts));
        }
        let worker = Subject::new("worker").unwrap();
        let actor = Parent { subject: Some(worker.clone()), ..parent.clone() };
        let facts = AccessFacts { via: &[actor], ..facts };
        let pair = RevocationTarget::AppAndSubject(other.clone(), worker.clone());
        for (target, voids) in [
            (RevocationTarget::Subject(worker), true),
            (pair, true),
            (RevocationTarget::AppAndSubject(other, user.clone()), false),
        ] {
            assert_eq!(end(target).voids(&facts), voids);
        }
    }
}
