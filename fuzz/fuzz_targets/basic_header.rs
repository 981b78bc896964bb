//! Credentials read from a header can be written into one and read again.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

libfuzzer_sys::fuzz_target!(|header: &[u8]| {
    let _ = grantor::test_kit::fuzzing::basic_header(header);
    let as_credentials = [b"Basic ", STANDARD.encode(header).as_bytes()].concat();
    if let Some((id, secret)) = grantor::test_kit::fuzzing::basic_header(&as_credentials) {
        let encode = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
        };
        let plain = format!("{}:{}", encode(&id), encode(&secret));
        let again = format!("basic {}", STANDARD.encode(plain));
        if again.len() <= 4096 {
            assert_eq!(grantor::test_kit::fuzzing::basic_header(again.as_bytes()), Some((id, secret)));
        }
    }
});
