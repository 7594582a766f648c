//! How a proxy hears of the map, and how the topology that keeps it is asked: the watch that always holds the newest map, and the contract of
//! the topology's nodes. Whoever owns the map publishes, every proxy watches; neither knows how the other came by it.

pub mod contract;
mod member;
mod secure;
mod watch;

pub use member::{
    ClusterId, Member, MemberChange, MemberRole, MemberStatus, Members, NodeId, NotAnId, StoreId,
};
pub use secure::{ClientTls, Identity, NotAToken, Pem, Token};
pub use watch::{MapPublisher, MapWatch, PublishError, map_channel};
