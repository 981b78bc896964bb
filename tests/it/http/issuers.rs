//! Several issuers by host and path, and a proxy that strips a prefix.

use std::sync::Arc;

use grantor::AuthorizationServer;
use grantor::hooks::NoHooks;
use grantor::http::{HttpEndpoints, IssuerConflict, Issuers};
use grantor::ids::{Issuer, Resource};
use grantor::jwt::KeyRing;
use grantor::protocol::{Paths, ServerEndpoint};
use grantor::resource_server::ResourceServer;
use grantor::server_secret::ServerSecret;
use grantor::store::MemoryStore;
use grantor::users::{MemoryUsers, User};
use http::Request;
use pollster::block_on;

use crate::support::{
    Answered, CALLBACK, Lines, ROOT, code_app, code_query, encode, machine_app, new_key,
    new_verifier, parameters, subject,
};

type Store = Arc<MemoryStore>;
type Users = Arc<MemoryUsers>;
type Tenants = Issuers<Store, Users, NoHooks, Lines>;
type Endpoints = HttpEndpoints<Store, Users, NoHooks, Lines>;

fn issuer(text: &str) -> Issuer {
    Issuer::new(text).unwrap()
}

fn endpoints_of(issuer: Issuer, keys: &KeyRing, paths: Paths, apis: &[&str]) -> Endpoints {
    let users = Arc::new(MemoryUsers::new([User::new(subject("ann"))]));
    let secret = ServerSecret::new(ROOT).unwrap();
    let store = Arc::new(MemoryStore::new());
    let builder = AuthorizationServer::builder(issuer, secret, keys.clone(), store, users);
    let apis = apis.iter().map(|api| {
        let app = grantor::ids::ClientId::new("api").unwrap();
        ResourceServer::new(Resource::new(*api).unwrap(), app)
    });
    let builder = apis.fold(builder.paths(paths), grantor::ServerBuilder::resource_server);
    HttpEndpoints::new(Arc::new(builder.build()), Lines)
}

fn endpoints(text: &str, keys: &KeyRing) -> Endpoints {
    endpoints_of(issuer(text), keys, Paths::default(), &[])
}

fn tenants(issuers: &[&str]) -> Tenants {
    let keys = KeyRing::from(new_key());
    let tenants = Issuers::new();
    for issuer in issuers {
        tenants.insert(endpoints(issuer, &keys)).unwrap();
    }
    tenants
}

fn send(tenants: &Tenants, request: http::request::Builder, body: &str) -> Option<Answered> {
    let request = request.body(body.to_owned()).unwrap();
    block_on(tenants.handle(request)).map(Answered::from)
}

fn get(tenants: &Tenants, host: &str, path: &str) -> Option<Answered> {
    send(tenants, Request::get(path).header("host", host), "")
}

/// Z37: each issuer answers at its own host and path, with its own metadata (RFC 8414 section 3.1).
#[test]
fn an_issuer_is_found_by_host_and_path() {
    let tenants = tenants(&[
        "https://example.com",
        "https://example.com/tenant-a",
        "https://example.com/tenant-a/deeper",
        "https://other.example",
    ]);
    let metadata = "/.well-known/oauth-authorization-server";
    for (host, path, issuer) in [
        ("example.com", "", "https://example.com"),
        ("EXAMPLE.com:443", "/tenant-a", "https://example.com/tenant-a"),
        ("example.com", "/tenant-a/deeper", "https://example.com/tenant-a/deeper"),
        ("other.example", "", "https://other.example"),
    ] {
        let answer = get(&tenants, host, &format!("{metadata}{path}")).unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["issuer"], issuer);
        assert_eq!(answer.json()["token_endpoint"], format!("{issuer}/oauth/token"));
        assert_eq!(get(&tenants, host, &format!("{path}/oauth/jwks")).unwrap().status, 200);
    }
    for (host, path) in [
        ("example.com", "/tenant-b/oauth/jwks"),
        ("example.com", "/tenant-b"),
        ("example.com", "/tenant-a"),
        ("example.com", "/Tenant-A/oauth/jwks"),
        ("example.com", "/tenant%2da/oauth/jwks"),
        ("example.com", "//tenant-a/oauth/jwks"),
        ("example.com", "/tenant-a/../tenant-a/oauth/jwks"),
        ("example.com", "/tenant-a/.well-known/oauth-authorization-server"),
        ("other.example", "/tenant-a/oauth/jwks"),
        ("other.example", "/.well-known/oauth-authorization-server/tenant-a"),
        ("example.com:8443", "/oauth/jwks"),
        ("sub.example.com", "/oauth/jwks"),
        ("example.com.", "/oauth/jwks"),
        ("unknown", "/oauth/jwks"),
    ] {
        assert!(get(&tenants, host, path).is_none(), "{host}{path}");
    }
}

/// Z37: the authority of the URI or one `Host` header decides, and nothing that a proxy adds.
#[test]
fn only_one_host_that_the_client_named_decides() {
    let tenants = tenants(&["https://a.example", "https://b.example"]);
    let metadata = "/.well-known/oauth-authorization-server";
    let from_b = Request::get(metadata)
        .header("host", "b.example")
        .header("x-forwarded-host", "a.example")
        .header("forwarded", "host=a.example");
    assert_eq!(send(&tenants, from_b, "").unwrap().json()["issuer"], "https://b.example");
    let by_authority = Request::get(format!("https://a.example{metadata}"));
    assert_eq!(send(&tenants, by_authority, "").unwrap().json()["issuer"], "https://a.example");
    for ambiguous in [
        Request::get(metadata),
        Request::get(metadata).header("host", "a.example").header("host", "a.example"),
        Request::get(metadata).header("host", "ann@a.example"),
        Request::get(format!("https://a.example{metadata}")).header("host", "b.example"),
    ] {
        let answer = send(&tenants, ambiguous, "").unwrap();
        answer.assert_error(400, "invalid_request");
        assert!(!answer.body.contains(".example"), "{answer:?}");
    }
}

#[test]
fn issuers_come_and_go_while_the_process_runs() {
    let tenants = tenants(&["https://example.com/a"]);
    let keys = KeyRing::from(new_key());
    let jwks = |name: &str| get(&tenants, "example.com", &format!("/{name}/oauth/jwks"));
    let again = tenants.insert(endpoints("https://example.com/a", &keys)).unwrap_err();
    assert_eq!(again, IssuerConflict::SameIssuer);
    assert!(jwks("b").is_none());
    tenants.insert(endpoints("https://example.com/b", &keys)).unwrap();
    assert_eq!(tenants.servers().len(), 2);
    assert!(jwks("a").is_some() && jwks("b").is_some());
    let gone = tenants.remove(&issuer("https://example.com/a")).unwrap();
    assert_eq!(gone.server().issuer(), &issuer("https://example.com/a"));
    assert!(jwks("a").is_none() && jwks("b").is_some());
    assert!(tenants.remove(&issuer("https://example.com/a")).is_none());
    assert!(tenants.find(&issuer("https://example.com/b")).is_some());
    tenants.insert(endpoints("https://example.com/a", &keys)).unwrap();
    assert!(jwks("a").is_some());
    assert_eq!(tenants.all().len(), 2);
}

/// An issuer that would answer a path of another is refused, and takes none of them.
#[test]
fn two_issuers_never_share_a_path() {
    let keys = KeyRing::from(new_key());
    let tenants = Issuers::new();
    let api = ["https://example.com/api"];
    let of =
        |text: &str, paths: Paths, apis: &[&str]| endpoints_of(issuer(text), &keys, paths, apis);
    tenants.insert(of("https://example.com/a", Paths::default(), &api)).unwrap();
    let refused = tenants.insert(of("https://example.com/b", Paths::default(), &api)).unwrap_err();
    let path = "/.well-known/oauth-protected-resource/api".to_owned();
    assert_eq!(refused, IssuerConflict::SamePath { path: path.clone() });
    assert!(refused.to_string().contains(&path), "{refused}");
    assert!(get(&tenants, "example.com", "/b/oauth/jwks").is_none());
    let nested = Paths::default().with(ServerEndpoint::Token, "/a/oauth/token").unwrap();
    let refused = tenants.insert(of("https://example.com", nested, &[])).unwrap_err();
    assert_eq!(refused, IssuerConflict::SamePath { path: "/a/oauth/token".to_owned() });
    let without = Paths::default().without(ServerEndpoint::ResourceMetadata);
    tenants.insert(of("https://example.com/b", without, &api)).unwrap();
    let document = get(&tenants, "example.com", &path).unwrap();
    assert!(document.body.contains("https://example.com/a") && !document.body.contains("/b"));
}

/// Z37: behind a proxy that strips `/auth`, two issuers by path go through a whole code flow, in public URLs.
#[test]
fn behind_a_prefix_every_url_stays_public() {
    let keys = KeyRing::from(new_key());
    let tenants = Issuers::new();
    for name in ["a", "b"] {
        let tenant = endpoints(&format!("https://example.com/auth/{name}"), &keys);
        tenants.insert(tenant.behind_prefix("/auth").unwrap()).unwrap();
    }
    let server = tenants.find(&issuer("https://example.com/auth/b")).unwrap();
    let credentials = block_on(server.server().admin("x").register(code_app().build().unwrap()));
    let app = crate::support::App::from(credentials.unwrap());
    // The well-known path does not begin with the prefix, so the proxy leaves it as it is.
    let metadata = "/.well-known/oauth-authorization-server/auth/b";
    let metadata = get(&tenants, "example.com", metadata).unwrap().json();
    assert_eq!(metadata["issuer"], "https://example.com/auth/b");
    let url = |name: &str| metadata[name].as_str().unwrap().to_owned();
    assert_eq!(url("token_endpoint"), "https://example.com/auth/b/oauth/token");
    let strip = |url: &str| {
        let path = url.strip_prefix("https://example.com").unwrap_or(url);
        path.strip_prefix("/auth").unwrap().to_owned()
    };
    let verifier = new_verifier();
    let asked = format!(
        "{}?{}",
        strip(&url("authorization_endpoint")),
        code_query(&app, &verifier, &[("state", "xyz")])
    );
    let visit = |uri: &str, cookie: &str| {
        let request = Request::get(uri).header("host", "example.com").header("cookie", cookie);
        send(&tenants, request, "").unwrap()
    };
    let login = visit(&asked, "x=y");
    let (_, return_to) = login.body.split_once('|').unwrap();
    assert!(return_to.starts_with("/auth/b/oauth/authorize?"), "{return_to}");
    let consent = visit(&strip(return_to), "ann");
    let parts: Vec<_> = consent.body.split('|').collect();
    assert_eq!(parts[0], "/auth/b/oauth/decision");
    let mut form = vec![("ticket", parts[1]), ("decision", "approve")];
    form.extend(parts[2].split(' ').map(|scope| ("scope", scope)));
    let post = |path: &str, form: &[(&str, &str)]| {
        let request = Request::post(path)
            .header("host", "example.com")
            .header("cookie", "ann")
            .header("origin", "https://example.com")
            .header("content-type", "application/x-www-form-urlencoded");
        send(&tenants, request, &encode(form))
    };
    assert!(post(parts[0], &form).is_none(), "the public path does not arrive here");
    // The form of one issuer, sent to the other.
    let elsewhere = post(&strip(parts[0]).replace("/b/", "/a/"), &form).unwrap();
    assert_eq!((elsewhere.status, &*elsewhere.body), (400, "error invalid_ticket"));
    let decided = post(&strip(parts[0]), &form).unwrap();
    let given = parameters(decided.header("location").unwrap());
    assert_eq!(given["iss"], "https://example.com/auth/b");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*given["code"]),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier.expose_secret()),
        ("client_id", app.id.as_str()),
        ("client_secret", app.secret.as_deref().unwrap()),
    ];
    let elsewhere = post("/a/oauth/token", &form).unwrap();
    elsewhere.assert_error(401, "invalid_client");
    let tokens = post(&strip(&url("token_endpoint")), &form).unwrap();
    assert_eq!(tokens.status, 200, "{tokens:?}");
}

#[test]
fn a_prefix_that_no_path_begins_with_is_refused() {
    let keys = KeyRing::from(new_key());
    let tenant = || endpoints("https://example.com/auth/a", &keys);
    for bad in ["", "/", "auth", "/auth/", "/aut", "/auth/a/b", "/other", "//auth", "/au th"] {
        assert!(tenant().behind_prefix(bad).is_err(), "{bad}");
    }
    let plain = endpoints("https://example.com", &keys);
    assert!(plain.behind_prefix("/auth").is_err());
    let deep = tenant().behind_prefix("/auth/a").unwrap();
    assert_eq!(deep.endpoint_at("/oauth/token"), Some(ServerEndpoint::Token));
    assert_eq!(deep.endpoint_at("/auth/a/oauth/token"), None);
}

/// Z37: over HTTP/1.1, an unknown tenant and an unknown path look the same.
#[cfg(feature = "axum")]
#[tokio::test]
async fn the_axum_router_dispatches_by_host_and_path() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    let tenants = Arc::new(tenants(&["https://example.com/a", "https://other.example"]));
    let server = tenants.find(&issuer("https://example.com/a")).unwrap();
    let credentials = server.server().admin("x").register(machine_app().build().unwrap()).await;
    let app = crate::support::App::from(credentials.unwrap());
    let own = ::axum::routing::get(async || "the host's page");
    let router = ::axum::Router::new().route("/", own);
    let router = router.fallback_service(grantor::http::axum_issuers(&tenants));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { ::axum::serve(listener, router).await });
    let exchange = async |bytes: String| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let date = |line: &&str| !line.to_ascii_lowercase().starts_with("date:");
        answer.lines().filter(date).collect::<Vec<_>>().join("\n")
    };
    let get = async |target: &str, hosts: &str| {
        exchange(format!("GET {target} HTTP/1.1\r\n{hosts}connection: close\r\n\r\n")).await
    };
    let jwks = get("/a/oauth/jwks", "host: Example.COM:443\r\n").await;
    assert!(jwks.starts_with("HTTP/1.1 200"), "{jwks}");
    let absolute = get("http://other.example/oauth/jwks", "host: other.example\r\n").await;
    assert!(absolute.starts_with("HTTP/1.1 200"), "{absolute}");
    let own = get("/", "host: unknown\r\n").await;
    assert!(own.ends_with("the host's page"), "{own}");
    let unknown = get("/nothing", "host: example.com\r\n").await;
    assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
    for (target, host) in [
        ("/b/oauth/jwks", "example.com"),
        ("/a/oauth/jwks", "unknown.example"),
        ("/a/oauth/jwks", "other.example"),
        ("/oauth/jwks", "example.com"),
    ] {
        assert_eq!(get(target, &format!("host: {host}\r\n")).await, unknown, "{host}{target}");
    }
    for hosts in ["host: example.com\r\nhost: other.example\r\n", "host: x@example.com\r\n"] {
        let refused = get("/a/oauth/jwks", hosts).await;
        assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    }
    let form = crate::support::body_of(&app, &[("grant_type", "client_credentials")]);
    let post = |host: &str| {
        format!(
            "POST /a/oauth/token HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        )
    };
    let token = exchange(post("example.com")).await;
    assert!(token.contains("access_token"), "{token}");
    assert!(exchange(post("other.example")).await.starts_with("HTTP/1.1 404"));
    serving.abort();
}
