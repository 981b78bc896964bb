//! The console for administrators, through bytes on the wire.

mod account;
mod account_devices;
mod apps;
mod audit;
mod credentials;
mod danger;
mod desk;
mod devices;
mod frame;
mod hostile_texts;
mod html;
mod impersonation;
mod import;
mod import_issuers;
mod issuer_check;
mod issuer_settings;
mod issuers;
mod new_app;
mod playground;
mod playground_programs;
mod posts;
mod preview;
#[cfg(feature = "axum")]
mod router;
mod scopes;
mod security;
mod server;
mod settings;
mod swagger;
mod usage;
mod users;
mod versions;
