use std::sync::LazyLock;

use super::VerifyingKeys;

/// Returns one key of each kind. Their private keys were discarded at generation.
///
/// A refusal that needs no verification takes the time of one with the help of these keys.
pub(crate) fn decoy_keys() -> &'static VerifyingKeys {
    static KEYS: LazyLock<VerifyingKeys> = LazyLock::new(|| {
        let keys = VerifyingKeys::from_jwk_set(include_str!("decoy_keys.json"));
        keys.unwrap_or_else(|_| VerifyingKeys::of_server(Vec::new()))
    });
    &KEYS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::Algorithm;

    /// N14: each algorithm of a client assertion has a decoy.
    #[test]
    fn every_asymmetric_algorithm_has_a_decoy() {
        for algorithm in Algorithm::ALL.iter().filter(|algorithm| !algorithm.is_symmetric()) {
            let fitting = decoy_keys().iter().filter(|key| key.allows(*algorithm)).count();
            assert_eq!(fitting, 1, "{algorithm}");
        }
    }
}
