//! `podway settings`: what the cluster as a whole is set to. What a setting takes is the topology's to say.

use podway_topology_api::{Command, Done, SettingCommand, SettingView};
use serde::Serialize;

use super::context::{Common, Context};
use super::error::AdminError;
use super::print::{self, Row};

const EXAMPLES: &str = "\
Examples:
  podway settings list
  podway settings set proxy.lease 15s
  podway settings reset proxy.lease";

/// Shows and changes the cluster's settings
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum SettingsCommandLine {
    /// Lists all settings with what counts, the default, and what they take
    List {
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Sets one
    #[command(after_help = EXAMPLES)]
    Set {
        /// Its name
        name: String,
        /// The value
        value: String,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Back to the default
    Reset {
        /// Its name
        name: String,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
}

/// A setting in a list.
#[derive(Serialize)]
struct SettingRow<'a> {
    name: &'a str,
    value: &'a str,
    default: &'a str,
    takes: &'a str,
    doc: &'a str,
}

impl Row for SettingRow<'_> {
    const HEAD: &'static [&'static str] = &["setting", "value", "default", "takes", "what it does"];

    fn cells(&self) -> Vec<String> {
        [self.name, self.value, self.default, self.takes, self.doc].map(str::to_owned).to_vec()
    }
}

impl<'a> From<&'a SettingView> for SettingRow<'a> {
    fn from(setting: &'a SettingView) -> SettingRow<'a> {
        let SettingView { name, value, default, takes, doc } = setting;
        SettingRow { name, value, default, takes, doc }
    }
}

/// Runs it.
pub(super) async fn run(line: SettingsCommandLine) -> Result<(), AdminError> {
    let (common, command, done) = match line {
        SettingsCommandLine::List { common } => {
            let context = Context::new(&common)?;
            let view = context.view().await?;
            let rows: Vec<SettingRow<'_>> = view.settings.iter().map(SettingRow::from).collect();
            return Ok(print::list(&rows, context.is_json)?);
        }
        SettingsCommandLine::Set { name, value, common } => {
            let command = SettingCommand::Set { name: name.as_str().into(), value: value.as_str().into() };
            (common, command, format!("{name} is {value}"))
        }
        SettingsCommandLine::Reset { name, common } => {
            let command = SettingCommand::Reset { name: name.as_str().into() };
            (common, command, format!("{name} is as by default"))
        }
    };
    let context = Context::new(&common)?;
    let answer = context.propose(Command::Setting(command)).await?;
    let done = if answer == Done::Unchanged { format!("{done} (as it was)") } else { done };
    Ok(print::done(&done, context.is_json)?)
}
