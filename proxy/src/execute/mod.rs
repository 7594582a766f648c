//! Running one command on one backend connection and passing its answer to the client ([`Forward`]), or reading its rows ([`RowStream`]), in the order of several
//! ([`Ordered`]) or to be put into the text of another ([`Carriage`]). It is given the connection, the request and how
//! names are to be put; it returns what the answer said. It never sees a session, and decides neither where nor whether.

mod carriage;
mod catalog;
mod definition;
mod forward;
mod maintenance;
mod order;
mod packet;
mod rewriting;
mod rows;

pub use carriage::{Carriage, TableColumn, Uncarried};
pub use catalog::{CatalogSaid, Line, average, combine, latest, together};
pub use forward::{Forward, PASSED_ON, Request, sequence_of_answer};
pub use maintenance::{Remark, checksums, maintained};
pub use order::Ordered;
pub use packet::execute_packet;
pub use rewriting::{NameChange, Rewriting};
pub use rows::RowStream;
