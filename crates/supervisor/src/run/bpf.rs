//! The few instructions of the kernel's programs on control groups, as numbers.
//!
//! Never here: what a program decides.

/// Ends the program; the answer is register 0.
pub const EXIT: u64 = 0x95;

/// Loads 32 bits at `offset` of what `from` points to.
pub fn load(to: u64, from: u64, offset: u64) -> u64 {
    0x61 | to << 8 | from << 12 | offset << 16
}

/// Copies a register.
pub fn copy(to: u64, from: u64) -> u64 {
    0xbf | to << 8 | from << 12
}

/// Sets a register.
pub fn set(register: u64, value: u32) -> u64 {
    with_value(0xb7, register, value)
}

/// An operation of a register and a number.
pub fn with_value(operation: u64, register: u64, value: u32) -> u64 {
    operation | register << 8 | u64::from(value) << 32
}

/// Keeps only the bits of `mask`, in the lower 32.
pub fn mask(register: u64, mask: u32) -> u64 {
    with_value(0x54, register, mask)
}

/// Jumps, by an offset that is added later, when the lower 32 bits of the register are not `value`.
pub fn jump_unless(register: u64, value: u32) -> u64 {
    with_value(0x56, register, value)
}

/// Jumps, by an offset that is added later, when the one register is greater than the other.
pub fn jump_if_greater(register: u64, other: u64) -> u64 {
    0x2d | register << 8 | other << 12
}

/// Each of these tests, when it fails, jumps over those after it and over `steps` more.
pub fn all(tests: Vec<u64>, steps: usize) -> impl Iterator<Item = u64> {
    let count = tests.len();
    let is_test = |step: u64| matches!(step & 0xff, 0x56 | 0x2d);
    tests.into_iter().enumerate().map(move |(i, test)| match is_test(test) {
        true => test | ((count - 1 - i + steps) as u64) << 16,
        false => test,
    })
}

/// Runs a program as the kernel would, for tests: `context` is what register 1 points to, `packet` what its words 19
/// and 20 do. Pointers are offsets, the packet's from a million on.
#[cfg(test)]
pub fn run(code: &[u64], context: &[u32], packet: &[u8]) -> u64 {
    const PACKET: u64 = 1_000_000;
    let mut r = [0_u64; 10];
    let mut at = 0;
    let read = |address: u64| -> u64 {
        match address {
            76 if !packet.is_empty() => PACKET,
            80 if !packet.is_empty() => PACKET + packet.len() as u64,
            a if a < PACKET => context[a as usize / 4].into(),
            a => {
                let a = (a - PACKET) as usize;
                u32::from_ne_bytes(packet[a..a + 4].try_into().expect("four bytes")).into()
            }
        }
    };
    loop {
        let step = code[at];
        let (op, to, from) = (step & 0xff, (step >> 8 & 15) as usize, (step >> 12 & 15) as usize);
        let (offset, value) = (step >> 16 & 0xffff, step >> 32);
        at += 1;
        match op {
            0x61 => r[to] = read(r[from] + offset),
            0xbf => r[to] = r[from],
            0x07 => r[to] += value,
            0x54 | 0x57 => r[to] &= value,
            0x77 => r[to] >>= value,
            0xb7 => r[to] = value,
            0x56 if r[to] & 0xffff_ffff != value => at += offset as usize,
            0x2d if r[to] > r[from] => at += offset as usize,
            0x56 | 0x2d => {}
            0x95 => return r[0],
            other => panic!("{other:#x}"),
        }
    }
}
