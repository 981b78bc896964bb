//! The facts that an app stated when it registered itself.

use serde::{Deserialize, Serialize};

use super::{ApplicationType, ClientMetadata};
use crate::clock::UnixTime;
use crate::server_secret::KeyedDigest;

/// The facts beside the settings that an app stated when it registered itself (RFC 7591 section 2), and the state of
/// its registration.
///
/// A stranger wrote them. Each URL is `https`, and no text has a control or bidirectional character.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SelfRegistration {
    /// The page of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// The logo. A page that shows it from there tells the app's host about each user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// The terms of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// The policy on the use of data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// The people responsible for the app.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// The identifier that all installations of the software share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    /// The version of the software.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
    /// The kind of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_type: Option<ApplicationType>,
    /// The issuer of the software statement that vouched for the app at its registration (RFC 7591 section 2.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_issuer: Option<String>,
    /// The digest of the registration access token, if the app may manage its registration (RFC 7592).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<KeyedDigest>,
    /// Whether an administrator has edited the settings. The app then no longer changes them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_administered: bool,
    /// The instant from which consents count. Those before were given to another description.
    #[serde(default)]
    pub since: UnixTime,
    /// When a prune last found access of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<UnixTime>,
}

impl SelfRegistration {
    /// Returns the facts in `metadata`.
    pub(crate) fn stated(metadata: &ClientMetadata) -> Self {
        Self {
            client_uri: metadata.client_uri.clone(),
            logo_uri: metadata.logo_uri.clone(),
            tos_uri: metadata.tos_uri.clone(),
            policy_uri: metadata.policy_uri.clone(),
            contacts: metadata.contacts.clone(),
            software_id: metadata.software_id.clone(),
            software_version: metadata.software_version.clone(),
            application_type: metadata.application_type,
            ..Self::default()
        }
    }
}
