//! The hosts of client metadata documents, in this process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use grantor::app::{AppTemplate, CustomApp};
use grantor::endpoint::{Caller, ClientDocuments};
use grantor::fetch::{Fetch, FetchError};
use grantor::ids::ClientId;
use grantor::store::AppRegistry as _;
use http::{Request, Response};
use pollster::block_on;
use serde_json::{Value, json};

use crate::support::{App, CALLBACK, World, code_query, new_verifier, scope};

/// The client id of the app that most tests use.
pub(super) const EDITOR: &str = "https://editor.example/client";

/// Answers by URL, from memory. A URL without an answer has status 404.
#[derive(Default)]
pub(crate) struct Site {
    answers: Mutex<HashMap<String, Response<Vec<u8>>>>,
    fetches: AtomicUsize,
    meanwhile: Mutex<Option<Meanwhile>>,
    /// The beginning of the URLs that are never answered.
    hanging: Mutex<Option<String>>,
}

/// An act during a fetch.
type Meanwhile = Box<dyn FnOnce() + Send>;

impl Site {
    /// The document of an app with one redirect URI, and `changes`.
    pub(super) fn document(client_id: &str, changes: &Value) -> Value {
        let mut document = json!({
            "client_id": client_id,
            "client_name": "Editor",
            "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        });
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        document
    }

    /// Publishes a document of `client_id`.
    pub(super) fn publish(&self, client_id: &str, changes: &Value) {
        let document = Self::document(client_id, changes).to_string();
        let answer = Response::builder().header("content-type", "application/json");
        self.answer(client_id, answer.body(document.into_bytes()).unwrap());
    }

    pub(crate) fn answer(&self, url: &str, answer: Response<Vec<u8>>) {
        self.answers.lock().unwrap().insert(url.to_owned(), answer);
    }

    pub(crate) fn take_down(&self, url: &str) {
        self.answers.lock().unwrap().remove(url);
    }

    /// Leaves requests for URLs that begin so without an answer.
    pub(crate) fn hang(&self, beginning: &str) {
        *self.hanging.lock().unwrap() = Some(beginning.to_owned());
    }

    /// Calls `act` during the next fetch.
    pub(super) fn meanwhile(&self, act: impl FnOnce() + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some(Box::new(act));
    }

    /// Returns the number of fetches so far.
    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

impl Fetch for Site {
    async fn fetch(
        &self,
        request: Request<Vec<u8>>,
        max_bytes: usize,
    ) -> Result<Response<Vec<u8>>, FetchError> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(act) = meanwhile {
            act();
        }
        let url = request.uri().to_string();
        let hangs = self.hanging.lock().unwrap().as_ref().is_some_and(|it| url.starts_with(it));
        if hangs {
            std::future::pending::<()>().await;
        }
        let answers = self.answers.lock().unwrap();
        let Some(answer) = answers.get(&url) else {
            return Ok(Response::builder().status(404).body(Vec::new()).unwrap());
        };
        if answer.body().len() > max_bytes {
            return Err(FetchError::TooLarge(max_bytes));
        }
        Ok(answer.clone())
    }
}

pub(super) fn template() -> AppTemplate {
    AppTemplate::new(scope("a b c")).refresh_token(true)
}

pub(super) fn documents(site: &Arc<Site>) -> ClientDocuments {
    ClientDocuments::new(template(), Arc::clone(site)).unwrap()
}

/// A server that fetches documents from a site, with the document of [`EDITOR`].
pub(super) fn world() -> (World, Arc<Site>) {
    world_with(|documents| documents)
}

pub(super) fn world_with(
    configure: impl FnOnce(ClientDocuments) -> ClientDocuments,
) -> (World, Arc<Site>) {
    let site = Arc::new(Site::default());
    site.publish(EDITOR, &json!({}));
    let documents = configure(documents(&site));
    (World::with(|builder| builder.client_documents(documents)), site)
}

/// The app of a document, as a client knows itself.
pub(super) fn app(client_id: &str) -> App {
    let id = ClientId::new(client_id).unwrap();
    App { id, secret: None, signature_secret: None }
}

/// The row of an app, if there is one.
pub(super) fn row(world: &World, client_id: &str) -> Option<Arc<CustomApp>> {
    block_on(world.store.find_app(&ClientId::new(client_id).unwrap())).unwrap()
}

/// Asks as the app `client_id`, and returns the reason of the refusal that the user sees.
#[track_caller]
pub(super) fn refusal(world: &World, client_id: &str) -> String {
    let query = code_query(&app(client_id), &new_verifier(), &[]);
    let refused = block_on(world.server.authorization_request(&query, Caller::default()));
    assert_eq!(refused.unwrap_err().location(), None, "never redirected");
    world.last_event().outcome.reason().unwrap().to_owned()
}

/// Checks that a request of the app is accepted.
#[track_caller]
pub(super) fn accepted(world: &World, client_id: &str) {
    let query = code_query(&app(client_id), &new_verifier(), &[]);
    block_on(world.server.authorization_request(&query, Caller::default())).unwrap();
}
