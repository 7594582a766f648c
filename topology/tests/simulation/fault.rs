//! What is broken on purpose, so that the checks show that they can fail.

/// What is wrong in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Disks say that bytes are synced which a loss of power then takes: changes are acknowledged before they are safe.
    DisksLie,
    /// A watch leaves out one change in ten.
    WatchSkips,
    /// What should be a linearizable read is answered from the node's own state.
    ReadsAnywhere,
    /// A client tries again under another number.
    RetriesAnew,
}

impl Fault {
    /// All that there are.
    pub const ALL: [Fault; 4] =
        [Fault::DisksLie, Fault::WatchSkips, Fault::ReadsAnywhere, Fault::RetriesAnew];

    /// As its name says.
    pub fn named(name: &str) -> Fault {
        Fault::ALL.into_iter().find(|fault| format!("{fault:?}") == name).unwrap_or(Fault::None)
    }
}
