/// A key that is refused. The text is for the administrator, and contains nothing of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is not PEM, or has a wrong number of keys.
    #[error("the text is not PEM with one key (or, for a set, one or more)")]
    Pem,
    /// A PEM block of another kind, such as a certificate request.
    #[error(
        "the PEM block is of a kind that is not accepted: public keys are PUBLIC KEY, RSA PUBLIC KEY \
         or CERTIFICATE, private keys PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY"
    )]
    PemLabel,
    /// An encrypted private key.
    #[error("the private key is encrypted: decrypt it first, for example with `openssl pkey`")]
    Encrypted,
    /// The certificate of an authority that issued another certificate of the text.
    #[error("the certificate belongs to an authority of the chain, not to the app")]
    Authority,
    /// A private key, or a private member of a JWK, in place of a public key.
    #[error("the key is private where a public key is expected: consider it leaked")]
    Private,
    /// The encoding of the key is broken.
    #[error("the key is malformed")]
    Malformed,
    /// One JWK in place of a JWK Set.
    #[error(
        "the text is one JWK where a JWK Set is expected: write {{\"keys\": [ ... ]}} around it"
    )]
    NotASet,
    /// An unsupported key type, curve or algorithm.
    #[error("the key's type, curve or algorithm is not supported")]
    Unsupported,
    /// The key does not fit the requested algorithm, or the one that its JWK names.
    #[error("the key does not fit the algorithm")]
    AlgorithmMismatch,
    /// RSA below 2048 bits or above 4096.
    #[error("the RSA modulus must have 2048 to 4096 bits")]
    RsaSize,
    /// An RSA key that cannot sign, because of its size or its public exponent.
    #[error(
        "an RSA key that signs must have a modulus of 2048, 2560, 3072, 3584 or 4096 bits and a public \
         exponent of at least 65537"
    )]
    RsaSigning,
    /// An RSA key that is known to be breakable, or not the output of an RSA generator.
    #[error("the RSA key is weak: its exponent or modulus has a known bad form")]
    RsaWeak,
    /// A point that is not on its curve.
    #[error("the point is not on the curve")]
    NotOnCurve,
    /// An Ed25519 point of small order, under which forged signatures verify.
    #[error("the Ed25519 point has small order or is not canonical")]
    SmallOrder,
    /// A symmetric key in a JWK or JWK Set.
    #[error("a symmetric key (`oct`) is not accepted in a JWK")]
    Symmetric,
    /// An HMAC secret under 256 bits.
    #[error("an HS256 secret needs at least 32 bytes")]
    ShortSecret,
    /// `use` is not `sig`, or `key_ops` lacks `verify`.
    #[error("the JWK is not for verifying signatures (`use`, `key_ops`)")]
    Use,
    /// `kid` is not 1 to 128 bytes of printable ASCII.
    #[error("the key id is not 1 to 128 bytes of printable ASCII")]
    KeyId,
    /// Two keys for one algorithm carry the same `kid`, or a key is given twice.
    #[error("two keys for one algorithm have the same key id, or a key is given twice")]
    DuplicateKeyId,
    /// More than four keys without a `kid` for one algorithm: an assertion could not say which one
    /// verifies it.
    #[error("more than four keys for one algorithm have no key id: give each one a `kid`")]
    TooManyUnnamed,
    /// A set without a usable key, or a use without a signing key.
    #[error("there is no usable key")]
    NoKey,
    /// More than 16 keys.
    #[error("there are more than 16 keys")]
    TooManyKeys,
    /// More than 64 KiB of text.
    #[error("the text is longer than 64 KiB")]
    TooLong,
    /// The key signs, so it cannot retire.
    #[error("the key signs: publish another one and let it sign first")]
    InUse,
    /// An algorithm for which this crate generates no key.
    #[error("RSA keys come from elsewhere, such as `openssl genpkey`; HS256 has no PEM form")]
    CannotGenerate,
    /// The system's source of randomness failed.
    #[error("the source of randomness failed")]
    Random,
}
