/// Why a key was refused. The text is for the administrator who brought the key; it holds nothing
/// of the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is not PEM, or holds another number of blocks than wanted.
    #[error("the text is not one PEM block (or, for a set, one or more)")]
    Pem,
    /// A PEM block of another kind: a certificate, an encrypted key, SEC 1.
    #[error(
        "the PEM block is of a kind that is not accepted: public keys are PUBLIC KEY or RSA PUBLIC \
         KEY (of a certificate, take its public key), private keys PRIVATE KEY or RSA PRIVATE KEY"
    )]
    PemLabel,
    /// A private key, or a private member of a JWK, where only a public key belongs.
    #[error("the key is private where a public key is expected: consider it leaked")]
    Private,
    /// The encoding of the key is broken.
    #[error("the key is malformed")]
    Malformed,
    /// A key type, curve or algorithm that is not offered.
    #[error("the key's type, curve or algorithm is not supported")]
    Unsupported,
    /// The key cannot be used with the algorithm that is asked for, or that its JWK names.
    #[error("the key does not fit the algorithm")]
    AlgorithmMismatch,
    /// RSA below 2048 bits or above 8192 (for signing: above 4096).
    #[error("the RSA modulus must have 2048 to 8192 bits (a signing key at most 4096)")]
    RsaSize,
    /// An RSA key that is known to be breakable or that no RSA generator makes.
    #[error("the RSA key is weak: its exponent or modulus is of a known bad form")]
    RsaWeak,
    /// A point that is not on its curve.
    #[error("the point is not on the curve")]
    NotOnCurve,
    /// An Ed25519 point of small order, under which forged signatures verify.
    #[error("the Ed25519 point has small order or is not canonical")]
    SmallOrder,
    /// A symmetric key in a JWK or JWK Set.
    #[error("a symmetric key (`oct`) does not belong into a JWK here")]
    Symmetric,
    /// An HMAC secret under 256 bits.
    #[error("an HS256 secret needs at least 32 bytes")]
    ShortSecret,
    /// `use` is not `sig`, or `key_ops` lacks `verify`.
    #[error("the JWK is not meant for verifying signatures (`use`, `key_ops`)")]
    Use,
    /// `kid` is not 1 to 128 bytes of printable ASCII.
    #[error("the key id is not 1 to 128 bytes of printable ASCII")]
    KeyId,
    /// Two keys of one type carry the same `kid`.
    #[error("two keys of one type have the same key id")]
    DuplicateKeyId,
    /// A set without a usable key.
    #[error("there is no usable key")]
    NoKey,
    /// More than 16 keys.
    #[error("there are more than 16 keys")]
    TooManyKeys,
    /// More than 64 KiB of text.
    #[error("the text is longer than 64 KiB")]
    TooLong,
    /// An algorithm for which no key can be generated here.
    #[error("RSA keys are not generated here: use `openssl genpkey`; HS256 has no PEM form")]
    CannotGenerate,
    /// The system's source of randomness failed.
    #[error("the source of randomness failed")]
    Random,
}
