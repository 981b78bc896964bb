use super::*;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scope;

fn code_app() -> AppDraft {
    AppDraft::confidential("Reports")
        .flow(Flow::AuthorizationCode)
        .redirect_uri(RedirectUri::parse("https://reports.example.com/cb").unwrap())
        .scope(Scope::parse("files.read").unwrap())
}

fn field(draft: AppDraft) -> &'static str {
    draft.build().unwrap_err().field()
}

#[test]
fn an_error_names_the_invalid_field() {
    assert!(code_app().build().is_ok());
    assert_eq!(field(code_app().name("")), "name");
    assert_eq!(field(code_app().name("a\nb")), "name");
    assert_eq!(field(code_app().name("é".repeat(101))), "name");
    assert_eq!(field(code_app().description("x".repeat(1_001))), "description");
    assert_eq!(field(code_app().flows([])), "flows");
    assert_eq!(field(code_app().redirect_uris([])), "redirect_uris");
    assert_eq!(field(code_app().access_token_lifetime(0)), "access_token_lifetime");
    assert_eq!(field(code_app().access_token_lifetime(2_592_001)), "access_token_lifetime");
    assert_eq!(field(code_app().refresh_token_lifetime(0)), "refresh_token_lifetime");
    assert_eq!(
        field(code_app().refresh_token_idle_lifetime(Some(0))),
        "refresh_token_idle_lifetime"
    );
    assert_eq!(field(code_app().refresh_grace(Some(301))), "refresh_grace");
    assert_eq!(field(code_app().code_lifetime(601)), "code_lifetime");
    assert_eq!(field(code_app().rate_quota(Some(RateQuota::new(0, 1)))), "rate_quota");
    assert_eq!(field(code_app().flow(Flow::JwtBearer)), "jwt");
    let elsewhere = crate::ids::Resource::new("https://api.example.com").unwrap();
    assert_eq!(field(code_app().default_resource(Some(elsewhere))), "default_resource");
    let pin = MobileSecurity { pin: PinPolicy::AfterIdleMinutes(0), ..MobileSecurity::default() };
    assert_eq!(field(code_app().mobile_security(pin)), "mobile_security.pin");
}

#[test]
fn a_public_app_has_no_client_credentials_and_signs_with_its_own_keys() {
    let public = AppDraft::public("Phone");
    assert_eq!(field(public.clone().flow(Flow::ClientCredentials)), "flows");
    let with_secret = public.flow(Flow::JwtBearer).jwt(JwtSettings::signature_secret());
    assert_eq!(field(with_secret), "jwt.assertion_authenticates");
}

#[test]
fn the_signature_secret_never_authenticates_alone_and_allows_hs256_only() {
    use crate::jwt::Algorithm;
    let with = |jwt: JwtSettings| code_app().flow(Flow::JwtBearer).jwt(jwt);
    let secret = JwtSettings::signature_secret;
    assert!(with(secret()).build().is_ok());
    assert_eq!(
        field(with(secret().with_assertion_authenticates(true))),
        "jwt.assertion_authenticates"
    );
    assert_eq!(field(with(secret().with_algorithms([Algorithm::ES256]))), "jwt.algorithms");
    assert_eq!(field(with(secret().with_max_lifetime(0))), "jwt.max_lifetime");
    assert_eq!(field(with(secret().with_clock_skew(301))), "jwt.clock_skew");
    assert_eq!(field(with(secret().with_user_claim(""))), "jwt.user_claim");
}

#[test]
fn settings_from_json_are_checked_like_any_others() {
    let settings = code_app().refresh_token(true).build().unwrap();
    let json = serde_json::to_value(&settings).unwrap();
    assert_eq!(serde_json::from_value::<AppSettings>(json.clone()).unwrap(), settings);

    let mut hostile = json.clone();
    hostile["access_token_lifetime"] = 0.into();
    let error = serde_json::from_value::<AppSettings>(hostile).unwrap_err().to_string();
    assert!(error.contains("`access_token_lifetime` must be 1 to 2592000 seconds"), "{error}");

    let mut misspelt = json;
    misspelt["acces_token_lifetime"] = 1.into();
    assert!(serde_json::from_value::<AppSettings>(misspelt).is_err());
}

#[test]
fn an_app_lists_at_most_50_origins_and_resources() {
    let origin = |n: usize| format!("https://{n}.example.com").parse().unwrap();
    let resource = |n: usize| format!("https://{n}.example.com").parse().unwrap();
    assert!(code_app().origins((0..50).map(origin)).build().is_ok());
    assert_eq!(field(code_app().origins((0..51).map(origin))), "origins");
    assert!(code_app().resources((0..50).map(resource)).build().is_ok());
    assert_eq!(field(code_app().resources((0..51).map(resource))), "resources");
}

/// Z8, Z21: settings that contradict the kind of app are refused.
#[test]
fn settings_that_contradict_the_kind_of_app_are_refused() {
    use crate::app::Pkce;
    assert!(code_app().pkce(Pkce::Optional).build().is_ok());
    let public = code_app().authentication(ClientAuthentication::None);
    assert_eq!(field(public.pkce(Pkce::Optional)), "pkce");
    let machine = || AppDraft::confidential("Machine").flow(Flow::ClientCredentials);
    assert!(machine().build().is_ok());
    assert_eq!(field(machine().refresh_token(true)), "refresh_token");
    let bearer = |refreshes: bool| {
        let jwt = JwtSettings::signature_secret().with_refresh_token(refreshes);
        machine().flow(Flow::JwtBearer).jwt(jwt).refresh_token(true)
    };
    assert_eq!(field(bearer(false)), "refresh_token");
    assert!(bearer(true).build().is_ok());
}

#[test]
fn the_default_grace_depends_on_the_client_type() {
    assert_eq!(code_app().build().unwrap().refresh_grace(), 30);
    let public = code_app().authentication(ClientAuthentication::None);
    assert_eq!(public.clone().build().unwrap().refresh_grace(), 10);
    assert_eq!(public.refresh_grace(Some(0)).build().unwrap().refresh_grace(), 0);
}
