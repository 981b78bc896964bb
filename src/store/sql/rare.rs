//! The members that few grants have. A row without them has NULL instead.

use serde::{Deserialize, Serialize};

use super::unreadable;
use crate::app::Flow;
use crate::jwt::Circumstances;
use crate::protocol::confirmation::Confirmation;
use crate::store::{Grant, StoreError};

/// The rare members of a grant. SQLite keeps them as one JSON document.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Rare {
    /// The number of the flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::store) flow: Option<i16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::store) confirmation: Option<Confirmation>,
    /// Absent for 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::store) bound_from: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::store) circumstances: Option<Box<Circumstances>>,
}

impl Rare {
    /// Returns the rare members of `grant`.
    pub(in crate::store) fn of(grant: &Grant) -> Self {
        Self {
            flow: grant.flow.map(flow_code),
            confirmation: grant.confirmation,
            bound_from: Some(grant.bound_from).filter(|first| *first > 0),
            circumstances: grant.circumstances.clone(),
        }
    }

    /// Puts the members into `grant`.
    pub(in crate::store) fn restore(self, grant: &mut Grant) -> Result<(), StoreError> {
        grant.flow = self.flow.map(flow_of).transpose()?;
        grant.confirmation = self.confirmation;
        grant.bound_from = self.bound_from.unwrap_or(0);
        grant.circumstances = self.circumstances;
        Ok(())
    }

    /// Returns the document, or `None` if it would be empty.
    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn to_document(&self) -> Result<Option<String>, StoreError> {
        let is_empty = *self == Self::default();
        (!is_empty).then(|| serde_json::to_string(self)).transpose().map_err(StoreError::new)
    }

    /// Reads what [`to_document`](Self::to_document) returned.
    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn from_document(document: Option<&str>) -> Result<Self, StoreError> {
        let read = document.map(serde_json::from_str).transpose();
        read.map(Option::unwrap_or_default).map_err(|_| unreadable("more"))
    }
}

/// Returns the number of a flow, from 1. A number once given never changes.
const fn flow_code(flow: Flow) -> i16 {
    match flow {
        Flow::AuthorizationCode => 1,
        Flow::JwtBearer => 2,
        Flow::ClientCredentials => 3,
        Flow::DeviceCode => 4,
        Flow::TokenExchange => 5,
    }
}

/// Reads what [`flow_code`] returned.
fn flow_of(code: i16) -> Result<Flow, StoreError> {
    let flows = [
        Flow::AuthorizationCode,
        Flow::JwtBearer,
        Flow::ClientCredentials,
        Flow::DeviceCode,
        Flow::TokenExchange,
    ];
    let found = flows.into_iter().find(|flow| flow_code(*flow) == code);
    found.ok_or_else(|| unreadable("flow"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ClientId, GrantId, SessionId, Subject};
    use crate::protocol::scope::Scope;
    use crate::secret::Digest;

    #[test]
    fn rare_members_are_read_as_they_were_written_and_none_are_no_document() {
        let (app, ann) = (ClientId::new("app").unwrap(), Subject::new("ann").unwrap());
        let plain = Grant::new(GrantId::from_bytes([7; 16]), app.clone(), ann, Scope::empty());
        let mut impersonation = plain.clone();
        impersonation.actor = Some(app.clone());
        for grant in [&plain, &impersonation] {
            assert_eq!(Rare::of(grant), Rare::default());
        }
        let mut assertion = plain.clone();
        assertion.flow = Some(Flow::JwtBearer);
        let mut consent = impersonation.clone();
        consent.flow = Some(Flow::AuthorizationCode);
        let mut own = plain.clone();
        own.flow = Some(Flow::ClientCredentials);
        let mut device = plain.clone();
        device.flow = Some(Flow::DeviceCode);
        let mut bound = plain.clone();
        (bound.confirmation, bound.bound_from) =
            (Some(Confirmation::Certificate(Digest::from_bytes([9; 32]))), 3);
        let mut session = plain.clone();
        session.circumstances.get_or_insert_default().session = Some(SessionId::new("s").unwrap());
        for grant in [plain, impersonation, assertion, consent, own, device, bound, session] {
            let mut read = grant.clone();
            (read.flow, read.confirmation, read.bound_from) =
                (Some(Flow::ClientCredentials), None, 9);
            read.circumstances = None;
            Rare::of(&grant).restore(&mut read).unwrap();
            assert_eq!(read, grant);
            #[cfg(feature = "sqlite")]
            {
                let document = Rare::of(&grant).to_document().unwrap();
                assert_eq!(document.is_none(), Rare::of(&grant) == Rare::default());
                assert_eq!(Rare::from_document(document.as_deref()).unwrap(), Rare::of(&grant));
            }
        }
        assert!(flow_of(0).is_err() && flow_of(6).is_err());
    }
}
