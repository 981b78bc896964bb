//! The programs for other apps on the page of the playground. `tests/real_clients` runs them against a server.

use std::io::Write as _;
use std::process::Stdio;

use grantor::app::{AppDraft, Flow};
use grantor::protocol::RedirectUri;

use super::desk::{Desk, MOUNT};
use super::html::{check, tags};
use super::playground::with_playground;
use crate::sandbox::command;
use crate::support::{World, encode, machine_app, scope};

const URI: &str = "https://app.example.com/cb?it='$(touch)'&x=$x";
const HOSTILE: &str = "it's $(touch owned) `touch owned` \"; touch owned; ' \\ #";

/// The element of this id, as a reader copies it.
fn program(page: &str, id: &str) -> String {
    let tag = tags(page).into_iter().find(|tag| tag.attribute("id") == Some(id));
    tag.unwrap_or_else(|| panic!("no {id}: {page}")).text
}

fn page_of(desk: &Desk<'_>, client_id: &str) -> String {
    let query = encode(&[("app", client_id)]);
    let answer = desk.get(&format!("/playground?{query}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    check(&answer.body, MOUNT);
    // Nothing runs on this page.
    assert!(!answer.header("content-security-policy").unwrap().contains("connect-src"));
    answer.body
}

/// The arguments of `curl` if `sh` runs the program, in which `openssl` answers `0`.
fn arguments(program: &str, stdin: &str) -> Vec<String> {
    let fakes = "curl() { for it do printf '%s\\n' \"$it\"; done; }\nopenssl() { printf 0; }\n";
    let mut sh = command("sh")
        .args(["-euc", &format!("{fakes}{program}")])
        .env("OAUTH_CLIENT_SECRET", "$(secret) '")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    sh.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = sh.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// H18: each text of an app is one word of a shell, and every secret comes from the environment.
#[test]
fn a_program_for_a_shell_has_hostile_texts_as_words() {
    let world = World::new();
    let draft = AppDraft::confidential("x")
        .flows([Flow::AuthorizationCode, Flow::ClientCredentials])
        .redirect_uri(RedirectUri::parse(URI).unwrap())
        .scope(scope("GET/files/* $(touch) '`id`'"));
    world.import(HOSTILE, draft);
    let console = with_playground(&world);
    let desk = Desk::new(&console, "view");
    let page = page_of(&desk, HOSTILE);
    let token = "https://as.example.com/oauth/token";
    let machine = arguments(&program(&page, "machine-curl"), "");
    let expected = [
        "-sS".to_owned(),
        "--data-urlencode".to_owned(),
        "grant_type=client_credentials".to_owned(),
        "--data-urlencode".to_owned(),
        "scope=$(touch) '`id`' GET/files/*".to_owned(),
        "--data-urlencode".to_owned(),
        format!("client_id={HOSTILE}"),
        "--data-urlencode".to_owned(),
        "client_secret=$(secret) '".to_owned(),
        token.to_owned(),
    ];
    assert_eq!(machine, expected);
    let code = arguments(&program(&page, "code-curl"), "the$code\n");
    let asked = url::Url::parse(&code[0]).unwrap();
    let asked: Vec<_> = asked.query_pairs().into_owned().collect();
    let of = |name: &str| &asked.iter().find(|(own, _)| own == name).unwrap().1;
    assert_eq!(of("client_id"), HOSTILE);
    assert_eq!(of("redirect_uri"), URI);
    assert_eq!((&**of("state"), &**of("code_challenge_method")), ("0", "S256"));
    let sent = code.iter().filter(|it| it.starts_with("code") || it.starts_with("redirect"));
    assert_eq!(
        sent.collect::<Vec<_>>(),
        [
            "code=the$code",
            "redirect_uri=https://app.example.com/cb?it='$(touch)'&x=$x",
            "code_verifier=0"
        ]
    );
}

/// H18: the page finds apps by name, and says which flows another app has.
#[test]
fn another_app_is_found_by_name_and_shows_its_flows() {
    let world = World::new();
    let machine = world.register(machine_app().name("Nightly archive"));
    for number in 0..12 {
        world.register(machine_app().name(format!("App {number}")));
    }
    world.block_on(world.server.admin("x").disable(&machine.id)).unwrap();
    let console = with_playground(&world);
    let desk = Desk::new(&console, "view");
    let all = desk.page("/playground");
    check(&all, MOUNT);
    assert_eq!(all.matches("/playground?app=").count(), 10);
    assert!(all.contains("There are more apps"));
    let found = desk.page("/playground?search=nightly");
    assert_eq!(found.matches("/playground?app=").count(), 1);
    let page = page_of(&desk, machine.id.as_str());
    assert!(page.contains("Client credentials") && page.contains("The app is disabled"), "{page}");
    assert!(!page.contains("code-curl") && !page.contains("jwt-curl"));
    let ids = ["machine-curl", "machine-rust", "machine-python", "machine-javascript"];
    assert!(ids.iter().all(|id| program(&page, id).contains(machine.id.as_str())));
    assert_eq!(desk.get("/playground?app=unknown").status, 404);
    assert_eq!(desk.get("/playground?app=%0A").status, 404);
}
