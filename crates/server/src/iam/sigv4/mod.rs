//! AWS Signature Version 4, checked for real: key, scope, date, signed headers, body. Header form and presigned form.
//!
//! `claim` reads what a request says about its signature, `canonical` rebuilds the text that was signed, `keys` keeps
//! the derived day keys, `text` holds the two percent encodings. Who the signer may be is decided here; what they may
//! do is `authorize`'s.

mod canonical;
mod claim;
mod keys;
mod text;

pub use text::{decode, pairs};

use crate::error::{ApiError, ErrorKind};
use crate::iam::{Credentials, Principal};
use claim::Claim;
use hmac::Mac;
use hyper::HeaderMap;

/// How far a request's date may be from the server's clock, in seconds.
pub const MAX_SKEW: i64 = 15 * 60;
/// The longest life of a presigned request, in seconds.
pub const MAX_EXPIRES: i64 = 7 * 24 * 3600;

/// The service that a request is for: its name must be in the credential's scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// AWS Batch.
    Batch,
    /// CloudWatch Logs.
    Logs,
    /// The Security Token Service.
    Sts,
}

impl Service {
    /// The name in a credential's scope.
    pub fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Logs => "logs",
            Self::Sts => "sts",
        }
    }
}

/// A request as it came, which is what was signed.
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path, still percent-encoded.
    pub path: &'a str,
    /// The query, still percent-encoded; empty without one.
    pub query: &'a str,
    /// Every header.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
}

/// Checks signatures against the root credentials.
#[derive(Debug)]
pub struct Verifier {
    credentials: Credentials,
    region: String,
    root: Principal,
    keys: keys::SigningKeys,
}

impl Verifier {
    /// A verifier for the one key pair of `account`, whose requests must be scoped to `region`.
    pub fn new(credentials: Credentials, account: &str, region: &str) -> Self {
        let root = Principal::root(account, &credentials.access_key_id);
        Self { credentials, region: region.into(), root, keys: keys::SigningKeys::default() }
    }

    /// Who signed `request`, a call of `service` at `now` (Unix seconds).
    ///
    /// # Errors
    /// 403 or 400 with AWS's code and text (spec infrastructure §10.1): not signed, unreadable, unknown key, scoped to
    /// something else, too old or too new, or the signature is not the one this request has with that key.
    pub fn verify(
        &self,
        request: &SignedRequest<'_>,
        service: Service,
        now: i64,
    ) -> Result<Principal, ApiError> {
        let claim = claim::read(request)?;
        if claim.access_key != self.credentials.access_key_id || claim.has_token {
            return Err(ApiError::new(
                ErrorKind::UnrecognizedClient,
                "The security token included in the request is invalid.",
            ));
        }
        self.check_scope(&claim, service)?;
        check_date(&claim, now)?;
        let body_hash = canonical::body_hash(request, &claim)?;
        let canonical = canonical::request(request, &claim, &body_hash)?;
        let to_sign = canonical::string_to_sign(&claim, &canonical);
        let secret = &self.credentials.secret_access_key;
        let mut mac = self.keys.get(secret, &claim.day, &claim.region, service);
        mac.update(to_sign.as_bytes());
        // `verify_slice` takes the same time wherever the difference is.
        match text::unhex(&claim.signature) {
            Some(signature) if mac.verify_slice(&signature).is_ok() => Ok(self.root.clone()),
            _ => Err(mismatch(&canonical, &to_sign)),
        }
    }

    fn check_scope(&self, claim: &Claim<'_>, service: Service) -> Result<(), ApiError> {
        let wrong = |text: String| Err(ApiError::new(ErrorKind::InvalidSignature, text));
        if claim.terminator != "aws4_request" {
            return wrong(format!(
                "Credential should be scoped with a valid terminator: 'aws4_request', not '{}'.",
                claim.terminator
            ));
        }
        if claim.service != service.name() {
            return wrong(format!("Credential should be scoped to correct service: '{}'.", service.name()));
        }
        // STS's global endpoint is signed for us-east-1 by clients of every region.
        let global = service == Service::Sts && claim.region == "us-east-1";
        if claim.region != self.region && !global {
            return wrong(format!(
                "Credential should be scoped to a valid region, not '{}'; this server's region is '{}' (set \
                 AWS_REGION and AWS_DEFAULT_REGION to it, or start the server with `--region {}`).",
                claim.region, self.region, claim.region
            ));
        }
        Ok(())
    }
}

fn check_date(claim: &Claim<'_>, now: i64) -> Result<(), ApiError> {
    let wrong = |text: String| Err(ApiError::new(ErrorKind::InvalidSignature, text));
    if claim.stamp.get(..8) != Some(&claim.day) {
        return wrong(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}', \
             from '{}'.",
            claim.day,
            claim.stamp.get(..8).unwrap_or_default(),
            claim.stamp
        ));
    }
    let life = claim.expires.unwrap_or(MAX_SKEW);
    let minutes = MAX_SKEW / 60;
    if claim.time > now + MAX_SKEW {
        let (limit, now) = (text::stamp(now + MAX_SKEW), text::stamp(now));
        return wrong(format!(
            "Signature not yet current: {} is still later than {limit} ({now} + {minutes} min.)",
            claim.stamp
        ));
    }
    if claim.time + life >= now {
        return Ok(());
    }
    let (limit, now_text) = (text::stamp(now - life), text::stamp(now));
    match claim.expires {
        None => wrong(format!(
            "Signature expired: {} is now earlier than {limit} ({now_text} - {minutes} min.)",
            claim.stamp
        )),
        Some(life) => Err(ApiError::new(
            ErrorKind::ExpiredToken,
            format!(
                "The presigned request has expired: it was signed at {} for {life} seconds and it is now {now_text}.",
                claim.stamp
            ),
        )),
    }
}

/// Shows both texts, as AWS does: they come from the request alone and say at once which part differs.
fn mismatch(canonical: &str, to_sign: &str) -> ApiError {
    ApiError::new(
        ErrorKind::InvalidSignature,
        format!(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical String \
             for this request should have been\n'{canonical}'\n\nThe String-to-Sign should have been\n'{to_sign}'\n"
        ),
    )
}

#[cfg(test)]
mod tests;
