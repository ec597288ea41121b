//! What a network's classes are called.

use sgd_lib::dataset::Name;

/// The name of each class of a data set: characters or words where it is a published one, else numbers.
pub(crate) fn names(dataset: &str, count: usize) -> Vec<String> {
    let published = dataset.parse::<Name>().map(Name::class_names).unwrap_or_default();
    if published.len() == count { published } else { (0..count).map(|class| class.to_string()).collect() }
}

/// The label that a data set's files give to class 0.
pub(crate) fn first_label(dataset: &str) -> u8 {
    dataset.parse::<Name>().map_or(0, |name| name.published().first_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_classes_have_names_and_others_numbers() {
        assert_eq!(names("emnist-bymerge", 47)[10], "A");
        assert_eq!(names("my-own", 3), ["0", "1", "2"]);
        assert_eq!(names("emnist-bymerge", 2), ["0", "1"]);
        assert_eq!(first_label("emnist-letters"), 1);
        assert_eq!(first_label("my-own"), 0);
    }
}
