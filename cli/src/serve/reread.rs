//! Newer cluster files: on SIGHUP, or when the file changed, it is read again and becomes a newer map. One that cannot be taken over
//! leaves everything as it was. Read next: `run`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use podway_model::{AccountName, ClusterSecret, HostPattern};
use podway_topology_api::MapPublisher;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::draw::Draughtsman;
use super::error::{PlanError, ServeError};
use super::limits::Limits;
use super::plan::ClusterPlan;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Follows a cluster file.
pub(super) struct Rereader {
    path: PathBuf,
    hangup: Signal,
    seen: Option<Stamp>,
    draughtsman: Draughtsman,
    publisher: MapPublisher,
    secret: ClusterSecret,
    limits: Limits,
}

/// What changes when a file does.
type Stamp = (SystemTime, u64, u64);

impl Rereader {
    /// Starts to listen for SIGHUP, which no longer ends the process. `plan` is what the proxy started with, `draughtsman` drew its map.
    pub(super) fn new(
        path: &Path,
        plan: &ClusterPlan,
        draughtsman: Draughtsman,
        publisher: MapPublisher,
    ) -> io::Result<Rereader> {
        Ok(Rereader {
            seen: stamp(path),
            path: path.to_owned(),
            hangup: signal(SignalKind::hangup())?,
            draughtsman,
            publisher,
            secret: plan.secret.clone(),
            limits: plan.limits.clone(),
        })
    }

    /// Publishes newer maps, for ever. One that is cancelled while it draws a map is called again: the next look draws it anew.
    pub(super) async fn follow(&mut self) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {}
                _ = looks.tick() => {
                    if stamp(&self.path) == self.seen {
                        continue;
                    }
                }
            }
            // Taken before the file is read: a change during the reading is seen at the next look.
            self.seen = stamp(&self.path);
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

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

fn is_same_secret(left: &ClusterSecret, right: &ClusterSecret) -> bool {
    let name = AccountName { user: "probe".into(), host: HostPattern::new("%") };
    left.backend_password(&name, "") == right.backend_password(&name, "")
}
