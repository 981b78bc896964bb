//! The differences between an export and the apps that came of it.

use std::fmt;

use serde::Serialize;

use super::ExportFormat;

/// The longest text of the export that a note quotes, in characters.
const QUOTED: usize = 100;

/// The kind of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// It is left out: this server has no counterpart, or refuses it as unsafe.
    Dropped,
    /// The app may do less than before.
    Narrowed,
    /// The app may do more than before. Check that this is intended.
    Widened,
    /// An administrator has to decide or to complete it.
    Undecided,
    /// The member is not known.
    Unknown,
    /// The client cannot be migrated because of it.
    Refused,
}

impl Finding {
    /// Returns the name, the one used in serialization, such as `dropped`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Narrowed => "narrowed",
            Self::Widened => "widened",
            Self::Undecided => "undecided",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
        }
    }
}

/// A difference. It quotes no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Note {
    /// The path of the member in the export, such as `redirectUris[2]`, below its client. Empty for the
    /// whole client.
    pub field: String,
    /// The kind.
    pub finding: Finding,
    /// The explanation, as a clause.
    pub text: String,
}

/// The outcome for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientOutcome {
    /// It is in the declaration.
    Migrated,
    /// It is not in the declaration. Its notes tell the reason.
    Refused,
}

/// The differences of one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClientReport {
    /// The path of the client in the export, such as `clients[3]`.
    pub place: String,
    /// Its client id, if it has one.
    pub client_id: Option<String>,
    /// The outcome.
    pub outcome: ClientOutcome,
    /// The differences.
    pub notes: Vec<Note>,
}

/// The differences between an export and the apps that came of it. `Display` writes it for people, one note
/// a line. A note without a field is about the client as a whole. Of a refused client it writes the reasons
/// first, then what its export has and this server lacks; what the app would be is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MigrationReport {
    /// The format of the export.
    pub format: ExportFormat,
    /// One report a client, in the order of the export.
    pub clients: Vec<ClientReport>,
    /// The notes on the export as a whole.
    pub notes: Vec<Note>,
}

impl MigrationReport {
    /// Returns the number of clients that cannot be migrated.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.clients.iter().filter(|client| client.outcome == ClientOutcome::Refused).count()
    }
}

impl fmt::Display for MigrationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = self.refused();
        let migrated = self.clients.len().saturating_sub(refused);
        writeln!(f, "{}: {migrated} apps migrated, {refused} clients refused", self.format)?;
        write_notes(f, &self.notes)?;
        for client in &self.clients {
            let id = client.client_id.as_deref().unwrap_or("(no client id)");
            let outcome = match client.outcome {
                ClientOutcome::Migrated => "migrated",
                ClientOutcome::Refused => "REFUSED",
            };
            writeln!(f, "{} {id}: {outcome}", client.place)?;
            match client.outcome {
                ClientOutcome::Migrated => write_notes(f, &client.notes)?,
                ClientOutcome::Refused => {
                    let refused = |note: &&Note| note.finding == Finding::Refused;
                    let lost =
                        |note: &&Note| matches!(note.finding, Finding::Dropped | Finding::Unknown);
                    write_notes(f, client.notes.iter().filter(refused))?;
                    write_notes(f, client.notes.iter().filter(lost))?;
                }
            }
        }
        Ok(())
    }
}

fn write_notes<'a>(
    f: &mut fmt::Formatter<'_>,
    notes: impl IntoIterator<Item = &'a Note>,
) -> fmt::Result {
    for Note { field, finding, text } in notes {
        let finding = finding.as_str();
        if field.is_empty() {
            writeln!(f, "  {finding:<9} {text}")?;
        } else {
            writeln!(f, "  {finding:<9} {field}: {text}")?;
        }
    }
    Ok(())
}

/// Notes while a client is read.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<Note>);

impl Notes {
    pub(super) fn add(&mut self, finding: Finding, field: &str, text: impl Into<String>) {
        self.0.push(Note { field: quoted(field), finding, text: text.into() });
    }

    pub(super) fn dropped(&mut self, field: &str, text: impl Into<String>) {
        self.add(Finding::Dropped, field, text);
    }

    pub(super) fn narrowed(&mut self, field: &str, text: impl Into<String>) {
        self.add(Finding::Narrowed, field, text);
    }

    pub(super) fn widened(&mut self, field: &str, text: impl Into<String>) {
        self.add(Finding::Widened, field, text);
    }

    pub(super) fn undecided(&mut self, field: &str, text: impl Into<String>) {
        self.add(Finding::Undecided, field, text);
    }

    pub(super) fn refused(&mut self, field: &str, text: impl Into<String>) {
        self.add(Finding::Refused, field, text);
    }

    /// Returns true if nothing was refused.
    pub(super) fn is_sound(&self) -> bool {
        self.0.iter().all(|note| note.finding != Finding::Refused)
    }

    pub(super) fn into_list(self) -> Vec<Note> {
        self.0
    }

    pub(super) fn into_client(
        self,
        place: String,
        client_id: Option<String>,
        migrated: bool,
    ) -> ClientReport {
        let outcome = if migrated { ClientOutcome::Migrated } else { ClientOutcome::Refused };
        let client_id = client_id.map(|id| quoted(&id));
        ClientReport { place, client_id, outcome, notes: self.0 }
    }
}

/// Returns a text of the export as a note shows it: shortened, without control characters.
pub(super) fn quoted(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut shown: String = text.chars().take(QUOTED).map(clean).collect();
    if text.chars().nth(QUOTED).is_some() {
        shown.push('…');
    }
    shown
}
