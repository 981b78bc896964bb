//! Base64url without padding (RFC 4648 section 5) of tokens and handles, many bytes at a time.

use base64_simd::{Out, URL_SAFE_NO_PAD};

/// Appends `bytes` to `text`, encoded in place.
pub(crate) fn append(text: &mut Vec<u8>, bytes: &[u8]) {
    let start = text.len();
    text.resize(start + URL_SAFE_NO_PAD.encoded_length(bytes.len()), 0);
    if let Some(room) = text.get_mut(start..) {
        _ = URL_SAFE_NO_PAD.encode(bytes, Out::from_slice(room));
    }
}

/// Decodes `text` and appends the bytes, if it is their canonical encoding.
pub(crate) fn append_decoded(bytes: &mut Vec<u8>, text: &str) -> Option<()> {
    let start = bytes.len();
    bytes.resize(start + text.len().div_ceil(4) * 3, 0);
    let room = Out::from_slice(bytes.get_mut(start..)?);
    let length = URL_SAFE_NO_PAD.decode(text.as_bytes(), room).ok()?.len();
    bytes.truncate(start + length);
    Some(())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as JUDGE;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn another_library_encodes_the_same(bytes: Vec<u8>, before: Vec<u8>) {
            let mut text = before.clone();
            append(&mut text, &bytes);
            let expected = [before, JUDGE.encode(&bytes).into_bytes()].concat();
            prop_assert_eq!(text, expected);
        }

        #[test]
        fn encoded_bytes_have_one_encoding(bytes: Vec<u8>, before: Vec<u8>) {
            let mut decoded = before.clone();
            let text = JUDGE.encode(&bytes);
            prop_assert_eq!(append_decoded(&mut decoded, &text), Some(()));
            prop_assert_eq!(decoded, [before, bytes].concat());
            prop_assert_eq!(append_decoded(&mut Vec::new(), &format!("{text}=")), None);
        }

        #[test]
        fn another_library_decodes_the_same(text in "[A-Za-z0-9_=+/-]{0,90}") {
            let mut decoded = Vec::new();
            let ours = append_decoded(&mut decoded, &text).map(|()| decoded);
            prop_assert_eq!(ours, JUDGE.decode(&text).ok());
        }

        /// Up to three characters more: few of these texts are the canonical encoding of any bytes.
        #[test]
        fn left_over_bits_must_be_zero(
            text in "([A-Za-z0-9_-]{4}){0,12}[A-Za-z0-9_-]{0,3}",
        ) {
            let mut decoded = Vec::new();
            let ours = append_decoded(&mut decoded, &text).map(|()| decoded);
            prop_assert_eq!(ours, JUDGE.decode(&text).ok());
        }
    }
}
