//! The programs that the playground shows for an app, run as they are.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::sandbox::{Folder, command};
use crate::support::{Browser, Http, Seed, Server, parameters, skip, target_folder};

/// An app of the seed, a flow that it has, and the environment that its programs read.
struct Case {
    app: &'static str,
    flow: &'static str,
    environment: Vec<(&'static str, String)>,
    /// A shell cannot sign.
    signs: bool,
}

fn key(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/server");
    folder.join(name).to_str().unwrap().to_owned()
}

fn cases(seed: &Seed) -> Vec<Case> {
    let secret = |app| ("OAUTH_CLIENT_SECRET", seed.client_secret(app).unwrap().to_owned());
    let file = |name| ("OAUTH_ASSERTION_KEY_FILE", key(name));
    let user = |name: &str| ("OAUTH_USER", name.to_owned());
    let hs256 =
        ("OAUTH_SIGNATURE_SECRET", "demo-hs256-signature-secret-0123456789abcdef".to_owned());
    let case = |app, flow, signs, environment| Case { app, flow, environment, signs };
    let reserved = "demo:reserved/+&=? %41";
    vec![
        case("demo-web", "machine", false, vec![secret("demo-web")]),
        case("demo-web", "code", false, vec![secret("demo-web")]),
        case("demo-spa", "code", false, vec![]),
        case(reserved, "machine", false, vec![secret(reserved)]),
        case(
            "demo-key",
            "machine",
            true,
            vec![("OAUTH_CLIENT_KEY_FILE", key("demo_client_p256.pem"))],
        ),
        case(
            "demo-backend",
            "jwt",
            true,
            vec![secret("demo-backend"), file("demo_jwt_rsa.pem"), user("ann")],
        ),
        case("demo-backend-alone", "jwt", true, vec![file("demo_jwt_p256.pem"), user("bob")]),
        case("demo-hs256", "jwt", true, vec![secret("demo-hs256"), hs256, user("ann@example.com")]),
    ]
}

/// Returns the program of a page as a reader copies it.
fn program(page: &str, id: &str) -> String {
    let start = page.find(&format!("<pre id=\"{id}\"")).unwrap_or_else(|| panic!("{id}: {page}"));
    let (_, text) = page[start..].split_once('>').unwrap();
    let (text, _) = text.split_once('<').unwrap();
    let entities =
        [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    entities.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Runs a program, and goes to the URL that it prints if it is one of the code flow.
fn run(program: &mut Command, case: &Case, approve: impl Fn(&str) -> String) -> String {
    let mut child = program
        .envs(case.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut stdin = child.stdin.take().unwrap();
    if case.flow == "code" {
        let mut url = String::new();
        said.read_line(&mut url).unwrap();
        writeln!(stdin, "{}", approve(url.trim())).unwrap();
    }
    drop(stdin);
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    child.wait().unwrap();
    rest
}

/// The programs of each kind of app get a token as they stand on the page, with secrets from the environment.
#[test]
fn programs_for_an_app_run_as_they_are_shown() {
    let python = target_folder().join("interop/venv/bin/python");
    let works = |program: &mut Command| {
        let silent = program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        silent.status().is_ok_and(|status| status.success())
    };
    if !works(command(&python).args(["-c", "import jwt, requests"]))
        || !works(command("node").arg("--version"))
        || !works(command("curl").arg("--version"))
    {
        return skip("programs_for_an_app_run_as_they_are_shown", "Python, Node and curl");
    }
    let (server, seed) = (Server::with(&["--no-limits", "--playground"]), Seed::read());
    let http = Arc::new(Http::new());
    let mut root = Browser::new(&http);
    root.authorize(&server.url("/console/apps"), ("root", seed.password("root")), "approve");
    let folder = Folder::temporary();
    let save = |name: &str, text: String| -> PathBuf {
        let file = folder.file(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    for case in cases(&seed) {
        let app: String = url::form_urlencoded::byte_serialize(case.app.as_bytes()).collect();
        let page = root.open(&server.url(&format!("/console/playground?app={app}"))).page().html;
        for secret in seed.secrets() {
            assert!(!page.contains(&secret), "{}", case.app);
        }
        let text = |language: &str| program(&page, &format!("{}-{language}", case.flow));
        let approve = |url: &str| {
            let user = ("ann", seed.password("ann"));
            Browser::new(&http).authorize(url, user, "approve").app().to_string()
        };
        let python_file = save("program.py", text("python"));
        let said = run(command(&python).arg("-B").arg(python_file), &case, approve);
        assert!(said.starts_with("200 ") && said.contains("access_token"), "{}: {said}", case.app);
        let script = save("program.mjs", text("javascript"));
        let said = run(command("node").arg(script), &case, approve);
        assert!(said.starts_with("200 ") && said.contains("access_token"), "{}: {said}", case.app);
        if case.signs {
            continue;
        }
        let script = save("program.sh", text("curl"));
        let code = |url: &str| parameters(&approve(url).parse().unwrap())["code"].clone();
        let said = run(command("sh").arg(script), &case, code);
        assert!(said.contains("\"access_token\""), "{}: {said}", case.app);
    }
}
