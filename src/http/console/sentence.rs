//! Audit events as sentences.

use super::texts::audit as text;
use crate::audit::{Action, Actor, AuditEvent};
use crate::ids::{ClientId, DeviceId, Subject};
use crate::observe::Outcome;
use crate::store::RevocationTarget;

/// A part of a sentence. A name is a text that the console did not write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) is_name: bool,
}

impl Piece {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_name: false }
    }

    pub(super) fn name(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_name: true }
    }
}

/// Writes a pattern such as `{user} is listed` with `names` in their places.
pub(super) fn filled(pattern: &str, names: &[(&str, &str)]) -> Vec<Piece> {
    let mut pieces = pattern.split('{');
    let mut written = vec![Piece::plain(pieces.next().unwrap_or_default())];
    for piece in pieces {
        let (place, rest) = piece.split_once('}').unwrap_or((piece, ""));
        let found = names.iter().find(|(own, _)| *own == place);
        written.push(Piece::name(found.map_or("", |(_, name)| *name)));
        written.push(Piece::plain(rest));
    }
    written.retain(|piece| !piece.text.is_empty());
    written
}

/// An app whose name is known.
pub(super) type Named<'a> = Option<(&'a ClientId, &'a str)>;

struct Writer<'a> {
    event: &'a AuditEvent,
    named: Named<'a>,
    attempt: &'static str,
    pieces: Vec<Piece>,
}

/// Writes `event` as a sentence without a stop.
pub(super) fn sentence(event: &AuditEvent, named: Named<'_>) -> Vec<Piece> {
    let name = event.action.as_str();
    let as_user = match (&event.subject, &event.actor) {
        (Some(user), Actor::App(app)) => user.as_str() != app.as_str(),
        (Some(_), _) => true,
        (None, _) => false,
    };
    let words = if as_user && name == text::ISSUE_AS_USER.0 {
        Some(&text::ISSUE_AS_USER)
    } else if matches!(event.action, Action::FinishWipe { pin: true, .. }) {
        Some(&text::WIPED_ITSELF)
    } else {
        text::ACTIONS.iter().find(|(own, ..)| *own == name)
    };
    let (done, attempt) = words.map_or(("{actor}", ""), |(_, _, done, attempt)| (done, attempt));
    let mut writer = Writer { event, named, attempt, pieces: Vec::new() };
    match &event.outcome {
        Outcome::Success => writer.expand(done),
        Outcome::Refused { reason, .. } => {
            writer.expand(text::refused(name));
            writer.plain(text::BECAUSE);
            writer.plain(text::reason(reason));
        }
        Outcome::Failed { reason, .. } => {
            writer.expand(text::BROKEN);
            writer.plain(text::BECAUSE);
            writer.name(reason);
        }
    }
    if event.count > 1 {
        writer.plain(text::times(event.count));
    }
    writer.pieces
}

impl Writer<'_> {
    fn plain(&mut self, text: impl Into<String>) {
        let (text, is_name) = (text.into(), false);
        match self.pieces.last_mut().filter(|last| !last.is_name) {
            Some(last) => last.text.push_str(&text),
            None => self.pieces.push(Piece { text, is_name }),
        }
    }

    fn name(&mut self, name: &str) {
        self.pieces.push(Piece { text: name.to_owned(), is_name: true });
    }

    /// Writes a pattern with its places filled.
    fn expand(&mut self, pattern: &str) {
        let mut pieces = pattern.split('{');
        self.plain(pieces.next().unwrap_or_default());
        for piece in pieces {
            let (place, rest) = piece.split_once('}').unwrap_or((piece, ""));
            match place {
                "actor" => self.actor(),
                "attempt" => self.expand(self.attempt),
                "app" => self.app(self.event.client_id.as_ref()),
                "user" => self.user(self.event.subject.as_ref()),
                "target" => self.target(),
                _ => self.details(),
            }
            self.plain(rest);
        }
    }

    fn actor(&mut self) {
        let event = self.event;
        match &event.actor {
            Actor::App(client_id) => {
                self.plain(text::ACTOR_APP);
                self.app_name(client_id);
            }
            Actor::User(subject) => {
                self.plain(text::ACTOR_USER);
                self.name(subject.as_str());
            }
            Actor::Administrator(name) => {
                self.plain(text::ACTOR_ADMINISTRATOR);
                self.name(name);
            }
            Actor::Issuer(issuer) => {
                self.plain(text::ACTOR_ISSUER);
                self.name(issuer.as_str());
            }
            Actor::Server => self.plain(text::ACTOR_SERVER),
            Actor::Unknown => match &event.client_id {
                Some(client_id) => {
                    self.plain(text::ACTOR_CLAIMED);
                    self.app_name(client_id);
                }
                None => self.plain(text::ACTOR_UNKNOWN),
            },
        }
    }

    fn app_name(&mut self, client_id: &ClientId) {
        let named = self.named.filter(|(own, _)| *own == client_id);
        self.name(named.map_or(client_id.as_str(), |(_, name)| name));
    }

    fn app(&mut self, client_id: Option<&ClientId>) {
        match client_id {
            Some(client_id) => {
                self.plain(text::THE_APP);
                self.app_name(client_id);
            }
            None => self.plain(text::AN_APP),
        }
    }

    fn user(&mut self, subject: Option<&Subject>) {
        match subject {
            Some(subject) => self.name(subject.as_str()),
            None => self.plain(text::A_USER),
        }
    }

    fn target(&mut self) {
        let Action::Revoke { target } = &self.event.action else { return };
        self.expand(match target {
            RevocationTarget::Everything => text::EVERYTHING,
            RevocationTarget::App(_) => text::ACCESS_OF_APP,
            RevocationTarget::Subject(_) => text::ACCESS_AS_USER,
            RevocationTarget::AppAndSubject(..) => text::ACCESS_OF_APP_AS_USER,
            RevocationTarget::Device(..) | RevocationTarget::NamedDevice(_) => {
                text::ACCESS_ON_DEVICE
            }
            RevocationTarget::Session(_) => text::ACCESS_OF_SESSION,
            RevocationTarget::EvidenceIssuer(_) => text::ACCESS_BY_EVIDENCE,
            RevocationTarget::Grant(_) => text::ONE_GRANT,
        });
    }

    fn details(&mut self) {
        let action = &self.event.action;
        if let Action::EditApp { changed } = action {
            self.name(&changed.join(", "));
        } else if let Action::SetAppOrigin { origin } = action {
            self.plain(super::texts::apps::origin(*origin));
        } else if let Action::TellWipe { device } | Action::FinishWipe { device, .. } = action {
            self.name(device.as_ref().map_or("", DeviceId::as_str));
        } else if let Action::OrderWipe { device }
        | Action::WithdrawWipe { device }
        | Action::AbandonWipe { device } = action
        {
            self.name(device.as_str());
        } else if let Action::AddTrustedIssuer { issuer }
        | Action::EditTrustedIssuer { issuer }
        | Action::RemoveTrustedIssuer { issuer } = action
        {
            self.name(issuer.as_str());
        } else if let Action::DropEvents { dropped } = action {
            self.plain(dropped.to_string());
        } else if let Action::Revoke { target } = action {
            if let RevocationTarget::Device(_, _, device) | RevocationTarget::NamedDevice(device) =
                target
            {
                self.name(device.as_str());
            } else if let RevocationTarget::EvidenceIssuer(issuer) = target {
                self.name(issuer.as_str());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;
    use crate::observe::Step;
    use crate::protocol::GrantType;

    fn told(event: &AuditEvent, named: Named<'_>) -> String {
        let mark = |it: Piece| if it.is_name { format!("*{}*", it.text) } else { it.text };
        sentence(event, named).into_iter().map(mark).collect()
    }

    fn token(outcome: Outcome) -> AuditEvent {
        let actor = Actor::App(ClientId::new("a1").unwrap());
        let action = Action::IssueToken { grant_type: Some(GrantType::JwtBearer) };
        AuditEvent::new(UnixTime::EPOCH, actor, action, outcome)
    }

    #[test]
    fn an_event_is_a_sentence_with_its_reason() {
        let app = ClientId::new("a1").unwrap();
        let root = Subject::new("root").unwrap();
        let refused = token(Outcome::refused(Step::Grant, "impersonation_excepted", None));
        let refused = refused.with_subject(&root);
        let said = "App *Archive* was refused to act as *root*: excluded by the policy";
        assert_eq!(told(&refused, Some((&app, "Archive"))), said);
        let mut many = token(Outcome::refused(Step::Client, "some_new_reason", None));
        many.count = 3;
        assert_eq!(
            told(&many, None),
            "App *a1* was refused to get a token: some new reason (3 times)"
        );
        let broken = Outcome::Failed { step: Step::Claim, reason: "{app} <b>".to_owned() };
        let said = "App *a1* tried to get a token, and the server failed: *{app} <b>*";
        assert_eq!(told(&token(broken), None), said);
        let edit = Action::EditApp { changed: vec!["name".to_owned(), "scope".to_owned()] };
        let actor = Actor::Administrator("ann".into());
        let edit = AuditEvent::new(UnixTime::EPOCH, actor, edit, Outcome::Success).with_app(&app);
        assert_eq!(told(&edit, None), "Administrator *ann* edited app *a1*: *name, scope*");
    }

    #[test]
    fn every_pattern_has_known_places() {
        let all = text::ACTIONS.iter().chain([&text::ISSUE_AS_USER, &text::WIPED_ITSELF]);
        let patterns = all.flat_map(|(_, _, done, attempt)| [*done, *attempt]);
        for pattern in patterns {
            for piece in pattern.split('{').skip(1) {
                let place = piece.split_once('}').unwrap().0;
                assert!(
                    ["actor", "app", "user", "target", "details"].contains(&place),
                    "{pattern}"
                );
            }
        }
    }
}
