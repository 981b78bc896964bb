//! An event on its way into the log, its id, and what is read back.

use crate::audit::{Action, Actor, AuditEvent, Severity};
use crate::clock::UnixTime;
use crate::ids::{ClientId, Subject, bytes_id};
use crate::random::{self, RandomError, SecureRandom};
use crate::store::RevocationTarget;

bytes_id! {
    /// The name of an event in the log, and its place: ids are in the order of the instants, and so
    /// are their bytes.
    ///
    /// 16 bytes: the milliseconds since 1970 as 6, then 10 that nobody else uses in that millisecond.
    /// Written as 22 characters of base64url. It is no secret.
    EventId, "event id"
}

impl EventId {
    /// The id of an event at `at`, told from others of that instant by `tail`.
    #[must_use]
    pub fn new(at: UnixTime, tail: [u8; 10]) -> Self {
        // What is before 1970 or after the year 10000 shares its first bytes; the instant of the
        // event itself is stored beside.
        let millis = at.as_millis().clamp(0, (1 << 48) - 1).cast_unsigned();
        let mut bytes = [0; 16];
        for (byte, value) in
            bytes.iter_mut().zip(millis.to_be_bytes().into_iter().skip(2).chain(tail))
        {
            *byte = value;
        }
        Self(bytes)
    }

    /// A fresh id of an event at `at`.
    ///
    /// # Errors
    ///
    /// [`RandomError`] when the source gave nothing.
    pub fn generate(at: UnixTime, random: &dyn SecureRandom) -> Result<Self, RandomError> {
        Ok(Self::new(at, random::array(random)?))
    }

    /// No id of an event at `at` or later is before it.
    pub(crate) fn first_at(at: UnixTime) -> Self {
        Self::new(at, [0; 10])
    }
}

/// An event that is to be appended. The id makes it safe to append it again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an event and its name, and nothing else")]
pub struct NewEvent {
    /// Its name, which no other event has.
    pub id: EventId,
    /// What happened.
    pub event: AuditEvent,
}

impl NewEvent {
    /// The user whose row it is: the one that the event is about, or that it names at all.
    pub(crate) fn subject(&self) -> Option<&Subject> {
        let event = &self.event;
        if event.subject.is_some() {
            return event.subject.as_ref();
        }
        if let Actor::User(subject) = &event.actor {
            return Some(subject);
        }
        let Action::Revoke { target } = &event.action else { return None };
        if let RevocationTarget::Subject(user) | RevocationTarget::AppAndSubject(_, user) = target {
            return Some(user);
        }
        None
    }
}

/// An event as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts' stores make it")]
pub struct StoredEvent {
    /// Its name, and its place in the log.
    pub id: EventId,
    /// When it happened.
    pub at: UnixTime,
    /// The app that it is about.
    pub client_id: Option<ClientId>,
    /// The user that it is about.
    pub subject: Option<Subject>,
    /// How much attention it deserves.
    pub severity: Severity,
    /// All of it: the JSON object as which the [`AuditEvent`] was serialized.
    pub json: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_their_instants_and_are_read_as_they_are_written() {
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
