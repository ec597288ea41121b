use super::super::test_files::{Sample, folder};
use super::*;

fn touch(folder: &Path, files: &[&str]) {
    for file in files {
        fs::write(folder.join(file), b"").unwrap();
    }
}

fn message_of(folder: &Path, name: Option<Name>) -> String {
    find(folder, name).unwrap_err().to_string()
}

const IDX: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels.idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte.gz",
];

#[test]
fn the_spellings_of_mnist() {
    let folder = folder();
    let fashion = folder.path().join("fashion-mnist");
    fs::create_dir(&fashion).unwrap();
    touch(&fashion, &IDX);
    touch(&fashion, &["README.md", "train-images.png"]);
    // The folder's name says which of the two sets with such files it is.
    let source = find(&fashion, None).unwrap();
    assert_eq!((source.name(), source.known()), ("fashion-mnist", Some(Name::FashionMnist)));
    assert!(!source.transposed(Transpose::Auto) && source.transposed(Transpose::Yes));
    let files: Vec<_> = source.paths().map(file_name).collect();
    assert_eq!(files, IDX);
    assert!(
        message_of(&fashion, Some(Name::Mnist)).contains("found fashion-mnist; wanted mnist: train-images")
    );
    // A folder of any other name may hold either.
    touch(folder.path(), &IDX);
    assert_eq!(find(folder.path(), None).unwrap().known(), None);
    assert_eq!(find(folder.path(), Some(Name::Mnist)).unwrap().name(), "mnist");
    assert!(message_of(folder.path(), Some(Name::EmnistDigits)).contains("or emnist-digits.mat"));
}

#[test]
fn idx_comes_before_matlab() {
    let folder = folder();
    Sample::new(1, 1, 1, 1).write_idx(folder.path(), "emnist-bymerge-", true);
    touch(folder.path(), &["emnist-bymerge-sample.mat", "emnist-bymerge-mapping.txt"]);
    let source = find(folder.path(), None).unwrap();
    assert_eq!((source.name(), source.paths().count()), ("emnist-bymerge", 5));
    assert!(source.transposed(Transpose::Auto));
    // The file itself may be named instead.
    let source = find(&folder.path().join("emnist-bymerge-sample.mat"), None).unwrap();
    assert_eq!((source.known(), source.paths().count()), (Some(Name::EmnistBymerge), 1));
}

#[test]
fn the_plain_file_comes_before_its_gzip() {
    let folder = folder();
    let sample = Sample::new(1, 1, 1, 1);
    sample.write_idx(folder.path(), "x-", true);
    sample.write_idx(folder.path(), "x-", false);
    assert!(find(folder.path(), None).unwrap().paths().all(|path| path.extension().is_none()));
    touch(folder.path(), &["x-t10k-labels-idx1-ubyte"]);
    let message = message_of(folder.path(), None);
    assert!(message.contains("x-t10k-labels-idx1-ubyte and x-test-labels-idx1-ubyte; keep one"), "{message}");
}

#[test]
fn missing_files_are_named() {
    let folder = folder();
    touch(
        folder.path(),
        &["emnist-digits-train-images-idx3-ubyte.gz", "emnist-digits-test-labels-idx1-ubyte"],
    );
    let message = message_of(folder.path(), None);
    let wanted = "emnist-digits lacks emnist-digits-train-labels-idx1-ubyte[.gz], emnist-digits-test-images-idx3-ubyte[.gz]";
    assert!(message.ends_with(wanted), "{message}");
}

#[test]
fn several_data_sets_need_a_name() {
    let folder = folder();
    Sample::new(1, 1, 1, 1).write_idx(folder.path(), "emnist-digits-", true);
    touch(folder.path(), &["emnist-letters.mat", "emnist-byclass.mat"]);
    let message = message_of(folder.path(), None);
    assert!(
        message.contains("holds emnist-byclass and emnist-digits and emnist-letters; name the one"),
        "{message}"
    );
    let source = find(folder.path(), Some(Name::EmnistLetters)).unwrap();
    assert_eq!(source.paths().map(file_name).collect::<Vec<_>>(), ["emnist-letters.mat"]);
    touch(folder.path(), &["emnist-letters-small.mat"]);
    let message = message_of(folder.path(), Some(Name::EmnistLetters));
    assert!(message.contains("emnist-letters-small.mat") && message.contains("give the path"), "{message}");
}

#[test]
fn nothing_there() {
    let folder = folder();
    let message = message_of(folder.path(), None);
    assert!(message.contains("found no data set's files; wanted [NAME-]train-images"), "{message}");
    let message = message_of(&folder.path().join("nowhere"), None);
    assert!(message.contains("nowhere: can't read the folder"), "{message}");
}

#[test]
fn names_are_made_fit_for_file_names() {
    assert_eq!(clean("a b/ü.c"), "a-b--.c");
    assert_eq!(clean(""), "unnamed");
    assert_eq!(clean(&"x".repeat(300)).len(), MAX_NAME_BYTES);
}
