//! A client's connection: bytes in, bytes out, with the bounds on both. It knows packets' frames only, never what a command means.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use podway_wire::{self as wire, CommandFrame, FrameError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

/// What an idle connection's buffer shrinks to.
const IDLE_BUFFER: usize = 2 << 10;
/// The least free room for one read.
const READ_ROOM: usize = 1 << 10;
/// A buffer larger than this is given back when its command has ended.
const LARGE_BUFFER: usize = 64 << 10;
/// How much of the next commands is read while one is at work; a client that sends more waits in its socket.
const PIPELINE_BYTES: usize = 64 << 10;

/// A client's connection.
pub struct ClientStream {
    io: ClientIo,
    /// What has arrived and is not used up.
    pub input: BytesMut,
    write_deadline: Duration,
}

/// The transport below.
enum ClientIo {
    Plain(TcpStream),
    Tls(Box<TlsStream<Rest>>),
}

/// A socket of which some bytes were read already: a client sends its TLS hello without waiting, so it may come together with the request
/// for TLS. What was read is given to TLS as it came, and to nothing else.
pub struct Rest {
    read: BytesMut,
    stream: TcpStream,
}

/// Why no command came.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The client closed its connection, or it broke.
    #[error("the client left: {0}")]
    Gone(#[from] io::Error),
    /// What it sent is not a command's frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl ClientStream {
    /// A connection that has just been accepted.
    pub fn new(stream: TcpStream, write_deadline: Duration) -> ClientStream {
        ClientStream {
            io: ClientIo::Plain(stream),
            input: BytesMut::with_capacity(IDLE_BUFFER),
            write_deadline,
        }
    }

    /// The plain socket with what was read of it and not used, to be wrapped into TLS; `None` if it is wrapped already.
    pub fn into_plain(self) -> Option<Rest> {
        match self.io {
            ClientIo::Plain(stream) => Some(Rest { read: self.input, stream }),
            ClientIo::Tls(_) => None,
        }
    }

    /// The same connection under TLS.
    pub fn over_tls(stream: TlsStream<Rest>, write_deadline: Duration) -> ClientStream {
        ClientStream {
            io: ClientIo::Tls(Box::new(stream)),
            input: BytesMut::with_capacity(IDLE_BUFFER),
            write_deadline,
        }
    }

    /// From where the client has connected.
    pub fn peer(&self) -> io::Result<std::net::SocketAddr> {
        match &self.io {
            ClientIo::Plain(stream) => stream.peer_addr(),
            ClientIo::Tls(stream) => stream.get_ref().0.stream.peer_addr(),
        }
    }

    /// Whether what is sent here is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self.io, ClientIo::Tls(_))
    }

    /// Reads what is there, at least a byte. Safe to cancel.
    pub async fn read_some(&mut self) -> io::Result<()> {
        if self.input.capacity() - self.input.len() < READ_ROOM {
            self.input.reserve(IDLE_BUFFER.max(self.input.len() / 2).min(1 << 20));
        }
        match self.io.read_buf(&mut self.input).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Waits for the first bytes of a command. Safe to cancel; no deadline: whoever watches idle sessions has one.
    pub async fn wait_for_command(&mut self) -> io::Result<()> {
        if !self.input.is_empty() {
            return Ok(());
        }
        if self.input.capacity() > IDLE_BUFFER {
            self.input = BytesMut::with_capacity(IDLE_BUFFER);
        }
        self.read_some().await
    }

    /// The whole command at the head of the buffer, whose rest must arrive within `read_deadline`.
    pub async fn command(
        &mut self,
        max_packet: usize,
        read_deadline: Duration,
    ) -> Result<CommandFrame, CommandError> {
        loop {
            if let Some(frame) = wire::command_frame(&self.input, max_packet)? {
                return Ok(frame);
            }
            timeout(read_deadline, self.read_some()).await.map_err(|_| {
                io::Error::new(io::ErrorKind::TimedOut, "the rest of a command did not come")
            })??;
        }
    }

    /// Drops a command that is done with.
    pub fn consume(&mut self, bytes: usize) {
        if bytes >= self.input.len() && self.input.capacity() > LARGE_BUFFER {
            self.input = BytesMut::with_capacity(IDLE_BUFFER);
        } else {
            self.input.advance(bytes.min(self.input.len()));
            if self.input.is_empty() {
                self.input.clear();
            }
        }
    }

    /// Completes when the client has left; commands that it sends meanwhile wait in the buffer. Safe to cancel.
    pub async fn gone(&mut self, command_bytes: usize) -> io::Error {
        loop {
            if self.input.len() > command_bytes + PIPELINE_BYTES {
                return std::future::pending().await;
            }
            if let Err(error) = self.read_some().await {
                return error;
            }
        }
    }

    /// Sends all of this; a client that takes nothing for the write deadline is given up.
    pub async fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if let ClientIo::Plain(stream) = &self.io {
            while !bytes.is_empty() {
                match stream.try_write(bytes) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(sent) => bytes = &bytes[sent..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        timeout(self.write_deadline, stream.writable()).await.map_err(|_| too_slow())??;
                    }
                    Err(error) => return Err(error),
                }
            }
            return Ok(());
        }
        while !bytes.is_empty() {
            let sent = timeout(self.write_deadline, self.io.write(bytes)).await.map_err(|_| too_slow())??;
            bytes = &bytes[sent..];
        }
        timeout(self.write_deadline, self.io.flush()).await.map_err(|_| too_slow())?
    }

    /// Ends the connection in an orderly way.
    pub async fn close(mut self) {
        let _ = timeout(self.write_deadline, self.io.shutdown()).await;
    }
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client does not read its result")
}

impl AsyncRead for Rest {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let taken = this.read.len().min(buf.remaining());
        buf.put_slice(&this.read[..taken]);
        this.read.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rest {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ClientIo::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            ClientIo::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            ClientIo::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            ClientIo::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ClientIo::Plain(stream) => Pin::new(stream).poll_flush(cx),
            ClientIo::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ClientIo::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            ClientIo::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
