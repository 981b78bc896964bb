//! Without a grant no request yields a token, even with the right secret, and no request fails.
#![no_main]

use grantor::endpoint::FormRequest;
use grantor_fuzz::world::WORLD;
use grantor_fuzz::{parts, signed};
use pollster::block_on;

// The `Authorization` header, the form, and the header and claims of an assertion that is signed
// with a key that is not the app's.
libfuzzer_sys::fuzz_target!(|input: &str| {
    let [authorization, body, header, claims] = parts(input);
    let authorization = Some(authorization).filter(|value| !value.is_empty());
    check(authorization, body);
    if !header.is_empty() {
        check(authorization, &format!("{body}&assertion={}", signed(header, claims)));
    }
});

fn check(authorization: Option<&str>, body: &str) {
    let mut request = FormRequest::new(body);
    if let Some(header) = authorization {
        request = request.authorization(header);
    }
    let error = block_on(WORLD.server.token(&request)).unwrap_err();
    assert!((400..500).contains(&error.status()), "{error:?}");
    let json: serde_json::Value = serde_json::from_str(&error.to_json()).unwrap();
    assert_eq!(json["error"], error.error_code().as_str());
}
