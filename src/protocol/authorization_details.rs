//! Rich authorization requests: `authorization_details` of RFC 9396.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Details of the granted access beyond a scope: a JSON array of objects, each with a string `type` (RFC
/// 9396 section 2).
///
/// 1 to 16 objects, and at most 4,096 bytes as compact JSON. Cheap to clone.
///
/// ```
/// use grantor::protocol::AuthorizationDetails;
///
/// let details: AuthorizationDetails = r#"[{"type": "payment", "amount": "12.50"}]"#.parse()?;
/// assert_eq!(details.as_str(), r#"[{"amount":"12.50","type":"payment"}]"#);
/// # Ok::<(), grantor::protocol::InvalidAuthorizationDetails>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AuthorizationDetails(Arc<str>);

/// A text that is not the value of an `authorization_details` parameter, or is too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("not an array of 1 to 16 objects that each have a `type`, or longer than 4,096 bytes")]
#[non_exhaustive]
pub struct InvalidAuthorizationDetails;

impl AuthorizationDetails {
    /// The greatest number of objects.
    pub const MAX_OBJECTS: usize = 16;
    /// The greatest length as compact JSON, in bytes.
    pub const MAX_BYTES: usize = 4_096;

    /// Returns the array as compact JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn from_value(value: &Value) -> Result<Self, InvalidAuthorizationDetails> {
        let objects = value.as_array().ok_or(InvalidAuthorizationDetails)?;
        let has_type = |object: &Value| object.get("type").is_some_and(Value::is_string);
        let is_counted = (1..=Self::MAX_OBJECTS).contains(&objects.len());
        let text = value.to_string();
        if is_counted && objects.iter().all(has_type) && text.len() <= Self::MAX_BYTES {
            Ok(Self(text.into()))
        } else {
            Err(InvalidAuthorizationDetails)
        }
    }
}

impl FromStr for AuthorizationDetails {
    type Err = InvalidAuthorizationDetails;

    fn from_str(json: &str) -> Result<Self, InvalidAuthorizationDetails> {
        let value = serde_json::from_str(json).map_err(|_| InvalidAuthorizationDetails)?;
        Self::from_value(&value)
    }
}

impl fmt::Debug for AuthorizationDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorizationDetails({})", self.0)
    }
}

impl Serialize for AuthorizationDetails {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: Value = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        value.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AuthorizationDetails {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_an_array_of_typed_objects_within_their_limits() {
        let object = r#"{"type":"a"}"#;
        let many = |count: usize| format!("[{}]", vec![object; count].join(","));
        let long = |bytes: usize| format!(r#"[{{"type":"{}"}}]"#, "x".repeat(bytes));
        let frame = long(0).len();
        for good in [many(1), many(16), long(4_096 - frame)] {
            let details: AuthorizationDetails = good.parse().unwrap();
            assert_eq!(details.as_str(), good);
            let json = serde_json::to_string(&details).unwrap();
            assert_eq!(serde_json::from_str::<AuthorizationDetails>(&json).unwrap(), details);
        }
        let bad = ["", "[]", "{}", "[1]", "[{}]", r#"[{"type":1}]"#, r#"[{"type":"a"},[]]"#];
        let bad = bad.map(str::to_owned).into_iter().chain([many(17), long(4_097 - frame)]);
        for bad in bad {
            assert_eq!(bad.parse::<AuthorizationDetails>(), Err(InvalidAuthorizationDetails));
        }
    }
}
