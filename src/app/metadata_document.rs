//! Client id metadata documents: an app describes itself at the URL that is its client id
//! (draft-ietf-oauth-client-id-metadata-document-02). These are the rules that need no I/O.

use serde::{Deserialize, Serialize};

use super::{
    AppOrigin, AppSettings, AuthenticationMethodName, ClientMetadata, Credentials, CustomApp,
    InvalidApp,
};
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::secret::Digest;

/// A client id that is the URL of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DocumentUrl<'a> {
    client_id: &'a ClientId,
    /// In lower case.
    host: &'a str,
}

impl<'a> DocumentUrl<'a> {
    /// Reads a client id. It is the URL of a document if it has the form in which a parser of URLs writes it: `https`
    /// and a path, without dot segment, user information and fragment, with the host in lower case, and without
    /// port 443. So every parser reads the spelling that is compared.
    pub(crate) fn of(client_id: &'a ClientId) -> Option<Self> {
        let text = client_id.as_str();
        let rest = text.strip_prefix("https://")?;
        let url = url::Url::parse(text).ok()?;
        let is_plain = url.as_str() == text
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && url.path() != "/";
        let end = rest.find('/')?;
        let authority = rest.get(..end)?;
        let port = url.port().map_or(0, |port| port.to_string().len().saturating_add(1));
        let host = authority.get(..authority.len().checked_sub(port)?)?;
        (is_plain && url.host_str() == Some(host)).then_some(Self { client_id, host })
    }

    /// Returns the host, without port.
    pub(crate) const fn host(self) -> &'a str {
        self.host
    }

    pub(crate) const fn client_id(self) -> &'a ClientId {
        self.client_id
    }

    /// Parses the document at this URL.
    ///
    /// # Errors
    ///
    /// [`DocumentProblem`] if it names another client id, has a secret, or a member is not usable.
    pub(crate) fn parse(self, json: &[u8]) -> Result<ClientMetadata, DocumentProblem> {
        let member = |error: InvalidApp| DocumentProblem::Member(error.field());
        let metadata = ClientMetadata::parse(json).map_err(member)?;
        if metadata.client_id.as_deref() != Some(self.client_id.as_str()) {
            return Err(DocumentProblem::ClientId);
        }
        let shares_secret = match metadata.token_endpoint_auth_method {
            None
            | Some(AuthenticationMethodName::None | AuthenticationMethodName::PrivateKeyJwt) => {
                metadata.states_secret
            }
            Some(
                AuthenticationMethodName::ClientSecretBasic
                | AuthenticationMethodName::ClientSecretPost,
            ) => true,
        };
        if shares_secret { Err(DocumentProblem::Secret) } else { Ok(metadata) }
    }
}

/// The reason that a client id metadata document is not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DocumentProblem {
    /// The server accepts no document of this host.
    HostNotAllowed,
    /// This source asks for too many documents, or too many are fetched at this moment.
    TooMany,
    /// The app has changed since the user was asked, by its document or by its registration.
    Changed,
    /// As many apps as the host allows are known by their documents.
    TooManyApps,
    /// The host has an address that may not be fetched.
    Address,
    /// There was no complete answer.
    Unreachable,
    /// The status is not 200.
    Status,
    /// The document is gone: the status is 404 or 410.
    Gone,
    /// The answer is not JSON, by its `Content-Type`.
    ContentType,
    /// The document is longer than 5 KiB.
    TooLarge,
    /// Its `client_id` is not the URL.
    ClientId,
    /// It has a client secret, or names a method that shares one.
    Secret,
    /// This member is not usable; `metadata` stands for the whole.
    Member(&'static str),
}

/// The state of the document that describes an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataDocument {
    fetched_at: UnixTime,
    fresh_until: UnixTime,
    since: UnixTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone_at: Option<UnixTime>,
}

impl MetadataDocument {
    pub(crate) const fn new(fetched_at: UnixTime, fresh_until: UnixTime) -> Self {
        Self { fetched_at, fresh_until, since: fetched_at, gone_at: None }
    }

    /// Returns when the description of the app was fetched.
    #[must_use]
    pub const fn fetched_at(&self) -> UnixTime {
        self.fetched_at
    }

    /// Returns until when no process fetches the document again.
    #[must_use]
    pub const fn fresh_until(&self) -> UnixTime {
        self.fresh_until
    }

    /// Returns from when consents count. Those before were given to another description.
    #[must_use]
    pub const fn since(&self) -> UnixTime {
        self.since
    }

    /// Returns true if the document was good and is gone.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        self.gone_at.is_some()
    }

    /// Returns when the document was fetched, or found gone.
    pub(crate) fn seen_at(&self) -> UnixTime {
        self.gone_at.map_or(self.fetched_at, |gone_at| gone_at.max(self.fetched_at))
    }
}

impl CustomApp {
    /// Creates an enabled app that a document describes. No row has it yet.
    pub(crate) fn of_document(
        client_id: ClientId,
        settings: AppSettings,
        document: MetadataDocument,
        version: u64,
        now: UnixTime,
    ) -> Self {
        let mut app = Self::new(client_id, settings, Credentials::default(), version, now);
        app.origin = AppOrigin::Document;
        app.document = Some(Box::new(document));
        app
    }

    /// Returns the same app with consents that count from `since`, for a row that is not written yet.
    pub(crate) fn with_consents_since(mut self, since: UnixTime) -> Self {
        if let Some(document) = &mut self.document {
            document.since = since;
        }
        self
    }

    /// Returns the same app under a new first version.
    pub(crate) fn with_first_version(mut self, version: u64) -> Self {
        self.version = version;
        self
    }

    /// Returns the next version of the app, whose document is gone or back.
    pub(crate) fn with_document_gone(&self, gone: bool, now: UnixTime) -> Self {
        self.edited(now, |edit| {
            if let Some(document) = edit.document {
                document.gone_at = gone.then_some(now);
            }
        })
    }

    /// Returns the state of the document that describes the app; `None` for every other app.
    #[must_use]
    pub fn metadata_document(&self) -> Option<&MetadataDocument> {
        self.document.as_deref().filter(|_| self.origin == AppOrigin::Document)
    }

    /// Returns true if the document that describes the app is gone.
    pub(crate) fn is_document_gone(&self) -> bool {
        self.metadata_document().is_some_and(MetadataDocument::is_gone)
    }

    /// Returns a digest of the app's own description; `None` for an administrator's app.
    pub(crate) fn description_digest(&self) -> Option<Digest> {
        self.origin.is_self_described().then(|| {
            // Settings of strings and numbers always have a JSON form.
            let settings = serde_json::to_vec(&self.settings).unwrap_or_default();
            Digest::of_fields(&[&settings])
        })
    }

    /// Returns true if a consent of `given_at` was given to the present description.
    pub(crate) fn counts_consent_of(&self, given_at: UnixTime) -> bool {
        let of_document = self.metadata_document().map(|document| document.since);
        let of_registration = self.registration().map(|registration| registration.since);
        of_document.max(of_registration).is_none_or(|since| given_at >= since)
    }
}

#[cfg(test)]
#[path = "metadata_document_tests.rs"]
mod tests;
