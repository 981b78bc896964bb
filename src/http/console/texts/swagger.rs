//! Texts of the page that adds the redirect URI of Swagger UI.

type Text = &'static str;

pub(in super::super) const TITLE: Text = "Add Swagger UI";
pub(in super::super) const LINK: Text = "Add the redirect URI of Swagger UI";
pub(in super::super) const ABOUT: Text = "Swagger UI gets a token by the code flow, and its page oauth2-redirect.html receives the code. This adds that page to the \
     redirect URIs of the app. Its origin may then also read answers of the token endpoint.";
pub(in super::super) const URL: Text = "Address of Swagger UI";
pub(in super::super) const URL_HINT: Text =
    "Its folder, or one of its pages, such as https://docs.example.com/swagger/";
pub(in super::super) const ADD: Text = "Add redirect URI";
pub(in super::super) const CANCEL: Text = "Cancel";
pub(in super::super) const NOT_WEB: Text = "it begins neither with https:// nor with http://";
pub(in super::super) const CONFLICT: Text = "Nothing was changed, because the app was edited since you opened this page. Send the form again.";
