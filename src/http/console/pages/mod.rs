//! The pages, one file each.

mod apps;
mod audit;
mod credentials;
mod danger;
mod device;
mod devices;
mod export;
mod impersonation;
mod import;
mod new_app;
mod new_credentials;
mod overview;
mod playground;
mod preview;
mod revoke_access;
mod revoke_all;
mod scopes;
mod security;
mod server;
mod settings;
mod swagger;
mod usage;
mod users;
