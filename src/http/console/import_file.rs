//! The file of an import: declared apps, or the export of another server.

use super::fields::Fields;
use super::texts::import as text;
use crate::admin::{DeclaredApps, ImportPlan, InvalidDeclaration};
use crate::migrate::{self, ExportFormat, MigrationReport};
use crate::secret::Digest;

/// The longest file, in bytes. The page before the import sends it again, with fields of its own, in one form.
pub(super) const MAX_BYTES: usize = 1_000_000;
/// The most apps of an import.
pub(super) const MAX_APPS: usize = 1_000;

/// The file and its format, as an administrator sent them.
#[derive(Default)]
pub(super) struct Document<'a> {
    format: &'a str,
    text: &'a str,
    /// The pasted text, if no file was sent.
    pasted: &'a str,
}

/// A problem of a file: the place, which may be empty, and a clause.
pub(super) struct Mistake {
    pub(super) place: String,
    pub(super) problem: String,
}

impl Mistake {
    fn whole(problem: impl Into<String>) -> Vec<Self> {
        vec![Self { place: String::new(), problem: problem.into() }]
    }

    pub(super) fn all(invalid: &InvalidDeclaration) -> Vec<Self> {
        let listed = invalid.problems().iter();
        listed.map(|it| Self { place: it.path.clone(), problem: it.problem.clone() }).collect()
    }
}

type Read = (DeclaredApps, Option<MigrationReport>);

impl<'a> Document<'a> {
    /// Returns the document of a form: the one that was shown, the file, or the pasted text.
    pub(super) fn of(form: &'a Fields) -> Self {
        let names = ["document", "file", "text"];
        let given = names.into_iter().map(|name| form.one(name)).find(|it| !it.trim().is_empty());
        let text = given.unwrap_or_default();
        let is_pasted = text == form.one("text");
        Self {
            format: form.one("format"),
            text: text.strip_prefix('\u{feff}').unwrap_or(text),
            pasted: if is_pasted { text } else { "" },
        }
    }

    pub(super) const fn format(&self) -> &'a str {
        self.format
    }

    /// Returns the pasted text, for the form that comes back. A file is chosen again: beside a corrected one, the
    /// form would be too long.
    pub(super) const fn pasted(&self) -> &'a str {
        self.pasted
    }

    /// Reads the apps, and the report on an export of another server.
    pub(super) fn read(&self) -> Result<Read, Vec<Mistake>> {
        if self.text.trim().is_empty() {
            return Err(Mistake::whole(text::EMPTY));
        }
        if self.text.len() > MAX_BYTES {
            return Err(Mistake::whole(text::TOO_LONG));
        }
        let (apps, report) = if self.format == text::OWN_FORMAT {
            // A file that a browser sent must not read the variables and files of this machine.
            let refused = |_: &_| Err(text::REFERENCE.to_owned());
            let apps = DeclaredApps::from_json(self.text, refused);
            (apps.map_err(|invalid| Mistake::all(&invalid))?, None)
        } else {
            let format: ExportFormat =
                self.format.parse().map_err(|_| Mistake::whole(text::NO_FORMAT))?;
            let migration = migrate::read(format, self.text)
                .map_err(|invalid| Mistake::whole(invalid.to_string()))?;
            (migration.declared, Some(migration.report))
        };
        if apps.apps().len() > MAX_APPS {
            return Err(Mistake::whole(text::TOO_MANY));
        }
        Ok((apps, report))
    }

    /// Returns the fields of the form that imports what `plan` says.
    pub(super) fn form(&self, plan: &ImportPlan) -> [(&'static str, String); 3] {
        // Without line breaks, which browsers change.
        let json = serde_json::from_str::<serde_json::Value>(self.text);
        let text = json.map_or_else(|_| self.text.to_owned(), |json| json.to_string());
        let shown = Document { format: self.format, text: &text, pasted: "" };
        let plan = format!("{}.{}", shown.digest(), plan.fingerprint());
        [("format", self.format.to_owned()), ("document", text), ("plan", plan)]
    }

    /// Returns the fingerprint of the plan that was shown for this document, or an empty text.
    pub(super) fn plan_in<'s>(&self, shown: &'s str) -> &'s str {
        let parts = shown.split_once('.');
        parts.filter(|(digest, _)| *digest == self.digest()).map_or("", |(_, plan)| plan)
    }

    fn digest(&self) -> String {
        Digest::of_fields(&[self.format.as_bytes(), self.text.as_bytes()]).to_base64url()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: &str, text: &str) -> Result<usize, String> {
        match (Document { format, text, pasted: "" }).read() {
            Ok((apps, _)) => Ok(apps.apps().len()),
            Err(mistakes) => Err(mistakes.into_iter().map(|it| it.place + &it.problem).collect()),
        }
    }

    /// H14: the bounds of a file.
    #[test]
    fn a_file_of_an_import_has_its_documented_bounds() {
        let file = |count: usize| {
            let settings = serde_json::json!({ "name": "x", "flows": ["client_credentials"] });
            let app =
                |id| serde_json::json!({ "client_id": format!("a{id}"), "settings": settings });
            let apps: Vec<_> = (0..count).map(app).collect();
            serde_json::json!({ "apps": apps }).to_string()
        };
        assert_eq!(read("grantor", &file(MAX_APPS)), Ok(MAX_APPS));
        assert_eq!(read("grantor", &file(MAX_APPS + 1)), Err(text::TOO_MANY.to_owned()));
        let full = r#"{"apps":[]}"#;
        let padded = format!("{full}{}", " ".repeat(MAX_BYTES - full.len()));
        assert_eq!(read("grantor", &padded), Ok(0));
        assert_eq!(read("grantor", &format!("{padded} ")), Err(text::TOO_LONG.to_owned()));
    }
}
