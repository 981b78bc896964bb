//! The stylesheets, the script and the logo. The name of each has a hash of its content, so that browsers may keep it
//! for ever.

use http::StatusCode;
use http::header::{self, HeaderValue};

use super::brand::ConsoleBrand;
use crate::http::Page;
use crate::secret::Digest;

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
const PLAYGROUND: &str = include_str!("assets/playground.js");
const IMMUTABLE: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

struct Asset {
    name: String,
    content_type: HeaderValue,
    body: Vec<u8>,
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, body: &[u8]) -> Self {
        let digest = Digest::of_fields(&[body]).to_base64url();
        let hash = digest.get(..16).unwrap_or_default();
        Self {
            name: format!("{stem}-{hash}.{extension}"),
            content_type: HeaderValue::from_static(content_type),
            body: body.to_vec(),
        }
    }
}

/// The assets of a console.
pub(super) struct Assets {
    style: Asset,
    brand_style: Asset,
    script: Asset,
    playground: Option<Asset>,
    logo: Option<Asset>,
}

impl Assets {
    pub(super) fn new(brand: &ConsoleBrand, has_playground: bool) -> Self {
        let css = "text/css; charset=utf-8";
        let script = |stem, body: &str| {
            Asset::new(stem, "js", "text/javascript; charset=utf-8", body.as_bytes())
        };
        let logo =
            |(extension, content_type, body)| Asset::new("logo", extension, content_type, body);
        Self {
            style: Asset::new("console", "css", css, STYLE.as_bytes()),
            brand_style: Asset::new("brand", "css", css, brand.style().as_bytes()),
            script: script("console", SCRIPT),
            playground: has_playground.then(|| script("playground", PLAYGROUND)),
            logo: brand.logo().map(logo),
        }
    }

    pub(super) fn style(&self) -> &str {
        &self.style.name
    }

    pub(super) fn brand_style(&self) -> &str {
        &self.brand_style.name
    }

    pub(super) fn script(&self) -> &str {
        &self.script.name
    }

    pub(super) fn playground(&self) -> Option<&str> {
        self.playground.as_ref().map(|script| &*script.name)
    }

    pub(super) fn logo(&self) -> Option<&str> {
        self.logo.as_ref().map(|logo| &*logo.name)
    }

    /// Returns the asset of this name.
    pub(super) fn find(&self, name: &str) -> Option<Page> {
        let all = [&self.style, &self.brand_style, &self.script].into_iter();
        let mut all = all.chain(&self.playground).chain(&self.logo);
        let found = all.find(|asset| asset.name == name)?;
        let mut page = Page::new(found.body.clone());
        *page.status_mut() = StatusCode::OK;
        page.headers_mut().insert(header::CONTENT_TYPE, found.content_type.clone());
        page.headers_mut().insert(header::CACHE_CONTROL, IMMUTABLE);
        Some(page)
    }
}
