//! The grant types of the token endpoint.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of grant in a token request: `grant_type` of RFC 6749 section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GrantType {
    /// An authorization code (RFC 6749 section 4.1.3).
    AuthorizationCode,
    /// A refresh token (RFC 6749 section 6).
    RefreshToken,
    /// An assertion (RFC 7523 section 2.1).
    JwtBearer,
    /// The app's own credentials alone (RFC 6749 section 4.4).
    ClientCredentials,
    /// A device code (RFC 8628 section 3.4).
    DeviceCode,
    /// A token of a user (RFC 8693 section 2.1).
    TokenExchange,
}

impl GrantType {
    /// Every grant type, in the order of their indices.
    pub const ALL: [Self; 6] = [
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::JwtBearer,
        Self::ClientCredentials,
        Self::DeviceCode,
        Self::TokenExchange,
    ];

    /// Returns its value on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }

    /// Returns the grant type with this value on the wire.
    #[must_use]
    pub fn from_wire(value: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant_type| grant_type.as_str() == value)
    }
}

impl fmt::Display for GrantType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
