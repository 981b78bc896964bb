//! Texts of the page that shows credentials once.

type Text = &'static str;

pub(in super::super) const TITLE: Text = "Credentials";
pub(in super::super) const WARNING: Text =
    "Copy these values now and store them where the app can read them. They cannot be shown again.";
pub(in super::super) const CLIENT_ID: Text = "Client id";
pub(in super::super) const CLIENT_SECRET: Text = "Client secret";
pub(in super::super) const SIGNATURE_SECRET: Text = "Signature secret";
pub(in super::super) const ENVIRONMENT: Text = "As a .env file";
pub(in super::super) const STORED: Text = "I have stored these values";
pub(in super::super) const CONTINUE: Text = "Continue";
pub(in super::super) const SHOWN_TITLE: Text = "These credentials were shown";
pub(in super::super) const SHOWN: Text = "Credentials are shown once, for a minute, in the session that made them. If they were not \
     stored, rotate the secret: the app gets a new one.";
pub(in super::super) const TO_APP: Text = "Go to the app";
