//! A browser without a window: it keeps cookies, logs in, agrees, and stops at the redirect to the client.

use std::collections::BTreeMap;

use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Response};
use url::Url;

use crate::site::BoxError;

pub(crate) struct Browser {
    client: Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn new() -> Result<Self, BoxError> {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        Ok(Self { client: client.build()?, cookies: BTreeMap::new() })
    }

    /// Opens an authorization URL, logs in if it is asked to, and allows every scope. Returns the URL of the redirect.
    pub(crate) async fn allow(
        &mut self,
        url: &str,
        (user, password): (&str, &str),
        redirect_uri: &str,
    ) -> Result<String, BoxError> {
        let mut at = Url::parse(url)?;
        let mut answer = self.send(&at, None).await?;
        for _ in 0..10 {
            if let Some(location) = answer.headers().get(LOCATION) {
                at = at.join(location.to_str()?)?;
                if at.as_str().starts_with(redirect_uri) {
                    return Ok(at.into());
                }
                answer = self.send(&at, None).await?;
                continue;
            }
            let status = answer.status();
            let page = answer.text().await?;
            let mut fields = inputs(&page);
            for (name, value) in &mut fields {
                match name.as_str() {
                    "name" => user.clone_into(value),
                    "password" => password.clone_into(value),
                    _ => {}
                }
            }
            if page.contains("name=\"ticket\"") {
                fields.push(("decision".to_owned(), "approve".to_owned()));
            }
            let action =
                attribute(&page, "action").ok_or(format!("a page with status {status}"))?;
            at = at.join(&action)?;
            let form =
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            answer = self.send(&at, Some(form)).await?;
        }
        Err("the browser gets nowhere".into())
    }

    async fn send(&mut self, url: &Url, form: Option<String>) -> Result<Response, BoxError> {
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, it)| format!("{name}={it}")).collect();
        let request = match form {
            Some(form) => self
                .client
                .post(url.clone())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(ORIGIN, url.origin().ascii_serialization())
                .body(form),
            None => self.client.get(url.clone()),
        };
        let answer = request.header(COOKIE, cookies.join("; ")).send().await?;
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str()?.split(';').next().and_then(|pair| pair.split_once('='));
            let (name, value) = pair.ok_or("a malformed cookie")?;
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Ok(answer)
    }
}

/// Returns the fields of a form with their values. A box that is not ticked is left out.
fn inputs(page: &str) -> Vec<(String, String)> {
    let tags = page.split("<input").skip(1).filter_map(|rest| rest.split('>').next());
    let sent = tags.filter(|tag| !tag.contains("checkbox") || tag.contains(" checked"));
    let pair = |tag| Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default()));
    sent.filter_map(pair).collect()
}

/// Returns an attribute as a browser reads it.
fn attribute(html: &str, name: &str) -> Option<String> {
    let (_, rest) = html.split_once(&format!("{name}=\""))?;
    let value = rest.split('"').next()?.replace("&quot;", "\"").replace("&#39;", "'");
    Some(value.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}
