//! The code that a user reads from a device and types (RFC 8628 section 6.1).

use std::fmt;

use ring::hmac;

use crate::random::{RandomError, SecureRandom, array};
use crate::secret::Digest;

/// Letters that spell no word and that no letter beside them resembles.
const ALPHABET: [u8; 20] = *b"BCDFGHJKLMNPQRSTVWXZ";
/// 8 letters of 20 have 34.5 bits.
const LETTERS: usize = 8;
/// The longest text that a user may have typed, in bytes.
const MAX_TYPED_BYTES: usize = 64;

/// A user code: 8 letters, shown in two groups.
///
/// `Debug` is redacted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct UserCode([u8; LETTERS]);

impl UserCode {
    /// Draws a code. Every letter is as likely as any other.
    pub(crate) fn generate(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        // The greatest multiple of 20 below 256: a higher byte is passed over.
        const FAIR: u8 = 240;
        let mut letters = [0; LETTERS];
        let mut drawn = 0;
        // A batch has 8 fair bytes of 32 but once in 10^16 times.
        for _ in 0..8 {
            for byte in array::<32>(random)? {
                let Some(place) = letters.get_mut(drawn) else { return Ok(Self(letters)) };
                if byte < FAIR
                    && let Some(letter) = ALPHABET.get(usize::from(byte) % ALPHABET.len())
                {
                    *place = *letter;
                    drawn += 1;
                }
            }
        }
        Err(RandomError)
    }

    /// Reads a code as a user types it: in any case, with any spaces and punctuation. `None` if it is no code.
    pub(crate) fn parse(typed: &str) -> Option<Self> {
        if typed.len() > MAX_TYPED_BYTES {
            return None;
        }
        let mut letters = [0; LETTERS];
        let mut read = 0;
        for letter in typed.chars().filter(|it| it.is_alphanumeric()) {
            let letter = u8::try_from(letter).ok()?.to_ascii_uppercase();
            if !ALPHABET.contains(&letter) {
                return None;
            }
            *letters.get_mut(read)? = letter;
            read += 1;
        }
        (read == LETTERS).then_some(Self(letters))
    }

    /// Returns the code as a device shows it.
    pub(crate) fn to_text(self) -> String {
        let mut text = String::with_capacity(LETTERS + 1);
        for (place, letter) in self.0.into_iter().enumerate() {
            if place == LETTERS / 2 {
                text.push('-');
            }
            text.push(char::from(letter));
        }
        text
    }

    /// Returns the key of its record.
    pub(crate) fn digest(self, key: &hmac::Key) -> Digest {
        Digest::from_ring(hmac::sign(key, &self.0).as_ref())
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::OsRandom;

    /// Returns the same byte again and again, and then the bytes from 0.
    #[derive(Debug)]
    struct Bytes(u8);

    impl SecureRandom for Bytes {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
            let half = bytes.len() / 2;
            for (place, byte) in bytes.iter_mut().enumerate() {
                *byte = if place < half { self.0 } else { u8::try_from(place - half).unwrap() };
            }
            Ok(())
        }
    }

    /// Returns no byte that is fair.
    #[derive(Debug)]
    struct Unfair;

    impl SecureRandom for Unfair {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
            bytes.fill(250);
            Ok(())
        }
    }

    /// D9: 8 letters of a set without vowels and digits, in two groups.
    #[test]
    fn a_user_code_has_two_groups_of_four_letters_without_vowels() {
        for _ in 0..1_000 {
            let text = UserCode::generate(&OsRandom::new()).unwrap().to_text();
            let (one, two) = text.split_once('-').unwrap();
            assert_eq!((one.len(), two.len()), (4, 4), "{text}");
            assert!(text.bytes().all(|it| it == b'-' || ALPHABET.contains(&it)), "{text}");
            assert!(!text.contains(['A', 'E', 'I', 'O', 'U', 'Y']), "{text}");
        }
    }

    /// D9: a byte that would favour some letters is passed over.
    #[test]
    fn every_letter_is_as_likely_as_any_other() {
        for unfair in [240, 255] {
            assert_eq!(UserCode::generate(&Bytes(unfair)).unwrap().to_text(), "BCDF-GHJK");
        }
        assert_eq!(UserCode::generate(&Bytes(239)).unwrap().to_text(), "ZZZZ-ZZZZ");
        assert!(UserCode::generate(&Unfair).is_err());
    }

    /// D6: case, spaces and punctuation do not matter.
    #[test]
    fn a_code_is_read_as_users_type_it() {
        let code = UserCode::parse("BCDF-GHJK").unwrap();
        for typed in
            ["bcdfghjk", " BCDF GHJK ", "bcdf\u{2013}ghjk", "B.C.D.F.G.H.J.K", "\tbcdf_GHJK\n"]
        {
            assert_eq!(UserCode::parse(typed), Some(code), "{typed}");
        }
        let long = format!("BCDFGHJK{}", " ".repeat(57));
        for typed in
            ["", "BCDFGHJ", "BCDFGHJKL", "ABCDFGHJ", "BCDFGHJ1", "BCDFGHJ\u{4c0}", "\u{df}", &long]
        {
            assert_eq!(UserCode::parse(typed), None, "{typed}");
        }
        let longest = format!("BCDFGHJK{}", " ".repeat(56));
        assert_eq!(UserCode::parse(&longest), Some(code));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_a_code_is_read_as_it_was_written(text in ".{0,80}") {
            if let Some(code) = UserCode::parse(&text) {
                prop_assert_eq!(UserCode::parse(&code.to_text()), Some(code));
            }
        }
    }
}
