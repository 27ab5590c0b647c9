//! The log driver `syslog`: a message for each line, to a socket of this machine or to another one.
//!
//! A syslog that is away, full or slow never stops the job: after a short wait its lines are dropped and counted, and
//! it is tried again now and then. Never here: names of other machines (the server looks them up).

use super::clock;
use super::output::records;
use batchyard_supervisor::sink::{self, SyslogFormat};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with,
};
use std::fmt::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// How long a syslog that was away is left alone.
const AGAIN: Duration = Duration::from_secs(5);
/// How long another machine may take to answer.
const CONNECT: Duration = Duration::from_secs(1);
/// Milliseconds that one message may wait for room.
const PATIENCE_MS: i64 = 200;
/// Longest text of a message; Docker's drivers split there, too.
const MAX_TEXT: usize = 16 << 10;
/// Severities of standard output and error: information, error.
const INFO: u8 = 6;
const ERROR: u8 = 3;

/// The way to a syslog.
pub struct Syslog {
    to: sink::Syslog,
    host: String,
    socket: Option<Socket>,
    again_at: Duration,
    /// The last message found room.
    patient: bool,
    unsaid: u64,
    dropped: u64,
}

struct Socket {
    fd: OwnedFd,
    /// Messages have no edges of their own: a newline ends them.
    stream: bool,
}

impl Syslog {
    /// Not connected yet.
    pub fn new(to: sink::Syslog) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { to, host, socket: None, again_at: Duration::ZERO, patient: true, unsaid: 0, dropped: 0 }
    }

    /// Sends a message for each record.
    pub fn append(&mut self, error: bool, bytes: &[u8]) {
        let severity = if error { ERROR } else { INFO };
        for record in records(bytes) {
            self.finish();
            let mut pieces = record.text.chunks(MAX_TEXT);
            let first = pieces.next().unwrap_or_default();
            let sent = self.send(severity, record.at_ms, first)
                && pieces.all(|p| self.send(severity, record.at_ms, p));
            if !sent {
                self.dropped += 1;
                self.unsaid += 1;
            }
        }
    }

    /// Says how many lines are missing here, if it can be said.
    pub fn finish(&mut self) {
        if self.unsaid > 0 && self.connected() {
            let text = format!("batchyard: {} lines were dropped (syslog was away)", self.unsaid);
            if self.send(ERROR, clock::wall_ms(), text.as_bytes()) {
                self.unsaid = 0;
            }
        }
    }

    /// Lines dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn connected(&mut self) -> bool {
        if self.socket.is_none() && clock::since_boot() >= self.again_at {
            match open(&self.to.address) {
                Ok(socket) => (self.socket, self.patient) = (Some(socket), true),
                Err(e) => {
                    eprintln!("connect to the syslog {}: {e}", self.to.address);
                    self.again_at = clock::since_boot() + AGAIN;
                }
            }
        }
        self.socket.is_some()
    }

    fn send(&mut self, severity: u8, at_ms: i64, text: &[u8]) -> bool {
        // A syslog that was begun anew is there again at once.
        for _ in 0..2 {
            if !self.connected() {
                return false;
            }
            let Some(socket) = &self.socket else { return false };
            let message = message(&self.to, &self.host, severity, at_ms, text, socket.stream);
            match put(socket, &message, self.patient) {
                Ok(()) => {
                    self.patient = true;
                    return true;
                }
                Err(Errno::AGAIN) => {
                    self.patient = false;
                    return false;
                }
                Err(_) => self.socket = None,
            }
        }
        self.again_at = clock::since_boot() + AGAIN;
        false
    }
}

/// All of it or an error. With half of it sent, a stream is of no use any more.
fn put(socket: &Socket, mut message: &[u8], patient: bool) -> Result<(), Errno> {
    let mut begun = false;
    while !message.is_empty() {
        match send(&socket.fd, message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(n) if socket.stream => (message, begun) = (&message[n..], true),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN | Errno::NOBUFS) if patient || begun => {
                let time = Timespec { tv_sec: 0, tv_nsec: PATIENCE_MS * 1_000_000 };
                let room = poll(&mut [PollFd::new(&socket.fd, PollFlags::OUT)], Some(&time));
                if room == Ok(0) {
                    return Err(if begun { Errno::PIPE } else { Errno::AGAIN });
                }
            }
            Err(Errno::NOBUFS) => return Err(Errno::AGAIN),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn open(address: &str) -> std::io::Result<Socket> {
    let (kind, place) = address.split_once(':').unwrap_or(("unix", address));
    if kind == "unix" {
        return Ok(unix(place)?);
    }
    let place: SocketAddr = place.parse().map_err(std::io::Error::other)?;
    if kind == "tcp" {
        let stream = TcpStream::connect_timeout(&place, CONNECT)?;
        stream.set_nonblocking(true)?;
        return Ok(Socket { fd: stream.into(), stream: true });
    }
    let any = if place.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(place)?;
    Ok(Socket { fd: socket.into(), stream: false })
}

/// Syslogs of this machine listen for datagrams, seldom for streams.
fn unix(path: &str) -> Result<Socket, Errno> {
    let address = SocketAddrUnix::new(path)?;
    let open = |kind| {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::UNIX, kind, flags, None)?;
        connect(fd.as_fd(), &address).map(|()| Socket { fd, stream: kind == SocketType::STREAM })
    };
    match open(SocketType::DGRAM) {
        Err(Errno::PROTOTYPE) => open(SocketType::STREAM),
        opened => opened,
    }
}

fn message(to: &sink::Syslog, host: &str, severity: u8, at_ms: i64, text: &[u8], stream: bool) -> Vec<u8> {
    let (priority, tag, pid) =
        (u32::from(to.facility) * 8 + u32::from(severity), &to.tag, std::process::id());
    let mut head = String::new();
    let _ = match to.format {
        SyslogFormat::Local => write!(head, "<{priority}>{} {tag}[{pid}]: ", clock::stamp(at_ms)),
        SyslogFormat::Rfc3164 => write!(head, "<{priority}>{} {host} {tag}[{pid}]: ", clock::stamp(at_ms)),
        SyslogFormat::Rfc5424 => {
            write!(head, "<{priority}>1 {} {host} {tag} {pid} {tag} - ", clock::rfc3339_with(at_ms, 0))
        }
        SyslogFormat::Rfc5424Micro => {
            write!(head, "<{priority}>1 {} {host} {tag} {pid} {tag} - ", clock::rfc3339_with(at_ms, 6))
        }
    };
    let mut message = head.into_bytes();
    message.extend_from_slice(text);
    if stream {
        message.push(b'\n');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_written_as_asked() {
        let said = |format, severity| {
            let to = sink::Syslog { address: "unix:/x".into(), facility: 3, format, tag: "job".into() };
            let bytes = message(&to, "host", severity, 1_700_000_000_123, b"hi \xff", false);
            String::from_utf8_lossy(&bytes).replace(&std::process::id().to_string(), "PID")
        };
        assert!(said(SyslogFormat::Local, INFO).starts_with("<30>Nov 1"));
        assert!(said(SyslogFormat::Local, INFO).ends_with(" job[PID]: hi \u{fffd}"));
        assert!(said(SyslogFormat::Rfc3164, ERROR).starts_with("<27>Nov 1"));
        assert!(said(SyslogFormat::Rfc3164, ERROR).ends_with(" host job[PID]: hi \u{fffd}"));
        let whole = "<30>1 2023-11-14T22:13:20Z host job PID job - hi \u{fffd}";
        assert_eq!(said(SyslogFormat::Rfc5424, INFO), whole);
        assert_eq!(said(SyslogFormat::Rfc5424Micro, INFO), whole.replace(":20Z", ":20.123000Z"));
    }

    #[test]
    fn a_syslog_that_is_away_costs_no_time() {
        let to = sink::Syslog {
            address: "unix:/nowhere/log".into(),
            facility: 3,
            format: SyslogFormat::Local,
            tag: "job".into(),
        };
        let mut syslog = Syslog::new(to);
        let mut bytes = Vec::new();
        (0..1000).for_each(|_| batchyard_supervisor::log_file::push_record(&mut bytes, 0, b"x"));
        let began = clock::since_boot();
        syslog.append(false, &bytes);
        assert_eq!(syslog.dropped(), 1000);
        assert!(clock::since_boot() - began < AGAIN);
    }
}
