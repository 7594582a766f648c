//! A client that may break every rule: it speaks the protocol by hand, over a plain socket, and sees what comes back packet by packet.

use std::net::SocketAddr;
use std::time::Duration;

use crate::users::APP;
use bytes::BytesMut;
use podway_wire::{
    BackendLogin, CapabilityFlags, ClientAuth, ClientStep, ErrPacket, Greeting, PacketReader, ServerHello,
    ServerKey, write_packet,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No answer takes longer, however loaded the machine.
const PATIENCE: Duration = Duration::from_secs(60);
const A_MOMENT: Duration = Duration::from_secs(2);
const LARGEST: usize = 1 << 30;

/// What such a client asks for: everything but TLS and DEPRECATE_EOF.
pub const CAPABILITIES: CapabilityFlags = CapabilityFlags::CLIENT_PROTOCOL_41
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA)
    .union(CapabilityFlags::CLIENT_TRANSACTIONS)
    .union(CapabilityFlags::CLIENT_CONNECT_ATTRS)
    .union(CapabilityFlags::CLIENT_MULTI_RESULTS)
    .union(CapabilityFlags::CLIENT_PS_MULTI_RESULTS);

/// A connection whose every byte is the test's own.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    input: BytesMut,
    reader: PacketReader,
    capabilities: CapabilityFlags,
    /// What was sent last was no packet that could be counted: the next one may have any number.
    uncounted: bool,
}

/// What a command led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An OK packet.
    Ok,
    /// An error with this number; its packet was well-formed.
    Error(u16),
    /// Something else, such as a result; its first packet.
    Packet(Vec<u8>),
    /// The connection was closed.
    Closed,
}

impl RawClient {
    /// Connects and reads the greeting.
    pub async fn greet(address: SocketAddr) -> std::io::Result<(RawClient, Greeting)> {
        let mut client = RawClient::connect(address).await?;
        let packet = client.packet().await?.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        match ServerHello::decode(&packet) {
            Ok(ServerHello::Greeting(greeting)) => Ok((client, greeting)),
            other => Err(std::io::Error::other(format!("no greeting: {other:?}"))),
        }
    }

    /// Connects and reads nothing.
    pub async fn connect(address: SocketAddr) -> std::io::Result<RawClient> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (input, reader) = (BytesMut::new(), PacketReader::new(0));
        Ok(RawClient { stream, input, reader, capabilities: CapabilityFlags::empty(), uncounted: false })
    }

    /// Connects and logs in as the pod's user.
    pub async fn login(
        address: SocketAddr,
        database: &str,
        more: CapabilityFlags,
    ) -> std::io::Result<RawClient> {
        let (mut client, greeting) = RawClient::greet(address).await?;
        let mut auth = ClientAuth::new(login_of(database, more), ServerKey::Ask);
        let mut payload = auth.on_greeting(&greeting, false).map_err(std::io::Error::other)?;
        loop {
            let seq = client.reader.seq();
            client.send_packet(seq, &payload).await?;
            loop {
                let packet = client.packet().await?.ok_or(std::io::ErrorKind::UnexpectedEof)?;
                match auth.on_packet(&packet).map_err(std::io::Error::other)? {
                    ClientStep::Send(next) => {
                        payload = next;
                        break;
                    }
                    ClientStep::Wait => {}
                    ClientStep::Done(_) => {
                        client.capabilities = auth.capabilities();
                        return Ok(client);
                    }
                    ClientStep::Failed(error) => {
                        return Err(std::io::Error::other(
                            String::from_utf8_lossy(&error.message).into_owned(),
                        ));
                    }
                }
            }
        }
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.uncounted = true;
        timeout(PATIENCE, self.stream.write_all(bytes)).await?
    }

    /// Sends a payload as packets from this sequence number on.
    pub async fn send_packet(&mut self, mut seq: u8, payload: &[u8]) -> std::io::Result<()> {
        let mut framed = BytesMut::new();
        write_packet(&mut framed, &mut seq, payload);
        self.send(&framed).await?;
        self.uncounted = false;
        self.reader.set_seq(seq);
        Ok(())
    }

    /// Sends a command and reads the first packet of its answer.
    pub async fn command(&mut self, payload: &[u8]) -> Answer {
        match self.send_packet(0, payload).await {
            Ok(()) => self.answer().await,
            Err(_) => Answer::Closed,
        }
    }

    /// Sends a text and reads the first packet of its answer.
    pub async fn query(&mut self, sql: &[u8]) -> Answer {
        let attributes = self.capabilities.contains(CapabilityFlags::CLIENT_QUERY_ATTRIBUTES);
        let prefix: &[u8] = if attributes { b"\x03\x00\x01" } else { b"\x03" };
        self.command(&[prefix, sql].concat()).await
    }

    /// The first packet of an answer.
    pub async fn answer(&mut self) -> Answer {
        match self.packet().await {
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                panic!("no answer within {PATIENCE:?}")
            }
            Err(_) | Ok(None) => Answer::Closed,
            Ok(Some(packet)) => match packet.first() {
                Some(0) => Answer::Ok,
                Some(0xFF) => Answer::Error(ErrPacket::decode(&packet).expect("a well-formed error").code),
                _ => Answer::Packet(packet),
            },
        }
    }

    /// The next packet, or `None` when the other side has closed.
    pub async fn packet(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        loop {
            if self.uncounted && self.input.len() > 3 {
                self.reader.set_seq(self.input[3]);
                self.uncounted = false;
            }
            match self.reader.next(&mut self.input, LARGEST) {
                Ok(Some(packet)) => return Ok(Some(packet.to_vec())),
                Ok(None) => {}
                Err(error) => return Err(std::io::Error::other(error)),
            }
            if timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await?? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads about so many bytes of whatever comes, and forgets them; or what there is, if no more comes for a moment.
    pub async fn read_away(&mut self, bytes: usize) -> std::io::Result<()> {
        let mut left = bytes.saturating_sub(self.input.len());
        self.input.clear();
        let mut scratch = [0; 4096];
        while left > 0 {
            let room = left.min(scratch.len());
            match timeout(A_MOMENT, self.stream.read(&mut scratch[..room])).await {
                Ok(read) if read.as_ref().is_ok_and(|read| *read > 0) => left -= read?,
                _ => break,
            }
        }
        Ok(())
    }

    /// Whether the other side closes within the deadline, whatever it sends before.
    pub async fn is_closed_within(&mut self, deadline: Duration) -> bool {
        let mut scratch = [0; 4096];
        let reading = async { while !matches!(self.stream.read(&mut scratch).await, Ok(0) | Err(_)) {} };
        timeout(deadline, reading).await.is_ok()
    }

    /// Says that nothing more will be sent, as a client does that leaves in order.
    pub async fn shut_down(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Leaves at once: the other side sees a reset, not an end.
    pub fn reset(self) {
        let _ = self.stream.set_zero_linger();
    }
}

/// The login of the pod's user.
pub fn login_of(database: &str, more: CapabilityFlags) -> BackendLogin {
    BackendLogin {
        user: APP.0.into(),
        password: APP.1.into(),
        database: (!database.is_empty()).then(|| database.into()),
        capabilities: CAPABILITIES | more,
        charset: 255,
        max_packet: 1 << 30,
        attributes: vec![(b"program_name".to_vec(), b"bad_input".to_vec())],
    }
}
