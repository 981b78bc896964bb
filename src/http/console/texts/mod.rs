//! Every text of the console, by page, for translation. Names of parameters and of RFCs stay as they are.

pub(super) mod account;
pub(super) mod app_form;
pub(super) mod apps;
pub(super) mod audit;
pub(super) mod conflict;
pub(super) mod credentials;
pub(super) mod danger;
pub(super) mod devices;
pub(super) mod frame;
pub(super) mod impersonation;
pub(super) mod import;
pub(super) mod new_credentials;
pub(super) mod overview;
pub(super) mod playground;
pub(super) mod preview;
pub(super) mod problems;
pub(super) mod scopes;
pub(super) mod security;
pub(super) mod server;
pub(super) mod snippets;
pub(super) mod swagger;
pub(super) mod times;
pub(super) mod usage;
pub(super) mod users;
