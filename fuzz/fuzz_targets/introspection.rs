//! For any introspected or revoked text, no token is active that the server did not issue, only the
//! token given back is revoked, and no request fails.
#![no_main]

use grantor::endpoint::{FormRequest, Introspection};
use grantor::store::FeedCursor;
use grantor_fuzz::world::{CLIENT_ID, CLIENT_SECRET, WORLD};
use grantor_fuzz::{parts, signed};
use pollster::block_on;

libfuzzer_sys::fuzz_target!(|input: &str| {
    let [body, header, claims, cursor] = parts(input);
    check(body);
    check(&own(&[("token", &signed(header, claims))]));
    if let Ok(read) = cursor.parse::<FeedCursor>() {
        assert_eq!(read.to_string(), cursor);
    }
});

/// Returns a form with the app's credentials and these parameters.
fn own(parameters: &[(&str, &str)]) -> String {
    let credentials = [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(credentials)
        .extend_pairs(parameters)
        .finish()
}

fn check(body: &str) {
    let request = FormRequest::new(body);
    match block_on(WORLD.server.introspect(&request)) {
        Ok(answer) => assert_eq!(answer, Introspection::Inactive),
        Err(error) => assert!((400..500).contains(&error.status()), "{error:?}"),
    }
    if let Err(error) = block_on(WORLD.server.revoke(&request)) {
        assert!((400..500).contains(&error.status()), "{error:?}");
    }
    let own = own(&[]);
    let request = FormRequest::new(&own);
    let feed = block_on(WORLD.server.revocations(&request, FeedCursor::default())).unwrap();
    assert_eq!(feed.entries, []);
}
