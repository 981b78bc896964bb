//! A handle opens unchanged, only as its own kind and for its own client. Nothing else opens.
#![no_main]

use std::sync::LazyLock;

use grantor::test_kit::fuzzing::SealedHandles;
use grantor::ids::Issuer;
use grantor::server_secret::ServerSecret;
use grantor_fuzz::{ISSUER, SECRET};

static HANDLES: LazyLock<SealedHandles> = LazyLock::new(|| {
    SealedHandles::new(&ServerSecret::new(SECRET).unwrap(), &Issuer::new(ISSUER).unwrap())
});

libfuzzer_sys::fuzz_target!(|input: (&str, &str, &[u8], usize, usize)| {
    let (text, bound_to, payload, from, until) = input;
    for prefix in ["", "gac_", "grt_", "gti_", "glm_"] {
        assert_eq!(HANDLES.open(bound_to, &format!("{prefix}{text}")), [const { None }; 4]);
    }
    for (kind, sealed) in HANDLES.seal(bound_to, payload).into_iter().enumerate() {
        let mut only_this = [const { None }; 4];
        only_this[kind] = Some(payload.to_vec());
        assert_eq!(HANDLES.open(bound_to, &sealed), only_this);
        if text != bound_to {
            assert_eq!(HANDLES.open(text, &sealed), [const { None }; 4]);
        }
        let until = until % (sealed.len() + 1);
        let mut changed = sealed.clone();
        changed.replace_range(from % (until + 1)..until, text);
        if changed != sealed {
            assert_eq!(HANDLES.open(bound_to, &changed), [const { None }; 4]);
        }
    }
});
