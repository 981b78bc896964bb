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

/// The client secret in the environment.
const SECRET: &str = "$(secret) ' \" \\";

/// Runs a program by `sh`, in which `openssl` answers `0`. Returns the lines before `curl`, its arguments, and the
/// options that it reads.
fn run(program: &str, stdin: &str) -> [Vec<String>; 3] {
    let fakes = "curl() { printf '%s\n' --- \"$@\" ---; cat; }\nopenssl() { printf 0; }\n";
    let mut sh = command("sh")
        .args(["-euc", &format!("{fakes}{program}")])
        .env("OAUTH_CLIENT_SECRET", SECRET)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    sh.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = sh.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}");
    let output = String::from_utf8(output.stdout).unwrap();
    let mut parts = output.split("---\n").map(|part| part.lines().map(str::to_owned).collect());
    std::array::from_fn(|_| parts.next().unwrap())
}

/// Returns an option as curl reads it.
fn option(name: &str, value: &str) -> String {
    format!("{name} = \"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// H18: each text of an app is one word of a shell, and every secret comes from the environment and goes to curl by its
/// standard input.
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
    let form = |name: &str, value: &str| option("data-urlencode", &format!("{name}={value}"));
    let [before, arguments, options] = run(&program(&page, "machine-curl"), "");
    assert_eq!(before, [""; 0]);
    // Nothing secret: other users of the machine can list the arguments.
    assert_eq!(arguments, ["-sS", "--config", "-", token]);
    let expected = [
        form("grant_type", "client_credentials"),
        form("scope", "$(touch) '`id`' GET/files/*"),
        form("client_id", HOSTILE),
        form("client_secret", SECRET),
    ];
    assert_eq!(options, expected);
    let [before, arguments, options] = run(&program(&page, "code-curl"), "the$code\n");
    let asked = url::Url::parse(&before[0]).unwrap();
    let asked: Vec<_> = asked.query_pairs().into_owned().collect();
    let of = |name: &str| &asked.iter().find(|(own, _)| own == name).unwrap().1;
    assert_eq!(of("client_id"), HOSTILE);
    assert_eq!(of("redirect_uri"), URI);
    assert_eq!((&**of("state"), &**of("code_challenge_method")), ("0", "S256"));
    assert_eq!(arguments, ["-sS", "--config", "-", token]);
    let expected = [
        form("grant_type", "authorization_code"),
        form("code", "the$code"),
        form("redirect_uri", "https://app.example.com/cb?it='$(touch)'&x=$x"),
        form("code_verifier", "0"),
        form("client_id", HOSTILE),
        form("client_secret", SECRET),
    ];
    assert_eq!(options, expected);
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
