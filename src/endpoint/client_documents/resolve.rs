//! The app of an authorization request, by its row or by its document.

use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

use super::cache::{Description, is_fresh};
use super::{ClientDocuments, Documents, GoneDocument, freshness};
use crate::app::{
    AppOrigin, AuthenticationMethodName, CustomApp, DocumentProblem, DocumentUrl, MetadataDocument,
};
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::error::{EndpointError, Rejection};
use crate::fetch::FetchError;
use crate::ids::{ClientId, Source};
use crate::observe::panics::caught_in;
use crate::store::{InsertApp, Store, UpdateApp};

const TOO_MANY: Rejection = Rejection::ClientDocument(DocumentProblem::TooMany);

/// The app of an authorization request.
#[derive(Clone, Debug)]
pub(crate) struct FoundApp {
    pub(crate) app: Arc<CustomApp>,
    pub(crate) standing: Standing,
}

/// Whether the store has the app as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Stored,
    /// No row has the app. The first approval writes it.
    New,
    /// The row of this version has another description. The next approval writes it.
    Changed {
        version: u64,
    },
}

impl FoundApp {
    const fn stored(app: Arc<CustomApp>) -> Self {
        Self { app, standing: Standing::Stored }
    }
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Finds the app of an authorization request. An unknown client id that is the URL of a document is fetched, if
    /// the server has [documents](crate::ServerBuilder::client_documents). No other endpoint fetches it.
    pub(crate) async fn find_client(
        &self,
        client_id: &ClientId,
        source: Option<&Source>,
    ) -> Result<FoundApp, EndpointError> {
        let stored = self.store.find_app(client_id).await?;
        match stored {
            Some(app) if app.origin() != AppOrigin::Document => Ok(FoundApp::stored(app)),
            stored => {
                let documents = self.documents.as_deref().ok_or(Rejection::UnknownClient)?;
                let url = DocumentUrl::of(client_id).ok_or(Rejection::UnknownClient)?;
                // Boxed, so that other apps pay nothing for the state of a fetch.
                Box::pin(self.find_described(documents, url, stored, source)).await
            }
        }
    }

    async fn find_described(
        &self,
        documents: &Documents,
        url: DocumentUrl<'_>,
        stored: Option<Arc<CustomApp>>,
        source: Option<&Source>,
    ) -> Result<FoundApp, EndpointError> {
        if stored.as_ref().is_some_and(|app| !app.is_enabled()) {
            return Err(Rejection::AppDisabled.into());
        }
        if !documents.settings.allows(url.host()) {
            return Err(Rejection::ClientDocument(DocumentProblem::HostNotAllowed).into());
        }
        let now = self.clock.now();
        let row = stored.as_ref().and_then(|app| app.metadata_document());
        let seen_at = row.map(MetadataDocument::seen_at);
        let known = documents.cache.fresh(url.client_id(), seen_at, now);
        if let (Some(app), Some(row), None) = (&stored, row, &known)
            && is_fresh(row, now)
            && !row.is_gone()
        {
            return Ok(FoundApp::stored(Arc::clone(app)));
        }
        let description = if let Some(known) = known {
            known
        } else {
            let charged = self.limiter.charge_document(source, now);
            charged.map_err(|retry| EndpointError::limited(TOO_MANY, retry))?;
            match documents.fetch(url, seen_at, now).await {
                Ok(description) => description,
                Err(rejection) => {
                    self.note_gone(documents, url, stored.as_ref(), &rejection).await?;
                    return Err(rejection.into());
                }
            }
        };
        self.app_of(url, stored, &description, now).await
    }

    /// Returns the app of a description. A document that is back is noted in the row.
    async fn app_of(
        &self,
        url: DocumentUrl<'_>,
        stored: Option<Arc<CustomApp>>,
        description: &Description,
        now: UnixTime,
    ) -> Result<FoundApp, EndpointError> {
        let Some(app) = stored else {
            let (settings, document) = (description.settings.clone(), description.document.clone());
            let version = CustomApp::first_version(&*self.random)?;
            let id = url.client_id().clone();
            let app = CustomApp::of_document(id, settings, document, version, now);
            return Ok(FoundApp { app: Arc::new(app), standing: Standing::New });
        };
        // It is back, also with another description: the row has that of the users who agreed, and serves them.
        let app =
            if app.is_document_gone() { Arc::new(self.set_gone(&app, false).await?) } else { app };
        if *app.settings() == description.settings {
            return Ok(FoundApp::stored(app));
        }
        let changed = app.edited(now, |edit| {
            *edit.settings = description.settings.clone();
            *edit.document = Some(Box::new(description.document.clone()));
        });
        let standing = Standing::Changed { version: app.version() };
        Ok(FoundApp { app: Arc::new(changed), standing })
    }

    /// Notes in the row that the document is gone, so that refreshes are refused.
    async fn note_gone(
        &self,
        documents: &Documents,
        url: DocumentUrl<'_>,
        stored: Option<&Arc<CustomApp>>,
        rejection: &Rejection,
    ) -> Result<(), EndpointError> {
        if *rejection != Rejection::ClientDocument(DocumentProblem::Gone) {
            return Ok(());
        }
        documents.cache.forget(url.client_id());
        match stored {
            Some(app)
                if documents.settings.gone == GoneDocument::RefuseRefresh
                    && !app.is_document_gone() =>
            {
                self.set_gone(app, true).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes whether the document of an app is gone, and returns the app as written. A concurrent change of the app
    /// wins.
    async fn set_gone(&self, app: &CustomApp, gone: bool) -> Result<CustomApp, EndpointError> {
        let changed = app.with_document_gone(gone, self.clock.now());
        self.store.update_app(changed.clone(), app.version()).await?;
        Ok(changed)
    }

    /// Writes the row of an app as it describes itself, before a user's approval of `date` becomes a grant. Consents
    /// count from then on.
    pub(crate) async fn keep_described(
        &self,
        found: &FoundApp,
        date: UnixTime,
    ) -> Result<(), EndpointError> {
        let expected = match found.standing {
            Standing::Stored => return Ok(()),
            Standing::New => None,
            Standing::Changed { version } => Some(version),
        };
        let app = (*found.app).clone().with_consents_since(date);
        let was_written = match expected {
            None => self.store.insert_app(app).await? == InsertApp::Inserted,
            Some(version) => self.store.update_app(app, version).await? == UpdateApp::Updated,
        };
        if was_written { Ok(()) } else { self.accept_other(&found.app).await }
    }

    /// Writes the row of a described app again, if the prune has removed it since it was read. Returns false if the
    /// row is there.
    pub(crate) async fn restore_described(&self, app: &CustomApp) -> Result<bool, EndpointError> {
        if app.metadata_document().is_none()
            || self.store.read_app(app.client_id()).await?.is_some()
        {
            return Ok(false);
        }
        let version = CustomApp::first_version(&*self.random)?;
        let inserted = self.store.insert_app(app.clone().with_first_version(version)).await?;
        Ok(inserted == InsertApp::Inserted)
    }

    /// Accepts the row that another request wrote first, if it has the same description.
    async fn accept_other(&self, app: &CustomApp) -> Result<(), EndpointError> {
        let other = self.store.read_app(app.client_id()).await?;
        match other {
            Some(other) if !other.is_enabled() => Err(Rejection::AppDisabled.into()),
            Some(other) if other.settings() == app.settings() => Ok(()),
            _ => Err(Rejection::ClientDocument(DocumentProblem::Changed).into()),
        }
    }
}

impl Documents {
    /// Fetches the document of an app, or shares the fetch of another request.
    async fn fetch(
        &self,
        url: DocumentUrl<'_>,
        seen_at: Option<UnixTime>,
        now: UnixTime,
    ) -> Result<Arc<Description>, Rejection> {
        let fetch = async {
            let fetched = self.fetch_alone(url, now).await;
            fetched.map(Arc::new).map_err(Rejection::ClientDocument)
        };
        self.cache.fetched(url.client_id(), seen_at, now, TOO_MANY, fetch).await
    }

    async fn fetch_alone(
        &self,
        url: DocumentUrl<'_>,
        now: UnixTime,
    ) -> Result<Description, DocumentProblem> {
        let settings = &self.settings;
        let (headers, body) = self.get(url.client_id().as_str()).await?;
        if !is_json(&headers) {
            return Err(DocumentProblem::ContentType);
        }
        let metadata = url.parse(&body)?;
        let public = AuthenticationMethodName::None;
        let described = settings.template.describe(&metadata, url.host(), public);
        let described = described.map_err(|error| DocumentProblem::Member(error.field()))?;
        if !self.allows_keys_of(&described.settings) {
            return Err(DocumentProblem::HostNotAllowed);
        }
        let until = freshness::fresh_until(&headers, now, settings.shortest, settings.longest);
        let document = MetadataDocument::new(now, until);
        Ok(Description { settings: described.settings, document })
    }

    /// Returns the headers and the body of an answer with status 200.
    async fn get(&self, url: &str) -> Result<(HeaderMap, Vec<u8>), DocumentProblem> {
        let request = http::Request::get(url).header(ACCEPT, "application/json").body(Vec::new());
        let request = request.map_err(|_| DocumentProblem::Unreachable)?;
        let fetched = self.settings.fetch.fetch_boxed(request, ClientDocuments::MAX_BYTES);
        let answer = match caught_in(fetched).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(FetchError::Address(_))) => return Err(DocumentProblem::Address),
            Ok(Err(FetchError::TooLarge(_))) => return Err(DocumentProblem::TooLarge),
            Ok(Err(_)) | Err(_) => return Err(DocumentProblem::Unreachable),
        };
        let (parts, body) = answer.into_parts();
        match parts.status {
            StatusCode::OK if body.len() > ClientDocuments::MAX_BYTES => {
                Err(DocumentProblem::TooLarge)
            }
            StatusCode::OK => Ok((parts.headers, body)),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(DocumentProblem::Gone),
            _ => Err(DocumentProblem::Status),
        }
    }
}

/// Checks whether the one `Content-Type` is `application/json`, or another type in the form of JSON (RFC 6839).
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.to_str().ok().and_then(|text| text.split(';').next()).unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}
