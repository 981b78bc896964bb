//! `docs/behaviours.md` lists the behaviours that the tests cite, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The heading above the rows that no test has to show.
const NOT_SHOWN: &str = "## Not shown by a test";

/// The last number of each letter. Ids beyond it may be listed, too.
#[rustfmt::skip]
const LAST: &[(char, u32)] = &[
    ('A', 35), ('C', 33), ('D', 16), ('E', 6), ('G', 19), ('H', 13), ('I', 8), ('J', 32), ('K', 5), ('L', 4), ('M', 5),
    ('P', 12), ('Q', 7), ('R', 23), ('S', 7), ('T', 14), ('V', 9), ('X', 32), ('Y', 3),
];

/// The rows of `docs/behaviours.md`.
#[derive(Default)]
struct Page {
    shown: BTreeSet<String>,
    not_shown: BTreeSet<String>,
}

impl Page {
    /// Panics on a row without a text in each of its cells, and on an id that is listed twice.
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut shown = true;
        for line in text.lines() {
            shown &= line != NOT_SHOWN;
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let ["", ids, rest @ .., ""] = &cells[..] else { continue };
            for id in ids_in(ids) {
                assert!(rest.len() >= 2 && rest.iter().all(|cell| !cell.is_empty()), "{line}");
                let (rows, others) = if shown {
                    (&mut page.shown, &page.not_shown)
                } else {
                    (&mut page.not_shown, &page.shown)
                };
                assert!(!others.contains(&id) && rows.insert(id), "listed twice: {line}");
            }
        }
        page
    }
}

/// The ids in a list of them: `A31`, `A10, A11`, `C18 to C23`, `M1 and M2`. Empty if the text holds
/// anything else.
fn ids_in(text: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for part in text.split(", ").flat_map(|part| part.split(" and ")) {
        let (first, last) = part.split_once(" to ").unwrap_or((part, part));
        let (Some((letter, first)), Some((_, last))) = (id(first), id(last)) else {
            return Vec::new();
        };
        ids.extend((first..=last).map(|number| format!("{letter}{number}")));
    }
    ids
}

/// Splits an id such as `A31` into its letter and its number.
fn id(text: &str) -> Option<(char, u32)> {
    let letter = text.chars().next().filter(char::is_ascii_uppercase)?;
    let number = text[1..].parse().ok()?;
    text[1..].starts_with(|first: char| first != '0' && first != '+').then_some((letter, number))
}

/// The ids with which a doc line begins: `/// A31: …`.
fn cited_by(line: &str) -> Vec<String> {
    let text = line.strip_prefix("/// ").and_then(|text| text.split_once(": "));
    text.map_or_else(Vec::new, |(ids, _)| ids_in(ids))
}

/// Collects the ids that tests below `folder` cite, with a file for each.
fn collect_cited(folder: &Path, cited: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_cited(&path, cited);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let mut pending = Vec::new();
            // An id counts if the doc comment that begins with it belongs to a test.
            for line in text.lines().map(str::trim_start) {
                if line.starts_with("///") {
                    pending.extend(cited_by(line));
                } else if ["#[test]", "#[tokio::test", "#[cfg("]
                    .iter()
                    .any(|it| line.starts_with(it))
                {
                    for id in pending.drain(..) {
                        cited.entry(id).or_insert_with(|| path.display().to_string());
                    }
                } else if !line.starts_with("#[") {
                    pending.clear();
                }
            }
        }
    }
}

#[test]
fn the_page_of_behaviours_and_the_tests_name_the_same_ids() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = Page::read(&fs::read_to_string(root.join("docs/behaviours.md")).unwrap());
    let mut cited = BTreeMap::new();
    for folder in ["src", "tests"] {
        collect_cited(&root.join(folder), &mut cited);
    }
    let not_cited: Vec<_> = page.shown.iter().filter(|id| !cited.contains_key(*id)).collect();
    assert!(not_cited.is_empty(), "no test cites {not_cited:?}");
    let not_listed: Vec<_> = cited.iter().filter(|(id, _)| !page.shown.contains(*id)).collect();
    assert!(not_listed.is_empty(), "docs/behaviours.md does not list {not_listed:#?}");
}

/// A row that gets lost together with its test leaves a gap in the numbers of its letter.
#[test]
fn the_page_of_behaviours_has_no_gaps() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = Page::read(&fs::read_to_string(root.join("docs/behaviours.md")).unwrap());
    let mut numbers = BTreeMap::<char, BTreeSet<u32>>::new();
    for (letter, number) in page.shown.union(&page.not_shown).filter_map(|listed| id(listed)) {
        numbers.entry(letter).or_default().insert(number);
    }
    // Rows of findings and of phones are added one by one, in any order.
    numbers.retain(|letter, _| !['N', 'W', 'Z'].contains(letter));
    for &(letter, last) in LAST {
        let listed = numbers.remove(&letter).unwrap_or_default();
        let lost: Vec<_> = (1..=last).filter(|number| !listed.contains(number)).collect();
        assert!(lost.is_empty(), "{letter}: {lost:?} are not listed");
    }
    assert!(numbers.is_empty(), "letters without a last number: {numbers:?}");
}

#[test]
fn ids_are_read_as_they_are_written() {
    let read = |line: &str| cited_by(line).join(" ");
    assert_eq!(read("/// A31: the issuer."), "A31");
    assert_eq!(read("/// A10, A11: loopback."), "A10 A11");
    assert_eq!(read("/// C18 to C20, J3 and J9 to J10: each claim."), "C18 C19 C20 J3 J9 J10");
    for line in
        ["/// A test: it.", "// A1: no doc.", "/// See A1.", "/// RFC 8725: x", "/// A01: x"]
    {
        assert_eq!(read(line), "", "{line}");
    }
    let page = Page::read(
        "| id | situation | answer |\n| --- | --- | --- |\n| A1 | x | y |\n\
         ## Not shown by a test\n| X3 to X4 | x | y |",
    );
    assert_eq!(page.shown, BTreeSet::from(["A1".to_owned()]));
    assert_eq!(page.not_shown, BTreeSet::from(["X3".to_owned(), "X4".to_owned()]));
}
