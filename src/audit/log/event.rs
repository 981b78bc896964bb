//! Events for the log, their ids, and the stored form.

use crate::audit::{Action, Actor, AuditEvent, Severity};
use crate::clock::UnixTime;
use crate::ids::{ClientId, Subject, bytes_id};
use crate::random::{self, RandomError, SecureRandom};
use crate::store::{RevocationTarget, StoreError};

bytes_id! {
    /// A unique id of an event in the log. Ids sort by the time of their events, as values and as
    /// bytes.
    ///
    /// 16 bytes: 6 for the milliseconds since 1970, and 10 that are unique within that millisecond.
    /// Written as 22 characters of base64url. Not a secret.
    EventId, "event id"
}

impl EventId {
    /// Creates the id of an event at `at`. `tail` distinguishes events of the same millisecond.
    #[must_use]
    pub fn new(at: UnixTime, tail: [u8; 10]) -> Self {
        // Instants before 1970 or after the year 10000 share their first bytes; the exact instant
        // is stored separately.
        let millis = at.as_millis().clamp(0, (1 << 48) - 1).cast_unsigned();
        let mut bytes = [0; 16];
        for (byte, value) in
            bytes.iter_mut().zip(millis.to_be_bytes().into_iter().skip(2).chain(tail))
        {
            *byte = value;
        }
        Self(bytes)
    }

    /// Generates a fresh id for an event at `at`.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the source of randomness fails.
    pub fn generate(at: UnixTime, random: &dyn SecureRandom) -> Result<Self, RandomError> {
        Ok(Self::new(at, random::array(random)?))
    }

    /// Returns the smallest id of an event at `at` or later.
    pub(crate) fn first_at(at: UnixTime) -> Self {
        Self::new(at, [0; 10])
    }
}

/// An event to append. Its id makes a repeated append safe.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an id and an event, and nothing else")]
pub struct NewEvent {
    /// The unique id.
    pub id: EventId,
    /// The event.
    pub event: AuditEvent,
}

impl NewEvent {
    /// Returns the user that the row belongs to: the user concerned or, if absent, a user that the
    /// event names.
    pub(crate) fn subject(&self) -> Option<&Subject> {
        let event = &self.event;
        if event.subject.is_some() {
            return event.subject.as_ref();
        }
        if let Actor::User(subject) = &event.actor {
            return Some(subject);
        }
        let Action::Revoke { target } = &event.action else { return None };
        match target {
            RevocationTarget::Subject(user)
            | RevocationTarget::AppAndSubject(_, user)
            | RevocationTarget::Device(_, user, _) => Some(user),
            RevocationTarget::Everything
            | RevocationTarget::App(_)
            | RevocationTarget::NamedDevice(_)
            | RevocationTarget::Session(_)
            | RevocationTarget::EvidenceIssuer(_)
            | RevocationTarget::Grant(_) => None,
        }
    }
}

/// An event as the log stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "stores of hosts construct it")]
pub struct StoredEvent {
    /// The unique id, which is also the position in the log.
    pub id: EventId,
    /// The time of the event.
    pub at: UnixTime,
    /// The app concerned.
    pub client_id: Option<ClientId>,
    /// The user concerned.
    pub subject: Option<Subject>,
    /// The severity.
    pub severity: Severity,
    /// The whole [`AuditEvent`] as a JSON object.
    pub json: String,
}

impl StoredEvent {
    /// Reads the event.
    ///
    /// # Errors
    ///
    /// [`serde_json::Error`] if the event is of a later version, with an action that this version does not
    /// know. [`json`](Self::json) has all of it.
    pub fn event(&self) -> Result<AuditEvent, serde_json::Error> {
        serde_json::from_str(&self.json)
    }

    /// Converts an event to its stored form.
    pub(super) fn of(new: &NewEvent) -> Result<Self, StoreError> {
        Ok(Self {
            id: new.id,
            at: new.event.at,
            client_id: new.event.client_id.clone(),
            subject: new.subject().cloned(),
            severity: new.event.severity(),
            json: json_of(&new.event)?,
        })
    }
}

/// Returns the JSON form, mostly in one allocation.
fn json_of(event: &AuditEvent) -> Result<String, StoreError> {
    let mut json = Vec::with_capacity(512);
    serde_json::to_writer(&mut json, event).map_err(StoreError::new)?;
    String::from_utf8(json).map_err(StoreError::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_round_trip() {
        let at = UnixTime::from_millis;
        let instants = [-5, 0, 1, 255, 256, 1_700_000_000_000, 1 << 47, i64::MAX].map(at);
        for pair in instants.windows(2) {
            let (one, other) = (EventId::new(pair[0], [255; 10]), EventId::first_at(pair[1]));
            assert!(one < other || pair[0] < at(0), "{pair:?}");
        }
        let id = EventId::new(at(1_700_000_000_000), [7; 10]);
        assert!(EventId::first_at(at(1_700_000_000_000)) < id);
        assert!(EventId::new(at(1_700_000_000_000), [255; 10]) > id);
        assert_eq!(id.to_string().parse::<EventId>(), Ok(id));
        assert_eq!(
            serde_json::from_str::<EventId>(&serde_json::to_string(&id).unwrap()).unwrap(),
            id
        );
        for bad in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA!"] {
            assert!(bad.parse::<EventId>().is_err(), "{bad}");
        }
    }
}
