//! Traces for an OpenTelemetry collector, over OTLP. Off unless the environment names a collector.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio_rustls::rustls::crypto::ring;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::site::BoxError;

/// The variable that turns traces on. The exporter reads it and its siblings.
pub(crate) const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Exports the spans of the server's requests from a thread of its own.
pub(crate) fn export() -> Result<Option<SdkTracerProvider>, BoxError> {
    if std::env::var_os(ENDPOINT).is_none() {
        return Ok(None);
    }
    // The exporter's HTTP client takes the cryptography that the process has chosen. An error means it has.
    _ = ring::default_provider().install_default();
    let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpJson).build()?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name("host").build())
        .build();
    // Spans of other crates could hold values of the host's database.
    let only = Targets::new().with_target("grantor::http", LevelFilter::INFO);
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("host"));
    tracing_subscriber::registry().with(layer.with_filter(only)).try_init()?;
    Ok(Some(provider))
}

/// Exports the last spans.
pub(crate) async fn end(provider: Option<SdkTracerProvider>) -> Result<(), BoxError> {
    if let Some(provider) = provider {
        // It waits for the exporter's thread.
        tokio::task::spawn_blocking(move || provider.shutdown()).await??;
    }
    Ok(())
}
