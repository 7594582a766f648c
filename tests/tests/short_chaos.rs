//! A short chaos by a fixed seed: see `podway_tests::chaos`.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::time::Duration;

use podway_tests::chaos::history::Mode;
use podway_tests::chaos::{Options, podway_beside, run};
use podway_tests::is_left_out;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transaction_is_whole_whatever_is_killed_stopped_or_cut_off() {
    if is_left_out("servers and proxies that are killed") {
        return;
    }
    let options =
        Options { seed: 20, length: Duration::from_secs(15), clients: 8, podway: podway_beside().unwrap() };
    let report = run(&options).await.unwrap();
    eprintln!("{report:#?}");
    assert_eq!(report.wrong, Vec::<String>::new());
    assert!(report.troubles >= 4 && report.moves > 0 && report.committed > 100, "{report:?}");
    // Stamps were compared, and clocks were wrong.
    assert!(report.stamped > 20 && (report.clocks > 0 || !cfg!(target_os = "linux")), "{report:?}");
    let read = |mode| report.readers.get(&mode).copied().unwrap_or_default();
    for mode in [Mode::Fast, Mode::Atomic, Mode::Serializable] {
        assert!(read(mode) > 0, "{mode:?}: {report:?}");
    }
    // What one snapshot of all servers never shows was there to be seen.
    assert!(report.fractured.get(&Mode::Fast) > Some(&0), "{report:?}");
}
