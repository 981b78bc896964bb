//! The guide in the documentation has every page of `docs/`, and its links lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Pages that are for the authors of this crate.
const NOT_FOR_HOSTS: &[&str] = &["behaviours", "releasing"];
/// The place in the documentation for links to files that are no page.
const BESIDE: &str = "crate::guide#files-beside-the-guide";

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The lines of a page outside of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The definitions of links, `[label]: target`.
fn definitions(text: &str) -> BTreeMap<&str, &str> {
    let definition = |line| str::strip_prefix(line, "[")?.split_once("]: ");
    prose(text).filter_map(definition).collect()
}

/// The labels that links use, `[text][label]`.
fn labels(text: &str) -> BTreeSet<&str> {
    let links = |line| str::split(line, "][").skip(1).filter_map(|rest| rest.split_once(']'));
    prose(text).flat_map(links).map(|(label, _)| label).collect()
}

/// The anchors of the headings, as a code host and rustdoc make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    let anchor = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        title.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// Z39: the guide has each page for hosts, and a link works on a code host and in the documentation.
#[test]
fn every_page_is_in_the_guide_and_every_link_leads_somewhere() {
    let guide = read("src/guide.rs");
    let in_guide = definitions(&guide);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = entries.filter_map(|name| name.into_string().ok()).collect();
    let pages: Vec<_> = names.iter().filter_map(|name| name.strip_suffix(".md")).collect();
    assert!(pages.len() > 10, "{pages:?}");
    let mut used = BTreeSet::new();
    let text_of: BTreeMap<_, _> =
        pages.iter().map(|page| (*page, read(&format!("docs/{page}.md")))).collect();
    for page in pages.iter().filter(|page| !NOT_FOR_HOSTS.contains(page)) {
        let module = page.replace('-', "_");
        let included = format!("include_str!(\"../docs/{page}.md\")");
        assert!(guide.contains(&included), "src/guide.rs does not include {page}");
        assert!(guide.contains(&format!("pub mod {module} {{}}")), "src/guide.rs: no mod {module}");
        assert!(guide.contains(&format!("//! | [`{module}`] |")), "the front page lacks {module}");
        let (text, own) = (&text_of[page], definitions(&text_of[page]));
        for line in prose(text) {
            for (target, _) in line.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
                let is_elsewhere = target.starts_with('#') || target.starts_with("http");
                assert!(is_elsewhere, "{page}: write [text][{target}] and define it at the end");
                let anchor = target.strip_prefix('#');
                assert!(anchor.is_none_or(|it| anchors(text).contains(it)), "{page}: {target}");
            }
        }
        assert_eq!(labels(text), own.keys().copied().collect(), "{page}: used, defined");
        for (label, target) in own {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            assert!(root.join("docs").join(file).exists(), "{page}: no file {target}");
            let linked = file.strip_suffix(".md").and_then(|it| text_of.get_key_value(it));
            let expected = match linked {
                Some((linked, text)) if !NOT_FOR_HOSTS.contains(linked) => {
                    let found = anchor.is_empty() || anchors(text).contains(anchor);
                    assert!(found, "{page}: no heading for {target}");
                    let hash = if anchor.is_empty() { "" } else { "#" };
                    format!("crate::guide::{}{hash}{anchor}", linked.replace('-', "_"))
                }
                _ => BESIDE.to_owned(),
            };
            let defined = in_guide.get(label).copied();
            assert_eq!(defined, Some(expected.as_str()), "src/guide.rs: [{label}]");
            used.insert(label.to_owned());
        }
    }
    let defined: BTreeSet<_> = in_guide.keys().map(|label| (*label).to_owned()).collect();
    assert_eq!(defined, used, "src/guide.rs defines labels that no page uses");
}

#[test]
fn links_are_read_as_they_are_written() {
    let page =
        "# The `A` of b\n[x][a.md] and [y][b.md#c]\n```text\n[z][c.md]\n```\n\n[a.md]: ../a.md\n";
    assert_eq!(labels(page), BTreeSet::from(["a.md", "b.md#c"]));
    assert_eq!(definitions(page), BTreeMap::from([("a.md", "../a.md")]));
    assert_eq!(anchors(page), BTreeSet::from(["the-a-of-b".to_owned()]));
}
