//! Who is calling, and whether they may. `sigv4` finds out who signed a request, `authorize` is the one place that
//! decides access, `credentials` keeps the root key pair on disk. Nothing here knows HTTP beyond header names.

pub mod authorize;
pub mod credentials;
pub mod sigv4;

pub use authorize::{Context, Principal, authorize};
pub use credentials::{Credentials, CredentialsError, Origin};
pub use sigv4::{Service, SignedRequest, Verifier};
