//! The pages, one file each.

mod apps;
mod new_app;
mod new_credentials;
mod overview;
mod settings;
