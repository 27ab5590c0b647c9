//! Space on disks, told in words.
//!
//! Never here: asking for it (the supervisor library does), and what is done about too little of it.

/// Bytes as people read free space: `1.2 GiB`.
pub fn gib(bytes: u64) -> String {
    match bytes {
        0..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

/// Bytes as registries and Docker count them: `980 MB`.
pub fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_told_in_words() {
        let told: Vec<String> = [0, 300 << 20, 1 << 30, 1_288_490_189].into_iter().map(gib).collect();
        assert_eq!(told, ["0 MiB", "300 MiB", "1.0 GiB", "1.2 GiB"]);
        assert_eq!((megabytes(0), megabytes(1), megabytes(980_000_000)), (0, 1, 980));
    }
}
