//! Tars as `faas-cli` makes them, and as it never would.

use std::path::Path;

use proptest::prelude::*;

use super::super::faas_cli::{Entry, config, file, folder, tar};
use super::*;

fn read(entries: &[Entry]) -> Result<Contents, ArchiveError> {
    Contents::read(&tar(entries)[..])
}

fn error(entries: &[Entry]) -> String {
    read(entries).unwrap_err().to_string()
}

#[test]
fn a_context_is_read_as_it_was_sent() {
    let script = Entry { mode: 0o755, ..file("context/function/run.sh", "#!") };
    let entries = [folder("context"), folder("context/function"), script, config("me/fn:1")];
    let contents = read(&entries).unwrap();
    assert_eq!(contents.config.image, "me/fn:1");
    assert_eq!(contents.config.build_args["ADDITIONAL_PACKAGE"], "");
    let paths: Vec<_> = contents.nodes.keys().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(paths, ["function", "function/run.sh"]);
    assert!(matches!(contents.nodes[Path::new("function/run.sh")], Node::File { executable: true, .. }));
}

#[test]
fn the_digest_is_of_paths_contents_and_what_may_be_executed() {
    let digest = |entry: Entry| read(&[entry, config("me/fn")]).unwrap().digest();
    let plain = file("context/a", "1");
    let all = [
        digest(plain.clone()),
        digest(file("context/b", "1")),
        digest(file("context/a", "2")),
        digest(Entry { mode: 0o755, ..plain.clone() }),
    ];
    assert!((1..all.len()).all(|at| !all[..at].contains(&all[at])), "{all:?}");
    assert_eq!(digest(Entry { mode: 0o600, ..plain.clone() }), all[0]);
    assert_eq!(read(&[folder("context"), plain, config("other")]).unwrap().digest(), all[0]);
}

#[test]
fn what_leads_out_of_the_context_is_named() {
    for name in ["context/../../etc/passwd", "../context/a", "/etc/passwd", "contexts/a", "a", "context/.."] {
        assert_eq!(
            error(&[file(name, "evil"), config("me/fn")]),
            format!("the tar's entry {name:?} is not context/ and a path inside of it, nor {CONFIG_FILE}")
        );
    }
    for kind in *b"12346" {
        let entry = Entry { kind, link: "/etc/passwd".into(), ..file("context/passwd", "") };
        let error = error(&[entry, config("me/fn")]);
        assert_eq!(error, "the tar's entry \"context/passwd\" is neither a file nor a folder", "{kind}");
    }
    let link = Entry { kind: b'2', link: "/".into(), ..file("context", "") };
    assert!(error(&[link]).contains("neither a file nor a folder"));
}

#[test]
fn a_path_is_one_thing() {
    let (a, below) = (file("context/a", "1"), file("context/a/b", "2"));
    for entries in
        [[a.clone(), a.clone()], [a.clone(), below.clone()], [below, a.clone()], [a, folder("context/a")]]
    {
        assert!(error(&entries).starts_with("the tar has the entry \"context/a\" twice"));
    }
}

#[test]
fn a_tar_has_its_bounds() {
    let many: Vec<_> = (0..=ENTRY_LIMIT).map(|n| file(&format!("context/{n}"), "")).collect();
    assert!(error(&many).starts_with("the tar has more than 20000 entries"));
    assert!(error(&[Entry { content: vec![b' '; 2 << 20], ..config("me/fn") }]).ends_with("1048576 bytes"));
    assert_eq!(error(&[file("context/a", "")]), "the tar has no entry com.openfaas.docker.config");
    let config = Entry { content: b"{\"image\":1}".to_vec(), ..config("") };
    assert!(error(&[config]).starts_with("the tar's entry com.openfaas.docker.config: invalid type"));
    assert!(error(&[file(SECRETS_FILE, "sealed")]).starts_with("build secrets are not supported"));
    assert!(Contents::read(&[1; 1024][..]).unwrap_err().to_string().starts_with("cannot read the tar: "));
}

/// Names made of the parts that matter.
fn names() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec!["context", "..", ".", "", "a", "b", "\\", "c:"]);
    prop::collection::vec(parts, 1..6).prop_map(|parts| parts.join("/"))
}

proptest! {
    #[test]
    fn no_name_leads_out_of_the_folder(name in names()) {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let bytes = tar(&[file(&name, "content"), config("me/fn")]);
        if let Ok(contents) = Contents::read(&bytes[..]) {
            super::super::sources::bring(&inner, &bytes[..], &contents).unwrap();
            prop_assert!(contents.nodes.keys().all(|path| inner.join(path).exists()));
        }
        let beside = std::fs::read_dir(folder.path()).unwrap().count();
        prop_assert_eq!(beside, 1);
    }

    #[test]
    fn no_bytes_make_it_panic(
        mut bytes in Just(tar(&[file("context/a", "content"), config("me/fn")])),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        length in any::<prop::sample::Index>(),
    ) {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // Sums that are right again, so that the changes are looked at.
        for block in bytes.chunks_mut(512).filter(|block| block[257..262] == *b"ustar") {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let _ = Contents::read(&bytes[..length.index(bytes.len()) + 1]);
    }
}
