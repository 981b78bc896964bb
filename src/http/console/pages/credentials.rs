//! *Credentials* of an app: its secrets by age, their rotation and end, its keys.

use std::time::Duration;

use askama::Template;

use super::super::access::ConsoleRole;
use super::super::fields::Fields;
use super::super::frame::{Done, Frame, Tab};
use super::super::problem::Problem;
use super::super::times::When;
use super::super::visit::Visit;
use super::super::{path, texts};
use crate::app::{
    AssertionKeys, ClientAuthentication, ClientType, CustomApp, JwtSettings, StoredSecret,
};
use crate::clock::UnixTime;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::jwt::VerifyingKeys;
use crate::store::Store;
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "console/credentials.html")]
struct CredentialsPage<'a> {
    frame: Frame<'a>,
    uses_secret: bool,
    secrets: Vec<Secret>,
    has_signature: bool,
    /// Key id or thumbprint, algorithm, use.
    keys: Vec<(String, &'static str, &'static str)>,
    /// The links of the forms, for an administrator who may use them.
    rotate: Option<String>,
    end: Option<String>,
    regenerate: Option<String>,
}

struct Secret {
    number: usize,
    set: When,
    ends: Option<When>,
    state: &'static str,
    is_newest: bool,
    is_imported: bool,
    is_guessable: bool,
}

impl Secret {
    fn new(place: usize, stored: &StoredSecret, now: UnixTime) -> Self {
        Self {
            number: place.saturating_add(1),
            set: When::new(stored.created_at, now),
            ends: stored.expires_at.map(|at| When::new(at, now)),
            state: if !stored.is_valid(now) {
                texts::credentials::EXPIRED
            } else if place == 0 {
                texts::credentials::NEWEST
            } else {
                texts::credentials::SUPERSEDED
            },
            is_newest: place == 0 && stored.is_valid(now),
            is_imported: stored.imported,
            is_guessable: stored.is_guessable(),
        }
    }
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the credentials of an app, never a secret.
    pub(in super::super) async fn credentials(&self, segment: &str) -> Result<Page, Problem> {
        let app = self.app(segment).await?;
        let now = self.now();
        let stored = app.credentials();
        let uses_secret = uses_secret(&app);
        let link = |name: &str, is_possible: bool| {
            let is_shown = is_possible && self.may(ConsoleRole::Security);
            is_shown.then(|| self.app_link(app.client_id(), &format!("credentials/{name}")))
        };
        let is_confidential = app.settings().client_type() == ClientType::Confidential;
        let secrets = stored.client_secrets.iter().enumerate();
        self.page(&CredentialsPage {
            frame: self.app_frame(&app, Tab::Credentials),
            uses_secret,
            secrets: secrets.map(|(place, it)| Secret::new(place, it, now)).collect(),
            has_signature: stored.signature_secret.is_some(),
            keys: keys(&app),
            rotate: link("rotate", uses_secret),
            end: link("end", stored.client_secrets.len() > 1),
            regenerate: link("regenerate", is_confidential),
        })
    }

    /// Gives the app a new client secret. The old ones end after the chosen time.
    pub(in super::super) async fn rotate(
        &self,
        segment: &str,
        form: &Fields,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let client_id = path::client_id(segment).ok_or(Problem::NotFound)?;
        let asked = form.one("overlap");
        let mut overlaps = texts::credentials::OVERLAPS.iter().map(|(seconds, _)| *seconds);
        let overlap = overlaps.find(|seconds| seconds.to_string() == asked);
        let overlap = Duration::from_secs(overlap.ok_or(Problem::BadForm)?.into());
        let told = self.admin().rotate_client_secret(&client_id, overlap).await?;
        self.show_once(&told, Done::Rotated)
    }

    /// Ends every client secret but the newest.
    pub(in super::super) async fn end_old_secrets(&self, segment: &str) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let client_id = path::client_id(segment).ok_or(Problem::NotFound)?;
        self.admin().remove_superseded_secrets(&client_id).await?;
        Ok(self.see(&self.app_link(&client_id, "credentials"), Done::Ended))
    }

    /// Gives the app a new signature secret.
    pub(in super::super) async fn regenerate(
        &self,
        segment: &str,
        form: &Fields,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let client_id = path::client_id(segment).ok_or(Problem::NotFound)?;
        if !form.has("sure") {
            return Err(Problem::BadForm);
        }
        let told = self.admin().regenerate_signature_secret(&client_id).await?;
        self.show_once(&told, Done::Regenerated)
    }
}

/// Returns what an administrator has to know about the secrets of an app: a sentence, and the instant that ends
/// it.
pub(super) fn notices(app: &CustomApp, now: UnixTime) -> Vec<(String, Option<When>)> {
    if !uses_secret(app) {
        return Vec::new();
    }
    let secrets = &app.credentials().client_secrets;
    if secrets.is_empty() {
        return vec![(texts::credentials::MISSING_SECRET.to_owned(), None)];
    }
    let notice = |(place, secret): (usize, &StoredSecret)| {
        let number = place.saturating_add(1);
        let ends = secret.expires_at.map(|at| When::new(at, now));
        match (place, secret.is_valid(now), ends.is_some()) {
            (0, true, true) => Some((texts::credentials::NEWEST_ENDS.to_owned(), ends)),
            (0, false, _) => Some((texts::credentials::NEWEST_ENDED.to_owned(), ends)),
            (0, true, false) | (_, false, _) => None,
            (_, true, true) => Some((texts::credentials::superseded_until(number), ends)),
            (_, true, false) => Some((texts::credentials::superseded(number), None)),
        }
    };
    secrets.iter().enumerate().filter_map(notice).collect()
}

fn uses_secret(app: &CustomApp) -> bool {
    match app.settings().authentication() {
        ClientAuthentication::ClientSecret
        | ClientAuthentication::ClientSecretBasic
        | ClientAuthentication::ClientSecretPost => true,
        ClientAuthentication::PrivateKeyJwt(_)
        | ClientAuthentication::PrivateKeyJwtUri(_)
        | ClientAuthentication::None => false,
    }
}

fn keys(app: &CustomApp) -> Vec<(String, &'static str, &'static str)> {
    let mut listed = Vec::new();
    let mut list = |keys: &VerifyingKeys, used: &'static str| {
        for key in keys.iter() {
            let name = key.key_id().unwrap_or(key.thumbprint()).as_str().to_owned();
            listed.push((name, key.algorithm().map_or("", |it| it.as_str()), used));
        }
    };
    if let ClientAuthentication::PrivateKeyJwt(keys) = app.settings().authentication() {
        list(keys, texts::credentials::AUTHENTICATES);
    }
    if let Some(AssertionKeys::Keys(keys)) = app.settings().jwt().map(JwtSettings::assertion_keys) {
        list(keys, texts::credentials::ASSERTS);
    }
    listed
}
