//! Which program holds a port.
//!
//! "Address already in use" sends people searching; a name and a process number does not. Only Linux tells, through
//! `/proc`, and only of processes that this user may look at; elsewhere nothing is found and the port is all that is said.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A program that listens.
#[derive(Debug)]
pub(super) struct Holder {
    pid: u32,
    name: String,
}

impl Holder {
    pub(super) fn new(pid: u32, name: impl Into<String>) -> Self {
        Self { pid, name: name.into() }
    }

    /// Whether it is another process of this program, by its name.
    pub(super) fn is_broker(&self) -> bool {
        self.name == "mcp-credentials-broker"
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_broker() {
            write!(f, "another credentials broker (process {})", self.pid)
        } else {
            write!(f, "{} (process {})", crate::error::foreign(&self.name), self.pid)
        }
    }
}

/// Who listens at the address, or at all addresses with that port.
pub(super) fn find(address: SocketAddr) -> Option<Holder> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listeners(&table, address).into_iter().map(|inode| format!("socket:[{inode}]")).collect::<Vec<_>>())
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let pid = fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| holds(*pid, &inodes))?;
    Some(Holder::new(pid, name(pid)?))
}

/// The inodes of the sockets that listen at the address, from a table as `/proc/net/tcp` has it: for every socket a line
/// with number, local address, remote address, state (0A is listening), …, and as the tenth field its inode.
fn listeners(table: &str, address: SocketAddr) -> Vec<&str> {
    table
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (ip, port) = fields.get(1)?.split_once(':')?;
            let in_the_way = fields.get(3) == Some(&"0A")
                && u16::from_str_radix(port, 16) == Ok(address.port())
                && parse_ip(ip).is_some_and(|ip| ip == address.ip() || ip.is_unspecified());
            in_the_way.then(|| fields.get(9).copied())?
        })
        .collect()
}

/// An address as the kernel writes it: words of 32 bits in hexadecimal, each in the machine's byte order.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (index, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(index * 8)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

fn holds(pid: u32, inodes: &[String]) -> bool {
    fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|entries| {
        entries
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .any(|link| link.to_str().is_some_and(|link| inodes.iter().any(|inode| inode == link)))
    })
}

/// The program's file name, or the short name where the file is not to be seen. Never the command line: arguments may
/// be somebody's secrets.
fn name(pid: u32) -> Option<String> {
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok();
    let file = program.as_ref().and_then(|path| path.file_name()?.to_str());
    match file {
        // The kernel adds this when the file was replaced, as an update does.
        Some(file) => Some(file.trim_end_matches(" (deleted)").to_owned()),
        None => Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2694 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0
   1: 0100007F:2694 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0 100 0 0 10 0
   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
   3: 0200007F:2694 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4714 1 0 100 0 0 10 0
";
    #[cfg(target_endian = "little")]
    const TABLE6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:2694 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 815 1
   1: 00000000000000000000000000000000:2695 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 816 1
   garbage
";

    #[cfg(target_endian = "little")]
    #[test]
    fn a_listening_socket_is_found_by_its_address_or_as_a_wildcard() {
        let v4 = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let v6 = |port| SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        assert_eq!(listeners(TABLE, v4(9876)), ["4711"]);
        assert_eq!(listeners(TABLE, v4(80)), ["4713"]);
        assert_eq!(listeners(TABLE6, v6(9876)), ["815"]);
        // a wildcard of the other family may hold both
        assert_eq!(listeners(TABLE6, v4(9877)), ["816"]);
        assert!(listeners(TABLE6, v4(9876)).is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_that_listens_is_named() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = find(socket.local_addr().unwrap()).unwrap();
        assert_eq!(holder.pid, std::process::id());
        let myself = std::env::current_exe().unwrap();
        assert_eq!(holder.name, myself.file_name().unwrap().to_str().unwrap());
    }
}
