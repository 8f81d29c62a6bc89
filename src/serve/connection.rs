//! A connection that may not stand still: whoever neither asks nor reads for long loses it.
//!
//! Start at [`Connection`]; `serve.rs` puts one around each socket. It knows nothing of HTTP.
//!
//! # Why
//!
//! actix bounds the first head of a connection and the time between requests. One byte of a second head ends both bounds,
//! and none is set to an answer that nobody reads, so that either holds a descriptor for good. Here one rule covers
//! idling, heads and bodies that trickle, and answers that are not taken: something is written within the patience,
//! counted from the last write or, if later, from the first byte that came after it. It costs nothing per byte and no
//! timer per request: the alarm is set once, and set again when it rings too early.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// A socket that fails with `TimedOut` once it stood still for longer than its patience.
pub struct Connection {
    socket: TcpStream,
    patience: Duration,
    moved_at: Instant,
    /// Bytes came since the last write: further ones win no time.
    asked: bool,
    alarm: Pin<Box<Sleep>>,
}

impl Connection {
    pub fn new(socket: TcpStream, patience: Duration) -> Self {
        Self { socket, patience, moved_at: Instant::now(), asked: false, alarm: Box::pin(sleep(patience)) }
    }

    /// What the socket answers to whoever must wait for it.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let due = self.moved_at + self.patience;
            if due <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.alarm.as_mut().reset(due);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.socket).poll_read(cx, buffer) {
            Poll::Pending => self.wait(cx),
            done => {
                if !self.asked {
                    self.asked = true;
                    self.moved_at = Instant::now();
                }
                done
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.socket).poll_write(cx, bytes) {
            Poll::Pending => self.wait(cx),
            done => {
                self.asked = false;
                self.moved_at = Instant::now();
                done
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
