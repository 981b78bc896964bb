//! Listening, serving and shutdown.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use grantor::{Issuer, UpkeepHandle};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::args::PORTS;
use crate::log::Log;

/// The time for requests in flight after the server was told to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// Listens at `address`, or at the first free one of the usual ports.
///
/// # Errors
///
/// The system's error.
pub(crate) async fn listen(address: Option<SocketAddr>) -> Result<TcpListener, String> {
    if let Some(address) = address {
        let listener = TcpListener::bind(address).await;
        return listener.map_err(|error| format!("--listen {address}: {error}"));
    }
    let mut last = String::new();
    for port in PORTS {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => last = format!("no free port from {} on: {error}", PORTS.start),
        }
    }
    Err(last)
}

/// Announces that the server listens. The file appears with its complete content.
///
/// # Errors
///
/// A message that names the file.
pub(crate) fn announce(file: Option<&Path>, issuer: &Issuer) -> Result<(), String> {
    let Some(file) = file else { return Ok(()) };
    let text = json!({ "issuer": issuer, "pid": std::process::id() }).to_string();
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, file));
    written.map_err(|error| format!("--ready-file {}: {error}", file.display()))
}

/// The running upkeep.
pub(crate) struct Background {
    pub(crate) handle: UpkeepHandle,
    pub(crate) task: JoinHandle<()>,
    pub(crate) log: Log,
}

/// Serves requests until `told` to stop, and then finishes those in flight.
///
/// # Errors
///
/// The system's error.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    background: Background,
    told: impl Future<Output = ()>,
) -> io::Result<()> {
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    // A response is one small write and must not wait for the next.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        _ = stopped.wait_for(|stopped| *stopped).await;
    });
    let patience = async {
        told.await;
        stop.send_replace(true);
        sleep(PATIENCE).await;
    };
    let outcome = tokio::select! {
        served = serving => served,
        () = patience => {
            tracing::warn!("some requests timed out and were not answered");
            Ok(())
        }
    };
    // Writes the events of the last requests, if the database accepts them.
    background.handle.stop();
    let ended = background.task.await;
    if ended.is_err() || background.log.queue.pending() > 0 {
        tracing::warn!("some events were not written to the audit log");
    }
    background.log.store.close().await;
    outcome
}

/// Waits for SIGTERM or Ctrl-C. From this call on, even before the future is awaited, they no
/// longer end the process.
///
/// # Errors
///
/// The system's error.
#[cfg(unix)]
pub(crate) fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Waits for Ctrl-C.
///
/// # Errors
///
/// None.
#[cfg(not(unix))]
pub(crate) fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        _ = tokio::signal::ctrl_c().await;
    })
}
