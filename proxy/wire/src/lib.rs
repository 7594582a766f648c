//! MySQL's packets and connection phase, without I/O.
//!
//! Bytes go in, values and bytes come out; no socket, no clock, no task, no knowledge of keyspaces or shards. Every
//! function takes any bytes without panicking: [`fuzz`] lists the entry points for that.
//!
//! In reading order:
//! - [`codec`]: the cursor and the writers that all packets use.
//! - [`frame`]: where packets begin and end.
//! - `packets`: one packet a file, each with its decoder and encoder; all of them stand in this index.
//! - [`response`]: follows a server's answer in raw bytes. The hot path.
//! - [`auth`]: who is there, from both sides.
//! - [`fuzz`]: every decoder behind one signature.

pub mod auth;
pub mod codec;
pub mod frame;
pub mod fuzz;
#[cfg(test)]
mod hex;
mod packets;
pub mod response;

pub use auth::{
    AuthStep, BackendLogin, ClientAuth, ClientAuthError, ClientStep, RsaKey, ServerAuth, ServerKey,
    StoredAccount, Verifier, nonce,
};
pub use codec::{Cursor, DecodeError, Decoded};
pub use frame::{
    CommandFrame, FrameError, HEADER, Header, MAX_PAYLOAD, PacketReader, command_frame, payload, write_packet,
};
pub use mysql_common::constants::{CapabilityFlags, ColumnFlags, ColumnType, Command, StatusFlags};
pub use packets::attributes::Attributes;
pub use packets::auth_exchange::{AuthMoreData, AuthSwitch};
pub use packets::binary_row::put_binary_row;
pub use packets::binary_value::BinaryValue;
pub use packets::bind::ParamType;
pub use packets::change_user::ChangeUser;
pub use packets::column::{ColumnDefinition, rewrite_schema};
pub use packets::command::ClientCommand;
pub use packets::eof::EofPacket;
pub use packets::err::ErrPacket;
pub use packets::execute::Execute;
pub use packets::greeting::{Greeting, ServerHello};
pub use packets::login::{Login, LoginOrTls, MAX_LOGIN, TlsRequest};
pub use packets::ok::{OkPacket, OkView};
pub use packets::prepare::{PrepareAnswer, PrepareOk};
pub use packets::query::{QueryAttribute, QueryText, put_query_prefix, query_text};
pub use packets::result_set::{ResultSet, RowFormat, encode_end};
pub use packets::row::{
    Cell, TextCells, decode_binary_row, decode_text_row, encode_binary_row, encode_text_cells,
    encode_text_row,
};
pub use packets::session_track::SessionTrack;
pub use response::{
    Event, InfileRelay, PacketEvent, PacketRole, Progress, ProtocolError, ResponseKind, ResponseTracker,
    Summary,
};
