//! JSON of tokens, read strictly.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::clock::UnixTime;

/// A JSON object of which no member is given twice; `None` for anything else.
pub(super) fn object(json: &[u8]) -> Option<Map<String, Value>> {
    struct Members(Map<String, Value>);

    impl<'de> Deserialize<'de> for Members {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(MembersVisitor).map(Self)
        }
    }

    struct MembersVisitor;

    impl<'de> Visitor<'de> for MembersVisitor {
        type Value = Map<String, Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Map::new();
            while let Some((name, value)) = map.next_entry::<String, Value>()? {
                if members.insert(name, value).is_some() {
                    return Err(A::Error::custom("a member is given twice"));
                }
            }
            Ok(members)
        }
    }

    serde_json::from_slice::<Members>(json).ok().map(|members| members.0)
}

/// A `NumericDate` (RFC 7519 section 2): seconds, perhaps with a fraction. Extremes saturate.
pub(super) fn numeric_date(value: &Value) -> Option<UnixTime> {
    let Value::Number(number) = value else { return None };
    if let Some(seconds) = number.as_i64() {
        return Some(UnixTime::from_seconds(seconds));
    }
    if number.is_u64() {
        return Some(UnixTime::MAX);
    }
    let millis = (number.as_f64()? * 1000.0).floor();
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, which is wanted")]
    millis.is_finite().then(|| UnixTime::from_millis(millis as i64))
}

/// A string, borrowed from the input unless it held an escape.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_with_a_member_twice_or_something_after_it_is_refused() {
        assert!(object(br#"{"a":1,"b":[{"a":1}]}"#).is_some());
        for bad in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":1}"#, "{}{}", "[]", "null", "", "\"{}\""]
        {
            assert!(object(bad.as_bytes()).is_none(), "{bad}");
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(1000), "]".repeat(1000));
        assert!(object(deep.as_bytes()).is_none());
    }

    /// C22: 64-bit extremes do not overflow.
    #[test]
    fn numeric_dates_may_have_fractions_and_saturate() {
        assert_eq!(numeric_date(&json!(1.5)), Some(UnixTime::from_millis(1500)));
        assert_eq!(numeric_date(&json!(-1)), Some(UnixTime::from_seconds(-1)));
        for far in [json!(i64::MAX), json!(u64::MAX), json!(1e300)] {
            assert_eq!(numeric_date(&far), Some(UnixTime::MAX));
        }
        assert_eq!(numeric_date(&json!(i64::MIN)), Some(UnixTime::from_millis(i64::MIN)));
        for other in [json!("1"), json!(null), json!(true), json!([1]), json!({})] {
            assert_eq!(numeric_date(&other), None);
        }
    }
}
