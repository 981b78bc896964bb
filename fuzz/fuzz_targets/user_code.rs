//! A typed text is a user code if its letters and digits are eight letters of the set, in any case, and it is read
//! as the code that a device shows.
#![no_main]

use grantor::test_kit::fuzzing::user_code;
use grantor_fuzz::parts;

const LETTERS: &str = "BCDFGHJKLMNPQRSTVWXZ";
const MAX_BYTES: usize = 64;

libfuzzer_sys::fuzz_target!(|input: &str| {
    check(input);
    // The noise of a user between the letters of a code, and around them.
    let [typed, noise] = parts(input);
    if let Some(code) = check(typed) {
        let noise: String = noise.chars().filter(|it| !it.is_alphanumeric()).collect();
        let apart: Vec<_> = code.split('-').collect();
        for noisy in [apart.join(&noise), format!("{noise}{code}"), format!("{code}{noise}")] {
            assert_eq!(check(&noisy).is_some(), noisy.len() <= MAX_BYTES);
        }
    }
});

fn check(typed: &str) -> Option<String> {
    let kept: String = typed.chars().filter(|it| it.is_alphanumeric()).collect();
    let upper = kept.to_ascii_uppercase();
    let is_code = typed.len() <= MAX_BYTES
        && upper.chars().count() == 8
        && upper.chars().all(|letter| LETTERS.contains(letter));
    let code = user_code(typed);
    assert_eq!(code.is_some(), is_code);
    if let Some(code) = &code {
        assert_eq!(code.replace('-', ""), upper);
        for shown in [code.clone(), code.to_lowercase(), upper] {
            assert_eq!(user_code(&shown).as_ref(), Some(code));
        }
    }
    code
}
