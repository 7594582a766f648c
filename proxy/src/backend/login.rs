//! Connecting and logging in as an account of the client's own, and the short connections that end what runs on others.

use bytes::BytesMut;
use podway_wire::{BackendLogin, ClientAuth, ClientStep, PacketReader, ServerHello, ServerKey, write_packet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::connection::{BackendConnection, Login};
use super::pool::{Place, PoolKey, ServerPool};
use crate::error::ProxyError;

/// The largest packet of a login.
const LOGIN_PACKET: usize = 64 << 10;
/// The character set that a connection starts with, before its first session's is set: utf8mb4_0900_ai_ci.
const START_COLLATION: u8 = 255;
/// What `max_packet` says in a login: 1 GiB, the protocol's limit; the server has its own.
const MAX_PACKET: u32 = 1 << 30;

/// Opens a connection and logs in; gives the place back with the error, so that another attempt can be made.
pub(super) async fn log_in(
    place: Place,
    key: &PoolKey,
) -> Result<Box<BackendConnection>, (Place, ProxyError)> {
    let pool = place.pool().clone();
    let mut input = BytesMut::with_capacity(4 << 10);
    match handshake(&pool, key, &mut input).await {
        Ok((stream, login)) => Ok(Box::new(BackendConnection::new(stream, input, place, key.clone(), login))),
        Err(error) => Err((place, error)),
    }
}

/// Ends what runs on another connection of the same account. The connection lives for this one statement.
pub(super) async fn kill(
    pool: &ServerPool,
    key: &PoolKey,
    thread: u32,
    query_only: bool,
) -> Result<(), ProxyError> {
    let mut input = BytesMut::with_capacity(1 << 10);
    let (mut stream, _) = handshake(pool, key, &mut input).await?;
    let sql = if query_only { format!("KILL QUERY {thread}") } else { format!("KILL {thread}") };
    let mut packet = BytesMut::new();
    write_packet(&mut packet, &mut 0, &super::connection::query_payload(sql.as_bytes(), key.capabilities()));
    let unusable = |reason: String| ProxyError::BackendUnusable { server: pool.address.clone(), reason };
    stream.write_all(&packet).await.map_err(|error| unusable(error.to_string()))?;
    let mut reader = PacketReader::new(1);
    let answer = next_packet(&mut stream, &mut input, &mut reader).await.map_err(unusable)?;
    match podway_wire::ErrPacket::decode(&answer) {
        Ok(refused) if answer.first() == Some(&0xFF) => Err(ProxyError::Server(refused)),
        _ => Ok(()),
    }
}

async fn handshake(
    pool: &ServerPool,
    key: &PoolKey,
    input: &mut BytesMut,
) -> Result<(TcpStream, Login), ProxyError> {
    let unusable = |reason: String| ProxyError::BackendUnusable { server: pool.address.clone(), reason };
    let address = (&*pool.server.host, pool.server.port);
    let mut stream = TcpStream::connect(address).await.map_err(|error| unusable(error.to_string()))?;
    stream.set_nodelay(true).map_err(|error| unusable(error.to_string()))?;
    let mut reader = PacketReader::new(0);
    let hello = next_packet(&mut stream, input, &mut reader).await.map_err(unusable)?;
    let greeting = match ServerHello::decode(&hello).map_err(|error| unusable(error.to_string()))? {
        ServerHello::Greeting(greeting) => greeting,
        ServerHello::Refused(refused) => {
            return Err(unusable(format!("{} {}", refused.code, String::from_utf8_lossy(&refused.message))));
        }
    };
    let login = BackendLogin {
        user: key.account().user.as_bytes().to_vec(),
        password: pool.password(key).into_bytes(),
        database: None,
        capabilities: key.capabilities(),
        charset: START_COLLATION,
        max_packet: MAX_PACKET,
        attributes: vec![
            (b"_client_name".to_vec(), b"podway".to_vec()),
            (b"program_name".to_vec(), b"podway".to_vec()),
        ],
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
            let answer = next_packet(&mut stream, input, &mut reader).await.map_err(unusable)?;
            match auth.on_packet(&answer).map_err(|error| unusable(error.to_string()))? {
                ClientStep::Send(next) => {
                    payload = next;
                    break;
                }
                ClientStep::Wait => {}
                ClientStep::Done(ok) => {
                    let login = Login {
                        thread: greeting.connection_id,
                        capabilities: auth.capabilities(),
                        status: ok.status,
                    };
                    return Ok((stream, login));
                }
                ClientStep::Failed(refused) => return Err(ProxyError::Server(refused)),
            }
        }
    }
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
