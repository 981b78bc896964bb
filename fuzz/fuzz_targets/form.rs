//! Every form that the strict parser accepts means the same to a lenient one.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    if let Some(pairs) = grantor::test_kit::fuzzing::form(text) {
        assert!(
            url::form_urlencoded::parse(text).eq(pairs.iter().map(|(n, v)| (n.into(), v.into())))
        );
    }
});
