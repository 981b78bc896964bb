use super::*;
use crate::app::{
    AppDraft, ClientAuthentication, Credentials, ImpersonationPolicy, JtiRule, JwtSettings,
};
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::jwt::{Algorithm, SigningKey, VerifyingKeys};
use crate::protocol::redirect_uri::{InstanceHosts, RedirectUri};
use crate::protocol::scope::Scope;

const ID: &str = "it's $(id) `id` \"x\" \\ !";

fn app(draft: AppDraft) -> CustomApp {
    let settings = draft.scope(Scope::parse("files.list GET/files/*").unwrap()).build().unwrap();
    let id = ClientId::new(ID).unwrap();
    CustomApp::new(id, settings, Credentials::default(), 1, UnixTime::EPOCH)
}

fn snippets(app: &CustomApp) -> Vec<FlowSnippets> {
    let hosts = InstanceHosts::new(["files.example.com"]).unwrap();
    let server = Server {
        issuer: "https://as.example.com/t'x",
        authorize: Some("https://as.example.com/t'x/authorize".to_owned()),
        token: Some("https://as.example.com/t'x/token".to_owned()),
        hosts: &hosts,
    };
    of_app(app, &server)
}

fn code<'a>(all: &'a [FlowSnippets], flow: Flow, language: &str) -> &'a str {
    let found = all.iter().find(|it| it.flow == flow).unwrap();
    &found.snippets.iter().find(|it| it.language == language).unwrap().code
}

fn keys(algorithm: Algorithm) -> VerifyingKeys {
    let key = SigningKey::generate(algorithm).unwrap();
    VerifyingKeys::new(vec![key.verifying_key()]).unwrap()
}

#[test]
fn each_flow_has_a_program_in_each_language() {
    let draft = AppDraft::confidential("x")
        .flows([Flow::AuthorizationCode, Flow::ClientCredentials])
        .redirect_uri(RedirectUri::parse("https://%%HOST%%/cb").unwrap());
    let all = snippets(&app(draft));
    let flows: Vec<_> = all.iter().map(|it| it.flow).collect();
    assert_eq!(flows, [Flow::AuthorizationCode, Flow::ClientCredentials]);
    let mut ids: Vec<_> = all.iter().flat_map(|it| &it.snippets).map(|it| &*it.id).collect();
    ids.sort_unstable();
    assert_eq!(ids.len(), 8);
    ids.dedup();
    assert_eq!(ids.len(), 8);
    for language in ["Rust", "Python", "JavaScript"] {
        let program = code(&all, Flow::AuthorizationCode, language);
        assert!(program.contains("\"https://files.example.com/cb\""), "{program}");
        assert!(program.contains("state") && program.contains("iss"), "{program}");
    }
}

/// A secret comes from the environment, in the way that the app authenticates.
#[test]
fn an_app_authenticates_as_it_is_registered() {
    let machine = |method| {
        app(AppDraft::confidential("x").flow(Flow::ClientCredentials).authentication(method))
    };
    let curl = |app: &CustomApp| code(&snippets(app), Flow::ClientCredentials, "curl").to_owned();
    let post = curl(&machine(ClientAuthentication::ClientSecretPost));
    assert!(
        post.contains("\"client_secret=$OAUTH_CLIENT_SECRET\"") && !post.contains("option user")
    );
    assert_eq!(post, curl(&machine(ClientAuthentication::ClientSecret)));
    let basic = curl(&machine(ClientAuthentication::ClientSecretBasic));
    assert!(
        basic.contains(
            "user 'it%27s+%24%28id%29+%60id%60+%22x%22+%5C+%21:'\"$OAUTH_CLIENT_SECRET\""
        ),
        "{basic}"
    );
    assert!(!basic.contains("client_secret="), "{basic}");
    let keyed = machine(ClientAuthentication::PrivateKeyJwt(keys(Algorithm::ES256)));
    let all = snippets(&keyed);
    for language in ["Rust", "Python", "JavaScript"] {
        let program = code(&all, Flow::ClientCredentials, language);
        assert!(
            program.contains("OAUTH_CLIENT_KEY_FILE") && program.contains("ES256"),
            "{program}"
        );
        assert!(!program.contains("OAUTH_CLIENT_SECRET"), "{program}");
    }
    assert!(curl(&keyed).contains("\"client_assertion=$CLIENT_ASSERTION\""));
}

#[test]
fn an_assertion_is_signed_as_the_app_is_registered() {
    let jwt = JwtSettings::signature_secret()
        .with_issuer("https://fax.example.com")
        .with_user_claim("email")
        .with_max_lifetime(30)
        .with_impersonation(ImpersonationPolicy::anyone());
    let draft = |jwt: JwtSettings| AppDraft::confidential("x").flow(Flow::JwtBearer).jwt(jwt);
    let all = snippets(&app(draft(jwt)));
    for language in ["Rust", "Python", "JavaScript"] {
        let program = code(&all, Flow::JwtBearer, language);
        for part in ["HS256", "OAUTH_SIGNATURE_SECRET", "\"email\"", "fax.example.com", "30", "jti"]
        {
            assert!(program.contains(part), "{part}: {program}");
        }
        assert!(program.contains("OAUTH_CLIENT_SECRET") && program.contains("OAUTH_USER"));
    }
    let jwt = JwtSettings::keys(keys(Algorithm::EdDSA))
        .with_jti(JtiRule::Optional)
        .with_assertion_authenticates(true)
        .with_impersonation(ImpersonationPolicy::anyone());
    let all = snippets(&app(draft(jwt).authentication(ClientAuthentication::None)));
    for language in ["curl", "Rust", "Python", "JavaScript"] {
        let program = code(&all, Flow::JwtBearer, language);
        assert!(program.contains("EdDSA") && !program.contains("jti"), "{program}");
        assert!(!program.contains("client_id") && !program.contains("SECRET"), "{program}");
    }
}

/// Each assertion has a key and a signer of its own.
#[test]
fn a_program_may_sign_two_assertions() {
    let jwt =
        JwtSettings::keys(keys(Algorithm::EdDSA)).with_impersonation(ImpersonationPolicy::anyone());
    let client = ClientAuthentication::PrivateKeyJwt(keys(Algorithm::ES256));
    let draft = AppDraft::confidential("x").flow(Flow::JwtBearer).jwt(jwt).authentication(client);
    let all = snippets(&app(draft));
    for (language, signer) in
        [("Rust", "encode(&header"), ("Python", "jwt.encode("), ("JavaScript", "function sign_")]
    {
        let program = code(&all, Flow::JwtBearer, language);
        assert_eq!(program.matches(signer).count(), 2, "{program}");
        for part in ["OAUTH_CLIENT_KEY_FILE", "OAUTH_ASSERTION_KEY_FILE", "EdDSA", "ES256"] {
            assert_eq!(program.matches(part).count(), 1, "{part}: {program}");
        }
    }
    let program = code(&all, Flow::JwtBearer, "JavaScript");
    for name in ["assertion", "client_assertion"] {
        for part in [format!("const {name} = sign_{name}("), format!("function sign_{name}(")] {
            assert_eq!(program.matches(&part).count(), 1, "{part}: {program}");
        }
    }
}

#[test]
fn a_literal_is_the_text_in_each_language() {
    let text = "a'b\"c\\ $x `y` \n\u{202e}\u{1f469}";
    assert_eq!(quote::shell(text), "'a'\\''b\"c\\ $x `y` \n\u{202e}\u{1f469}'");
    assert_eq!(quote::shell(""), "''");
    for word in ["gcs_a-b", "https://as.example.com/oauth/token"] {
        assert_eq!(quote::shell(word), word);
    }
    assert_eq!(quote::python(text), "\"a'b\\\"c\\\\ $x `y` \\x0a\\u202e\\U0001f469\"");
    let braces = "\"a'b\\\"c\\\\ $x `y` \\u{a}\\u{202e}\\u{1f469}\"";
    assert_eq!(
        (quote::javascript(text), quote::rust(text)),
        (braces.to_owned(), braces.to_owned())
    );
}
