//! A short chaos by a fixed seed: see `podway_tests::chaos`.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::time::Duration;

use podway_tests::chaos::{Options, Reads, podway_beside, run};
use podway_tests::is_left_out;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transaction_is_whole_whatever_is_killed_stopped_or_cut_off() {
    if is_left_out("servers and proxies that are killed") {
        return;
    }
    let options = Options {
        seed: 20,
        length: Duration::from_secs(15),
        clients: 6,
        podway: podway_beside().unwrap(),
        reads: Reads::Fast,
    };
    let report = run(&options).await.unwrap();
    eprintln!("{report:#?}");
    assert_eq!(report.wrong, Vec::<String>::new());
    assert!(report.troubles >= 4 && report.committed > 100, "{report:?}");
}
