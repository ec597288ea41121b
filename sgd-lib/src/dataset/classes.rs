//! What the labels mean: the mapping of labels to characters, and labels to classes from 0.

use std::{fs::File, io::Read, path::Path};

use super::{DatasetError, Name, shape::MAX_CLASSES};

/// A mapping file has a dozen bytes a class.
const MAX_MAPPING_BYTES: u64 = 1 << 16;

/// The classes of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Classes {
    /// What each class shows.
    pub(crate) names: Vec<String>,
    /// The label of class 0: 1 in EMNIST Letters, else 0.
    pub(crate) first_label: u8,
}

impl Classes {
    /// The classes that a mapping describes; `pairs` are labels and character codes, in any order.
    pub(crate) fn from_mapping(path: &Path, mut pairs: Vec<(u32, u32)>) -> Result<Self, DatasetError> {
        pairs.sort_unstable();
        let first = pairs.first().map_or(0, |(label, _)| *label);
        let wanted = || {
            format!("1 to {MAX_CLASSES} labels that follow one another, from 0 or 1, each with a character")
        };
        let in_order = pairs.iter().zip(first..).all(|((label, _), due)| *label == due);
        if pairs.is_empty() || pairs.len() > MAX_CLASSES as usize || first > 1 || !in_order {
            return Err(DatasetError::format(
                path,
                format!("a mapping of {} labels from {first}", pairs.len()),
                wanted(),
            ));
        }
        let names = pairs.iter().map(|(label, code)| {
            let character = char::from_u32(*code).filter(|character| !character.is_control());
            character.map(String::from).ok_or_else(|| {
                DatasetError::format(path, format!("the character code {code} for label {label}"), wanted())
            })
        });
        Ok(Self { names: names.collect::<Result<_, _>>()?, first_label: first as u8 })
    }

    /// Reads a mapping file: a label and the code of its character (or of several) on each line.
    pub(crate) fn read_mapping(path: &Path) -> Result<Self, DatasetError> {
        let mut text = String::new();
        let file = File::open(path).map_err(DatasetError::io(path, "open"))?;
        file.take(MAX_MAPPING_BYTES + 1).read_to_string(&mut text).map_err(DatasetError::io(path, "read"))?;
        if text.len() as u64 > MAX_MAPPING_BYTES {
            let found = format!("more than {MAX_MAPPING_BYTES} bytes");
            return Err(DatasetError::format(path, found, "a mapping: a label and a character code a line"));
        }
        let pairs = text.lines().filter(|line| !line.trim().is_empty()).map(|line| {
            let mut numbers = line.split_ascii_whitespace().map(|word| word.parse::<u32>().ok());
            match (numbers.next().flatten(), numbers.next().flatten()) {
                (Some(label), Some(code)) => Ok((label, code)),
                _ => Err(DatasetError::format(
                    path,
                    format!("the line {line:?}"),
                    "a label and a character code",
                )),
            }
        });
        Self::from_mapping(path, pairs.collect::<Result<_, _>>()?)
    }

    /// The classes of a published data set.
    pub(crate) fn published(name: Name) -> Self {
        Self { names: name.class_names(), first_label: name.published().first_label }
    }

    /// The classes of data about which nothing is known: as many as the largest label says.
    fn from_labels(labels: &[u8]) -> Self {
        let largest = labels.iter().copied().max().unwrap_or(0);
        Self { names: (0..=largest).map(|label| label.to_string()).collect(), first_label: 0 }
    }

    /// The classes of a data set, from its mapping or its name or, where it has neither, its training labels.
    pub(crate) fn resolve(
        mapping: Option<(&Path, Self)>,
        name: Option<Name>,
        train_labels: &[u8],
    ) -> Result<Self, DatasetError> {
        match (mapping, name.map(Self::published)) {
            (Some((path, mapping)), Some(published)) if mapping.names.len() != published.names.len() => {
                let found = format!("{} classes", mapping.names.len());
                Err(DatasetError::format(
                    path,
                    found,
                    format!("{} classes, as in {name:?}", published.names.len()),
                ))
            }
            (Some((_, mapping)), _) => Ok(mapping),
            (None, Some(published)) => Ok(published),
            (None, None) => Ok(Self::from_labels(train_labels)),
        }
    }

    /// Makes classes from 0 of labels; `path` is where they come from.
    pub(crate) fn apply(&self, path: &Path, labels: &mut [u8]) -> Result<(), DatasetError> {
        for (index, label) in labels.iter_mut().enumerate() {
            let class =
                label.checked_sub(self.first_label).filter(|class| usize::from(*class) < self.names.len());
            let Some(class) = class else {
                let last = usize::from(self.first_label) + self.names.len() - 1;
                let wanted = format!("labels {} to {last}", self.first_label);
                return Err(DatasetError::format(path, format!("label {label} at image {index}"), wanted));
            };
            *label = class;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(text: &str) -> Result<Classes, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mapping.txt");
        std::fs::write(&path, text).unwrap();
        Classes::read_mapping(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_mapping_names_the_classes() {
        let classes = mapping("1 65 97\n2 66 98\n\n").unwrap();
        assert_eq!(classes, Classes { names: vec!["A".into(), "B".into()], first_label: 1 });
    }

    #[test]
    fn a_bad_mapping_is_an_error_that_shows_it() {
        for (text, shown) in [
            ("", "of 0 labels"),
            ("0 48\n2 50\n", "of 2 labels from 0"),
            ("2 48\n3 50\n", "from 2"),
            ("0\n", "the line \"0\""),
            ("0 x\n", "the line \"0 x\""),
            ("0 55296\n", "character code 55296"),
            ("0 10\n", "character code 10"),
            (&"0 48\n".repeat(1 << 14), "more than 65536 bytes"),
        ] {
            let message = mapping(text).unwrap_err();
            assert!(message.contains(shown) && message.contains("mapping.txt"), "{message}");
        }
    }

    #[test]
    fn letters_count_from_1() {
        let classes = Classes::published(Name::EmnistLetters);
        let mut labels = [1, 26];
        classes.apply(Path::new("l"), &mut labels).unwrap();
        assert_eq!(labels, [0, 25]);
        for bad in [0, 27] {
            let message = classes.apply(Path::new("l"), &mut [1, bad]).unwrap_err().to_string();
            assert_eq!(message, format!("l: found label {bad} at image 1; wanted labels 1 to 26"));
        }
    }

    #[test]
    fn mapping_and_name_must_agree() {
        let mapping = Classes { names: vec!["0".into()], first_label: 0 };
        assert!(Classes::resolve(Some((Path::new("m"), mapping)), Some(Name::Mnist), &[]).is_err());
        let unknown = Classes::resolve(None, None, &[0, 3, 1]).unwrap();
        assert_eq!(unknown.names, ["0", "1", "2", "3"]);
    }
}
