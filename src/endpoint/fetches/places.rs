//! The fetches under way.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ids::Source;
use crate::rate_limit::SourceKey;

/// The places for fetches. A host and a source have a share each, so that a slow host or one stranger leaves the
/// others room.
#[derive(Default)]
pub(crate) struct Places(Mutex<Taken>);

/// As many entries as there are fetches under way.
#[derive(Default)]
struct Taken {
    all: usize,
    of_hosts: HashMap<Box<str>, usize>,
    /// By the bytes of a [`SourceKey`].
    of_sources: HashMap<Box<[u8]>, usize>,
}

/// A place, until it is dropped.
#[must_use = "the place is given back at once"]
pub(crate) struct Place<'a> {
    places: &'a Places,
    host: Box<str>,
    source: Option<Box<[u8]>>,
}

impl Places {
    /// The fetches at once.
    pub(crate) const ALL: usize = 64;
    /// The share of a host.
    pub(crate) const OF_HOST: usize = 4;
    /// The share of a source. A source that the host does not tell has none.
    pub(crate) const OF_SOURCE: usize = 8;

    /// Takes a place for a fetch from `host`, which is in lower case. Returns `None` if all are taken, or the shares.
    pub(crate) fn take(&self, host: &str, source: Option<&Source>) -> Option<Place<'_>> {
        // A dot at the end names the same host to a resolver.
        let host = host.strip_suffix('.').unwrap_or(host);
        let source = source.map(|source| SourceKey::of(source).to_bytes().into_boxed_slice());
        let mut taken = self.taken();
        let of_host = taken.of_hosts.get(host).copied().unwrap_or_default();
        let of_source = source.as_ref().and_then(|source| taken.of_sources.get(source)).copied();
        if taken.all >= Self::ALL
            || of_host >= Self::OF_HOST
            || of_source.is_some_and(|of_source| of_source >= Self::OF_SOURCE)
        {
            return None;
        }
        let host: Box<str> = host.into();
        taken.all = taken.all.saturating_add(1);
        add(&mut taken.of_hosts, host.clone());
        if let Some(source) = source.clone() {
            add(&mut taken.of_sources, source);
        }
        Some(Place { places: self, host, source })
    }

    /// No code panics while it holds the lock, so a poisoned one guards intact data.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(1);
}

fn subtract<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    match counts.get_mut(key) {
        Some(count) if *count > 1 => *count = count.saturating_sub(1),
        _ => _ = counts.remove(key),
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        subtract(&mut taken.of_hosts, &self.host);
        if let Some(source) = &self.source {
            subtract(&mut taken.of_sources, source);
        }
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("taken", &self.taken().all).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new(text).unwrap()
    }

    /// L18: a host has four places and a source eight, of 64 in all, and each comes back.
    #[test]
    fn a_host_and_a_source_have_a_share_of_the_places() {
        let places = Places::default();
        let (ann, bob) = (source("192.0.2.1"), source("192.0.2.2"));
        let mut held: Vec<_> =
            (0..4).map(|_| places.take("slow.example", Some(&ann)).unwrap()).collect();
        for host in ["slow.example", "slow.example."] {
            assert!(places.take(host, Some(&bob)).is_none(), "the share of the host");
        }
        held.extend((0..4).map(|it| places.take(&format!("a{it}.example"), Some(&ann)).unwrap()));
        assert!(places.take("other.example", Some(&ann)).is_none(), "the share of the source");
        held.push(places.take("other.example", Some(&bob)).unwrap());
        for number in held.len()..Places::ALL {
            held.push(places.take(&format!("b{number}.example"), None).unwrap());
        }
        assert!(places.take("last.example", None).is_none());
        held.pop();
        held.push(places.take("last.example", None).unwrap());
        drop(held.remove(0));
        assert!(places.take("slow.example", Some(&ann)).is_some());
        drop(held);
        let taken = places.taken();
        assert_eq!((taken.all, taken.of_hosts.len(), taken.of_sources.len()), (0, 0, 0));
    }

    /// The addresses of one IPv6 network are one source.
    #[test]
    fn a_source_is_counted_as_the_budgets_count_it() {
        let places = Places::default();
        let take = |number: usize| {
            let address = source(&format!("2001:db8:0:1::{number:x}"));
            places.take(&format!("a{number}.example"), Some(&address))
        };
        let held: Vec<_> = (0..Places::OF_SOURCE).map(|number| take(number).unwrap()).collect();
        assert!(take(held.len()).is_none());
        assert!(places.take("b.example", Some(&source("2001:db8:0:2::1"))).is_some());
    }
}
