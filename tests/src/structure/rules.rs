//! The rules as data: Podway's own, and whatever a test of the checker makes up.

/// What is checked against.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The workspace's crates, lowest first.
    pub crates: Vec<CrateRule>,
    /// A file of more lines needs a reason.
    pub max_file_lines: usize,
    /// A function of more lines needs a reason.
    pub max_function_lines: usize,
    /// Names that say nothing of what a module holds.
    pub empty_names: Vec<&'static str>,
}

/// What one crate may know.
#[derive(Clone, Debug)]
pub struct CrateRule {
    /// The crate.
    pub name: &'static str,
    /// The workspace's crates that it may depend on.
    pub may_know: Vec<&'static str>,
    /// Crates from elsewhere that it must not depend on: those that do I/O, for a crate that does none.
    pub must_not_know: Vec<&'static str>,
    /// Its top modules in layers, if that is ruled: a module may use those of lower layers, and of its own where no cycle comes of it.
    pub module_order: Vec<Vec<&'static str>>,
}

const DOES_IO: [&str; 4] = ["tokio", "mysql_async", "tonic", "socket2"];

impl Rules {
    /// Podway's.
    pub fn podway() -> Rules {
        let pure = |name, may_know: &[&'static str]| CrateRule {
            name,
            may_know: may_know.to_vec(),
            must_not_know: DOES_IO.to_vec(),
            module_order: Vec::new(),
        };
        let free = |name, may_know| CrateRule { must_not_know: Vec::new(), ..pure(name, may_know) };
        let all = [
            "podway-model",
            "podway-wire",
            "podway-router",
            "podway-topology-api",
            "podway-topology",
            "podway-proxy",
        ];
        let proxy_order = vec![
            vec!["error", "metrics", "client", "operations", "clock"],
            vec!["config"],
            vec!["topology_watch"],
            vec!["numbers"],
            vec!["backend"],
            vec!["txn"],
            vec!["execute"],
            vec!["session"],
            vec!["server"],
        ];
        Rules {
            crates: vec![
                pure("podway-model", &[]),
                pure("podway-wire", &[]),
                pure("podway-router", &["podway-model"]),
                free("podway-topology-api", &["podway-model"]),
                free("podway-topology", &["podway-model", "podway-topology-api"]),
                CrateRule {
                    module_order: proxy_order,
                    ..free(
                        "podway-proxy",
                        &["podway-model", "podway-wire", "podway-router", "podway-topology-api"],
                    )
                },
                free("podway", &all),
                free("podway-tests", &[&all[..], &["podway"]].concat()),
            ],
            max_file_lines: 600,
            max_function_lines: 70,
            empty_names: vec!["common", "helper", "helpers", "misc", "util", "utils"],
        }
    }

    /// The rule of a crate, if there is one.
    pub fn of_crate(&self, name: &str) -> Option<&CrateRule> {
        self.crates.iter().find(|rule| rule.name == name)
    }

    /// The layers of a crate's modules; none where nothing is ruled.
    pub fn module_order(&self, crate_name: &str) -> &[Vec<&'static str>] {
        self.of_crate(crate_name).map(|rule| rule.module_order.as_slice()).unwrap_or_default()
    }
}
