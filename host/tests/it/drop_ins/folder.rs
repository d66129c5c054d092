//! Files and folders that somebody else could write to are refused, each by name, and the others go on.

use std::os::unix::fs::{MetadataExt as _, chown};

use super::*;

#[tokio::test]
async fn a_folder_that_others_can_write_to_is_refused_by_name_and_the_next_is_not() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    folder.put_guest(&Guest::new("acme"), "acme.wasm");
    let open = Folder(launch.home().join("open"));
    std::fs::create_dir(&open.0).unwrap();
    open.put_guest(&Guest::new("zeta"), "zeta.wasm");
    mode(&open.0, 0o777);
    let launch = with_plugins(with_plugins(launch, &open), &folder);
    let mut broker = launch.ready().await;
    let shown = listed(&mut broker).await;
    assert_eq!(names(&shown), [&EMBEDDED[..], &["acme"]].concat());
    let told = told(&shown);
    assert!(told.contains("open: others may write to it") && told.contains("chmod go-w"), "{told}");
    // seen at the next look, since nobody can have put anything in from now on
    mode(&open.0, 0o755);
    assert_eq!(names(&listed(&mut broker).await), [&EMBEDDED[..], &["zeta", "acme"]].concat());
}

#[tokio::test]
async fn the_folder_of_a_named_file_counts_as_well() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    let file = folder.put_guest(&Guest::new("acme"), "acme.wasm");
    mode(&folder.0, 0o777);
    let launch = launch.toml(&format!("[providers.acme]\ncomponent = {:?}", file.display().to_string()));
    let mut broker = launch.ready().await;
    let told_open = told(&listed(&mut broker).await);
    assert!(told_open.contains("acme.wasm: its folder") && told_open.contains("others may write to it"), "{told_open}");
    // where the folder keeps others from replacing the file, as /tmp does
    mode(&folder.0, 0o1777);
    assert_eq!(names(&listed(&mut broker).await), [&EMBEDDED[..], &["acme"]].concat());
}

/// Only root can give files away, and the tests run as root where it counts.
#[tokio::test]
async fn files_and_folders_of_another_user_are_refused_by_name() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    folder.put_guest(&Guest::new("acme"), "acme.wasm");
    let foreign = folder.put_guest(&Guest::new("foreign"), "foreign.wasm");
    let theirs = Folder(launch.home().join("theirs"));
    std::fs::create_dir(&theirs.0).unwrap();
    theirs.put_guest(&Guest::new("zeta"), "zeta.wasm");
    if std::fs::metadata(&foreign).unwrap().uid() != 0 {
        eprintln!("not root: nothing can be given away, so this is not tested here");
        return;
    }
    chown(&foreign, Some(4242), None).unwrap();
    chown(&theirs.0, Some(4242), None).unwrap();
    let launch = with_plugins(with_plugins(launch, &theirs), &folder);
    let mut broker = launch.ready().await;
    let shown = listed(&mut broker).await;
    assert_eq!(names(&shown), [&EMBEDDED[..], &["acme"]].concat());
    let told = told(&shown);
    for which in ["foreign.wasm: it belongs to another user (uid 4242)", "theirs: it belongs to another user"] {
        assert!(told.contains(which), "{which} is not in {told}");
    }
}

#[tokio::test]
async fn a_file_that_changes_without_changing_its_size_is_seen() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    let one = with_change("acme", |descriptor| descriptor["title"] = json!("One")).bytes();
    let two = with_change("acme", |descriptor| descriptor["title"] = json!("Two")).bytes();
    assert_eq!(one.len(), two.len());
    let file = folder.put("acme.wasm", &one);
    let mut broker = with_plugins(launch, &folder).ready().await;
    for (bytes, title) in [(&two, "Two"), (&one, "One"), (&two, "Two")] {
        // in place, and with the times of before
        let times = std::fs::metadata(&file).unwrap().modified().unwrap();
        std::fs::write(&file, bytes).unwrap();
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(times).unwrap();
        assert_eq!(listed(&mut broker).await["providers"][6]["title"], title);
    }
}
