//! Which cluster the suite is run against: one of its own, which is the rule, or one that is given (`PODWAY_TEST_TARGET=compose`), where servers and
//! proxies are not the suite's to start, to stop or to set. How a given cluster is reached is [`given`](crate::given)'s.

/// Which cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Servers and proxies in processes of this machine, started by the tests.
    Own,
    /// A running cluster, as `docker-compose.yml` with `tests/compose/ports.yml` makes one.
    Given,
}

/// Which cluster this run is against.
pub fn target() -> Target {
    match std::env::var("PODWAY_TEST_TARGET").as_deref() {
        Err(_) | Ok("" | "own") => Target::Own,
        Ok("compose") => Target::Given,
        Ok(other) => panic!("PODWAY_TEST_TARGET={other}: it is compose, or not set"),
    }
}

/// Whether a test has to be left out of a run against a given cluster, because of what it needs; says so.
pub fn is_left_out(what_it_needs: &str) -> bool {
    let is_left_out = target() == Target::Given;
    if is_left_out {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        eprintln!("skipped against a given cluster: {test} needs {what_it_needs}");
    }
    is_left_out
}
