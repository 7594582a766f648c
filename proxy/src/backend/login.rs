//! Connecting and logging in as an account of the client's own, and the short connections that end what runs on others.

use std::sync::atomic::Ordering;

use bytes::BytesMut;
use podway_wire::{
    BackendLogin, CapabilityFlags, ClientAuth, ClientStep, Command, PacketReader, ServerHello, ServerKey,
    StatusFlags, write_packet,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::key::PoolKey;
use crate::error::ProxyError;

/// The largest packet of a login.
const LOGIN_PACKET: usize = 64 << 10;
/// The character set that a connection starts with, before its first session's is set: utf8mb4_0900_ai_ci.
const START_COLLATION: u8 = 255;
/// What `max_packet` says in a login: 1 GiB, the protocol's limit; the server has its own.
const MAX_PACKET: u32 = 1 << 30;

/// A connection whose login has ended well.
pub(super) struct Login {
    pub(super) stream: TcpStream,
    /// What arrived behind the login's last packet: nothing, from a server that keeps to the protocol.
    pub(super) input: BytesMut,
    pub(super) thread: u32,
    pub(super) capabilities: CapabilityFlags,
    pub(super) status: StatusFlags,
    /// The registration that the server was told of.
    pub(super) incarnation: u32,
}

impl Endpoint {
    /// Ends what runs on a thread of this server, as the account that asks for it: KILL QUERY, or KILL where the connection is to go too.
    pub async fn kill(&self, key: &PoolKey, thread: u32, query_only: bool) -> Result<(), ProxyError> {
        let work = async {
            let _permit = self.killers.acquire().await.map_err(|error| self.unusable(error))?;
            kill(self, key, thread, query_only).await
        };
        timeout(self.limits.connect_deadline, work)
            .await
            .map_err(|_| self.unusable("KILL was not answered within backend.connect_deadline"))?
    }
}

/// KILL on a connection that lives for this one statement.
async fn kill(endpoint: &Endpoint, key: &PoolKey, thread: u32, query_only: bool) -> Result<(), ProxyError> {
    let Login { mut stream, mut input, capabilities, .. } = handshake(endpoint, key).await?;
    let sql = if query_only { format!("KILL QUERY {thread}") } else { format!("KILL {thread}") };
    let mut packet = BytesMut::new();
    write_packet(&mut packet, &mut 0, &query_payload(sql.as_bytes(), capabilities));
    stream.write_all(&packet).await.map_err(|error| endpoint.unusable(error))?;
    let mut reader = PacketReader::new(1);
    let answer =
        next_packet(&mut stream, &mut input, &mut reader).await.map_err(|error| endpoint.unusable(error))?;
    match podway_wire::ErrPacket::decode(&answer) {
        Ok(refused) if answer.first() == Some(&0xFF) => Err(ProxyError::Server(refused)),
        _ => Ok(()),
    }
}

/// COM_QUERY with this text, with no query attributes.
pub(super) fn query_payload(sql: &[u8], capabilities: CapabilityFlags) -> Vec<u8> {
    let mut payload = Vec::with_capacity(sql.len() + 3);
    payload.push(Command::COM_QUERY as u8);
    if capabilities.contains(CapabilityFlags::CLIENT_QUERY_ATTRIBUTES) {
        payload.extend_from_slice(&[0, 1]);
    }
    payload.extend_from_slice(sql);
    payload
}

/// Opens a connection and logs in.
pub(super) async fn handshake(endpoint: &Endpoint, key: &PoolKey) -> Result<Login, ProxyError> {
    let mut input = BytesMut::with_capacity(4 << 10);
    let unusable = |reason: String| endpoint.unusable(reason);
    let address = (&*endpoint.server.host, endpoint.server.port);
    let mut stream = TcpStream::connect(address).await.map_err(|error| unusable(error.to_string()))?;
    stream.set_nodelay(true).map_err(|error| unusable(error.to_string()))?;
    let mut reader = PacketReader::new(0);
    let hello = next_packet(&mut stream, &mut input, &mut reader).await.map_err(unusable)?;
    let greeting = match ServerHello::decode(&hello).map_err(|error| unusable(error.to_string()))? {
        ServerHello::Greeting(greeting) => greeting,
        ServerHello::Refused(refused) => {
            return Err(unusable(format!("{} {}", refused.code, String::from_utf8_lossy(&refused.message))));
        }
    };
    let incarnation = endpoint.incarnation.load(Ordering::Acquire);
    let login = BackendLogin {
        user: key.account().user.as_bytes().to_vec(),
        password: endpoint.password(key).into_bytes(),
        database: None,
        capabilities: key.capabilities() | CapabilityFlags::CLIENT_CONNECT_ATTRS,
        charset: START_COLLATION,
        max_packet: MAX_PACKET,
        attributes: attributes(incarnation),
    };
    let mut auth = ClientAuth::new(login, ServerKey::Ask);
    let mut payload = auth.on_greeting(&greeting, false).map_err(|error| unusable(error.to_string()))?;
    if !auth.capabilities().contains(key.capabilities()) {
        return Err(unusable("it lacks a capability that the client was promised".into()));
    }
    loop {
        let mut packet = BytesMut::new();
        let mut sequence = reader.seq();
        write_packet(&mut packet, &mut sequence, &payload);
        reader.set_seq(sequence);
        stream.write_all(&packet).await.map_err(|error| unusable(error.to_string()))?;
        // The answers to a proof may come in two packets: "it is right", and then OK.
        loop {
            let answer = next_packet(&mut stream, &mut input, &mut reader).await.map_err(unusable)?;
            match auth.on_packet(&answer).map_err(|error| unusable(error.to_string()))? {
                ClientStep::Send(next) => {
                    payload = next;
                    break;
                }
                ClientStep::Wait => {}
                ClientStep::Done(ok) => {
                    let (thread, capabilities) = (greeting.connection_id, auth.capabilities());
                    return Ok(Login { stream, input, thread, capabilities, status: ok.status, incarnation });
                }
                ClientStep::Failed(refused) => return Err(ProxyError::Server(refused)),
            }
        }
    }
}

/// What the connection says of itself: by the registration, its threads are found and ended when the proxy has lost its lease.
fn attributes(incarnation: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut attributes =
        vec![(b"_client_name".to_vec(), b"podway".to_vec()), (b"program_name".to_vec(), b"podway".to_vec())];
    if incarnation != 0 {
        attributes.push((b"podway_incarnation".to_vec(), incarnation.to_string().into_bytes()));
    }
    attributes
}

async fn next_packet(
    stream: &mut TcpStream,
    input: &mut BytesMut,
    reader: &mut PacketReader,
) -> Result<Vec<u8>, String> {
    loop {
        match reader.next(input, LOGIN_PACKET) {
            Ok(Some(payload)) => return Ok(payload.to_vec()),
            Ok(None) => {}
            Err(error) => return Err(error.to_string()),
        }
        match stream.read_buf(input).await {
            Ok(0) => return Err("it closed the connection during the login".into()),
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}
