//! A strict JSON reader for headers and claims, without copies.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::clock::UnixTime;

/// A JSON object without duplicate members.
pub(super) struct Object<'a>(Vec<(Text<'a>, Member<'a>)>);

/// The value of a member of a header or of claims, as far as tokens use it.
pub(super) enum Member<'a> {
    Text(Text<'a>),
    /// A `NumericDate` (RFC 7519 section 2): seconds, perhaps with a fraction. Extremes saturate.
    Date(UnixTime),
    /// An array of strings.
    Texts(Vec<Text<'a>>),
    /// Anything else.
    Other,
}

impl<'a> Object<'a> {
    /// Parses an object. Returns `None` for any other JSON, and for a duplicate member.
    pub(super) fn parse(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Member<'a>> {
        self.0.iter().find(|(own, _)| own.0 == name).map(|(_, member)| member)
    }

    /// Iterates over the members that are strings.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, member)| match member {
            Member::Text(text) => Some((&*name.0, &*text.0)),
            Member::Date(_) | Member::Texts(_) | Member::Other => None,
        })
    }

    /// Removes and returns the member `name`.
    pub(super) fn take(&mut self, name: &str) -> Option<Member<'a>> {
        let at = self.0.iter().position(|(own, _)| own.0 == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Returns the string `name`, or `Ok(None)` if it is absent.
    ///
    /// # Errors
    ///
    /// `wrong` if it is not a string.
    pub(super) fn text<E>(&self, name: &str, wrong: E) -> Result<Option<&str>, E> {
        match self.get(name) {
            None => Ok(None),
            Some(Member::Text(text)) => Ok(Some(&text.0)),
            Some(Member::Date(_) | Member::Texts(_) | Member::Other) => Err(wrong),
        }
    }

    /// Returns the date `name`, or `Ok(None)` if it is absent.
    ///
    /// # Errors
    ///
    /// `wrong` if it is not a number.
    pub(super) fn date<E>(&self, name: &str, wrong: E) -> Result<Option<UnixTime>, E> {
        match self.get(name) {
            None => Ok(None),
            Some(Member::Date(date)) => Ok(Some(*date)),
            Some(Member::Text(_) | Member::Texts(_) | Member::Other) => Err(wrong),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut object = Object(Vec::with_capacity(8));
                while let Some((name, member)) = map.next_entry::<Text<'de>, Member<'de>>()? {
                    // Bounds the quadratic search for duplicates. Honest tokens have fewer members.
                    if object.get(&name.0).is_some() || object.0.len() >= MAX_MEMBERS {
                        return Err(A::Error::custom(
                            "a member is given twice, or there are too many",
                        ));
                    }
                    object.0.push((name, member));
                }
                Ok(object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// The largest number of members of an object.
const MAX_MEMBERS: usize = 128;

impl<'de: 'a, 'a> Deserialize<'de> for Member<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MemberVisitor;

        impl<'de> Visitor<'de> for MemberVisitor {
            type Value = Member<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Member::Text(Text(Cow::Borrowed(text))))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Member::Text(Text(Cow::Owned(text.to_owned()))))
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Self::Value, E> {
                Ok(Member::Date(UnixTime::from_seconds(seconds)))
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Self::Value, E> {
                let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
                Ok(Member::Date(UnixTime::from_seconds(seconds)))
            }

            fn visit_f64<E: Error>(self, seconds: f64) -> Result<Self::Value, E> {
                let millis = (seconds * 1000.0).floor();
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the cast saturates, as intended"
                )]
                let date = UnixTime::from_millis(millis as i64);
                Ok(if millis.is_nan() { Member::Other } else { Member::Date(date) })
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Member::Other)
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Member::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut texts = Vec::new();
                let mut only_texts = true;
                while let Some(member) = seq.next_element::<Member<'de>>()? {
                    match member {
                        Member::Text(text) => texts.push(text),
                        Member::Date(_) | Member::Texts(_) | Member::Other => only_texts = false,
                    }
                }
                Ok(if only_texts { Member::Texts(texts) } else { Member::Other })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Member::Other)
            }
        }

        deserializer.deserialize_any(MemberVisitor)
    }
}

/// A string, borrowed from the input unless it contains an escape.
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
    use super::*;

    fn date(json: &str) -> Option<UnixTime> {
        let json = format!("{{\"at\":{json}}}");
        Object::parse(json.as_bytes()).unwrap().date("at", ()).unwrap_or(None)
    }

    #[test]
    fn an_object_with_a_duplicate_member_or_trailing_text_is_refused() {
        assert!(Object::parse(br#"{"a":1,"b":[{"a":1}],"c":null,"d":true}"#).is_some());
        for bad in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":1}"#, "{}{}", "[]", "null", "", "\"{}\""]
        {
            assert!(Object::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(1000), "]".repeat(1000));
        assert!(Object::parse(deep.as_bytes()).is_none());
        let many: Vec<String> = (0..200).map(|n| format!("\"{n}\":1")).collect();
        assert!(Object::parse(format!("{{{}}}", many.join(",")).as_bytes()).is_none());
    }

    #[test]
    fn a_member_has_one_type() {
        let json = br#"{"text":"a\u0062","number":1,"texts":["a"],"mixed":["a",1],"object":{}}"#;
        let object = Object::parse(json).unwrap();
        assert_eq!(object.text("text", ()), Ok(Some("ab")));
        assert_eq!(object.text("absent", ()), Ok(None));
        for other in ["number", "texts", "mixed", "object"] {
            assert_eq!(object.text(other, ()), Err(()));
        }
        for other in ["text", "texts", "mixed", "object"] {
            assert_eq!(object.date(other, ()), Err(()));
        }
        assert!(matches!(object.get("texts"), Some(Member::Texts(texts)) if texts.len() == 1));
        assert!(matches!(object.get("mixed"), Some(Member::Other)));
    }

    /// C22: 64-bit extremes do not overflow.
    #[test]
    fn numeric_dates_may_have_fractions_and_saturate() {
        assert_eq!(date("1.5"), Some(UnixTime::from_millis(1500)));
        assert_eq!(date("-1"), Some(UnixTime::from_seconds(-1)));
        for far in ["9223372036854775807", "18446744073709551615", "1e300"] {
            assert_eq!(date(far), Some(UnixTime::MAX));
        }
        assert_eq!(date("-9223372036854775808"), Some(UnixTime::from_millis(i64::MIN)));
        for other in ["\"1\"", "null", "true", "[1]", "{}"] {
            assert_eq!(date(other), None);
        }
    }
}
