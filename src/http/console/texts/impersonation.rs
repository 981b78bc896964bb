//! Texts of *Impersonation* of an app. A pattern has places for names in braces.

type Text = &'static str;

pub(in super::super) const NOT_POSSIBLE: Text = "This app acts as no user by itself: it does not have the flow JWT bearer. Users give it access, or it \
     acts for itself.";
pub(in super::super) const TO_SETTINGS: Text = "Choose the flow in the settings";
pub(in super::super) const USERS: Text = "Users that the app may act as";
pub(in super::super) const NO_USER: Text = "The app may act as no user.";
pub(in super::super) const EVERY_USER: Text = "The app may act as every active user";
pub(in super::super) const MAY_ACT_AS: Text = "The app may act as ";
pub(in super::super) const EXCEPT: Text = ", except ";
pub(in super::super) const MEMBERS_OF: Text = "members of ";
pub(in super::super) const COMMA: Text = ", ";
pub(in super::super) const AND: Text = " and ";
pub(in super::super) const STOP: Text = ".";
pub(in super::super) const ALL_SCOPES: Text = "As a user, it gets at most its own scopes.";
pub(in super::super) const SOME_SCOPES: Text = "As a user, it gets at most these of its scopes:";
pub(in super::super) const NO_SCOPES: Text =
    "As a user, it gets none of its scopes, so that each request is refused.";
pub(in super::super) const ANSWERS: Text = "The app proves who it is, and states by the claim";
pub(in super::super) const ANSWERS_END: Text = "which user it acts as. The user does not sign in.";

/// The end of a list of names that is cut.
pub(in super::super) fn more(count: usize) -> String {
    format!(" and {count} more")
}

pub(in super::super) const CHECK: Text = "Check a user";
pub(in super::super) const CHECK_HINT: Text =
    "You see the answer that the app would get, and the rule that decides. Nothing is issued.";
pub(in super::super) const USER: Text = "User, as the app names it";
pub(in super::super) const CHECK_BUTTON: Text = "Check user";
pub(in super::super) const ALLOWED: Text = "Allowed";
pub(in super::super) const REFUSED: Text = "Refused";
pub(in super::super) const POLICY_ALONE: Text = "The policy alone would say:";
pub(in super::super) const FOUND: Text = "User found";
pub(in super::super) const GROUPS: Text = "Groups";
pub(in super::super) const NO_GROUPS: Text = "none";
pub(in super::super) const GETS: Text = "Scopes at most";
pub(in super::super) const PREVIEW: Text = "Preview a token as this user";

pub(in super::super) const RULE_ANYONE: Text = "The policy allows every active user.";
pub(in super::super) const RULE_SUBJECT: Text = "{entry} is listed.";
pub(in super::super) const RULE_GROUP: Text = "{user} is a member of {entry}, which is listed.";
pub(in super::super) const RULE_INACTIVE: Text = "The account of {user} is not active.";
pub(in super::super) const RULE_EXCEPT_SUBJECT: Text = "{entry} is an exception.";
pub(in super::super) const RULE_EXCEPT_GROUP: Text =
    "{user} is a member of {entry}, which is an exception.";
pub(in super::super) const RULE_NONE: Text = "The policy allows no user.";
pub(in super::super) const RULE_NOT_LISTED: Text =
    "Neither {user} nor a group of {user} is listed.";
pub(in super::super) const APP_DISABLED: Text = "The app is disabled, and gets no token at all.";
pub(in super::super) const NO_FLOW: Text = "The app does not have the flow JWT bearer.";
pub(in super::super) const OWN_NAME: Text = "{user} is a name of the app itself.";
pub(in super::super) const UNKNOWN: Text = "There is no user whose {claim} is {user}.";
pub(in super::super) const SAME_NAME: Text = "{user} has the same identifier as the app.";
pub(in super::super) const NO_SCOPE_LEFT: Text =
    "The policy allows {user}, but none of the app's scopes.";

pub(in super::super) const MAY_NOT_ASK: Text = "An administrator who may edit apps can check a user here: the answer tells about the user's account.";
pub(in super::super) const MAY_NOT_EDIT: Text =
    "An administrator who may manage credentials and access can change the policy.";
pub(in super::super) const EDIT: Text = "Change the policy";
pub(in super::super) const ALLOW: Text = "Users";
/// The choices: value of the field, name, and the meaning.
pub(in super::super) const CHOICES: [(Text, Text, Text); 3] = [
    ("nobody", "None", "The app acts as no user."),
    (
        "members",
        "These users and groups",
        "Only the ones listed below. Names are compared exactly.",
    ),
    ("anyone", "Every active user", "Also those who are added later. Think of administrators."),
];
pub(in super::super) const ALLOW_UNKNOWN: Text = "Choose one of these.";
pub(in super::super) const SUBJECTS: Text = "Users";
pub(in super::super) const SUBJECTS_HINT: Text = "One sub a line.";
pub(in super::super) const LIST_GROUPS: Text = "Groups";
pub(in super::super) const GROUPS_HINT: Text = "One a line. Every member is included.";
pub(in super::super) const EXCEPT_SUBJECTS: Text = "Except these users";
pub(in super::super) const EXCEPT_GROUPS: Text = "Except members of these groups";
pub(in super::super) const EXCEPT_HINT: Text =
    "One a line. An exception wins over everything else.";
pub(in super::super) const LIST_EMPTY: Text =
    "List a user or a group, or choose that the app acts as no user.";
pub(in super::super) const TOO_MANY: Text =
    "These are more than 1,000 names. Use groups of your directory.";
pub(in super::super) const SCOPES: Text = "Scopes as a user";
pub(in super::super) const LIMITS: [(Text, Text, Text); 2] = [
    ("app", "All scopes of the app", "Also those that the app gets later."),
    ("listed", "At most these", "Of them, the app gets those that it has itself."),
];
pub(in super::super) const SCOPE_LIST: Text = "Scopes";
pub(in super::super) const SCOPE_LIST_HINT: Text = "With spaces or lines between.";
pub(in super::super) const SCOPE_EMPTY: Text =
    "List a scope, or choose all scopes of the app: with none, each request is refused.";
pub(in super::super) const ELSEWHERE: Text =
    "Nothing was saved. Correct another setting of this app first:";
pub(in super::super) const SAVE: Text = "Save policy";

/// The sentence of a scope that cannot be read.
pub(in super::super) fn wrong_scope(problem: &str) -> String {
    format!("This is not a list of scopes: {problem}.")
}
