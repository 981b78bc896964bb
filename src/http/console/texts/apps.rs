//! Texts of the list of apps.

use crate::app::{AppOrigin, Flow};

pub(in super::super) const TITLE: &str = "Apps";
pub(in super::super) const NEW: &str = "New app";
pub(in super::super) const SEARCH: &str = "Search names and descriptions";
pub(in super::super) const SEARCH_BUTTON: &str = "Search";
pub(in super::super) const CLEAR: &str = "Show all apps";
pub(in super::super) const STATE: &str = "State";
pub(in super::super) const ORIGIN: &str = "Origin";
pub(in super::super) const FLOWS: &str = "Flows";
pub(in super::super) const FLOW: &str = "Flow";
pub(in super::super) const NAME: &str = "Name";
pub(in super::super) const LAST_USED: &str = "Last used";
pub(in super::super) const NEVER: &str = "never";
pub(in super::super) const NOT_SINCE_START: &str = "not since the server started";
pub(in super::super) const ANY: &str = "All";
pub(in super::super) const ENABLED: &str = "Enabled";
pub(in super::super) const DISABLED: &str = "Disabled";
pub(in super::super) const REGISTERED: &str = "Registered here";
pub(in super::super) const DECLARED: &str = "From the configuration";
pub(in super::super) const WITHDRAWN: &str = "No longer in the configuration";
pub(in super::super) const SELF_DESCRIBED: &str = "Describe themselves";
pub(in super::super) const SELF_REGISTERED: &str = "Registered itself";
pub(in super::super) const DOCUMENT: &str = "Describes itself in a document";
pub(in super::super) const FIRST: &str = "First page";
pub(in super::super) const NEXT: &str = "Next page";
pub(in super::super) const PAGES: &str = "Pages of the list";
pub(in super::super) const NONE_TITLE: &str = "There are no apps yet";
pub(in super::super) const NONE: &str = "An app is a program that reaches your API, for its users or for itself. Register it here, and \
     give its developers the credentials that you get.";
pub(in super::super) const NONE_SO_FAR_TITLE: &str = "No app fits so far";
pub(in super::super) const NONE_SO_FAR: &str =
    "A part of the apps has been searched. Go on with the next page.";
pub(in super::super) const NONE_FOUND_TITLE: &str = "No app fits";
pub(in super::super) const NONE_FOUND: &str = "Try a part of the name, or take a filter away.";

pub(in super::super) const fn flow(flow: Flow) -> &'static str {
    match flow {
        Flow::AuthorizationCode => "Authorization code",
        Flow::JwtBearer => "JWT bearer",
        Flow::ClientCredentials => "Client credentials",
        Flow::DeviceCode => "Device code",
        Flow::TokenExchange => "Token exchange",
    }
}

pub(in super::super) const fn origin(origin: AppOrigin) -> &'static str {
    match origin {
        AppOrigin::Registered => REGISTERED,
        AppOrigin::Declared => DECLARED,
        AppOrigin::Withdrawn => WITHDRAWN,
        AppOrigin::SelfRegistered => SELF_REGISTERED,
        AppOrigin::Document => DOCUMENT,
    }
}

/// Returns the mark beside the state of an app that no administrator registered.
pub(in super::super) const fn mark(origin: AppOrigin) -> Option<&'static str> {
    match origin {
        AppOrigin::Registered => None,
        AppOrigin::Declared | AppOrigin::Withdrawn => Some("Configuration"),
        AppOrigin::SelfRegistered => Some("Self-registered"),
        AppOrigin::Document => Some("Document"),
    }
}
