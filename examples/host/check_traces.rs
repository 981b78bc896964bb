//! The self-check of this program, with a collector that takes the exporter's requests.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::check::{self, Walk};
use crate::site::BoxError;
use crate::traces::ENDPOINT;

type Collected = Arc<Mutex<Vec<Bytes>>>;

/// Goes through every step, and then reads the traces.
pub(crate) async fn check() -> Result<(), BoxError> {
    let collected = Collected::default();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let collector = Router::new().route("/v1/traces", post(collect));
    let collector = axum::serve(listener, collector.with_state(Arc::clone(&collected)));
    let collector = tokio::spawn(collector.into_future());
    let walk = move || check::check(&[(ENDPOINT, &endpoint)]);
    let walked = tokio::task::spawn_blocking(walk).await?;
    collector.abort();
    let requests = collected.lock().unwrap_or_else(PoisonError::into_inner).clone();
    read(&requests, &walked?)
}

async fn collect(State(collected): State<Collected>, body: Bytes) -> &'static str {
    collected.lock().unwrap_or_else(PoisonError::into_inner).push(body);
    "{}"
}

/// Reads the requests of the exporter, in the JSON of OTLP.
fn read(requests: &[Bytes], walk: &Walk) -> Result<(), BoxError> {
    let mut spans = Vec::new();
    for request in requests {
        let request: Value = serde_json::from_slice(request)?;
        for spans_of_process in list(&request, "resourceSpans") {
            for spans_of_scope in list(spans_of_process, "scopeSpans") {
                spans.extend(list(spans_of_scope, "spans").iter().cloned());
            }
        }
    }
    let is_traced = |attributes: &[(&str, &str)]| {
        let has =
            |span: &Value| attributes.iter().all(|(key, it)| attribute(span, key) == Some(it));
        spans.iter().any(|span| span.get("name").is_some_and(|it| it == "request") && has(span))
    };
    let app = ("client_id", "notes-desktop");
    let redeemed =
        [("endpoint", "token"), ("grant_type", "authorization_code"), ("outcome", "success"), app];
    check::expect(
        "the token request has a span with grant type, app and outcome",
        is_traced(&redeemed),
    )?;
    let dead =
        [("endpoint", "token"), ("grant_type", "refresh_token"), ("outcome", "refused"), app];
    check::expect("the refused token request has one, too", is_traced(&dead))?;
    let texts: Vec<_> = requests.iter().map(|it| String::from_utf8_lossy(it)).collect();
    let leaks = |secret: &&String| texts.iter().any(|text| text.contains(secret.as_str()));
    check::expect(
        "the traces hold no password, cookie, code, token or user",
        walk.secrets.len() > 8 && !walk.secrets.iter().any(|secret| leaks(&secret)),
    )
}

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn attribute<'a>(span: &'a Value, key: &str) -> Option<&'a str> {
    let found =
        list(span, "attributes").iter().find(|it| it.get("key").is_some_and(|it| it == key));
    found?.pointer("/value/stringValue")?.as_str()
}
