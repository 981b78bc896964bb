//! The APIs of one grant (RFC 8707 section 2).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::uri;
use crate::ids::{InvalidId, Resource};

impl Resource {
    /// Returns true if both name the same API: they differ at most in the case of scheme and host, in
    /// a default port, and in the `/` of an empty path (RFC 3986 sections 6.2.2.1 and 6.2.3).
    #[must_use]
    pub fn is_equivalent(&self, other: &Self) -> bool {
        uri::is_equivalent(self.as_str(), other.as_str())
    }
}

/// One or more APIs that an authorization request named. A token is for one of them.
///
/// Written as one text, with spaces between.
#[derive(Clone, PartialEq, Eq)]
pub struct Resources(Arc<(Resource, Box<[Resource]>)>);

impl Resources {
    /// The longest accepted text, in bytes.
    pub const MAX_BYTES: usize = 1_024;

    /// Collects APIs in their order, each once. Returns `None` if there are none.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] if their text is too long.
    pub fn collect(
        resources: impl IntoIterator<Item = Resource>,
    ) -> Result<Option<Self>, InvalidId> {
        let mut resources = resources.into_iter();
        let Some(first) = resources.next() else { return Ok(None) };
        let mut rest: Vec<Resource> = Vec::new();
        for resource in resources {
            if !rest.iter().chain([&first]).any(|other| other.is_equivalent(&resource)) {
                rest.push(resource);
            }
        }
        let bytes: usize = rest.iter().map(|resource| resource.as_str().len() + 1).sum();
        if first.as_str().len() + bytes > Self::MAX_BYTES {
            return Err(InvalidId::new("list of resources", "it is longer than 1024 bytes"));
        }
        Ok(Some(Self(Arc::new((first, rest.into())))))
    }

    /// Returns the APIs in the order of the request.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        let (first, rest) = &*self.0;
        std::iter::once(first).chain(rest)
    }

    /// Returns the granted spelling of an equivalent API.
    #[must_use]
    pub fn find(&self, resource: &Resource) -> Option<&Resource> {
        self.iter().find(|granted| granted.is_equivalent(resource))
    }

    /// Returns the API of a token whose request names none.
    #[must_use]
    pub fn first(&self) -> &Resource {
        &self.0.0
    }
}

impl From<Resource> for Resources {
    fn from(resource: Resource) -> Self {
        Self(Arc::new((resource, Box::default())))
    }
}

impl FromStr for Resources {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let all = text.split(' ').map(Resource::new).collect::<Result<Vec<_>, _>>()?;
        let all = Self::collect(all)?;
        all.ok_or(InvalidId::new("list of resources", "it is empty"))
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, resource) in self.iter().enumerate() {
            let space = if at > 0 { " " } else { "" };
            write!(f, "{space}{resource}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Resources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Resources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(texts: &[&str]) -> Result<Option<Resources>, InvalidId> {
        Resources::collect(texts.iter().map(|text| Resource::new(*text).unwrap()))
    }

    #[test]
    fn apis_keep_their_order_and_are_listed_once() {
        let both = all(&["https://b", "https://a", "https://B:443/"]).unwrap().unwrap();
        assert_eq!(both.to_string(), "https://b https://a");
        assert_eq!(both.to_string().parse::<Resources>().unwrap(), both);
        assert_eq!(both.first(), &Resource::new("https://b").unwrap());
        assert_eq!(both.find(&Resource::new("HTTPS://A/").unwrap()).unwrap().as_str(), "https://a");
        assert_eq!(all(&[]).unwrap(), None);
        for bad in ["", " ", "https://a ", "https://a  https://b", "a b"] {
            assert!(bad.parse::<Resources>().is_err(), "{bad:?}");
        }
    }

    /// The limit at its edge and one beyond.
    #[test]
    fn the_text_of_all_apis_has_at_most_1024_bytes() {
        let name = |id: usize, bytes: usize| format!("urn:{id}:{}", "a".repeat(bytes - 6));
        let mut names: Vec<_> = (0..4).map(|id| name(id, 255)).collect();
        names.push(name(5, 6));
        names[0].pop();
        names[1].pop();
        names[2].truncate(252);
        let text = names.join(" ");
        assert_eq!(text.len(), 1_025);
        assert!(text.parse::<Resources>().is_err());
        names[0].pop();
        assert!(names.join(" ").parse::<Resources>().is_ok());
    }
}
