//! A client that costs as little as can be: one buffer out, one buffer in, rows counted and never decoded. It knows the protocol, and
//! nothing of what is measured.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use bytes::{Buf, BytesMut};
use podway_wire::{
    BackendLogin, CapabilityFlags, ClientAuth, ClientStep, Command, Event, PacketReader, ResponseKind,
    ResponseTracker, ServerHello, ServerKey, Summary, write_packet,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MAX_PACKET: usize = 64 << 20;
const READ_ROOM: usize = 16 << 10;

/// As whom to log in.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub user: String,
    pub password: String,
    pub schema: String,
}

/// A client that is logged in.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    input: BytesMut,
    capabilities: CapabilityFlags,
}

impl Client {
    /// Connects without TLS and logs in.
    pub async fn connect(address: SocketAddr, who: &Credentials) -> anyhow::Result<Client> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut client = Client { stream, input: BytesMut::new(), capabilities: CapabilityFlags::empty() };
        let mut packets = PacketReader::new(0);
        let hello = client.packet(&mut packets).await?;
        let greeting = match ServerHello::decode(&hello)? {
            ServerHello::Greeting(greeting) => greeting,
            ServerHello::Refused(refused) => bail!("refused: {}", String::from_utf8_lossy(&refused.message)),
        };
        let login = BackendLogin {
            user: who.user.clone().into_bytes(),
            password: who.password.clone().into_bytes(),
            database: Some(who.schema.clone().into_bytes()),
            capabilities: CapabilityFlags::CLIENT_LONG_PASSWORD
                | CapabilityFlags::CLIENT_TRANSACTIONS
                | CapabilityFlags::CLIENT_MULTI_RESULTS
                | CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA
                | CapabilityFlags::CLIENT_DEPRECATE_EOF,
            charset: 255,
            max_packet: MAX_PACKET as u32,
            attributes: Vec::new(),
        };
        let mut auth = ClientAuth::new(login, ServerKey::Ask);
        let first = auth.on_greeting(&greeting, false)?;
        client.send(&mut packets, &first).await?;
        loop {
            let packet = client.packet(&mut packets).await?;
            match auth.on_packet(&packet)? {
                ClientStep::Send(answer) => client.send(&mut packets, &answer).await?,
                ClientStep::Wait => {}
                ClientStep::Done(_) => break,
                ClientStep::Failed(refused) => {
                    bail!("refused: {}", String::from_utf8_lossy(&refused.message))
                }
            }
        }
        client.capabilities = auth.capabilities();
        // What the login needed is nothing that an idle client should hold.
        client.input = BytesMut::new();
        Ok(client)
    }

    /// Prepares a statement and returns its number.
    pub async fn prepare(&mut self, sql: &str) -> anyhow::Result<u32> {
        let payload = [&[Command::COM_STMT_PREPARE as u8], sql.as_bytes()].concat();
        let mut packet = BytesMut::new();
        write_packet(&mut packet, &mut 0, &payload);
        let summary = self.exchange(&packet, ResponseKind::Prepare).await?;
        Ok(summary.prepared.context("the answer to PREPARE names no statement")?.statement_id)
    }

    /// Sends one command, headers included, and waits for the end of its answer; an error in it is an error here.
    pub async fn exchange(&mut self, command: &[u8], kind: ResponseKind) -> anyhow::Result<Summary> {
        self.stream.write_all(command).await?;
        let mut tracker = ResponseTracker::new(kind, self.capabilities, 1);
        loop {
            self.read().await?;
            let progress = tracker.feed(&self.input)?;
            self.input.advance(progress.consumed);
            match progress.event {
                Event::More => {}
                Event::Done => break,
                Event::LocalInfile => bail!("the server asks for a file"),
            }
        }
        let summary = tracker.into_summary();
        match summary.error {
            None => Ok(summary),
            Some((code, _)) => bail!("error {code}"),
        }
    }

    async fn send(&mut self, packets: &mut PacketReader, payload: &[u8]) -> anyhow::Result<()> {
        let (mut out, mut sequence) = (BytesMut::new(), packets.seq());
        write_packet(&mut out, &mut sequence, payload);
        packets.set_seq(sequence);
        Ok(self.stream.write_all(&out).await?)
    }

    async fn packet(&mut self, packets: &mut PacketReader) -> anyhow::Result<BytesMut> {
        loop {
            if let Some(packet) = packets.next(&mut self.input, MAX_PACKET)? {
                return Ok(packet);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        if self.input.is_empty() {
            self.input.clear();
        }
        self.input.reserve(READ_ROOM);
        match self.stream.read_buf(&mut self.input).await? {
            0 => bail!("the connection was closed"),
            _ => Ok(()),
        }
    }
}
