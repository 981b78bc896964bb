//! Texts of the import.

use crate::migrate::Finding;

type Text = &'static str;

pub(in super::super) const TITLE: Text = "Import apps";
pub(in super::super) const INTRODUCTION: Text = "Nothing is written yet: the next page shows what the import would do. Client ids are kept, so that \
     apps need no change.";
pub(in super::super) const FORMAT: Text = "The file comes from";
/// The value of the format of this library.
pub(in super::super) const OWN_FORMAT: Text = "grantor";
/// Value, label.
pub(in super::super) const FORMATS: [(Text, Text); 6] = [
    (OWN_FORMAT, "this product: an export of a console, or declared apps"),
    ("hydra", "Ory Hydra: list of clients"),
    ("keycloak", "Keycloak: realm, clients or one client"),
    ("duende", "Duende IdentityServer: tables or appsettings.json"),
    ("auth0", "Auth0: clients or export of a tenant"),
    ("kiteworks", "Kiteworks: list of clients"),
];
pub(in super::super) const FILE: Text = "File";
pub(in super::super) const PASTE: Text = "Or its text";
pub(in super::super) const CHECK: Text = "Show what it would do";
pub(in super::super) const CANCEL: Text = "Cancel";
pub(in super::super) const WRONG: Text = "Nothing was imported. The file has these problems:";
pub(in super::super) const EMPTY: Text = "Choose a file, or paste its text.";
pub(in super::super) const TOO_LONG: Text =
    "The file is too long. Divide it, or let a program of the host call Admin::import_all.";
pub(in super::super) const TOO_MANY: Text =
    "The file has too many apps. Divide it, or let a program of the host call Admin::import_all.";
pub(in super::super) const NO_FORMAT: Text = "Choose where the file comes from.";
pub(in super::super) const REFERENCE: Text = "names a place on the server, which a file from a browser must not read: give the secret itself, or \
     leave it out, and a new app gets a new one";

pub(in super::super) const PLAN_TITLE: Text = "What the import would do";
pub(in super::super) const PLAN_INTRODUCTION: Text = "Nothing is written yet. If an app changes before you import, nothing is imported. The apps are written \
     one after the other: if the connection breaks on the way, a part of them may be imported, and you do not \
     see their new secrets.";
pub(in super::super) const HAS_CHANGED: Text = "This form imported nothing: an app or a trusted issuer has changed since its page was shown. This is what the import would do \
     now.";
/// Before the apps that exist.
pub(in super::super) const SENT_BEFORE: Text = "If you sent the form before, by a double click or before the connection broke, that import may have written \
     a part. Rotate the secrets that you have not seen, of those apps here that it made:";
pub(in super::super) const NOTHING: Text =
    "There is nothing to import: everything is as in the file.";
/// Before the values that a setting loses, and before those that it gets.
pub(in super::super) const NO_LONGER: Text = "no longer";
pub(in super::super) const NOW: Text = "now";
pub(in super::super) const UNCHANGED: Text = "Apps that are as in the file:";
pub(in super::super) const NEW_SECRETS: Text = "gets new secrets, shown once after the import";
pub(in super::super) const APPLY: Text = "Import";
pub(in super::super) const BACK: Text = "Choose another file";
pub(in super::super) const REPORT: Text = "What the export has and this server has not";
pub(in super::super) const WHOLE_EXPORT: Text = "The export as a whole";
pub(in super::super) const REFUSED: Text = "Not imported";
/// Title, hint, tone: new, changed, losing secrets, disabled, still disabled.
pub(in super::super) const FATES: [(Text, Text, Text); 5] = [
    ("New apps", "", "good"),
    (
        "Apps that change",
        "The settings in the file replace the stored ones. Users' sign-ins stay.",
        "warn",
    ),
    (
        "Apps that lose their secrets",
        "Their new way to authenticate uses no such secret, so that the stored ones are deleted.",
        "bad",
    ),
    (
        "Apps that are disabled",
        "They lose their tokens at once, and users have to sign in again.",
        "bad",
    ),
    (
        "Apps that stay disabled",
        "The file has them as enabled. An administrator disabled them, and an import does not enable them.",
        "",
    ),
];

/// Title, hint, tone: new, changed.
pub(in super::super) const ISSUER_FATES: [(Text, Text, Text); 2] = [
    (
        "New trusted issuers",
        "They may vouch for users and workloads of the apps in their records, or end access, as their settings say.",
        "bad",
    ),
    (
        "Trusted issuers that change",
        "The settings in the file replace the stored ones. Access on their evidence stays.",
        "bad",
    ),
];

pub(in super::super) const DONE_TITLE: Text = "Imported";
pub(in super::super) const SECRETS_ONCE: Text = "Copy the new secrets now and store them where the apps can read them. They cannot be shown again.";
pub(in super::super) const NEW_APPS: Text = "New apps";
pub(in super::super) const CHANGED_APPS: Text = "Changed apps";
pub(in super::super) const NEW_ISSUERS: Text = "New trusted issuers";
pub(in super::super) const CHANGED_ISSUERS: Text = "Changed trusted issuers";
pub(in super::super) const UNCHANGED_ISSUERS: Text = "Trusted issuers that are as in the file:";
pub(in super::super) const TO_SERVER: Text = "Go to the server";
pub(in super::super) const STOPPED_AT: Text = "The import stopped at";
pub(in super::super) const STOPPED_REST: Text =
    "What comes after it was not touched. Import the file again: it goes on from there.";
/// Before the link to the credentials of the app at which the import stopped.
pub(in super::super) const STOPPED_SECRETS: Text = "If it is a new app, it may be there without its new secrets being shown. If it is there, rotate its secrets:";
pub(in super::super) const STOPPED_ENDED: Text =
    "The file has it as disabled, so its tokens and sign-ins may have ended already.";
pub(in super::super) const OTHERS_FIRST: Text =
    "Another administrator changed it at the same time.";
pub(in super::super) const STORE_FAILED: Text =
    "The store did not answer, so that it may or may not have been written.";

/// Says how much a file may have.
pub(in super::super) fn bounds(bytes: usize, apps: usize) -> String {
    format!("JSON of at most {bytes} bytes and {apps} apps.")
}

/// Returns the label and the tone of a finding.
pub(in super::super) const fn finding(finding: Finding) -> (Text, Text) {
    match finding {
        Finding::Dropped => ("Left out", ""),
        Finding::Narrowed => ("Narrower", ""),
        Finding::Widened => ("Wider", "bad"),
        Finding::Undecided => ("To decide", "warn"),
        Finding::Unknown => ("Unknown", ""),
        Finding::Refused => ("Refused", "bad"),
    }
}
