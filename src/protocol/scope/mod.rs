//! Scopes: sets of tokens, their patterns, and their narrowing by a request (RFC 6749 section 3.3).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) mod pattern;

/// A text that is not a valid scope or scope token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid scope: {problem}")]
#[non_exhaustive]
pub struct InvalidScope {
    /// The problem, as a clause: `a token is longer than 128 bytes`.
    pub problem: &'static str,
}

/// A requested scope that is refused. On the wire both are `invalid_scope`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NarrowError {
    /// The request is not a valid scope.
    #[error("the requested scope is malformed")]
    Invalid(#[from] InvalidScope),
    /// The request exceeds the allowed scope.
    #[error("the requested scope is wider than what is allowed")]
    TooWide {
        /// The first token that is not allowed.
        token: ScopeToken,
    },
}

/// One element of a scope: `scope-token` of RFC 6749 appendix A.4.
///
/// 1 to 128 bytes of printable ASCII without space, `"` and `\`. Compared as given.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeToken(Arc<str>);

impl ScopeToken {
    /// The longest accepted token, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Validates `text` and takes it unchanged.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if it is empty, too long, contains a forbidden character, or is a malformed
    /// endpoint scope (see [`Scope`]).
    pub fn new(text: &str) -> Result<Self, InvalidScope> {
        check_token(text)?;
        Ok(Self(text.into()))
    }

    /// Returns the token as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks whether this is an endpoint scope, not an opaque one (see [`Scope`]).
    #[must_use]
    pub fn is_endpoint_scope(&self) -> bool {
        pattern::endpoint(&self.0).is_some()
    }

    /// Checks whether this token allows everything that `other` allows.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        pattern::covers(&self.0, &other.0)
    }
}

/// A set of scope tokens (RFC 6749 section 3.3), possibly empty.
///
/// A token is one of two kinds, and its text alone decides which:
///
/// * An **endpoint scope** is `METHOD/resource/qualifier…`: two or more segments between slashes. The
///   first is `*` or consists of the letters `A` to `Z`. `GET/users/*` and `*/files/*` are endpoint
///   scopes. A `*` stands for a whole segment: the first for any method, one in the middle for exactly
///   one segment, the last for one or more. So `GET/users/*` allows `GET /users/42/photo` but not
///   `GET /users`. A token that begins like an endpoint scope, but has an empty segment or a `*` beside
///   other characters, is refused.
/// * Every other token is **opaque**: the host defines its meaning, and it covers only itself.
///   `files.read`, `users/Read`, `folders/*` and `*` are opaque.
///
/// ```
/// use grantor::protocol::Scope;
///
/// let allowed = Scope::parse("GET/users/* files.read")?;
/// let narrowed = allowed.narrow("GET/users/42")?;
/// assert_eq!(narrowed.as_str(), "GET/users/42");
/// assert!(allowed.narrow("GET/groups/7").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Stored as one text, with the tokens in byte order: a clone shares it, and two scopes of the same
/// tokens are equal in any order of writing. At most 4096 bytes and 128 tokens.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// The longest accepted scope, in bytes.
    pub const MAX_BYTES: usize = 4096;
    /// The largest accepted number of tokens.
    pub const MAX_TOKENS: usize = 128;

    /// Returns the scope without tokens.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Parses `scope` of RFC 6749 appendix A.4: tokens in any order, with spaces between. Spaces around
    /// and between tokens count as one. A text without tokens is the empty scope.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if a token is malformed, if commas separate tokens, or if there are too many
    /// bytes or tokens.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidScope { problem: "it is longer than 4096 bytes" });
        }
        let (mut count, mut as_stored, mut previous) = (0, true, "");
        for token in text.split(' ') {
            if token.is_empty() {
                as_stored = false;
                continue;
            }
            check_token(token)?;
            count += 1;
            as_stored &= previous < token;
            previous = token;
        }
        if count > Self::MAX_TOKENS {
            return Err(InvalidScope { problem: "it has more than 128 tokens" });
        }
        Ok(if as_stored { Self(text.into()) } else { Self::from_distinct(&tokens(text).collect()) })
    }

    /// Returns the tokens with a space between.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks whether there are no tokens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the tokens in byte order.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        tokens(&self.0)
    }

    /// Returns this scope without `offline_access`, which is not a scope of a token: it says that the
    /// client wants a refresh token (OpenID Connect Core 1.0 section 11).
    #[must_use]
    pub fn without_offline_access(self) -> Self {
        if self.tokens().all(|token| token != OFFLINE_ACCESS) {
            return self;
        }
        Self::from_distinct(&self.tokens().filter(|token| *token != OFFLINE_ACCESS).collect())
    }

    /// Checks whether this scope allows everything that `token` allows.
    #[must_use]
    pub fn covers_token(&self, token: &ScopeToken) -> bool {
        self.covers_text(token.as_str())
    }

    /// Checks whether this scope allows everything that `other` allows.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.first_uncovered(other).is_none()
    }

    /// Returns the first token of `other` that this scope does not cover.
    #[must_use]
    pub fn first_uncovered<'other>(&self, other: &'other Self) -> Option<&'other str> {
        if self == other {
            return None;
        }
        other.tokens().find(|token| !self.covers_text(token))
    }

    /// Returns the scope that both this scope and `allowed` cover, in the narrower tokens: `GET/users/*`
    /// and `*/users/42` have `GET/users/42` in common.
    ///
    /// Common patterns that exceed the limits of a token or a scope are omitted, so the result may be
    /// narrower than the exact intersection, but never wider.
    #[must_use]
    pub fn intersection(&self, allowed: &Self) -> Self {
        if allowed.covers(self) {
            return self.clone();
        }
        let mut common = BTreeSet::new();
        let mut bytes = 0;
        for token in self.tokens() {
            let covered = allowed.covers_text(token).then_some(Cow::Borrowed(token));
            let narrower = allowed.tokens().filter(|_| covered.is_none());
            let narrower = narrower.filter_map(|other| pattern::intersection(token, other));
            for token in covered.iter().cloned().chain(narrower) {
                let fits = token.len() <= ScopeToken::MAX_BYTES
                    && bytes + token.len() < Self::MAX_BYTES
                    && common.len() < Self::MAX_TOKENS;
                if fits && !common.contains(&token) {
                    bytes += token.len() + 1;
                    common.insert(token);
                }
            }
        }
        Self::from_distinct(&common)
    }

    /// Returns the tokens of both scopes, or `other` alone if they exceed the limits of a scope.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let all: BTreeSet<&str> = self.tokens().chain(other.tokens()).collect();
        let bytes: usize = all.iter().map(|token| token.len() + 1).sum();
        if all.len() > Self::MAX_TOKENS || bytes > Self::MAX_BYTES {
            return other.clone();
        }
        Self::from_distinct(&all)
    }

    /// Narrows this scope, the allowed one, to `requested`. A request without tokens gets all of it.
    /// `offline_access` does not count, see [`without_offline_access`](Self::without_offline_access).
    ///
    /// A request for all of it in the same text does not allocate.
    ///
    /// # Errors
    ///
    /// [`NarrowError`] if `requested` is malformed or exceeds this scope.
    pub fn narrow(&self, requested: &str) -> Result<Self, NarrowError> {
        if requested.is_empty() || requested == self.as_str() {
            return Ok(self.clone());
        }
        let requested = Self::parse(requested)?.without_offline_access();
        match self.first_uncovered(&requested) {
            None if requested.is_empty() => Ok(self.clone()),
            None => Ok(requested),
            Some(token) => Err(NarrowError::TooWide { token: ScopeToken(token.into()) }),
        }
    }

    fn covers_text(&self, token: &str) -> bool {
        self.tokens().any(|own| pattern::covers(own, token))
    }

    fn from_distinct<T: AsRef<str>>(tokens: &BTreeSet<T>) -> Self {
        let mut text = String::new();
        for token in tokens {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(token.as_ref());
        }
        Self(text.into())
    }
}

/// The token by which a client asks for a refresh token.
const OFFLINE_ACCESS: &str = "offline_access";

fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|token| !token.is_empty())
}

fn check_token(token: &str) -> Result<(), InvalidScope> {
    let mut has_comma = false;
    let allowed = |byte| {
        has_comma |= byte == b',';
        matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
    };
    let problem = if token.is_empty() {
        Some("a token is empty")
    } else if token.len() > ScopeToken::MAX_BYTES {
        Some("a token is longer than 128 bytes")
    } else if !token.bytes().all(allowed) {
        Some("a token contains a forbidden character")
    } else if has_comma && has_comma_between_tokens(token) {
        Some("tokens are separated by spaces, not by commas")
    } else {
        pattern::check(token)
    };
    problem.map_or(Ok(()), |problem| Err(InvalidScope { problem }))
}

/// Returns true if a comma stands where a space was meant. A segment of an endpoint scope may hold one.
fn has_comma_between_tokens(token: &str) -> bool {
    let mut pieces = token.split(',').skip(1).peekable();
    match pattern::endpoint(token) {
        Some(_) => pieces.any(|piece| piece.is_empty() || pattern::endpoint(piece).is_some()),
        None => pieces.peek().is_some(),
    }
}

impl From<ScopeToken> for Scope {
    fn from(token: ScopeToken) -> Self {
        Self(token.0)
    }
}

macro_rules! as_text {
    ($name:ident, $parse:path) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidScope;

            fn from_str(text: &str) -> Result<Self, InvalidScope> {
                $parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(ScopeToken, ScopeToken::new);
as_text!(Scope, Scope::parse);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    fn any_scope() -> impl Strategy<Value = Scope> {
        let token = "(GET|PUT|\\*)(/(a|b|\\*)){1,3}|read|a\\.b|users/\\*";
        prop::collection::vec(token, 0..5).prop_map(|tokens| scope(&tokens.join(" ")))
    }

    proptest! {
        #[test]
        fn narrowing_gives_exactly_the_requested_scope_and_never_more_than_allowed(
            allowed in any_scope(), requested in any_scope()
        ) {
            match allowed.narrow(requested.as_str()) {
                Ok(got) if requested.is_empty() => prop_assert_eq!(got, allowed),
                Ok(got) => {
                    prop_assert!(allowed.covers(&got));
                    prop_assert_eq!(got, requested);
                }
                Err(_) => prop_assert!(!allowed.covers(&requested)),
            }
        }

        #[test]
        fn the_intersection_is_the_widest_scope_that_both_cover(
            a in any_scope(), b in any_scope(), c in any_scope()
        ) {
            let common = a.intersection(&b);
            prop_assert!(a.covers(&common) && b.covers(&common), "{} {} {}", a, b, common);
            if a.covers(&c) && b.covers(&c) {
                prop_assert!(common.covers(&c), "{} {} {}", a, b, c);
            }
        }

        #[test]
        fn covering_scopes_is_reflexive_and_transitive(
            a in any_scope(), b in any_scope(), c in any_scope()
        ) {
            prop_assert!(a.covers(&a));
            prop_assert!(!(a.covers(&b) && b.covers(&c)) || a.covers(&c));
        }

        #[test]
        fn text_and_json_survive_the_round_trip(scope in any_scope()) {
            prop_assert_eq!(&scope.to_string().parse::<Scope>().unwrap(), &scope);
            let json = serde_json::to_string(&scope).unwrap();
            prop_assert_eq!(serde_json::from_str::<Scope>(&json).unwrap(), scope);
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in ".*") {
            if let Ok(scope) = Scope::parse(&text) {
                prop_assert_eq!(scope.as_str().len() <= text.len(), true);
            }
        }
    }

    #[test]
    fn order_and_repetition_do_not_make_another_scope() {
        assert_eq!(scope("b a b"), scope("a b"));
        assert_eq!(scope("b a b").as_str(), "a b");
        assert_eq!(scope("").tokens().count(), 0);
        assert_eq!(Scope::from(ScopeToken::new("a").unwrap()), scope("a"));
    }

    /// A24, T11: a text outside the grammar of RFC 6749 section 3.3 is refused.
    #[test]
    fn a_scope_outside_the_grammar_is_refused() {
        let long = "a".repeat(129);
        let many = "a ".repeat(128) + "a";
        for bad in ["a\tb", "a\u{a0}b", "a\"b", "a\\b", "é", "a\nb", "a\n", &long, &many] {
            assert!(Scope::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Scope::parse(&"a ".repeat(128)).is_ok());
        assert!(Scope::parse(&"a".repeat(128)).is_ok());
        let wide = vec!["x".repeat(127); 33].join(" ");
        assert_eq!(Scope::parse(&wide).unwrap_err().problem, "it is longer than 4096 bytes");
    }

    /// Z14: spaces around and between tokens count as one; only spaces are no scope.
    #[test]
    fn spaces_around_and_between_tokens_count_as_one() {
        for text in ["a b", "a  b", " a b", "a b ", "   b   a   ", "b  a b "] {
            assert_eq!(scope(text).as_str(), "a b", "{text:?}");
            assert_eq!(scope("a b c").narrow(text).unwrap(), scope("a b"), "{text:?}");
        }
        for text in ["", " ", "   "] {
            assert_eq!(scope(text), Scope::empty(), "{text:?}");
            assert_eq!(scope("a b").narrow(text).unwrap(), scope("a b"), "{text:?}");
        }
        let beyond = format!("a{}", " ".repeat(Scope::MAX_BYTES));
        assert!(Scope::parse(&beyond).is_err() && Scope::parse(&beyond[1..]).is_ok());
    }

    /// Z5: `offline_access` is never a scope of a token, and never an error.
    #[test]
    fn offline_access_is_not_a_scope() {
        let allowed = scope("files.read files.write");
        for (asked, got) in [
            ("files.read offline_access", "files.read"),
            ("offline_access  files.read", "files.read"),
            ("offline_access", "files.read files.write"),
            ("files.write files.read offline_access", "files.read files.write"),
        ] {
            assert_eq!(allowed.narrow(asked).unwrap(), scope(got), "{asked}");
        }
        assert!(allowed.narrow("offline_access files.delete").is_err());
        assert!(allowed.narrow("offline_access.x").is_err());
        assert_eq!(scope("a offline_access").without_offline_access(), scope("a"));
    }

    /// Z21: commas in place of spaces are refused with the separator that was meant.
    #[test]
    fn commas_do_not_separate_tokens() {
        for bad in [
            "a,b",
            "a, b",
            "a,",
            ",a",
            "files.read,files.write",
            "GET/users/*,PUT/users/*",
            "GET/a,GET/b",
            "GET/a,",
        ] {
            let problem = Scope::parse(bad).unwrap_err().problem;
            assert_eq!(problem, "tokens are separated by spaces, not by commas", "{bad}");
        }
        assert!(Scope::parse("GET/places/1.5,2.5").is_ok());
    }

    #[test]
    fn a_malformed_endpoint_scope_is_refused_and_not_taken_as_opaque() {
        for bad in ["GET/users*", "GET//users", "GET/", "*/", "GET/*x/a", "*/users/"] {
            assert!(ScopeToken::new(bad).is_err(), "{bad}");
        }
        for opaque in ["*", "GET", "users/Read", "folders/*", "Get/a*", "/a", "https://api/*"] {
            assert!(!ScopeToken::new(opaque).unwrap().is_endpoint_scope(), "{opaque}");
        }
        for endpoint in ["GET/users", "*/*", "*/*/*", "PROPFIND/a/b"] {
            assert!(ScopeToken::new(endpoint).unwrap().is_endpoint_scope(), "{endpoint}");
        }
    }

    #[test]
    fn an_intersection_beyond_the_limits_gets_narrower_not_longer() {
        let (a, b) = ("a".repeat(100), "b".repeat(100));
        let common = scope(&format!("GET/*/{b}")).intersection(&scope(&format!("GET/{a}/*")));
        assert!(common.is_empty());
        let one: Vec<_> = (0..64).map(|i| format!("GET/*/{i}")).collect();
        let two: Vec<_> = (0..64).map(|i| format!("GET/{i}/*")).collect();
        let common = scope(&one.join(" ")).intersection(&scope(&two.join(" ")));
        assert_eq!(common.tokens().count(), Scope::MAX_TOKENS);
        assert!(Scope::parse(common.as_str()).is_ok());
    }

    #[test]
    fn a_request_for_all_in_the_same_text_shares_it() {
        let allowed = scope("GET/users/* files.read");
        let all = allowed.narrow("GET/users/* files.read").unwrap();
        assert!(Arc::ptr_eq(&all.0, &allowed.0));
        assert!(Arc::ptr_eq(&allowed.narrow("").unwrap().0, &allowed.0));
    }

    /// A23, X2, R6: the error names the token that went too far.
    #[test]
    fn a_wider_request_is_refused_and_names_the_first_token_too_many() {
        let error = scope("GET/users/* read").narrow("read */users/*").unwrap_err();
        let token = ScopeToken::new("*/users/*").unwrap();
        assert_eq!(error, NarrowError::TooWide { token });
    }
}
