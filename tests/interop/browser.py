"""A browser without a window: cookies, redirects and plain forms, no scripts."""

from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests


class Form:
    """A form with its target and the default values of its fields."""

    def __init__(self, attributes):
        self.method = attributes.get("method", "get").lower()
        self.action = attributes.get("action") or ""
        self.fields = []
        self.buttons = []

    def add(self, tag, attributes):
        """Adds a field or a button."""
        kind = attributes.get("type", "submit" if tag == "button" else "text").lower()
        pair = (attributes.get("name"), attributes.get("value", "on" if kind == "checkbox" else ""))
        if kind in ("submit", "image"):
            self.buttons.append(pair)
        elif kind in ("checkbox", "radio"):
            if "checked" in attributes:
                self.fields.append(pair)
        elif pair[0] and kind not in ("reset", "button"):
            self.fields.append(pair)

    def names(self):
        """Returns the names of its fields."""
        return {name for name, _ in self.fields}


class Forms(HTMLParser):
    """The forms of a page."""

    def __init__(self, page):
        super().__init__()
        self.forms = []
        self.open = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attributes = {name: value if value is not None else "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(attributes))
            self.open = True
        elif tag in ("input", "button") and self.open:
            self.forms[-1].add(tag, attributes)

    def handle_endtag(self, tag):
        if tag == "form":
            self.open = False


class Browser:
    """Follows redirects until one leads to the redirect URI of the app."""

    def __init__(self, redirect_uri):
        self.session = requests.Session()
        self.redirect_uri = redirect_uri

    def open(self, url, user, password, decision):
        """Opens the page, logs in and decides. Returns the URL of the redirect to the app."""
        answer = self.session.get(url, allow_redirects=False, timeout=120)
        for _ in range(10):
            url = urljoin(url, answer.headers.get("location", ""))
            if answer.is_redirect and url.startswith(self.redirect_uri):
                return url
            if answer.is_redirect:
                answer = self.session.get(url, allow_redirects=False, timeout=120)
                continue
            if answer.status_code != 200:
                raise RuntimeError(f"a page with status {answer.status_code}")
            url, answer = self.submit(url, answer.text, user, password, decision)
        raise RuntimeError("this leads nowhere")

    def submit(self, url, page, user, password, decision):
        """Fills in the login or the consent form of a page and sends it."""
        for form in Forms(page).forms:
            if "password" in form.names():
                mine = {"name": user, "username": user, "password": password}
                fields = [(name, mine.get(name, value)) for name, value in form.fields]
            elif "ticket" in form.names():
                assert ("decision", decision) in form.buttons, "no such button"
                fields = [*form.fields, ("decision", decision)]
            else:
                continue
            assert form.method == "post", "such a form is posted"
            target = urljoin(url, form.action)
            return target, self.session.post(
                target, data=fields, allow_redirects=False, timeout=120)
        raise RuntimeError("a page without a form that is known")

    @staticmethod
    def parameters(location):
        """Returns the parameters of a redirect."""
        return dict(parse_qsl(urlsplit(location).query, keep_blank_values=True))
