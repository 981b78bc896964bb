//! House rules that the compiler does not enforce: the rooms, the length of a file, and the public
//! API.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of the crate, in order: a room uses only those before it.
const ROOMS: &[&str] = &[
    // words of every room
    "clock",
    "random",
    "secret",
    "ids",
    // what goes over the wire, and what is signed and sealed
    "protocol",
    "jwt",
    "server_secret",
    // the model
    "users",
    "app",
    "catalog",
    // the seams to the host
    "observe",
    "store",
    "audit",
    "hooks",
    "rate_limit",
    "error",
    "fetch",
    // the API's side
    "resource_server",
    // the server
    "endpoint",
    "admin",
    "migrate",
    "server",
    "http",
    "test_kit",
    // pages of docs/, no code
    "guide",
];

/// The maximum length of a file, without documentation and tests.
const MAX_LINES: usize = 450;

/// A file of `src`, without its unit tests.
struct Source {
    /// Its path below `src`.
    path: String,
    /// `["token_endpoint", "grant"]`
    module: Vec<String>,
    lines: Vec<String>,
}

impl Source {
    fn code(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|line| line.trim()).filter(|line| !line.starts_with("//"))
    }
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn is_test_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap();
    path.contains("/tests/") || name.ends_with("tests.rs") || name == "testing.rs"
}

fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    files_below(&src, &mut files);
    let read = |file: PathBuf| {
        let path = file.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        let text = fs::read_to_string(&file).unwrap();
        // The unit tests come last in a file.
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let tests = lines.windows(2).position(|pair| {
            pair[0].trim() == "#[cfg(test)]"
                && (pair[1].starts_with("mod tests") || pair[1].starts_with("#[path"))
        });
        let lines = lines[..tests.unwrap_or(lines.len())].to_vec();
        let module = path.trim_end_matches(".rs").trim_end_matches("/mod");
        let module = module.split('/').map(str::to_owned).collect();
        Source { path, module, lines }
    };
    let all: Vec<_> = files.into_iter().map(read).collect();
    assert!(all.len() > 80, "{} files", all.len());
    all.into_iter().filter(|source| !is_test_file(&source.path)).collect()
}

/// The name that begins `text`.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The top modules that a file uses, by `crate::x` or by climbing with `super::`.
fn uses(source: &Source) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for line in source.code() {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            assert!(!rest.starts_with('{'), "{}: a `use crate::{{` hides names", source.path);
            used.insert(name(rest).to_owned());
        }
        let mut from = 0;
        while let Some(at) = line[from..].find("super::").map(|at| at + from) {
            let mut rest = &line[at..];
            let mut levels = 0;
            while let Some(shorter) = rest.strip_prefix("super::") {
                (rest, levels) = (shorter, levels + 1);
            }
            if levels >= source.module.len() {
                used.insert(name(rest).to_owned());
            }
            from = line.len() - rest.len();
        }
    }
    used.retain(|module| module.starts_with(|first: char| first.is_ascii_lowercase()));
    used.remove(&source.module[0]);
    used
}

fn place(room: &str) -> Option<usize> {
    ROOMS.iter().position(|own| *own == room)
}

#[test]
fn a_room_uses_only_rooms_before_it() {
    let mut wrong = Vec::new();
    let mut arrows = BTreeMap::<String, BTreeSet<String>>::new();
    for source in sources() {
        let room = source.module[0].clone();
        if room == "lib" {
            continue;
        }
        for used in uses(&source) {
            match (place(&room), place(&used)) {
                (Some(own), Some(other)) if other < own => {
                    arrows.entry(room.clone()).or_default().insert(used);
                }
                _ => wrong.push(format!("{}: `{room}` must not use `{used}`", source.path)),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(arrows["endpoint"].len() > 10, "paths are no longer recognised: {arrows:?}");
}

#[test]
fn the_list_of_rooms_is_complete() {
    let existing: BTreeSet<_> = sources().into_iter().map(|it| it.module[0].clone()).collect();
    let listed = ROOMS.iter().map(|room| (*room).to_owned()).chain(["lib".to_owned()]).collect();
    assert_eq!(existing, listed);
}

/// A file has one subject; a longer one has two.
#[test]
fn no_file_is_too_long() {
    let long: Vec<_> = sources()
        .iter()
        .map(|source| {
            let is_text = |line: &&String| !line.trim_start().starts_with("//");
            (source.lines.iter().filter(is_text).count(), source.path.clone())
        })
        .filter(|(lines, _)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// `encode` and `decode` take their cryptography from the process and panic without it, and
/// `decode` accepts tokens that this crate refuses.
#[test]
fn the_library_does_not_call_jsonwebtoken() {
    for source in sources() {
        for line in source.code() {
            for banned in ["jsonwebtoken::encode", "jsonwebtoken::decode", "use jsonwebtoken"] {
                assert!(!line.contains(banned), "{}: {line}", source.path);
            }
        }
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    let library = manifest.split("[dev-dependencies]").next().unwrap();
    for backend in ["rust_crypto", "aws_lc_rs"] {
        let named =
            library.lines().any(|line| line.contains("jsonwebtoken") && line.contains(backend));
        assert!(!named, "{backend}");
    }
}

/// A major version of another crate must not force one of this crate.
#[test]
fn no_public_signature_names_another_crate() {
    const PRIVATE: &[&str] = &[
        "reqwest::",
        "rustls::",
        "rustls_platform_verifier::",
        "ring::",
        "async_lock::",
        "jsonwebtoken::",
        "base64::",
        "url::",
        "hashbrown::",
        "httpdate::",
        "humantime::",
        "zeroize::",
        "Zeroizing",
        "subtle::",
        "matchit::",
        "pem::",
        "spki::",
        "pkcs1::",
        "hmac::",
        "aead::",
        "Nanos",
        "NotUntil",
        "serde_urlencoded",
    ];
    let mut looked_at = 0;
    for source in sources() {
        let lines: Vec<_> = source.code().collect();
        for (at, line) in lines.iter().enumerate() {
            let public = ["pub fn ", "pub const fn ", "pub async fn ", "pub type ", "pub trait "];
            if !public.iter().any(|start| line.starts_with(start)) {
                continue;
            }
            looked_at += 1;
            let end = lines[at..].iter().position(|it| it.ends_with('{') || it.ends_with(';'));
            let signature = lines[at..=at + end.unwrap_or(0)].join(" ");
            // A bare body may follow on the same line.
            let signature = signature.split(" { ").next().unwrap();
            for banned in PRIVATE {
                let hit = signature.match_indices(banned).any(|(at, _)| {
                    !signature[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                });
                assert!(!hit, "{}: {signature}", source.path);
            }
        }
    }
    assert!(looked_at > 200, "{looked_at}");
}

/// Time and randomness are injected, so that a test can replay every step.
#[test]
fn time_and_randomness_come_from_their_seams() {
    let allowed = |path: &str, banned: &str| match banned {
        "SystemTime::now" | "Instant::now" => path == "clock.rs",
        "SystemRandom::new" => path == "random.rs" || path == "jwt/keys/mod.rs",
        _ => false,
    };
    for source in sources() {
        for line in source.code() {
            for banned in ["SystemTime::now", "Instant::now", "SystemRandom::new", "thread_rng"] {
                assert!(
                    !line.contains(banned) || allowed(&source.path, banned),
                    "{}: {line}",
                    source.path
                );
            }
        }
    }
}
