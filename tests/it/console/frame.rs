//! The frame: mounting, access, headers, assets, problems.

use std::sync::Arc;

use grantor::http::console::{Console, ConsoleBrand};
use grantor::store::MemoryStore;
use http::Request;

use super::desk::{Desk, Desks, MOUNT, Staff, console, console_of, registered};
use super::html::{check, tags};
use crate::faulty_store::{FaultyStore, Method};
use crate::support::{Answered, World, code_app, machine_app, new_key};

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'";

fn ask(console: &Desks, path: &str) -> Option<Answered> {
    let request = Request::get(path).header("cookie", "staff=ann.security.s").body("").unwrap();
    pollster::block_on(console.handle(request)).map(Answered::from)
}

/// H1: every link begins with the configured path, and each leads to a page.
#[test]
fn the_console_works_under_any_prefix_and_behind_a_proxy_that_strips_one() {
    let world = World::new();
    let (_, path) = registered(&world, code_app());
    for (mount, stripped) in [
        ("/admin/oauth", ""),
        ("/", ""),
        ("/c", "/c"),
        ("/admin/oauth", "/admin"),
        ("/a/b/c", "/a/b"),
    ] {
        let console = Console::new(Arc::clone(&world.server), Staff, mount).unwrap();
        let console = console.behind_prefix(stripped).unwrap();
        let (outer, mut seen) = (mount.trim_end_matches('/'), 0);
        assert_eq!(console.path(), &outer[stripped.len()..]);
        let inner = |link: &str| link.strip_prefix(stripped).unwrap().to_owned();
        let mut open =
            vec![format!("{}/apps", console.path()), format!("{}{path}", console.path())];
        let mut known = open.clone();
        while let Some(page) = open.pop() {
            let answer = ask(&console, &page).unwrap();
            assert_eq!(answer.status, 200, "{page}");
            seen += 1;
            if !answer.body.starts_with("<!doctype") {
                continue;
            }
            check(&answer.body, outer);
            for tag in tags(&answer.body) {
                let link = tag.attribute("href").or(tag.attribute("src"));
                if let Some(link) = link.filter(|link| !link.starts_with('#')).map(inner)
                    && !known.contains(&link)
                {
                    known.push(link.clone());
                    open.push(link);
                }
            }
        }
        assert!(seen > 10, "{seen}");
        assert!(ask(&console, "/elsewhere").is_none() || console.path().is_empty());
        let front = ask(&console, &format!("{}/", console.path())).unwrap();
        assert_eq!(
            (front.status, front.header("location")),
            (303, Some(&*format!("{outer}/apps")))
        );
    }
}

/// H2: without an administrator there is the host's redirect or nothing, also for stylesheets.
#[test]
fn strangers_get_the_answer_of_the_host() {
    let world = World::new();
    let console = console(&world);
    let page = Desk::new(&console, "view").page("/apps");
    let style = tags(&page).into_iter().find(|tag| tag.name == "link").unwrap();
    let style = style.attribute("href").unwrap().to_owned();
    for path in [format!("{MOUNT}/apps"), style, format!("{MOUNT}/nothing")] {
        let send = |request: http::request::Builder| -> Answered {
            pollster::block_on(console.handle(request.body("").unwrap())).unwrap().into()
        };
        let hidden = send(Request::get(&path));
        assert_eq!((hidden.status, &*hidden.body), (404, ""), "{path}");
        let redirect = send(Request::get(&path).header("x-login", "1"));
        assert_eq!((redirect.status, redirect.header("location")), (303, Some("/login")));
        let broken = send(Request::get(&path).header("cookie", "staff=ann.broken.s"));
        assert_eq!((broken.status, broken.header("retry-after")), (503, Some("10")));
        assert!(!broken.body.contains("no directory"));
        assert_eq!(broken.header("cache-control"), Some("no-store"));
    }
}

/// H4: the headers of every answer.
#[test]
fn no_answer_can_be_framed_cached_or_mixed_with_other_origins() {
    let world = World::new();
    let (_, path) = registered(&world, code_app());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    for below in ["", "/apps", &path, "/nothing", "/apps/unknown"] {
        let answer = desk.get(below);
        let policies: Vec<_> = answer.headers.get_all("content-security-policy").iter().collect();
        assert_eq!(policies, [POLICY], "{below}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{below}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
}

/// H4: assets are named by their content.
#[test]
fn stylesheets_script_and_logo_are_immutable_and_change_their_names() {
    let world = World::new();
    let named = |brand: Option<ConsoleBrand>| {
        let mut console = console(&world);
        if let Some(brand) = brand {
            console = console.with_brand(brand);
        }
        let desk = Desk::new(&console, "view");
        let page = desk.page("/apps");
        check(&page, MOUNT);
        let mut links = Vec::new();
        for tag in tags(&page) {
            let link = match &*tag.name {
                "link" => tag.attribute("href").filter(|it| !it.starts_with('#')),
                "script" | "img" => tag.attribute("src"),
                _ => None,
            };
            let Some(link) = link else { continue };
            let below = link.strip_prefix(MOUNT).unwrap();
            let asset = desk.get(below);
            assert_eq!(asset.status, 200);
            assert_eq!(asset.header("cache-control"), Some("private, max-age=31536000, immutable"));
            assert_eq!(asset.header("content-security-policy"), Some(POLICY));
            let (stem, rest) = below.rsplit_once('-').unwrap();
            assert_eq!(desk.get(&format!("{stem}-x{rest}")).status, 404);
            for foreign in ["http:", "https:", "url(", "@import", "eval", "innerHTML"] {
                assert!(!asset.body.contains(foreign), "{link} has {foreign}");
            }
            links.push(link.to_owned());
        }
        links
    };
    let plain = named(None);
    assert_eq!(plain.len(), 3);
    let svg = "<svg xmlns='about:blank'></svg>";
    let brand = ConsoleBrand::new("Example & <Files>").with_accent("#7a1fa2").unwrap();
    let branded = named(Some(brand.with_logo("image/svg+xml", svg).unwrap()));
    assert_eq!(branded.len(), 4);
    assert_eq!(plain.iter().filter(|link| branded.contains(link)).count(), 2);
}

#[test]
fn a_problem_has_a_page_in_words_with_its_status() {
    let world = World::new();
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    for (answer, status, words) in [
        (desk.get("/nothing"), 404, "There is no such page"),
        (desk.get("/apps/unknown"), 404, "There is no such app"),
        (desk.get("/apps/~!"), 404, "There is no such page"),
        (desk.get("/apps?search=%zz"), 400, "cannot be read"),
        (desk.post("/nothing", &[]), 404, "There is no such page"),
        (desk.post("/apps/unknown/enable", &[]), 404, "There is no such app"),
    ] {
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.contains(words), "{words}: {}", answer.body);
        check(&answer.body, MOUNT);
    }
    let put = desk.request("PUT", &format!("{MOUNT}/apps")).body(Vec::new()).unwrap();
    let put = desk.send(put);
    assert_eq!((put.status, put.header("allow")), (405, Some("GET, HEAD, POST")));
    let head = desk.request("HEAD", &format!("{MOUNT}/apps")).body(Vec::new()).unwrap();
    let (head, get) = (desk.send(head), desk.get("/apps"));
    assert_eq!((head.status, &*head.body), (200, ""));
    assert_eq!(head.header("content-length"), Some(&*get.body.len().to_string()));
}

#[test]
fn a_store_that_fails_is_a_page_that_says_so_and_not_why() {
    let world = World::new();
    let (_, path) = registered(&world, machine_app());
    let store = Arc::new(FaultyStore::new(Arc::<MemoryStore>::clone(&world.store)));
    let server = world.beside(new_key(), Arc::clone(&store), Arc::clone(&world.users));
    let server = Arc::new(server.build());
    let console = console_of(&server);
    let desk = Desk::new(&console, "security");
    for (below, method) in [("/apps", Method::ListApps), (&*path, Method::FindApp)] {
        store.fail_before(method, 1);
        let answer = desk.get(below);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")), "{below}");
        assert!(answer.body.contains("does not answer") && !answer.body.contains("planted"));
        check(&answer.body, MOUNT);
        assert_eq!(desk.get(below).status, 200);
    }
}
