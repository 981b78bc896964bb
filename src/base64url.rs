//! Base64url without padding (RFC 4648 section 5), as every token and handle uses it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Appends `bytes` to `text`, encoded in place: the library's own way to append copies twice.
pub(crate) fn append(text: &mut Vec<u8>, bytes: &[u8]) {
    let start = text.len();
    text.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let encoded = text.get_mut(start..).map(|room| URL_SAFE_NO_PAD.encode_slice(bytes, room));
    // The room is what is needed, or up to two bytes more: encoding cannot fail.
    if let Some(Ok(length)) = encoded {
        text.truncate(start + length);
    }
}

/// Appends the bytes of `text` to `bytes`, if it is their one canonical spelling.
pub(crate) fn append_decoded(bytes: &mut Vec<u8>, text: &str) -> Option<()> {
    let start = bytes.len();
    bytes.resize(start + text.len().div_ceil(4) * 3, 0);
    let length = URL_SAFE_NO_PAD.decode_slice(text, bytes.get_mut(start..)?).ok()?;
    bytes.truncate(start + length);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_appended_is_what_the_library_encodes(bytes: Vec<u8>, before: Vec<u8>) {
            let mut text = before.clone();
            append(&mut text, &bytes);
            let expected = [before, URL_SAFE_NO_PAD.encode(&bytes).into_bytes()].concat();
            prop_assert_eq!(text, expected);
        }

        #[test]
        fn what_was_encoded_is_decoded_in_one_spelling_only(bytes: Vec<u8>, before: Vec<u8>) {
            let mut decoded = before.clone();
            let text = URL_SAFE_NO_PAD.encode(&bytes);
            prop_assert_eq!(append_decoded(&mut decoded, &text), Some(()));
            prop_assert_eq!(decoded, [before, bytes].concat());
            prop_assert_eq!(append_decoded(&mut Vec::new(), &format!("{text}=")), None);
        }
    }
}
