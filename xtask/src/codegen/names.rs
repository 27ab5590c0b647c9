//! Rust spellings of wire names. Types keep AWS's names letter for letter; fields and constants follow Rust.

/// Words of Rust that wire names use as member names.
const KEYWORDS: &[&str] = &["type", "ref", "match", "move", "static", "where", "use", "in", "loop"];

/// A member's field name: `jobName` → `job_name`, `minvCpus` → `min_vcpus`, `type` → `r#type`.
pub fn field(wire: &str) -> String {
    let name = words(wire).join("_");
    if KEYWORDS.contains(&name.as_str()) { format!("r#{name}") } else { name }
}

/// A constant's name: `CEState` → `CE_STATE`.
pub fn constant(wire: &str) -> String {
    words(wire).join("_").to_uppercase()
}

/// A type's name: the shape's own, with a capital first.
pub fn type_name(shape: &str) -> String {
    let mut letters = shape.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The lower-case words of a camel-case name. A run of capitals is one word (`EFSVolume` → `efs`, `volume`).
fn words(wire: &str) -> Vec<String> {
    let plain = wire.replace("vCpus", "Vcpus").replace("GiB", "Gib").replace("MiB", "Mib");
    let letters: Vec<char> = plain.chars().collect();
    let mut words: Vec<String> = Vec::new();
    for (at, letter) in letters.iter().enumerate() {
        let after_small = at > 0 && !letters[at - 1].is_uppercase();
        let ends_run = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        let starts_word = letter.is_uppercase() && (after_small || ends_run);
        match words.last_mut() {
            Some(word) if !starts_word => word.extend(letter.to_lowercase()),
            _ => words.push(letter.to_lowercase().collect()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_rust() {
        let pairs = [
            ("jobName", "job_name"),
            ("minvCpus", "min_vcpus"),
            ("vcpus", "vcpus"),
            ("type", "r#type"),
            ("EFSAuthorizationConfigIAM", "efs_authorization_config_iam"),
            ("storageSizeGiB", "storage_size_gib"),
            ("ec2KeyPair", "ec2_key_pair"),
            ("UserId", "user_id"),
        ];
        for (wire, rust) in pairs {
            assert_eq!(field(wire), rust);
        }
        assert_eq!(constant("CRUpdateAllocationStrategy"), "CR_UPDATE_ALLOCATION_STRATEGY");
        assert_eq!(constant("JQState"), "JQ_STATE");
        assert_eq!(type_name("entity"), "Entity");
    }
}
