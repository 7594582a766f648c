//! Newer cluster files: a file that changed is read again and becomes a newer map. One that cannot be taken over
//! leaves everything as it was. Read next: `run`.

use std::io;
use std::path::{Path, PathBuf};

use podway_model::{AccountName, ClusterSecret, HostPattern};
use podway_topology_api::MapPublisher;

use super::draw::Draughtsman;
use super::error::{PlanError, ServeError};
use super::limits::Limits;
use super::plan::ClusterPlan;
use crate::file_watch::FileWatch;

/// Follows a cluster file.
pub(super) struct Rereader {
    path: PathBuf,
    watch: FileWatch,
    draughtsman: Draughtsman,
    publisher: MapPublisher,
    secret: ClusterSecret,
    limits: Limits,
}

impl Rereader {
    /// `plan` is what the proxy started with, of the file that `watch` watches; `draughtsman` drew its map.
    pub(super) fn new(
        path: &Path,
        watch: FileWatch,
        plan: &ClusterPlan,
        draughtsman: Draughtsman,
        publisher: MapPublisher,
    ) -> Rereader {
        Rereader {
            path: path.to_owned(),
            watch,
            draughtsman,
            publisher,
            secret: plan.secret.clone(),
            limits: plan.limits.clone(),
        }
    }

    /// Publishes newer maps, for ever. Safe to cancel once nobody waits for newer maps any more.
    pub(super) async fn follow(&mut self) {
        loop {
            self.watch.due().await;
            match self.reread().await {
                Ok(notes) => notes.iter().for_each(|note| tracing::info!("{note}")),
                Err(error) => tracing::error!("the cluster file is not taken over: {error}"),
            }
        }
    }

    async fn reread(&mut self) -> Result<Vec<String>, ServeError> {
        let mut notes = Vec::new();
        let plan = ClusterPlan::read(&self.path, &mut notes)?;
        if !is_same_secret(&plan.secret, &self.secret) {
            return Err(PlanError::part("secret_file", "the secret changed; start the proxy again").into());
        }
        if plan.limits != self.limits {
            notes.push("limits changed: they count from the next start".to_owned());
        }
        let map = self.draughtsman.draw(&plan, Some(&self.publisher.current()), &mut notes).await?;
        let revision = map.revision;
        self.publisher.publish(map).map_err(io::Error::other)?;
        notes.push(format!("published map {}", revision.0));
        Ok(notes)
    }
}

fn is_same_secret(left: &ClusterSecret, right: &ClusterSecret) -> bool {
    let name = AccountName { user: "probe".into(), host: HostPattern::new("%") };
    left.backend_password(&name, "") == right.backend_password(&name, "")
}
