//! AWS Signature Version 4: the headers that prove who sends a request.
//!
//! Pure: key, time and request in, headers out. Never here: finding keys (config.rs), sending (http.rs).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// A key pair, with a token when it is a temporary one.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `AKIA…`.
    pub access_key_id: String,
    /// Never printed.
    pub secret_access_key: String,
    /// Of temporary keys.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// What is signed.
pub struct Request<'a> {
    /// `POST`, …
    pub method: &'a str,
    /// As it goes on the wire: already percent-encoded once, without the query.
    pub path: &'a str,
    /// As it goes on the wire: pairs already encoded and in the order in which they are sent.
    pub query: &'a str,
    /// Host, with the port when it is not the scheme's own.
    pub host: &'a str,
    /// Further headers to sign: lower-case name and value.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

/// Where and when the signature counts.
pub struct Scope<'a> {
    /// `us-east-1`, …
    pub region: &'a str,
    /// Signing name: `batch`, `logs`, `sts`.
    pub service: &'a str,
    /// `YYYYMMDDThhmmssZ`, UTC.
    pub time: &'a str,
}

/// The headers to add: `authorization`, `x-amz-date` and, with temporary keys, `x-amz-security-token`.
pub fn headers(keys: &Credentials, request: &Request<'_>, scope: &Scope<'_>) -> Vec<(&'static str, String)> {
    let mut signed: Vec<(&str, &str)> = request.headers.to_vec();
    signed.push(("host", request.host));
    signed.push(("x-amz-date", scope.time));
    if let Some(token) = &keys.session_token {
        signed.push(("x-amz-security-token", token));
    }
    signed.sort_unstable();
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");

    let date = scope.time.split('T').next().unwrap_or(scope.time);
    let credential_scope = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let hashed = hex(&Sha256::digest(canonical(request, &signed, &names)));
    let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{credential_scope}\n{hashed}", scope.time);

    let mut key = mac(format!("AWS4{}", keys.secret_access_key).as_bytes(), date.as_bytes());
    for part in [scope.region, scope.service, "aws4_request"] {
        key = mac(&key, part.as_bytes());
    }
    let signature = hex(&mac(&key, to_sign.as_bytes()));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{credential_scope}, SignedHeaders={names}, Signature={signature}",
        keys.access_key_id
    );
    let mut out = vec![("authorization", authorization), ("x-amz-date", scope.time.to_string())];
    if let Some(token) = &keys.session_token {
        out.push(("x-amz-security-token", token.clone()));
    }
    out
}

fn canonical(request: &Request<'_>, signed: &[(&str, &str)], names: &str) -> String {
    let mut pairs: Vec<&str> = request.query.split('&').filter(|p| !p.is_empty()).collect();
    pairs.sort_unstable();
    let path = if request.path.is_empty() { "/" } else { request.path };
    let mut text = format!("{}\n{}\n{}\n", request.method, encode_path(path), pairs.join("&"));
    for (name, value) in signed {
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(&format!("\n{names}\n{}", hex(&Sha256::digest(request.body))));
    text
}

/// Every service but S3 signs the path encoded once more than it is sent.
fn encode_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                out.push(byte.into());
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    batchyard_supervisor::format::to_hex(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "20150830T123600Z";

    fn keys(token: Option<&str>) -> Credentials {
        Credentials {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: token.map(String::from),
        }
    }

    fn sign(request: &Request<'_>, service: &str, token: Option<&str>) -> String {
        let scope = Scope { region: "us-east-1", service, time: TIME };
        headers(&keys(token), request, &scope).remove(0).1
    }

    fn get<'a>(path: &'a str, query: &'a str) -> Request<'a> {
        Request { method: "GET", path, query, host: "example.amazonaws.com", headers: &[], body: b"" }
    }

    /// `get-vanilla` of the AWS test suite, in full.
    #[test]
    fn get_vanilla() {
        assert_eq!(
            sign(&get("/", ""), "service", None),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
    }

    /// `get-vanilla-query-order-key-case` of the AWS test suite.
    #[test]
    fn query_is_sorted() {
        let signed = sign(&get("/", "Param2=value2&Param1=value1"), "service", None);
        assert!(
            signed.ends_with("b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
            "{signed}"
        );
    }

    /// `post-vanilla` of the AWS test suite.
    #[test]
    fn post_vanilla() {
        let request = Request { method: "POST", ..get("/", "") };
        let signed = sign(&request, "service", None);
        assert!(
            signed.ends_with("5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            "{signed}"
        );
    }

    /// What botocore 1.43 signs for the same request: a temporary key and a host with a port.
    #[test]
    fn batch_call_with_token() {
        let request = Request {
            method: "POST",
            path: "/v1/listjobs",
            query: "",
            host: "127.0.0.1:9740",
            headers: &[("content-type", "application/json")],
            body: br#"{"jobQueue":"default"}"#,
        };
        assert_eq!(
            sign(&request, "batch", Some("TOKEN/1==")),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/batch/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, \
             Signature=c7210aeb89c1fff7c3a8a21133c41eacbaae278bc293882d1be52f2efc071a4d"
        );
    }

    /// What botocore 1.43 signs for a path with an ARN in it and a repeated query key.
    #[test]
    fn path_is_encoded_twice() {
        let request = Request {
            method: "DELETE",
            path: "/v1/tags/arn%3Aaws%3Abatch%3Aus-east-1%3A000000000000%3Ajob%2Fx",
            query: "tagKeys=a%20b&tagKeys=Z",
            host: "127.0.0.1:9740",
            headers: &[],
            body: b"",
        };
        let signed = sign(&request, "batch", None);
        assert!(
            signed.ends_with("9daf6035a5c2787d47c40a258f5bcfe58dc06f99aa1586845b26fd410213fcbf"),
            "{signed}"
        );
    }

    #[test]
    fn secrets_are_not_printed() {
        let text = format!("{:?}", keys(Some("TOKEN")));
        assert!(!text.contains("wJalr") && !text.contains("TOKEN"), "{text}");
    }
}
