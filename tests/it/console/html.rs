//! Pages as a browser reads them: a scanner of tags, and the checks that every page has to pass.

use std::collections::BTreeSet;

/// A start tag.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    /// The text up to the next tag.
    pub(crate) text: String,
}

impl Tag {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| &**value)
    }
}

fn unescape(text: &str) -> String {
    let mut pieces = text.split('&');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (entity, rest) =
            piece.split_once(';').unwrap_or_else(|| panic!("a bare & in {text:?}"));
        plain.push(match entity {
            "#34" => '"',
            "#38" => '&',
            "#39" => '\'',
            "#60" => '<',
            "#62" => '>',
            _ => panic!("not an entity of a template: {entity:?}"),
        });
        plain.push_str(rest);
    }
    plain
}

/// Returns the words of a page as they are read, without its tags.
pub(crate) fn words(page: &str) -> String {
    let apart = ["</dt>", "</th>", "</td>", "</li>"];
    let page = apart.iter().fold(page.to_owned(), |page, end| page.replace(end, " "));
    let pieces = page.split('<').map(|piece| piece.split_once('>').map_or(piece, |it| it.1));
    let text = unescape(&pieces.collect::<String>());
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads the start tags of a page. The test fails if it is not well-formed enough to be read strictly.
#[track_caller]
pub(crate) fn tags(page: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    for piece in page.split('<').skip(1) {
        let mut rest = piece;
        if rest.starts_with("!doctype") || rest.starts_with('/') {
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap();
        let name = rest[..end].to_owned();
        assert!(
            !name.is_empty(),
            "an unescaped `<` before {:?}",
            piece.chars().take(40).collect::<String>()
        );
        rest = &rest[end..];
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(text) = rest.strip_prefix('>') {
                tags.push(Tag { name, attributes, text: unescape(text.trim()) });
                break;
            }
            let end = rest.find(['=', ' ', '>']).unwrap_or_else(|| panic!("a tag ends: {piece}"));
            let attribute = rest[..end].to_owned();
            let plain = attribute.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            let plain = plain || matches!(&*attribute, "viewBox" | "preserveAspectRatio");
            assert!(!attribute.is_empty() && plain, "{attribute:?} in {piece:?}");
            rest = &rest[end..];
            let value = match rest.strip_prefix("=\"") {
                Some(value) => {
                    let (value, after) = value.split_once('"').unwrap();
                    rest = after;
                    unescape(value)
                }
                None => String::new(),
            };
            attributes.push((attribute, value));
        }
    }
    tags
}

/// Returns the value of the field `name`.
#[track_caller]
pub(crate) fn value_of(page: &str, name: &str) -> String {
    let tags = tags(page);
    let field = tags.iter().find(|tag| tag.attribute("name") == Some(name));
    let field = field.unwrap_or_else(|| panic!("no field {name}"));
    field.attribute("value").unwrap_or_default().to_owned()
}

const ELEMENTS: &[&str] = &[
    "a",
    "bdi",
    "body",
    "br",
    "button",
    "code",
    "datalist",
    "dd",
    "desc",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "form",
    "g",
    "h1",
    "h2",
    "h3",
    "head",
    "header",
    "html",
    "img",
    "input",
    "label",
    "legend",
    "li",
    "link",
    "main",
    "meta",
    "nav",
    "ol",
    "option",
    "p",
    "pre",
    "rect",
    "script",
    "section",
    "select",
    "span",
    "strong",
    "summary",
    "svg",
    "table",
    "tbody",
    "td",
    "textarea",
    "th",
    "thead",
    "time",
    "title",
    "tr",
    "ul",
];
const URLS: &[&str] = &["href", "src", "action", "formaction"];

/// H4, H5, H16: checks that a page has nothing inline and nothing of another origin, and that its parts have names.
#[track_caller]
pub(crate) fn check(page: &str, mount: &str) {
    let tags = tags(page);
    let mut ids = BTreeSet::new();
    for tag in &tags {
        assert!(ELEMENTS.contains(&&*tag.name), "an element that no template has: {tag:?}");
        for (name, value) in &tag.attributes {
            assert!(!name.starts_with("on") && name != "style" && name != "srcdoc", "{tag:?}");
            if URLS.contains(&&**name) {
                let top = !mount.is_empty() && value == mount;
                let own = top || value.starts_with(&format!("{mount}/")) || value.starts_with('#');
                assert!(own && !value.starts_with("//"), "{tag:?}");
            }
            assert!(name != "id" || ids.insert(value.clone()), "an id appears twice: {tag:?}");
        }
        match &*tag.name {
            "script" => assert!(tag.attribute("src").is_some() && tag.text.is_empty(), "{tag:?}"),
            "html" => assert_eq!(tag.attribute("lang"), Some("en")),
            "img" => assert!(tag.attribute("alt").is_some() && tag.attribute("width").is_some()),
            _ => {}
        }
    }
    for tag in &tags {
        let references = ["for", "aria-labelledby", "aria-describedby", "data-copy"];
        for id in
            references.iter().filter_map(|name| tag.attribute(name)).flat_map(str::split_whitespace)
        {
            assert!(ids.contains(id), "{id} of {tag:?} does not exist");
        }
        let is_field = matches!(&*tag.name, "input" | "textarea" | "select");
        if is_field && tag.attribute("type") != Some("hidden") {
            let id = tag.attribute("id").unwrap_or_else(|| panic!("without a label: {tag:?}"));
            let labels =
                tags.iter().filter(|it| it.name == "label" && it.attribute("for") == Some(id));
            assert_eq!(labels.count(), 1, "{tag:?}");
        }
    }
    let count = |name: &str| tags.iter().filter(|tag| tag.name == name).count();
    // A drawing has titles of its own.
    let head = tags.iter().take_while(|tag| tag.name != "body");
    let titles = head.filter(|tag| tag.name == "title").count();
    assert_eq!((count("h1"), count("main"), titles, count("style")), (1, 1, 1, 0));
    assert!(tags.iter().any(|tag| tag.attribute("href") == Some("#content")), "no skip link");
    let posts = tags.iter().filter(|tag| tag.attribute("method") == Some("post")).count();
    let tokens = tags.iter().filter(|tag| tag.attribute("name") == Some("token")).count();
    assert_eq!(posts, tokens, "each form that changes something has a token");
}
