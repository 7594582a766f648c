//! `podway apply`, `podway diff` and `podway export`: the cluster as a file, in the format that `podway proxy --cluster` reads too. Applying twice
//! changes nothing the second time.
//!
//! Reading order: `steps` (what differs, decided without I/O) → `carry_out` → `export`.

mod carry_out;
mod export;
mod steps;

use std::path::PathBuf;

use super::context::{Common, Context};
use super::error::AdminError;
use super::print;
use crate::serve::FilePlan;
use carry_out::carry_out;
use steps::{Step, steps};

const EXAMPLES: &str = "\
Examples:
  podway export > cluster.toml
  podway diff -f cluster.toml
  podway apply -f cluster.toml --dry-run
  podway apply -f cluster.toml --create-schemas
  podway apply -f cluster.toml --prune            also removes what the file does not name

The file is the one that `podway proxy --help` shows; [settings] may be in it, while secret_file and [limits] are not the topology's. A server that is
known needs no password in it. Without [users], users stay as they are.";

/// Makes the cluster as a file says
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ApplyArgs {
    /// The file
    #[command(flatten)]
    file: FileArgs,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Make the schemas that are missing on the servers
    #[arg(long)]
    create_schemas: bool,
    /// Declare tables that have rows too: they lie where the keys lead already. This is not checked
    #[arg(long)]
    rows_in_place: bool,
    /// The topology, and how to answer
    #[command(flatten)]
    common: Common,
}

/// Says what applying a file would change
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DiffArgs {
    /// The file
    #[command(flatten)]
    file: FileArgs,
    /// The topology, and how to answer
    #[command(flatten)]
    common: Common,
}

/// Prints the cluster as a file, without passwords
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ExportArgs {
    /// The topology, and how to answer
    #[command(flatten)]
    common: Common,
}

/// The file, and how it is read.
#[derive(Debug, clap::Args)]
pub struct FileArgs {
    /// The cluster file
    #[arg(long, short = 'f', value_name = "FILE")]
    file: PathBuf,
    /// Remove tables, keyspaces and servers that the file does not name, and reset such settings; never rows, schemas or users
    #[arg(long)]
    prune: bool,
}

/// What one run of `apply` may do.
struct Allowed {
    create_schemas: bool,
    rows_in_place: bool,
}

/// Runs `podway diff`.
pub(super) async fn diff(args: DiffArgs) -> Result<(), AdminError> {
    let plan = FilePlan::read(&args.file.file)?;
    let context = Context::new(&args.common)?;
    let steps = decide(&context, &plan, args.file.prune).await?;
    show(&steps, context.is_json)
}

/// Runs `podway apply`.
pub(super) async fn apply(args: ApplyArgs) -> Result<(), AdminError> {
    let plan = FilePlan::read(&args.file.file)?;
    let context = Context::new(&args.common)?;
    let steps = decide(&context, &plan, args.file.prune).await?;
    if args.dry_run {
        return show(&steps, context.is_json);
    }
    let allowed = Allowed { create_schemas: args.create_schemas, rows_in_place: args.rows_in_place };
    let mut done = Vec::new();
    for step in &steps {
        // What was done before something failed stays done, and is said.
        match carry_out(&context, step, &allowed).await {
            Ok(line) if context.is_json => done.push(line),
            Ok(line) => print::out(&line)?,
            Err(error) => {
                let left = print::counted(steps.len() - done.len(), "step");
                print::note(&format!(
                    "stopped at \"{step}\" ({left} of {} in all); the same command goes on from there",
                    steps.len()
                ));
                return Err(error);
            }
        }
    }
    match (context.is_json, steps.is_empty()) {
        (true, _) => Ok(print::json(&serde_json::json!({ "done": done }))?),
        (false, true) => Ok(print::out("nothing to do: the cluster is as the file says")?),
        (false, false) => Ok(()),
    }
}

/// Runs `podway export`.
pub(super) async fn export(args: ExportArgs) -> Result<(), AdminError> {
    let context = Context::new(&args.common)?;
    let view = context.view().await?;
    if context.is_json {
        Ok(print::json(&export::file(&view))?)
    } else {
        Ok(print::out(&export::text(&view)?)?)
    }
}

async fn decide(context: &Context, plan: &FilePlan, prune: bool) -> Result<Vec<Step>, AdminError> {
    let view = context.view().await?;
    let servers = context.servers(&view).await?;
    let candidates = carry_out::candidates(&servers, plan).await?;
    if plan.limits != Default::default() {
        print::note("[limits] are each proxy's own (`podway proxy --limit`), and are not applied");
    }
    let decided = steps(&view, &servers.credentials, plan, &candidates, prune);
    decided.map_err(|conflicts| {
        AdminError::refused(format!(
            "the file cannot be applied, and nothing was changed:\n  {}",
            conflicts.join("\n  ")
        ))
    })
}

fn show(steps: &[Step], is_json: bool) -> Result<(), AdminError> {
    let lines: Vec<String> = steps.iter().map(ToString::to_string).collect();
    if is_json {
        return Ok(print::json(&serde_json::json!({ "steps": lines }))?);
    }
    let text = if lines.is_empty() { "nothing differs".to_owned() } else { lines.join("\n") };
    Ok(print::out(&text)?)
}
