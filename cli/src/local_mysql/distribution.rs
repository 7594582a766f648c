//! Which distribution this is, and where its MySQL packages come from; and which release of Ubuntu has which series of MySQL. Decides
//! from texts alone; nothing is run or fetched here. Read next: `apt`.

use std::path::Path;

/// Where the packages of this machine's kind come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Distribution {
    /// Names the release in the cache and in messages: `debian-sid`, `ubuntu-noble`.
    pub(super) label: String,
    /// The lines of a sources.list.
    pub(super) sources: Vec<String>,
    /// The sets of packages that hold mysqld and the `mysql` client, best first.
    pub(super) mysql_packages: Vec<Vec<String>>,
}

const DEBIAN_KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];
const UBUNTU_KEYRINGS: [&str; 1] = ["/usr/share/keyrings/ubuntu-archive-keyring.gpg"];
/// Series of MySQL, and the release of Ubuntu that has each among its supported packages.
const SERIES: [(&str, &str); 2] = [("8.0", "noble"), ("8.4", "resolute")];

impl Distribution {
    /// This machine's, from `/etc/os-release` and its apt sources.
    pub(super) fn detect() -> Result<Distribution, String> {
        let os_release = std::fs::read_to_string("/etc/os-release").map_err(|_| {
            format!("packages are fetched on Debian and Ubuntu only, and this is {}", std::env::consts::OS)
        })?;
        let keyring = |paths: &[&'static str]| paths.iter().find(|path| Path::new(path).exists()).copied();
        Distribution::of(&os_release, &machine_sources(), |paths| keyring(paths))
    }

    fn of(
        os_release: &str,
        apt_sources: &str,
        keyring: impl Fn(&[&'static str]) -> Option<&'static str>,
    ) -> Result<Distribution, String> {
        let field = |name: &str| {
            let line = os_release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches('"').to_owned()
        };
        let kinds = format!("{} {}", field("ID"), field("ID_LIKE"));
        let is = |kind: &str| kinds.split(' ').any(|word| word == kind);
        let signed = |paths: &[&'static str]| match keyring(paths) {
            Some(path) => format!("deb [signed-by={path}]"),
            None => "deb".to_owned(),
        };
        if is("ubuntu") {
            let codename = [field("UBUNTU_CODENAME"), field("VERSION_CODENAME")]
                .into_iter()
                .find(|name| !name.is_empty());
            let codename = codename.ok_or("/etc/os-release names no Ubuntu release")?;
            return Ok(Distribution::ubuntu(
                &codename,
                "main universe",
                apt_sources,
                &signed(&UBUNTU_KEYRINGS),
            ));
        }
        if is("debian") {
            let mirror =
                mirror(apt_sources, "debian").unwrap_or_else(|| "http://deb.debian.org/debian".to_owned());
            return Ok(Distribution {
                label: "debian-sid".to_owned(),
                sources: vec![format!("{} {mirror} sid main", signed(&DEBIAN_KEYRINGS))],
                mysql_packages: vec![["server", "client"].map(|side| format!("mysql-{side}-core")).to_vec()],
            });
        }
        let name = [field("PRETTY_NAME"), field("ID")].into_iter().find(|name| !name.is_empty());
        Err(format!(
            "packages are fetched on Debian and Ubuntu only, and this is {}",
            name.unwrap_or_default()
        ))
    }

    /// The release of Ubuntu that has this series of MySQL, signed by these keys; its programs run elsewhere too, with their own libc.
    pub(super) fn of_series(series: &str, keyring: &Path) -> Result<Distribution, String> {
        let known = SERIES.iter().find(|(name, _)| *name == series);
        let (_, codename) = known.ok_or_else(|| {
            let names = SERIES.map(|(name, _)| name).join(" and ");
            format!("{series:?} is not a series that is fetched; {names} are")
        })?;
        let deb = format!("deb [signed-by={}]", keyring.display());
        Ok(Distribution::ubuntu(codename, "main", &machine_sources(), &deb))
    }

    /// Ubuntu's keys where this machine has them.
    pub(super) fn ubuntu_keyring() -> Option<&'static Path> {
        UBUNTU_KEYRINGS.map(Path::new).into_iter().find(|path| path.exists())
    }

    fn ubuntu(codename: &str, components: &str, apt_sources: &str, deb: &str) -> Distribution {
        let mirror = mirror(apt_sources, "ubuntu").unwrap_or_else(|| ubuntu_default().to_owned());
        let line = |suite: &str| format!("{deb} {mirror} {codename}{suite} {components}");
        let set =
            |version: &str| ["server", "client"].map(|side| format!("mysql-{side}-core{version}")).to_vec();
        Distribution {
            label: format!("ubuntu-{codename}"),
            sources: ["", "-updates", "-security"].map(line).to_vec(),
            // Since 26.04 the packages' names say no version.
            mysql_packages: ["", "-8.4", "-8.0"].map(set).to_vec(),
        }
    }
}

fn ubuntu_default() -> &'static str {
    if cfg!(target_arch = "x86_64") {
        "http://archive.ubuntu.com/ubuntu"
    } else {
        "http://ports.ubuntu.com/ubuntu-ports"
    }
}

/// All of the machine's apt sources in one text.
fn machine_sources() -> String {
    let mut paths = vec![Path::new("/etc/apt/sources.list").to_path_buf()];
    if let Ok(entries) = std::fs::read_dir("/etc/apt/sources.list.d") {
        paths.extend(entries.flatten().map(|entry| entry.path()));
    }
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect::<Vec<_>>().join("\n")
}

/// The distribution's archive in the machine's sources: the first address whose path ends in `/debian`, `/ubuntu` or `/ubuntu-ports`.
fn mirror(apt_sources: &str, kind: &str) -> Option<String> {
    let lines = apt_sources.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let words = lines.flat_map(str::split_whitespace);
    let mut addresses = words.filter(|word| word.starts_with("http://") || word.starts_with("https://"));
    let is_archive = |address: &&str| {
        let last = address.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let is_security = address.contains("://security.");
        !is_security && (last == kind || last.strip_prefix(kind) == Some("-ports"))
    };
    addresses.find(is_archive).map(|address| address.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOKWORM: &str =
        "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n";
    const NOBLE: &str = "ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n";

    #[test]
    fn debian_takes_sid_from_the_machines_own_mirror() {
        let sources = "Types: deb\n# http://old.example/debian\nURIs: http://mirror.example/debian/\nSuites: bookworm\n";
        let found = Distribution::of(BOOKWORM, sources, |paths| Some(paths[0])).unwrap();
        assert_eq!(
            found.sources,
            [
                "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.pgp] http://mirror.example/debian sid main"
            ]
        );
        assert_eq!(found.mysql_packages, [["mysql-server-core", "mysql-client-core"]]);
    }

    #[test]
    fn security_and_foreign_archives_are_not_taken_for_the_distributions() {
        let cases = [
            (
                "deb https://deb.nodesource.com/node_20.x nodistro main\nURIs: http://deb.debian.org/debian-security",
                None,
            ),
            ("deb http://security.ubuntu.com/ubuntu noble main", None),
            (
                "deb https://a.example/x/debian stable main\ndeb http://b.example/debian sid main",
                Some("https://a.example/x/debian"),
            ),
        ];
        for (sources, expected) in cases {
            assert_eq!(mirror(sources, "debian").as_deref(), expected, "{sources}");
        }
    }

    #[test]
    fn ubuntu_and_its_derivatives_take_their_own_release() {
        let mint = "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble\n";
        for os_release in [NOBLE, mint] {
            let found =
                Distribution::of(os_release, "deb http://ports.ubuntu.com/ubuntu-ports noble main", |_| None)
                    .unwrap();
            assert_eq!(found.label, "ubuntu-noble");
            assert_eq!(
                found.sources[1],
                "deb http://ports.ubuntu.com/ubuntu-ports noble-updates main universe"
            );
            assert_eq!(found.mysql_packages[2][0], "mysql-server-core-8.0");
        }
    }

    #[test]
    fn a_series_is_taken_from_the_release_that_has_it() {
        let keyring = Path::new("/cache/ubuntu.gpg");
        let found = Distribution::of_series("8.0", keyring).unwrap();
        assert_eq!(found.label, "ubuntu-noble");
        assert!(
            found.sources[0].starts_with("deb [signed-by=/cache/ubuntu.gpg] http"),
            "{:?}",
            found.sources
        );
        assert!(found.sources[1].ends_with(" noble-updates main"), "{:?}", found.sources);
        let refused = Distribution::of_series("5.7", keyring);
        assert_eq!(refused, Err("\"5.7\" is not a series that is fetched; 8.0 and 8.4 are".into()));
    }

    #[test]
    fn others_are_told_what_is_missing() {
        let refused = Distribution::of("ID=fedora\nPRETTY_NAME=\"Fedora 42\"\n", "", |_| None);
        assert_eq!(
            refused,
            Err("packages are fetched on Debian and Ubuntu only, and this is Fedora 42".into())
        );
    }
}
