//! The keys in a document follow it: an app authenticates as its document says now.

use std::sync::Arc;

use super::cache::{Description, Failure, is_fresh};
use super::{Documents, GoneDocument};
use crate::app::{ClientAuthentication, CustomApp, DocumentProblem, DocumentUrl};
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::endpoint::fetches::{Class, MAX_AGE, Need, PAUSE, age};
use crate::error::{EndpointError, Rejection};
use crate::ids::Source;
use crate::store::Store;

/// The newest description of an app that this process knows.
struct Newest {
    /// `None` is the row.
    description: Option<Arc<Description>>,
    fetched_at: UnixTime,
    is_fresh: bool,
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Returns the newest description of an app with a row that a document describes, or `None` if that is the row. The
    /// document is fetched if it is not fresh, and for [`Need::Newer`] at most once a minute if the keys are in it. If
    /// that fails, the last description is used until it is a day old.
    ///
    /// The row stays as it is: another name, scope or redirect URI waits for the consent of a user.
    pub(crate) async fn followed(
        &self,
        app: &CustomApp,
        need: Need,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<Option<Arc<Description>>, EndpointError> {
        let Some(documents) = self.documents.as_deref() else { return Ok(None) };
        let Some(url) = DocumentUrl::of(app.client_id()) else { return Ok(None) };
        // The authorization endpoint finds out when a gone document is back. Refreshes are refused until then.
        let Some(newest) = documents.newest(app, now).filter(|_| !app.is_document_gone()) else {
            return Ok(None);
        };
        let failure = documents.cache.memory(app.client_id()).failure;
        let is_known_gone = failure.is_some_and(|failure| failure.is_gone);
        let is_usable = is_known_gone || age(newest.fetched_at, now) <= MAX_AGE;
        let is_due = newest.is_due(app, need, now)
            && failure.is_none_or(|failure| age(failure.at, now) >= PAUSE);
        let waits = need == Need::Newer || !is_usable;
        if !is_due || (!waits && documents.cache.is_fetching(app.client_id())) {
            return newest.usable(is_usable);
        }
        if !documents.settings.allows(url.host()) {
            return newest.usable(is_usable);
        }
        let (class, seen_at) = (Class::Vouched, Some(newest.fetched_at));
        let fetched = self.fetch_document(documents, url, class, seen_at, source, now).await;
        match fetched {
            Ok(Ok(description)) => Ok(Some(description)),
            Ok(Err(rejection)) => {
                if rejection == Rejection::ClientDocument(DocumentProblem::Gone) {
                    self.note_gone(documents, url, Some(app), &rejection).await?;
                    return match documents.settings.gone {
                        GoneDocument::RefuseRefresh => Err(rejection.into()),
                        GoneDocument::KeepGrants => newest.usable(true),
                    };
                }
                let failure = Failure { at: now, is_gone: is_known_gone };
                documents.cache.note_failure(app.client_id(), class, failure);
                newest.usable(is_usable)
            }
            Err(_) if is_usable => newest.usable(true),
            Err(refused) => Err(refused),
        }
    }
}

impl Documents {
    /// Returns the newest description of an app that a document describes.
    fn newest(&self, app: &CustomApp, now: UnixTime) -> Option<Newest> {
        let row = app.metadata_document()?;
        let kept = self.cache.memory(app.client_id()).description;
        let kept = kept.filter(|kept| kept.document.fetched_at() > row.fetched_at());
        let document = kept.as_ref().map_or(row, |kept| &kept.document);
        let (fetched_at, is_fresh) = (document.fetched_at(), is_fresh(document, now));
        Some(Newest { description: kept, fetched_at, is_fresh })
    }
}

impl Newest {
    fn authentication<'a>(&'a self, app: &'a CustomApp) -> &'a ClientAuthentication {
        let described = self.description.as_ref().map(|description| &description.settings);
        described.unwrap_or_else(|| app.settings()).authentication()
    }

    fn is_due(&self, app: &CustomApp, need: Need, now: UnixTime) -> bool {
        // New keys at a `jwks_uri` are not in the document.
        let has_keys =
            !matches!(self.authentication(app), ClientAuthentication::PrivateKeyJwtUri(_));
        !self.is_fresh || (need == Need::Newer && has_keys && age(self.fetched_at, now) >= PAUSE)
    }

    fn usable(self, is_usable: bool) -> Result<Option<Arc<Description>>, EndpointError> {
        if is_usable { Ok(self.description) } else { Err(Rejection::ClientKeysUnavailable.into()) }
    }
}
