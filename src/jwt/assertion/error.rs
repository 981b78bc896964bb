use crate::jwt::jws::JwsError;

/// The header parameter or claim for which an assertion was refused.
///
/// The text is for the developer of the app. It is static and contains nothing of the assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.description())]
#[non_exhaustive]
pub enum AssertionError {
    /// Not a JWT in compact form, or longer than 16 KiB.
    NotAJwt,
    /// The header is not an object with a string `alg`, or a parameter has the wrong type.
    Header,
    /// The header contains `crit` or `b64`.
    ForbiddenHeader,
    /// `typ` names another kind of JWT.
    Typ,
    /// `alg` is not allowed for the app.
    Algorithm,
    /// `kid` names no key of the app.
    UnknownKey,
    /// `kid` is missing, and more than four keys of the app fit `alg`.
    KeyIdMissing,
    /// The signature is wrong.
    Signature,
    /// The payload is not an object, or contains a claim twice.
    Claims,
    /// `iss` is missing or not a string.
    IssMissing,
    /// `iss` is not the expected one.
    Iss,
    /// `sub`, or the claim that names the user, is missing or not a string.
    SubMissing,
    /// `sub` is not the client id (client authentication), or names the app itself (grant).
    Sub,
    /// `aud` is missing, or neither a string nor an array of strings.
    AudMissing,
    /// `aud` does not name this server.
    Aud,
    /// `aud` names several audiences (RFC 10070).
    AudSeveral,
    /// `exp` is missing or not a number.
    ExpMissing,
    /// `exp` has passed.
    ExpPast,
    /// `exp` is later than the app's settings allow.
    ExpTooFar,
    /// `nbf` is not a number or lies in the future.
    Nbf,
    /// `iat` is not a number, lies in the future, or too far before `exp`.
    Iat,
    /// `jti` is missing or not a string.
    JtiMissing,
    /// `jti` is empty or longer than 255 bytes.
    Jti,
    /// `scope` is not a string.
    Scope,
    /// `client_id` of an identity assertion is not the app that presents it.
    ClientId,
    /// `tenant` is not the one that the server expects from the issuer.
    Tenant,
    /// `resource` is missing although the server requires it, or not a URI or an array of URIs.
    Resource,
    /// `authorization_details` are not supported.
    AuthorizationDetails,
    /// `act` is malformed, or names too many actors.
    Act,
    /// `cnf` binds the token to a key.
    Bound,
}

impl AssertionError {
    /// Returns the text for `error_description` (RFC 6749 section 5.2).
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::NotAJwt => "the assertion is not a JWT in compact form of at most 16 KiB",
            Self::Header => {
                "the header of the assertion needs a string alg, and kid and typ must be strings"
            }
            Self::ForbiddenHeader => "the header of the assertion contains crit or b64",
            Self::Typ => "the typ of the assertion names another kind of JWT",
            Self::Algorithm => "the alg of the assertion is not allowed for this app",
            Self::UnknownKey => "the kid of the assertion names no key of this app",
            Self::KeyIdMissing => {
                "the assertion needs a kid, because more than four keys of this app fit its alg"
            }
            Self::Signature => "the signature of the assertion is wrong",
            Self::Claims => {
                "the claims of the assertion are not a JSON object, or one is given twice"
            }
            Self::IssMissing => "the claim iss is missing or not a string",
            Self::Iss => "the claim iss is not the expected one",
            Self::SubMissing => {
                "the claim sub, or the claim that names the user, is missing or not a string"
            }
            Self::Sub => {
                "the claim sub must be the client id to authenticate the app, and a user for a grant"
            }
            Self::AudMissing => {
                "the claim aud is missing or neither a string nor an array of strings"
            }
            Self::Aud => {
                "the claim aud does not name this server: by default it is the issuer in the metadata"
            }
            Self::AudSeveral => {
                "the claim aud names several audiences: this server must be the only one"
            }
            Self::ExpMissing => "the claim exp is missing or not a number",
            Self::ExpPast => {
                "the claim exp has passed: compare your clock with the Date of this response"
            }
            Self::ExpTooFar => {
                "the claim exp is too far away: shorten the lifetime, and compare your clock with \
                 the Date of this response"
            }
            Self::Nbf => {
                "the claim nbf is not a number or in the future: compare your clock with the Date \
                 of this response"
            }
            Self::Iat => {
                "the claim iat is not a number, in the future or too far before exp: compare your \
                 clock with the Date of this response"
            }
            Self::JtiMissing => "the claim jti is missing or not a string",
            Self::Jti => "the claim jti is empty or longer than 255 bytes",
            Self::Scope => "the claim scope is not a string",
            Self::ClientId => "the claim client_id is not the app that presents the assertion",
            Self::Tenant => "the claim tenant is not the one that this server expects",
            Self::Resource => {
                "the claim resource is required here, and is a URI or an array of URIs"
            }
            Self::AuthorizationDetails => {
                "the claim authorization_details is not supported by this server"
            }
            Self::Act => "the claim act is malformed, or names more than three actors",
            Self::Bound => {
                "the claim cnf binds the token to a key: this server takes bearer tokens only"
            }
        }
    }
}

impl From<JwsError> for AssertionError {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::Malformed => Self::NotAJwt,
            JwsError::Header => Self::Header,
            JwsError::ForbiddenHeader => Self::ForbiddenHeader,
            JwsError::Algorithm => Self::Algorithm,
            JwsError::UnknownKey => Self::UnknownKey,
            JwsError::KeyIdMissing => Self::KeyIdMissing,
            JwsError::Signature => Self::Signature,
        }
    }
}
