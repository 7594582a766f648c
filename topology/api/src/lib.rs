//! What the topology can be told, what it answers, and how a proxy hears of the map: a watch that always holds the newest one, and the contract of
//! the topology's nodes. Whoever owns the map publishes, every proxy watches; neither knows how the other came by it. Nothing here makes a map.
//!
//! Reading order: [`incarnation`](Incarnation) → [`secret`](Secret) → [`statement`](ClientStatement) → [`ddl`](Ddl) → [`command`](Command) →
//! [`operation`](Operation) → [`drift`](DriftReport) → [`answer`](Answer) and
//! [`refusal`](Refusal) → [`view`](View) → [`watch`](MapWatch) → [`member`](Members) → [`credentials`](Credentials) → [`secure`](ClientTls) and
//! [`right`](Right) → [`wire`](Wire) →
//! [`store`](TopologyStore), what all of this is for → [`client`](TopologyClient) → [`follow`] → [`contract`].

mod answer;
mod client;
mod clock_report;
mod command;
pub mod contract;
mod credentials;
mod ddl;
mod drift;
mod follow;
mod incarnation;
mod member;
mod operation;
mod refusal;
mod registration;
mod right;
mod secret;
mod secure;
mod statement;
pub mod status;
mod store;
mod users;
mod view;
mod watch;
mod wire;

pub use answer::{Answer, Done, WatchEvent};
pub use client::{ClientConfig, ClientConfigError, TopologyClient};
pub use clock_report::ClockReport;
pub use command::{
    AccountCommand, AdminAccount, Beat, ClientId, Command, KeyspaceCommand, NewShard, Proposal, ProxyCommand,
    ProxyInfo, RetiredReport, SequenceCommand, SequenceStep, ServerCommand, ServerFacts, SettingCommand,
    ShardCommand, TableCommand,
};
pub use credentials::Credentials;
pub use ddl::{Ddl, Follow, TableDeclaration, TableEffect};
pub use drift::{DriftCommand, DriftReport, Finding, MAX_FINDINGS};
pub use follow::{Following, SILENCE, TopologyContact, TopologyHealth, follow};
pub use incarnation::{BEAT_GAP_MS, Incarnation, LogTime, Term};
pub use member::{
    ClusterId, Member, MemberChange, MemberRole, MemberStatus, Members, NodeId, NotAnId, StoreId,
};
pub use operation::{
    MoveStep, NewOperation, Operation, OperationCommand, OperationId, OperationKind, OperationState, Report,
    ServerMessage, ShardMove, Target, TargetState,
};
pub use refusal::{Refusal, Thing};
pub use registration::{BeatAnswer, Registration};
pub use right::{NotARight, Right};
pub use secret::Secret;
pub use secure::{ClientTls, Identity, NotAToken, Pem, Token};
pub use statement::{ClientStatement, SqlBytes, StatementPiece};
pub use store::{
    LONGEST_WAIT, ProposeError, Proposer, StoreError, TopologyStore, WatchMessage, WatchStream, registering,
};
pub use users::{AccountNow, UserPiece, UserPlace, UserStatement, UserVerb};
pub use view::{
    AccountView, ChecksView, DriftView, KeyspaceView, Lease, Logged, ProxyView, RetiredSchema, SequenceView,
    ServerView, SettingView, ShardView, TableView, View,
};
pub use watch::{MapPublisher, MapWatch, PublishError, map_channel};
pub use wire::{Connection, Dial, Duplex, Listener, Network, Wire};
