//! Commands to try: one for each flow, working as printed.

use std::fmt::Write as _;

use grantor::Issuer;
use grantor::clock::{Clock, UnixTime};
use grantor::protocol::CodeVerifier;
use grantor::random::SecureRandom;

use crate::seed::Seed;
use crate::sessions::random_text;
use crate::shell::{TOKEN, approve, encode, quote};
use crate::sign::{CLIENT_LIFETIME, Claims, DemoKey, GRANT_LIFETIME};

/// A command to try in a shell.
pub(crate) struct Try {
    title: String,
    /// Lines of POSIX shell. Each [`Try`] is self-contained.
    commands: String,
    /// The output of a success.
    expected: &'static str,
}

impl Try {
    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    pub(crate) fn commands(&self) -> &str {
        &self.commands
    }

    pub(crate) const fn expected(&self) -> &'static str {
        self.expected
    }
}

/// Everything to try with the demo seed. It holds the demo's secrets and has no `Debug`.
pub(crate) struct Tries {
    issuer: String,
    /// The origin of the pages and of the other two APIs: the issuer without its path.
    origin: String,
    redirect_uri: String,
    verifier: String,
    /// `-u 'id:secret'` of the app with a secret.
    web: String,
    logins: String,
    browser: Vec<(String, String)>,
    all: Vec<Try>,
}

/// The redirect URI of the demo's phone app.
const PHONE: &str = "http://127.0.0.1/cb";

/// An app of the demo and its secret.
struct Known {
    id: String,
    secret: String,
}

impl Known {
    fn find(seed: &Seed, id: &str) -> Result<Self, String> {
        let secret = seed.client_secret(id);
        let secret =
            secret.ok_or_else(|| format!("the demo seed has no app {id} with a secret"))?;
        Ok(Self { id: encode(id), secret: encode(secret) })
    }

    /// Returns the curl option. Both parts are form-encoded first (RFC 6749 section 2.3.1).
    fn basic(&self) -> String {
        format!("-u {}", quote(&format!("{}:{}", self.id, self.secret)))
    }
}

impl Tries {
    /// Returns the commands for the server `issuer` with the demo `seed`.
    ///
    /// # Errors
    ///
    /// A message if the demo seed lacks an app or the system's randomness fails.
    pub(crate) fn new(
        seed: &Seed,
        issuer: &Issuer,
        clock: &dyn Clock,
        random: &dyn SecureRandom,
    ) -> Result<Self, String> {
        let issuer = issuer.as_str().trim_end_matches('/').to_owned();
        let verifier = CodeVerifier::generate(random).map_err(|error| error.to_string())?;
        let web = Known::find(seed, "demo-web")?;
        let origin = url::Url::parse(&issuer).map_err(|error| error.to_string())?;
        let origin = origin.origin().ascii_serialization();
        let redirect_uri = format!("{origin}/demo/callback");
        let passwords: Vec<_> = seed
            .users
            .iter()
            .filter(|user| user.active)
            .map(|user| format!("{} / {}", user.name, user.password))
            .collect();
        let request = |client: &str, redirect_uri: &str, state: &str, scope: &str| {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("response_type", "code")
                .append_pair("client_id", client)
                .append_pair("redirect_uri", redirect_uri)
                .append_pair("scope", scope)
                .append_pair("state", state)
                .append_pair("code_challenge", &verifier.challenge().to_string())
                .append_pair("code_challenge_method", "S256")
                .finish();
            format!("{issuer}/oauth/authorize?{query}")
        };
        let web_request =
            request("demo-web", &redirect_uri, "web", "profile files.list GET/files/*");
        #[cfg(feature = "console")]
        let password = |name: &str| {
            let user = seed.users.iter().find(|user| user.name.as_str() == name);
            user.map(|user| user.password.clone()).unwrap_or_default()
        };
        let browser = vec![
            ("The front page".to_owned(), format!("{origin}/")),
            #[cfg(feature = "console")]
            (
                format!("The apps of a user: sign in as ann with {}", password("ann")),
                format!("{origin}{}", crate::web::ACCOUNT),
            ),
            #[cfg(feature = "console")]
            (
                format!(
                    "Administration: sign in as root with {}, or as bob, who may only look, with {}",
                    password("root"),
                    password("bob")
                ),
                format!("{origin}{}", crate::web::CONSOLE),
            ),
            #[cfg(feature = "console")]
            (
                "The playground, as root: a token in the browser, and calls of the API".to_owned(),
                format!("{origin}{}/playground", crate::web::CONSOLE),
            ),
            (
                "The code flow of a confidential app: approve, and see what the app receives"
                    .to_owned(),
                web_request.clone(),
            ),
            (
                "The code flow of a public app".to_owned(),
                request("demo-spa", &redirect_uri, "spa", "profile files.list"),
            ),
        ];
        let phone_request = request("demo-native", PHONE, "phone", "profile files.list");
        let mut all = Self {
            web: web.basic(),
            verifier: verifier.expose_secret().to_owned(),
            logins: passwords.join(", "),
            all: Vec::new(),
            redirect_uri: redirect_uri.clone(),
            issuer: issuer.clone(),
            origin,
            browser,
        };
        all.code_flow(&web_request);
        all.client_credentials(seed)?;
        all.assertions(seed, clock.now(), random)?;
        all.tokens(seed)?;
        all.administration(seed)?;
        all.phone(seed, &phone_request)?;
        Ok(all)
    }

    /// Returns the command that redeems `code`, which came with `state`.
    pub(crate) fn redeem(&self, state: &str, code: &str) -> Option<String> {
        let client = match state {
            "web" => self.web.clone(),
            "spa" => "-d client_id=demo-spa".to_owned(),
            _ => return None,
        };
        Some(format!("{} -d code={}", self.redemption(&client), quote(&encode(code))))
    }

    fn redemption(&self, client: &str) -> String {
        self.redemption_at(client, &self.redirect_uri)
    }

    fn redemption_at(&self, client: &str, redirect_uri: &str) -> String {
        let Self { issuer, verifier, .. } = self;
        format!(
            "curl -s {client} {issuer}/oauth/token -d grant_type=authorization_code \
             -d redirect_uri={redirect_uri} -d code_verifier={verifier}"
        )
    }

    fn add(&mut self, title: impl Into<String>, commands: String, expected: &'static str) {
        self.all.push(Try { title: title.into(), commands, expected });
    }

    fn code_flow(&mut self, request: &str) {
        let Self { issuer, origin, web, .. } = &*self;
        let redeem = self.redemption(web);
        let commands = format!(
            r#"{approve}
{redeem} -d "code=$CODE" | tee "$P"; echo
curl -s {web} {issuer}/oauth/token -d grant_type=refresh_token -d "refresh_token=$(sed 's/.*"refresh_token":"\([^"]*\)".*/\1/' "$P")"; echo
rm -f "$J" "$P""#,
            approve = approve(issuer, origin, request),
        );
        self.add(
            "The code flow without a browser: log in, approve, redeem the code, refresh",
            commands,
            "\"refresh_token\"",
        );
    }

    fn client_credentials(&mut self, seed: &Seed) -> Result<(), String> {
        let issuer = self.issuer.clone();
        let line = |client: &str, more: &str| {
            let curl =
                format!("curl -s {client} {issuer}/oauth/token -d grant_type=client_credentials");
            format!("{curl}{more}; echo")
        };
        let web = self.web.clone();
        self.add(
            "Client credentials, with the secret in the header",
            line(&web, ""),
            "access_token",
        );
        let post = Known::find(seed, "demo-post")?;
        let fields = format!("-d client_id={} -d client_secret={}", post.id, quote(&post.secret));
        self.add(
            "Client credentials, with the secret in the body",
            line(&fields, ""),
            "access_token",
        );
        let reserved = Known::find(seed, "demo:reserved/+&=? %41")?;
        let title = "Client id and secret with reserved characters, encoded for the header";
        self.add(title, line(&reserved.basic(), ""), "access_token");
        let resource = format!(" -d scope=files.list -d resource={issuer}/api");
        self.add("A token for one API only (RFC 8707)", line(&web, &resource), "access_token");
        Ok(())
    }

    fn assertions(
        &mut self,
        seed: &Seed,
        now: UnixTime,
        random: &dyn SecureRandom,
    ) -> Result<(), String> {
        let issuer = self.issuer.clone();
        let sign = |key: DemoKey, app: &str, subject: &str, lifetime| {
            let expires_at = now.plus(lifetime);
            let claims = Claims { issuer: app, subject, audience: &issuer, expires_at };
            let id = random_text(random).map_err(|error| error.to_string())?;
            key.sign(&claims, now, &id)
        };
        let assertion = sign(DemoKey::Client, "demo-key", "demo-key", CLIENT_LIFETIME)?;
        self.add(
            format!(
                "private_key_jwt (RFC 7523 section 2.2), valid once until {}",
                now.plus(CLIENT_LIFETIME)
            ),
            format!(
                "curl -s {issuer}/oauth/token -d grant_type=client_credentials -d \
                 client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \
                 -d client_assertion={assertion}; echo"
            ),
            "access_token",
        );
        let client = Known::find(seed, "demo-backend")?.basic();
        let until = now.plus(GRANT_LIFETIME);
        let cases = [
            (DemoKey::P256, "ann", "ES256", "access_token"),
            (DemoKey::Ed25519, "bob", "EdDSA", "access_token"),
            (DemoKey::Rsa, "ann", "RS256", "access_token"),
            (DemoKey::P256, "root", "refused by the policy", "invalid_grant"),
        ];
        for (key, user, what, expected) in cases {
            let assertion = sign(key, "demo-backend", user, GRANT_LIFETIME)?;
            self.add(
                format!("JWT bearer grant for {user} (RFC 7523 section 2.1), {what}, valid once until {until}"),
                format!(
                    "curl -s {client} {issuer}/oauth/token -d \
                     grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer \
                     -d assertion={assertion}; echo"
                ),
                expected,
            );
        }
        Ok(())
    }

    fn tokens(&mut self, seed: &Seed) -> Result<(), String> {
        let Self { issuer, origin, web, .. } = self;
        let ask = format!(
            "T=$(curl -s {web} {issuer}/oauth/token -d grant_type=client_credentials \
             -d 'scope=files.list GET/files/*' | {TOKEN})"
        );
        let gateway = Known::find(seed, "demo-gateway")?.basic();
        let call = |method: &str, path: &str| {
            format!("curl -s -i -X {method} -H \"Authorization: Bearer $T\" {origin}{path}; echo")
        };
        let introspect =
            format!("curl -s {gateway} {issuer}/oauth/introspect -d \"token=$T\"; echo");
        let api = format!(
            "{ask}\n{}\n{}",
            call("GET", "/api/files"),
            call("DELETE", "/api/files/welcome.txt")
        );
        let revoke = format!(
            "{ask}\n{introspect}\ncurl -s {web} {issuer}/oauth/revoke -d \"token=$T\"\n{introspect}"
        );
        self.add(
            "The protected API: an allowed request and one beyond the scope",
            api,
            "insufficient_scope",
        );
        self.add(
            "The gateway introspects a token before and after its revocation",
            revoke,
            "{\"active\":false}",
        );
        Ok(())
    }

    fn administration(&mut self, seed: &Seed) -> Result<(), String> {
        let issuer = self.issuer.clone();
        let admin = Known::find(seed, "demo-admin")?.basic();
        let ask = format!(
            "T=$(curl -s {admin} {issuer}/oauth/token -d grant_type=client_credentials | {TOKEN})"
        );
        let call = |more: &str, path: &str| {
            let url = quote(&format!("{}/admin{path}", self.origin));
            format!("curl -s -H \"Authorization: Bearer $T\" {url}{more}; echo")
        };
        let json = "-H 'Content-Type: application/json' -d";
        let new = r#"{"name": "My app", "flows": ["client_credentials"], "scope": "files.list"}"#;
        let lines = [
            ask,
            call("", "/apps?search=calendar"),
            call(&format!(" {json} {}", quote(new)), "/apps"),
            call(" -X POST", "/apps/demo-post/rotate-secret"),
            call(" -X POST", "/apps/demo-post/disable"),
            call(" -X POST", "/apps/demo-post/enable"),
            call(&format!(" {json} {}", quote(r#"{"target": {"subject": "bob"}}"#)), "/revoke"),
            call("", "/audit?app=demo-post&limit=3"),
        ];
        let title = "Administration: find, register, rotate, disable, enable, revoke, audit";
        self.add(title, lines.join("\n"), "rotate_client_secret");
        Ok(())
    }

    fn phone(&mut self, seed: &Seed, request: &str) -> Result<(), String> {
        let Self { issuer, origin, .. } = &*self;
        let admin = Known::find(seed, "demo-admin")?.basic();
        let app = "-d client_id=demo-native";
        let device =
            r#"{"client_id": "demo-native", "subject": "ann", "device_id": "ann-phone-1"}"#;
        let commands = format!(
            r#"{approve}
{redeem} -d "code=$CODE" -d install_tag_id=ann-phone-1 -d "install_name=Ann's phone" -o "$P"
R=$(sed 's/.*"refresh_token":"\([^"]*\)".*/\1/' "$P")
rm -f "$J" "$P"
T=$(curl -s {admin} {issuer}/oauth/token -d grant_type=client_credentials | {TOKEN})
curl -s -H "Authorization: Bearer $T" {origin}/admin/devices/wipe -H 'Content-Type: application/json' -d {device}; echo
curl -s {issuer}/oauth/token {app} -d grant_type=refresh_token -d "refresh_token=$R"; echo
curl -s {issuer}/oauth/device/wipe/check {app} -d "token=$R"; echo
curl -s {issuer}/oauth/device/wipe/success {app} -d "token=$R"; echo
curl -s -H "Authorization: Bearer $T" "{origin}/admin/devices?subject=ann"; echo"#,
            approve = approve(issuer, origin, request),
            redeem = self.redemption_at(app, PHONE),
            device = quote(device),
        );
        let title = "A lost phone: an administrator orders the wipe, the phone asks, and reports that it is done";
        self.add(title, commands, "\"state\":\"done\"");
        Ok(())
    }

    /// Returns the users and their passwords.
    pub(crate) fn logins(&self) -> &str {
        &self.logins
    }

    /// Returns the pages to open, each with a title and a URL.
    pub(crate) fn browser(&self) -> impl Iterator<Item = (&str, &str)> {
        self.browser.iter().map(|(what, url)| (&**what, &**url))
    }

    /// Returns the commands.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Try> {
        self.all.iter()
    }

    /// Renders everything as printed at the start.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("Users: {}\n\nIn a browser:\n", self.logins);
        // Writing to a string cannot fail.
        for (what, url) in &self.browser {
            _ = write!(text, "\n# {what}\n{url}\n");
        }
        text.push_str("\nIn a shell:\n");
        for one in &self.all {
            _ = write!(text, "\n# {}\n{}\n", one.title, one.commands);
        }
        text
    }
}
