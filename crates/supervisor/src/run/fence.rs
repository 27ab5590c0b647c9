//! `--fence CGROUP [ADDRESS/PREFIX...]`: keeps the jobs of a server off addresses, for as long as their cgroup exists.
//!
//! Programs of the kernel on the cgroup of version 2 that holds all of them: a connection or a datagram to a blocked
//! address fails at once with EPERM, whatever network namespace the job is in, and other packets are dropped. No rule
//! of a packet filter, so nothing on the host changes but this group. Never here: which addresses (a setting).

use super::bpf;
use super::fail::{During, Fail};
use super::sys::{self, Attachment};
use batchyard_supervisor::cgroup::{self, Hierarchies};
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags};
use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Raises the fence, in place of one that was there, and prints the cgroup's folder.
pub fn raise(cgroup: &OsStr, blocked: &[OsString]) -> ExitCode {
    let nets: Result<Vec<Net>, Fail> =
        blocked.iter().map(|text| Net::parse(&text.to_string_lossy())).collect();
    match nets.and_then(|nets| raise_in(&cgroup.to_string_lossy(), &nets)) {
        Ok(folder) => {
            println!("{}", folder.display());
            ExitCode::SUCCESS
        }
        Err(fail) => {
            eprintln!("{}", fail.0);
            ExitCode::FAILURE
        }
    }
}

fn raise_in(cgroup: &str, nets: &[Net]) -> Result<PathBuf, Fail> {
    let found = Hierarchies::read().during("read the table of mounts")?;
    let Some(mount) = &found.v2 else {
        return Err(Fail::runtime("this host has no control groups of version 2"));
    };
    let folder = make(&found, mount, cgroup)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(&folder, flags, Mode::empty()).during("open the cgroup")?;
    let (four, six, packets) = (to_four(nets), to_six(nets), to_packets(nets));
    for (attachment, code) in [
        (Attachment::Connect4, &four),
        (Attachment::Connect6, &six),
        (Attachment::Send4, &four),
        (Attachment::Send6, &six),
        (Attachment::Packets, &packets),
    ] {
        let during = format_args!("attach a program to {}", folder.display());
        sys::attach_program(fd.as_fd(), attachment, code).during(during)?;
    }
    Ok(folder)
}

/// The group, where attempts' own will lie below it.
fn make(found: &Hierarchies, mount: &Path, cgroup: &str) -> Result<PathBuf, Fail> {
    let wanted = found.v2_controllers(mount);
    let mut last = Err(Fail::runtime("no cgroup of version 2 can be made"));
    for base in found.v2_bases(mount) {
        last = cgroup::make_below(&base, cgroup, &wanted).during(format_args!("make cgroup {cgroup}"));
        if last.is_ok() {
            break;
        }
    }
    last
}

/// Addresses that begin alike: four words and four masks, as the kernel has them in memory. Those of IPv4 are the IPv6
/// ones that stand for them.
struct Net {
    is_four: bool,
    words: [u32; 4],
    masks: [u32; 4],
}

impl Net {
    fn parse(text: &str) -> Result<Self, Fail> {
        let bad = || Fail::runtime(format_args!("{text} is no address and no network, such as 10.0.0.0/8"));
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u32>().map_err(|_| bad())?)),
            None => (text, None),
        };
        let (is_four, whole, bits): (bool, Ipv6Addr, u32) = match address.parse().map_err(|_| bad())? {
            IpAddr::V4(four) => (true, Ipv4Addr::to_ipv6_mapped(&four), 32),
            IpAddr::V6(six) => (false, six, 128),
        };
        let prefix = prefix.unwrap_or(bits);
        // Everything is no list of addresses; a program that always says no has steps that are never reached.
        let free = bits.checked_sub(prefix).filter(|_| prefix > 0).ok_or_else(bad)?;
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        let words = |number: u128| {
            let bytes = number.to_be_bytes();
            let word = |i: usize| u32::from_ne_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
            [word(0), word(4), word(8), word(12)]
        };
        Ok(Self { is_four, words: words(u128::from(whole) & mask), masks: words(mask) })
    }

    /// Whether the address is one of them: its words are in registers 2 to 5, the last of them in 5.
    fn tests(&self, words: std::ops::Range<usize>) -> Vec<u64> {
        let test = |i: usize| {
            let register = i as u64 + 2;
            [bpf::copy(7, register), bpf::mask(7, self.masks[i]), bpf::jump_unless(7, self.words[i])]
        };
        words.filter(|i| self.masks[*i] != 0).flat_map(test).collect()
    }
}

/// Answers 0 when the address in the registers is in one of `nets`.
fn refuse<'n>(nets: impl Iterator<Item = &'n Net>, words: std::ops::Range<usize>) -> Vec<u64> {
    let one = |net: &'n Net| bpf::all(net.tests(words.clone()), 2).chain([bpf::set(0, 0), bpf::EXIT]);
    nets.flat_map(one).collect()
}

/// For connections and datagrams of IPv4: the context's second word is the address.
fn to_four(nets: &[Net]) -> Vec<u64> {
    let mut code = vec![bpf::load(5, 1, 4)];
    code.extend(refuse(nets.iter().filter(|net| net.is_four), 3..4));
    code.extend([bpf::set(0, 1), bpf::EXIT]);
    code
}

/// For those of IPv6: its third to sixth word.
fn to_six(nets: &[Net]) -> Vec<u64> {
    let mut code: Vec<u64> = (0..4).map(|i| bpf::load(2 + i, 1, 8 + 4 * i)).collect();
    code.extend(refuse(nets.iter(), 0..4));
    code.extend([bpf::set(0, 1), bpf::EXIT]);
    code
}

/// For packets of any kind, raw ones too: the header is read, its version first.
fn to_packets(nets: &[Net]) -> Vec<u64> {
    const VERSION: u32 = if cfg!(target_endian = "little") { 0xf0 } else { 0xf000_0000 };
    let version = |n: u32| if cfg!(target_endian = "little") { n << 4 } else { n << 28 };
    let four = refuse(nets.iter().filter(|net| net.is_four), 3..4);
    let six = refuse(nets.iter(), 0..4);
    let mut code = vec![bpf::load(8, 1, 76), bpf::load(9, 1, 80)];
    for (number, length, body) in [(4, 20, four), (6, 40, six)] {
        let first = if number == 4 { 16 } else { 24 };
        let words = if number == 4 { 3..4_u64 } else { 0..4 };
        let words = words.clone().map(|i| bpf::load(2 + i, 8, first + 4 * (i - words.start)));
        let rest: Vec<u64> = words.chain(body).collect();
        let tests = vec![
            bpf::copy(7, 8),
            bpf::with_value(0x07, 7, length),
            bpf::jump_if_greater(7, 9),
            bpf::load(7, 8, 0),
            bpf::mask(7, VERSION),
            bpf::jump_unless(7, version(number)),
        ];
        code.extend(bpf::all(tests, rest.len()).chain(rest));
    }
    code.extend([bpf::set(0, 1), bpf::EXIT]);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<Net> {
        texts.iter().map(|text| Net::parse(text).map_err(|f| f.0).expect("a net")).collect()
    }

    fn connects(code: (&[u64], &[u64]), address: &str) -> bool {
        let word = |b: &[u8]| u32::from_ne_bytes(b.try_into().expect("four bytes"));
        match address.parse().expect("an address") {
            IpAddr::V4(four) => bpf::run(code.0, &[2, word(&four.octets())], &[]) == 1,
            IpAddr::V6(six) => {
                let mut context = vec![10, 0];
                context.extend(six.octets().chunks(4).map(word));
                bpf::run(code.1, &context, &[]) == 1
            }
        }
    }

    fn passes(code: &[u64], address: &str) -> bool {
        let packet = match address.parse().expect("an address") {
            IpAddr::V4(four) => [&[0x45][..], &[0; 15], &four.octets(), &[9; 30]].concat(),
            IpAddr::V6(six) => [&[0x60][..], &[0; 23], &six.octets(), &[9; 30]].concat(),
        };
        bpf::run(code, &[0], &packet) == 1
    }

    #[test]
    fn what_is_blocked_is_refused_and_nothing_else() {
        let nets = nets(&["169.254.169.254", "10.0.0.0/9", "fd00:ec2::254", "2001:db8::/33"]);
        let (four, six, packets) = (to_four(&nets), to_six(&nets), to_packets(&nets));
        for (address, free) in [
            ("169.254.169.254", false),
            ("169.254.169.253", true),
            ("::ffff:169.254.169.254", false),
            ("::ffff:169.254.169.255", true),
            ("10.127.255.255", false),
            ("10.128.0.0", true),
            ("127.0.0.1", true),
            ("fd00:ec2::254", false),
            ("fd00:ec2::255", true),
            ("2001:db8:7fff::1", false),
            ("2001:db8:8000::1", true),
            ("::1", true),
        ] {
            assert_eq!(connects((&four, &six), address), free, "connect to {address}");
            assert_eq!(passes(&packets, address), free, "a packet to {address}");
        }
        assert_eq!(bpf::run(&packets, &[0], &[0x45; 10]), 1, "a packet that is cut short");
    }

    #[test]
    fn odd_texts_are_no_networks() {
        for text in
            ["", "1.2.3", "1.2.3.4/33", "::/129", "1.2.3.4/x", "/8", "1.2.3.4/-1", "0.0.0.0/0", "::/0"]
        {
            assert!(Net::parse(text).is_err(), "{text}");
        }
    }
}
