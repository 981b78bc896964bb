"""The users and apps of the annotated seed file, by their role."""

import dataclasses
import json

# The port of an app on loopback. Any port is valid (RFC 8252 section 7.3).
LOOPBACK = "http://127.0.0.1/"
PORT = "http://127.0.0.1:49213/"


@dataclasses.dataclass(frozen=True, repr=False)
class App:
    """An app with its credentials."""

    role: str
    client_id: str
    client_secret: str | None
    method: str
    settings: dict
    private_key: object = None
    alg: str | None = None

    @property
    def redirect_uri(self):
        return self.settings["redirect_uris"][0].replace(LOOPBACK, PORT)

    @property
    def scope(self):
        return self.settings["scope"]

    def with_secret(self, secret):
        """Returns the same app with another secret."""
        return dataclasses.replace(self, client_secret=secret)


class Seed:
    """A seed file."""

    user = "ann"
    forbidden_user = "root"

    def __init__(self, path, import_key):
        self.folder = path.parent
        self.json = json.loads(path.read_text())
        self.import_key = import_key
        self.password = next(
            user["password"] for user in self.json["users"] if user["name"] == self.user)
        self.web = self.app("Basic", "demo-web", "client_secret_basic")
        self.post = self.app("post", "demo-post", "client_secret_post")
        # Authlib does not form-encode the header, which RFC 6749 section 2.3.1 requires.
        self.reserved = self.app(
            "reserved characters", "demo:reserved/+&=? %41", "client_secret_post")
        self.spa = self.app("public", "demo-spa", "none")
        self.native = self.app("native", "demo-native", "none")
        self.backend = self.app("back end", "demo-backend", "client_secret_basic")
        self.gateway = self.app("gateway", "demo-gateway", "client_secret_basic")
        self.key = dataclasses.replace(
            self.app("private_key_jwt", "demo-key", "private_key_jwt"),
            private_key=self.private_key("demo_client_p256.pem", "EC"), alg="ES256")

    def assertion_apps(self):
        """Returns the app that uses google-auth and the one that uses MSAL."""
        return (
            self.app("google-auth", "demo-robot@project.example.com", "none"),
            self.app("MSAL", "demo-msal", "private_key_jwt"),
        )

    def pem(self, name):
        """Returns the text of a key file."""
        return (self.folder / name).read_text()

    def app(self, role, client_id, method):
        found = next(app for app in self.json["apps"] if app["client_id"] == client_id)
        return App(role, client_id, found.get("client_secret"), method, found["settings"])

    def private_key(self, name, kind):
        return self.import_key((self.folder / name).read_text(), kind)

    def code_apps(self):
        """Returns apps with the code flow and refresh tokens, one for each authentication method."""
        return [self.web, self.post, self.reserved, self.key, self.spa, self.native]

    def machine_apps(self):
        """Returns apps with client credentials, one for each authentication method."""
        return [self.web, self.post, self.reserved, self.key]

    def resource(self):
        """Returns an app and a resource that it may ask for."""
        resources = self.web.settings["resources"]
        return self.web, next(uri for uri in resources if "%%" not in uri)

    def backend_keys(self):
        """Returns the keys of the back end, each an algorithm, a key id and a private key."""
        return [
            ("RS256", "rsa-1", self.private_key("demo_jwt_rsa.pem", "RSA")),
            ("PS256", "rsa-1", self.private_key("demo_jwt_rsa.pem", "RSA")),
            ("ES256", "p256-1", self.private_key("demo_jwt_p256.pem", "EC")),
            ("EdDSA", "ed25519-1", self.private_key("demo_jwt_ed25519.pem", "OKP")),
        ]
