use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use super::*;

const KINDS: [Kind; 10] = [
    Kind::Configuration,
    Kind::Lines,
    Kind::HaproxyFile,
    Kind::Services,
    Kind::Certificate,
    Kind::Authorities,
    Kind::Secret,
    Kind::CloudSettings,
    Kind::Record,
    Kind::Mark,
];

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn pipe(folder: &tempfile::TempDir) -> PathBuf {
    let path = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::from(0o600)).unwrap();
    path
}

/// What is said of a file that is not read; fails if that takes long.
fn refusal(path: &Path, kind: Kind) -> String {
    let (said, heard) = mpsc::channel();
    let path = path.to_owned();
    std::thread::spawn(move || said.send(read(&path, kind).unwrap_err().to_string()).unwrap());
    heard.recv_timeout(Duration::from_secs(20)).expect("it waits")
}

#[test]
fn what_is_no_file_is_refused_at_once_whatever_it_is_read_for() {
    let folder = folder();
    let pipe = pipe(&folder);
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    for kind in KINDS {
        assert_eq!(refusal(&pipe, kind), "it is a pipe, not a file");
        assert_eq!(refusal(&socket, kind), "it is a socket, not a file");
        assert_eq!(refusal(&link, kind), "it is a device, not a file");
        assert_eq!(refusal(folder.path(), kind), "it is a directory, not a file");
        assert!(check(&pipe, kind).is_err() && check(&folder.path().join("none"), kind).is_ok());
    }
}

#[test]
fn a_sparse_file_of_3_gib_is_refused_by_its_size() {
    let folder = folder();
    let path = folder.path().join("sparse");
    fs::File::create(&path).unwrap().set_len(3 << 30).unwrap();
    for kind in KINDS {
        let said = refusal(&path, kind);
        assert!(
            said.starts_with("it has more than ") && said.contains("iB, the most that is read of"),
            "{said}"
        );
    }
    assert_eq!(refusal(&path, Kind::Secret), "it has more than 64 KiB, the most that is read of a secret");
}

#[test]
fn a_file_that_grows_while_it_is_read_is_read_no_further_than_its_bound() {
    let folder = folder();
    let path = folder.path().join("grows");
    let mut file = fs::File::create(&path).unwrap();
    let (stop, stopped) = mpsc::channel::<()>();
    let writing = std::thread::spawn(move || {
        let block = [b'x'; 1 << 14];
        while stopped.try_recv().is_err() && file.metadata().unwrap().len() < 64 << 20 {
            file.write_all(&block).unwrap();
        }
    });
    let said = loop {
        match read(&path, Kind::Secret) {
            Ok(content) => assert!(content.bytes.len() as u64 <= Kind::Secret.limit()),
            Err(error) => break error.to_string(),
        }
    };
    assert!(said.starts_with("it has more than 64 KiB"), "{said}");
    stop.send(()).unwrap();
    writing.join().unwrap();
}

#[test]
fn a_file_of_just_the_bound_is_read_whole_and_one_byte_more_is_refused() {
    let folder = folder();
    let path = folder.path().join("secret");
    let bound = usize::try_from(Kind::Secret.limit()).unwrap();
    fs::write(&path, vec![b'x'; bound]).unwrap();
    let content = read(&path, Kind::Secret).unwrap();
    assert!(content.bytes.len() == bound && !content.is_torn());
    fs::write(&path, vec![b'x'; bound + 1]).unwrap();
    assert!(matches!(read(&path, Kind::Secret), Err(ReadError::TooLarge { .. })));
    fs::write(&path, [0xff]).unwrap();
    assert!(read_text(&path, Kind::Secret).is_err());
    assert!(read(&folder.path().join("none"), Kind::Secret).unwrap_err().is_missing());
    assert!(read(&path.join("below"), Kind::Secret).unwrap_err().is_missing());
}

#[test]
fn work_that_never_ends_holds_up_neither_the_runtime_nor_its_end() {
    let (_never, wait) = mpsc::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let stuck = apart(move || wait.recv().ok());
        assert!(tokio::time::timeout(Duration::from_millis(20), stuck).await.is_err());
        assert_eq!(apart(|| 7).await.unwrap(), 7);
        assert!(apart(|| panic!("a mistake")).await.is_err());
    });
    // Dropping a runtime waits for its own blocking threads.
    drop(runtime);
}
