//! Enterprise-managed authorization: the identity provider of a company decides that an app may act for its users here,
//! and tells it by an assertion (ID-JAG). The users see no page of this server.

use std::path::Path;

use grantor::app::{ImpersonationPolicy, IssuerKeys, JwksUri, TrustedIssuer, UserTrust};
use grantor::ids::{ClientId, EvidenceIssuer, Resource};
use grantor::jwt::Algorithm;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::site::BoxError;

/// The identity provider of a company, and the app that presents its assertions. It holds a secret and has no `Debug`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentityProvider {
    issuer: EvidenceIssuer,
    jwks_uri: JwksUri,
    client_id: ClientId,
    /// At least 32 bytes.
    client_secret: String,
}

impl IdentityProvider {
    pub(crate) fn read(path: &Path) -> Result<Self, BoxError> {
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read(path).map_err(|error| wrong(&error))?;
        Ok(serde_json::from_slice(&text).map_err(|error| wrong(&error))?)
    }

    /// Returns the app as it is declared.
    pub(crate) fn app(&self, mcp: &Resource, scope: &str) -> Value {
        json!({
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            // Its own assertions get no user: its policy of impersonation allows none.
            "signature_secret": self.client_secret,
            "settings": {
                "name": "Notes of the company", "flows": ["jwt_bearer"], "jwt": { "keys": "signature_secret" },
                "scope": scope, "resources": [mcp], "default_resource": mcp,
            }
        })
    }

    /// Returns the trust in the identity provider. Its users have the same names here, and an assertion is for the MCP
    /// server alone.
    pub(crate) fn trust(&self) -> TrustedIssuer {
        let users = UserTrust::new([self.client_id.clone()])
            .with_user_claim("sub")
            .with_required_resource(true)
            .with_policy(ImpersonationPolicy::anyone());
        let keys = IssuerKeys::Uri(self.jwks_uri.clone());
        let algorithms = [Algorithm::ES256, Algorithm::RS256];
        TrustedIssuer::new(self.issuer.clone(), "Identity provider", keys, algorithms)
            .with_id_jag(users)
    }
}
