//! Base64url without padding (RFC 4648 section 5) of tokens and handles, many bytes at a time.

use base64_simd::{AppendBase64Encode, Out, URL_SAFE_NO_PAD};

/// Appends `bytes` to `text`, encoded in place.
pub(crate) fn append(text: &mut impl AppendBase64Encode, bytes: &[u8]) {
    URL_SAFE_NO_PAD.encode_append(bytes, text);
}

/// Decodes `text` and appends the bytes, if it is their canonical encoding.
pub(crate) fn append_decoded(bytes: &mut Vec<u8>, text: &str) -> Option<()> {
    URL_SAFE_NO_PAD.decode_append(text, bytes).ok()
}

/// Returns the room that [`decode_into`] needs for a text of `length` bytes.
pub(crate) const fn decoded_room(length: usize) -> usize {
    length.div_ceil(4) * 3
}

/// Decodes `text` to the start of `room`, if it is the canonical encoding of any bytes and if there is
/// [room](decoded_room). Returns their number.
pub(crate) fn decode_into(room: &mut [u8], text: &str) -> Option<usize> {
    if room.len() < decoded_room(text.len()) {
        return None;
    }
    Some(URL_SAFE_NO_PAD.decode(text.as_bytes(), Out::from_slice(room)).ok()?.len())
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
            prop_assert_eq!(&ours, &JUDGE.decode(&text).ok());
            let mut room = vec![0; decoded_room(text.len())];
            let length = decode_into(&mut room, &text);
            prop_assert_eq!(length.map(|length| room[..length].to_vec()), ours);
            if let Some(too_little) = room.get_mut(1..) {
                prop_assert_eq!(decode_into(too_little, &text), None);
            }
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
