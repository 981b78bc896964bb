//! Fields with one entry a line.

use super::texts::app_form as text;
use crate::ids::InvalidId;

/// Returns the lines with a text, with their numbers from 1.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    untrimmed(text).map(|(number, line)| (number, line.trim()))
}

/// Returns the lines with a text.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    numbered(text).map(|(_, line)| line)
}

fn untrimmed(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at.saturating_add(1), line));
    lines.filter(|(_, line)| !line.trim().is_empty())
}

/// Writes one entry a line.
pub(super) fn joined<'a>(entries: impl Iterator<Item = &'a str>) -> String {
    entries.collect::<Vec<_>>().join("\n")
}

/// Reads the names of users or groups, with a sentence for each line that is none.
pub(super) fn names<'a, T>(
    text: &'a str,
    read: impl Fn(&'a str) -> Result<T, InvalidId>,
    mistakes: &mut Vec<String>,
) -> Vec<T> {
    let mut names = Vec::new();
    for (number, line) in untrimmed(text) {
        // Names are compared exactly, so that a name without its space would be another one.
        let problem = if line == line.trim() {
            match read(line) {
                Ok(name) => {
                    names.push(name);
                    continue;
                }
                Err(invalid) => invalid.problem,
            }
        } else {
            text::SPACE_AROUND
        };
        mistakes.push(text::line(number, line, problem));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Group, Subject};

    #[test]
    fn names_are_read_exactly_and_each_wrong_line_is_told() {
        let mut mistakes = Vec::new();
        let subjects = names("ann\r\n\r\n  \r\nbob smith\r\n", Subject::new, &mut mistakes);
        assert_eq!(subjects, ["ann", "bob smith"].map(|name| Subject::new(name).unwrap()));
        assert!(mistakes.is_empty());
        let long = "x".repeat(Group::MAX_BYTES + 1);
        let text = format!("\n ann\nbob \na\tb\n{long}\nok");
        let groups = names(&text, Group::new, &mut mistakes);
        assert_eq!(groups, [Group::new("ok").unwrap()]);
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
        assert_eq!(mistakes[0], "Line 2,  ann: it begins or ends with a space.");
        assert!(mistakes[1].starts_with("Line 3, bob ") && mistakes[3].starts_with("Line 5, xxx"));
    }
}
