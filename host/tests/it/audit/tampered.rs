//! Whoever touches the file is found out, and the line is named.

use super::trail;
use crate::cli::{steady, with_vault};
use crate::support::broker::Launch;
use crate::support::command::run;

/// A vault with six lines in its trail.
async fn six() -> Launch {
    let launch = with_vault().await;
    for name in ["one", "two", "three"] {
        run(&launch, &["secrets", "set", name], b"0123456789").await.ok();
        run(&launch, &["secrets", "delete", name], b"").await.ok();
    }
    launch
}

#[tokio::test]
async fn every_kind_of_change_is_found_and_says_which_line() {
    type Change = fn(&mut Vec<String>);
    let changes: [(&str, Change); 7] = [
        ("edited", |lines| lines[2] = lines[2].replace("two", "six")),
        ("removed", |lines| drop(lines.remove(3))),
        ("reordered", |lines| lines.swap(1, 2)),
        ("inserted", |lines| lines.insert(4, lines[4].replace("three", "four"))),
        ("repeated", |lines| lines.push(lines[0].clone())),
        ("cut off", |lines| lines.truncate(4)),
        ("emptied", Vec::clear),
    ];
    let launch = six().await;
    let file = trail(&launch);
    let whole = std::fs::read_to_string(&file).unwrap();
    run(&launch, &["audit", "verify"], b"").await.ok();
    let mut told = String::new();
    for (name, change) in changes {
        let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
        change(&mut lines);
        std::fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let done = run(&launch, &["audit", "verify"], b"").await;
        told.push_str(&format!("{name}: {}\n", done.shown()));
        done.failed(6);
    }
    insta::assert_snapshot!(steady(&launch, &told));
    std::fs::write(&file, whole).unwrap();
    run(&launch, &["audit", "verify"], b"").await.ok();
}

#[tokio::test]
async fn going_on_after_a_change_does_not_hide_it() {
    let launch = six().await;
    let file = trail(&launch);
    let whole = std::fs::read_to_string(&file).unwrap();
    let kept: String = whole.split_inclusive('\n').take(4).collect();
    std::fs::write(&file, kept).unwrap();
    run(&launch, &["secrets", "set", "later"], b"0123456789").await.ok();
    let done = run(&launch, &["audit", "verify"], b"").await;
    assert!(done.stdout.contains("removed: lines 5 to 6"), "{done:?}");
    let shown = run(&launch, &["audit", "show"], b"").await.ok();
    assert!(shown.contains("audit_file_was_changed") && shown.contains("later"), "{shown}");
}
