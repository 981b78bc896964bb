//! Rich authorization requests: `authorization_details` of RFC 9396.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Details of the granted access beyond a scope: a JSON array of objects, each with a string `type` (RFC
/// 9396 section 2).
///
/// 1 to 16 objects, at most 4,096 bytes as compact JSON, and at most 16 levels of arrays and objects.
/// Cheap to clone. `Debug` shows the length only, because details may name a payment.
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

/// A text that is not the value of an `authorization_details` parameter, or is too long or too deep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an array of 1 to 16 objects that each have a `type`, or longer than 4,096 bytes, or deeper than \
     16 levels"
)]
#[non_exhaustive]
pub struct InvalidAuthorizationDetails;

impl AuthorizationDetails {
    /// The greatest number of objects.
    pub const MAX_OBJECTS: usize = 16;
    /// The greatest length as compact JSON, in bytes.
    pub const MAX_BYTES: usize = 4_096;
    /// The greatest number of arrays and objects within each other; the array itself is the first. A
    /// parser with a limit of its own can then read the details within a token or a row.
    pub const MAX_DEPTH: usize = 16;

    /// Returns the array as compact JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn from_value(value: &Value) -> Result<Self, InvalidAuthorizationDetails> {
        let objects = value.as_array().ok_or(InvalidAuthorizationDetails)?;
        if !is_within_depth(value, Self::MAX_DEPTH) {
            return Err(InvalidAuthorizationDetails);
        }
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

/// Checks whether `value` has at most `depth` levels of arrays and objects. It recurses `depth` times at
/// most.
fn is_within_depth(value: &Value, depth: usize) -> bool {
    let Some(below) = depth.checked_sub(1) else {
        return !(value.is_array() || value.is_object());
    };
    match value {
        Value::Array(values) => values.iter().all(|value| is_within_depth(value, below)),
        Value::Object(members) => members.values().all(|value| is_within_depth(value, below)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
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
        write!(f, "AuthorizationDetails({} bytes)", self.0.len())
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
        // The array itself and its object are two levels.
        let deep = |levels: usize| {
            let (open, close) = ("[".repeat(levels - 2), "]".repeat(levels - 2));
            format!(r#"[{{"type":"a","x":{open}{close}}}]"#)
        };
        assert!(deep(16).parse::<AuthorizationDetails>().is_ok());
        let bad = bad.chain([deep(17)]);
        for bad in bad {
            assert_eq!(bad.parse::<AuthorizationDetails>(), Err(InvalidAuthorizationDetails));
        }
    }

    #[test]
    fn details_have_at_most_16_levels() {
        // Two levels are the array and its object.
        let arrays = |levels: usize| {
            format!(r#"[{{"a":{}1{},"type":"a"}}]"#, "[".repeat(levels - 2), "]".repeat(levels - 2))
        };
        let objects = |levels: usize| {
            let (open, close) = (r#"{"a":"#.repeat(levels - 2), "}".repeat(levels - 2));
            format!(r#"[{{"a":{open}1{close},"type":"a"}}]"#)
        };
        for good in [arrays(16), objects(16)] {
            assert_eq!(good.parse::<AuthorizationDetails>().unwrap().as_str(), good);
            assert!(serde_json::from_str::<AuthorizationDetails>(&good).is_ok());
        }
        let empty = arrays(16).replace('1', "[]");
        for bad in [arrays(17), objects(17), empty, arrays(126), arrays(1_000)] {
            assert_eq!(bad.parse::<AuthorizationDetails>(), Err(InvalidAuthorizationDetails));
            assert!(serde_json::from_str::<AuthorizationDetails>(&bad).is_err());
        }
    }

    #[test]
    fn debug_shows_the_length_only() {
        let details: AuthorizationDetails = r#"[{"type":"payment"}]"#.parse().unwrap();
        assert_eq!(format!("{details:?}"), "AuthorizationDetails(20 bytes)");
    }
}
