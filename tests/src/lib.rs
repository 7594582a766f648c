//! The harness: real servers, a map over them, and a proxy before them, for the tests in `tests/`.
