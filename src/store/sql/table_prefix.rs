//! The prefix of the tables.

use std::fmt;

/// The prefix of a store's tables, such as `grantor_`, or `auth.grantor_` for tables in the schema `auth`.
///
/// It needs no quotes in a statement: 1 to 30 lower-case letters, digits and `_`, not beginning with a digit.
/// A schema of the same characters and a dot may precede it.
///
/// ```
/// use grantor::store::TablePrefix;
///
/// assert!(TablePrefix::new("auth.oauth_").is_ok());
/// assert!(TablePrefix::new("oauth_; DROP TABLE users").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TablePrefix {
    /// `auth.`, or nothing.
    schema: String,
    own: String,
}

/// A text that is not a table prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("not a table prefix: it may hold a-z, 0-9 and _, and a schema with a dot before it")]
#[non_exhaustive]
pub struct InvalidTablePrefix;

impl TablePrefix {
    /// The greatest length in bytes, without the schema.
    pub const MAX_BYTES: usize = 30;

    /// Checks `text`, and takes it as it is.
    ///
    /// # Errors
    ///
    /// [`InvalidTablePrefix`] if it would need quotes.
    pub fn new(text: &str) -> Result<Self, InvalidTablePrefix> {
        let (schema, own) = match text.split_once('.') {
            Some((schema, own)) if is_name(schema) => (format!("{schema}."), own),
            Some(_) => return Err(InvalidTablePrefix),
            None => (String::new(), text),
        };
        if is_name(own) {
            Ok(Self { schema, own: own.to_owned() })
        } else {
            Err(InvalidTablePrefix)
        }
    }

    /// Returns the prefix without its schema, for names of indexes.
    pub(in crate::store) fn without_schema(&self) -> &str {
        &self.own
    }
}

fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    text.len() <= TablePrefix::MAX_BYTES
        && text.bytes().next().is_some_and(letter)
        && text.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}

/// `grantor_`
impl Default for TablePrefix {
    fn default() -> Self {
        Self { schema: String::new(), own: "grantor_".to_owned() }
    }
}

impl fmt::Display for TablePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.schema, self.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_needs_no_quotes() {
        let longest = "a".repeat(30);
        for good in ["grantor_", "a", "auth.oauth_", "_1", "auth._", &longest] {
            assert_eq!(TablePrefix::new(good).unwrap().to_string(), good);
        }
        let long = "a".repeat(31);
        for bad in ["", ".", "a.", ".a", "1a", "A", "a b", "a\"", "a;", "a'", "é", "a.b.c", &long]
        {
            assert_eq!(TablePrefix::new(bad), Err(InvalidTablePrefix), "{bad}");
        }
    }
}
