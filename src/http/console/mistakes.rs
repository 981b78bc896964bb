//! Mistakes in a form, each beside its field.

/// The fields of a form in their order, each with its name for the list of mistakes. A mistake of no field is that of the
/// first.
pub(super) type FormFields = &'static [(&'static str, &'static str)];

/// Mistakes by field, in the order of the form.
#[derive(Clone, Debug)]
pub(super) struct Mistakes {
    fields: FormFields,
    found: Vec<Mistake>,
}

#[derive(Clone, Debug)]
struct Mistake {
    place: usize,
    field: String,
    name: String,
    sentences: Vec<String>,
}

impl Mistakes {
    pub(super) const fn new(fields: FormFields) -> Self {
        Self { fields, found: Vec::new() }
    }

    /// Adds a sentence about a field of the form.
    pub(super) fn add(&mut self, field: &str, sentence: impl Into<String>) {
        let place = self.place(field);
        let name = self.fields.get(place).map_or("", |(_, name)| name).to_owned();
        self.insert(place, field, name, sentence.into());
    }

    /// Adds a sentence about a field that the form may have several times, in the place of the field `first`.
    pub(super) fn add_among(
        &mut self,
        first: &str,
        field: &str,
        name: impl Into<String>,
        sentence: impl Into<String>,
    ) {
        self.insert(self.place(first), field, name.into(), sentence.into());
    }

    fn place(&self, field: &str) -> usize {
        self.fields.iter().position(|(own, _)| *own == field).unwrap_or(0)
    }

    fn insert(&mut self, place: usize, field: &str, name: String, sentence: String) {
        if let Some(known) = self.found.iter_mut().find(|known| known.field == field) {
            known.sentences.push(sentence);
            return;
        }
        let after = self.found.partition_point(|known| known.place <= place);
        let (field, sentences) = (field.to_owned(), vec![sentence]);
        self.found.insert(after, Mistake { place, field, name, sentences });
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns the sentences about a field.
    pub(super) fn of(&self, field: &str) -> &[String] {
        let found = self.found.iter().find(|known| known.field == field);
        found.map_or(&[], |known| &known.sentences)
    }

    pub(super) fn has(&self, field: &str) -> bool {
        !self.of(field).is_empty()
    }

    /// Checks whether a field is the first with a mistake.
    pub(super) fn is_first(&self, field: &str) -> bool {
        self.found.first().is_some_and(|known| known.field == field)
    }

    /// Returns every field with a mistake, and its name.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.found.iter().map(|known| (&*known.field, &*known.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_in_the_order_of_the_form() {
        let mut mistakes =
            Mistakes::new(&[("form", "The form"), ("a", "A"), ("rules", ""), ("z", "Z")]);
        assert!(mistakes.is_empty());
        mistakes.add("z", "1");
        mistakes.add_among("rules", "rule_2", "Rule 2", "2");
        mistakes.add_among("rules", "rule_10", "Rule 10", "3");
        mistakes.add("a", "4");
        mistakes.add("a", "5");
        let found: Vec<_> = mistakes.fields().collect();
        let order = [("a", "A"), ("rule_2", "Rule 2"), ("rule_10", "Rule 10"), ("z", "Z")];
        assert_eq!(found, order);
        assert_eq!(mistakes.of("a"), ["4", "5"]);
        assert!(mistakes.is_first("a") && !mistakes.is_first("z") && !mistakes.has("form"));
    }
}
