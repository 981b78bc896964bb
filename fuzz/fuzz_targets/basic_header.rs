//! Credentials read from a header can be written into one and read again.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor::test_kit::fuzzing::basic_header;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    check(input);
    check(&[b"Basic ", STANDARD.encode(input).as_bytes()].concat());
});

fn check(header: &[u8]) {
    let Some((id, secret)) = basic_header(header) else { return };
    let encode =
        |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let plain = format!("{}:{}", encode(&id), encode(&secret));
    let again = format!("basic {}", STANDARD.encode(plain));
    if again.len() <= 4096 {
        assert_eq!(basic_header(again.as_bytes()), Some((id, secret)));
    }
}
