//! The app of an authorization request, by its row or by its document.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};

use super::cache::{Description, Failure, Fetched, is_fresh};
use super::{ClientDocuments, Documents, GoneDocument, freshness};
use crate::app::{
    AppOrigin, AuthenticationMethodName, ClientAuthentication, CustomApp, DocumentProblem,
    DocumentUrl, MetadataDocument,
};
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::endpoint::fetches::{self, Class};
use crate::error::{EndpointError, Rejection};
use crate::fetch::FetchError;
use crate::ids::{ClientId, Source};
use crate::observe::panics::caught_in;
use crate::store::Store;

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
        let class = class_of(stored.as_deref());
        let row = stored.as_ref().and_then(|app| app.metadata_document());
        let seen_at = row.map(MetadataDocument::seen_at);
        let known = documents.cache.fresh(url.client_id(), class, seen_at, now);
        if let (Some(app), Some(row), None) = (&stored, row, &known)
            && is_fresh(row, now)
            && !row.is_gone()
        {
            return Ok(FoundApp::stored(Arc::clone(app)));
        }
        let description = match known {
            Some(known) => known,
            None => match self.fetch_document(documents, url, class, seen_at, source, now).await? {
                Ok(description) => description,
                Err(rejection) => {
                    self.note_gone(documents, url, stored.as_deref(), &rejection).await?;
                    return Err(rejection.into());
                }
            },
        };
        self.app_of(url, stored, &description, now).await
    }

    /// Fetches the document of an app, or shares the fetch of another request.
    pub(super) async fn fetch_document(
        &self,
        documents: &Documents,
        url: DocumentUrl<'_>,
        class: Class,
        seen_at: Option<UnixTime>,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<Fetched, EndpointError> {
        let fetch = async {
            let _place = self.admit_fetch(url.host(), source, now)?;
            let fetched = documents.fetch(url, now).await;
            Ok(fetched.map(Arc::new).map_err(Rejection::ClientDocument))
        };
        documents.cache.fetched(url.client_id(), class, seen_at, now, fetch).await
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

    /// Notes that the document is gone. In the row, so that refreshes are refused.
    pub(super) async fn note_gone(
        &self,
        documents: &Documents,
        url: DocumentUrl<'_>,
        stored: Option<&CustomApp>,
        rejection: &Rejection,
    ) -> Result<(), EndpointError> {
        if *rejection != Rejection::ClientDocument(DocumentProblem::Gone) {
            return Ok(());
        }
        let failure = Failure { at: self.clock.now(), is_gone: true };
        let class = class_of(stored);
        documents.cache.note_failure(url.client_id(), class, failure);
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
}

impl Documents {
    /// Fetches and reads the document of an app.
    async fn fetch(
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
        if let ClientAuthentication::PrivateKeyJwtUri(uri) = described.settings.authentication()
            && !self.allows_keys_at(uri)
        {
            return Err(DocumentProblem::HostNotAllowed);
        }
        let until = freshness::fresh_until(&headers, now, settings.shortest, settings.longest);
        let document = MetadataDocument::new(now, until);
        Ok(Description { settings: described.settings, document })
    }

    /// Returns the headers and the body of an answer with status 200.
    async fn get(&self, url: &str) -> Result<(HeaderMap, Vec<u8>), DocumentProblem> {
        let request = fetches::request(url, "application/json");
        let request = request.ok_or(DocumentProblem::Unreachable)?;
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

/// Returns the class of what is kept of an app.
fn class_of(stored: Option<&CustomApp>) -> Class {
    if stored.is_some() { Class::Vouched } else { Class::Stranger }
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
