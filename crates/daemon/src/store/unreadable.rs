//! Records that are there and cannot be read are never taken for none.

use std::fs;

use roster_core::applied::UnreadRecords;

use super::*;

fn store() -> (tempfile::TempDir, Store, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let backends = folder.path().join("applied/local/backends");
    fs::create_dir_all(&backends).unwrap();
    (folder, store, backends)
}

#[test]
fn a_folder_of_records_that_cannot_be_listed_is_an_error_and_not_an_empty_one() {
    let (_folder, store, backends) = store();
    let target = "local".parse().unwrap();
    let (applied, errors) = store.applied(&target);
    assert!(errors.is_empty() && applied.unread == UnreadRecords::default(), "{errors:?}");
    fs::remove_dir(&backends).unwrap();
    fs::write(&backends, "").unwrap();
    let (applied, errors) = store.applied(&target);
    assert!(matches!(errors.as_slice(), [StoreError::Records { .. }]), "{errors:?}");
    assert_eq!(applied.unread, UnreadRecords::All);
}

#[test]
fn a_record_that_cannot_be_read_is_an_error_and_its_backend_counts_as_unread() {
    let (_folder, store, backends) = store();
    fs::create_dir(backends.join("web.state")).unwrap();
    let (applied, errors) = store.applied(&"local".parse().unwrap());
    assert!(matches!(errors.as_slice(), [StoreError::Io { .. }]), "{errors:?}");
    let mut unread = UnreadRecords::default();
    unread.add("web".parse().unwrap());
    assert_eq!(applied.unread, unread);
}
