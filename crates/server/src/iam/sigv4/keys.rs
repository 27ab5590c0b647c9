//! Day keys: four HMACs make one, and every request of that day and service is signed with it.

use super::Service;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::sync::RwLock;

/// How many keys are kept. A day, a region and three services need five; midnight doubles them.
const KEPT: usize = 32;

/// The keys in use, each already loaded into an HMAC.
#[derive(Default)]
pub(super) struct SigningKeys(RwLock<Vec<Entry>>);

struct Entry {
    day: String,
    region: String,
    service: Service,
    mac: Hmac<Sha256>,
}

impl SigningKeys {
    /// The HMAC of a day key. Ask only for scopes that were checked, so that strangers cannot fill the cache.
    pub fn get(&self, secret: &str, day: &str, region: &str, service: Service) -> Hmac<Sha256> {
        let fits = |e: &&Entry| e.service == service && e.day == day && e.region == region;
        // A poisoned lock holds a list that is whole: it only ever gains or loses entries.
        let kept = self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(entry) = kept.iter().find(fits) {
            return entry.mac.clone();
        }
        drop(kept);
        let mac = derive(secret, day, region, service.name());
        let mut kept = self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push(Entry { day: day.into(), region: region.into(), service, mac: mac.clone() });
        mac
    }
}

#[cfg(test)]
impl SigningKeys {
    pub fn len(&self) -> usize {
        self.0.read().unwrap().len()
    }
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKeys")
    }
}

fn derive(secret: &str, day: &str, region: &str, service: &str) -> Hmac<Sha256> {
    let first = keyed(["AWS4", secret].concat().as_bytes());
    [day, region, service, "aws4_request"].into_iter().fold(first, |mut mac, part| {
        mac.update(part.as_bytes());
        keyed(&mac.finalize().into_bytes())
    })
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}
