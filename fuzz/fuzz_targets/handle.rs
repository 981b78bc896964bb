//! A text that opens as a handle is the handle that the server seals for the same kind, client and
//! payload. An attacker who has seen genuine handles can do no more than send them again.
#![no_main]

use std::sync::LazyLock;

use grantor::ids::Issuer;
use grantor::server_secret::ServerSecret;
use grantor::test_kit::fuzzing::SealedHandles;
use grantor_fuzz::{ISSUER, SECRET, parts};

static HANDLES: LazyLock<SealedHandles> = LazyLock::new(|| {
    SealedHandles::new(&ServerSecret::new(SECRET).unwrap(), &Issuer::new(ISSUER).unwrap())
});

libfuzzer_sys::fuzz_target!(|input: (u8, u8, &str)| {
    let (from, until, texts) = input;
    let [text, bound_to, payload] = parts(texts);
    for prefix in ["", "gac_", "grt_", "gti_", "glm_", "gdc_", "gdt_"] {
        check(bound_to, &format!("{prefix}{text}"));
    }
    for (kind, sealed) in HANDLES.seal(bound_to, payload.as_bytes()).into_iter().enumerate() {
        let mut only_this = [const { None }; 6];
        only_this[kind] = Some(payload.as_bytes().to_vec());
        assert_eq!(HANDLES.open(bound_to, &sealed), only_this);
        if text != bound_to {
            assert_eq!(HANDLES.open(text, &sealed), [const { None }; 6]);
        }
        let until = usize::from(until) % (sealed.len() + 1);
        let mut changed = sealed;
        changed.replace_range(usize::from(from) % (until + 1)..until, text);
        check(bound_to, &changed);
    }
});

fn check(bound_to: &str, text: &str) {
    for (kind, payload) in HANDLES.open(bound_to, text).into_iter().enumerate() {
        if let Some(payload) = payload {
            assert_eq!(HANDLES.seal(bound_to, &payload)[kind], text);
        }
    }
}
