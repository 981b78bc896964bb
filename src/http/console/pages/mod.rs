//! The pages, one file each.

mod apps;
mod audit;
mod credentials;
mod danger;
mod new_app;
mod new_credentials;
mod overview;
mod playground;
mod revoke_access;
mod scopes;
mod security;
mod settings;
mod users;
