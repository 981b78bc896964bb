//! A token of a trusted issuer before its verification. It is parsed once, for all that looks at it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::jwt::assertion::AssertionError;
use crate::jwt::claims::Object;
use crate::jwt::jws::{Compact, Header, JwsError};
use crate::jwt::{Algorithm, VerifyingKeys};

/// The decoded parts of a token.
pub(crate) struct DecodedToken<'a>(Compact<'a>);

/// A token, parsed and **not verified**: what it says only helps to find the rules that verify it.
pub(crate) struct UnverifiedToken<'a> {
    pub(super) jws: &'a Compact<'a>,
    header: Result<Header<'a>, JwsError>,
    /// `None` if they are malformed.
    claims: Option<Object<'a>>,
}

impl<'a> DecodedToken<'a> {
    pub(crate) fn new(token: &'a str) -> Result<Self, AssertionError> {
        Ok(Self(Compact::parse(token)?))
    }
}

impl<'a> UnverifiedToken<'a> {
    /// Parses the header and the claims.
    pub(crate) fn of(DecodedToken(jws): &'a DecodedToken<'_>) -> Self {
        Self { jws, header: Header::of(jws), claims: Object::parse(jws.payload()) }
    }

    /// Returns `iss`, if it is a string.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.claims.as_ref()?.text("iss", ()).ok()?
    }

    /// Returns the `sub` of a workload and the claims that are strings.
    pub(crate) fn workload(&self) -> Option<(String, BTreeMap<String, String>)> {
        let claims = self.claims.as_ref()?;
        let subject = claims.text("sub", ()).ok()??.to_owned();
        Some((subject, super::texts(claims)))
    }

    /// Checks whether the header states the type `typ`.
    pub(super) fn is_type(&self, typ: &str) -> bool {
        self.header.as_ref().is_ok_and(|header| header.is_type(typ))
    }

    /// Checks whether none of `keys` is the one that the header names, so that newer ones are worth a fetch.
    pub(crate) fn lacks_key(&self, keys: &VerifyingKeys, algorithms: &[Algorithm]) -> bool {
        self.header.as_ref().is_ok_and(|header| header.lacks_key(keys, algorithms))
    }

    pub(super) fn header(&self) -> Result<&Header<'a>, AssertionError> {
        self.header.as_ref().map_err(|error| AssertionError::from(*error))
    }

    /// Checks the signature, before any claim, and returns the claims.
    pub(super) fn signed_claims(
        &self,
        keys: &VerifyingKeys,
        algorithms: &[Algorithm],
    ) -> Result<&Object<'a>, AssertionError> {
        self.jws.verify(self.header()?, keys, algorithms)?;
        self.claims.as_ref().ok_or(AssertionError::Claims)
    }

    /// Returns the claims as JSON, if one of `keys` has signed them. Nothing else of the token is checked.
    pub(crate) fn signed_json(
        &self,
        keys: &VerifyingKeys,
        algorithms: &[Algorithm],
    ) -> Option<Map<String, Value>> {
        self.jws.verify(self.header().ok()?, keys, algorithms).ok()?;
        serde_json::from_slice(self.jws.payload()).ok()
    }
}

impl std::fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnverifiedToken").finish_non_exhaustive()
    }
}
