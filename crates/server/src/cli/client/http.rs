//! Sends a signed request and turns what comes back into JSON or an error.
//!
//! Plain HTTP and TLS have a client each, made on first use, so that a local endpoint pays nothing for trust stores.
//! Never here: which operations exist (calls.rs), where they go (config.rs).

use super::config::Service;
use super::sign::{self, Credentials};
use crate::cli::error::CliError;
use reqwest::blocking::{Client, Response};
use std::cell::OnceCell;
use std::thread::sleep;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(65);
/// Tries of a request that is throttled or, when it changes nothing, that hits an error of the service.
const TRIES: u32 = 5;

/// Codes that mean that keys or signature are wrong.
const KEY_ERRORS: [&str; 5] = [
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "UnrecognizedClientException",
];

/// One call.
pub struct Call<'a> {
    /// Whose.
    pub service: Service,
    /// Path below the endpoint.
    pub path: &'a str,
    /// Headers beside those of the signature.
    pub headers: &'a [(&'a str, &'a str)],
    /// Body.
    pub body: Vec<u8>,
    /// Changes nothing, so that it may be sent again after an error of the service.
    pub read_only: bool,
}

/// The sender.
#[derive(Default)]
pub struct Http {
    /// Longest time of a request, which is then made only once; the usual times and tries where absent.
    pub most: Option<Duration>,
    plain: OnceCell<Client>,
    tls: OnceCell<Client>,
}

impl Http {
    /// Sends a call to `endpoint` and gives the body of a 2xx answer. Errors: no answer, or the service's own error.
    pub fn send(
        &self,
        endpoint: &str,
        keys: &Credentials,
        region: &str,
        call: &Call<'_>,
    ) -> Result<Vec<u8>, CliError> {
        let mut pause = Duration::from_millis(100);
        let tries = if self.most.is_some() { 1 } else { TRIES };
        for _ in 1..tries {
            match self.send_once(endpoint, keys, region, call) {
                Err(CliError::Api { code, status, .. }) if may_retry(&code, status, call.read_only) => {
                    sleep(pause);
                    pause *= 2;
                }
                other => return other,
            }
        }
        self.send_once(endpoint, keys, region, call)
    }

    fn send_once(
        &self,
        endpoint: &str,
        keys: &Credentials,
        region: &str,
        call: &Call<'_>,
    ) -> Result<Vec<u8>, CliError> {
        let url = reqwest::Url::parse(&format!("{endpoint}{}", call.path))
            .map_err(|e| CliError::Usage(format!("endpoint {endpoint} is no URL: {e}")))?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_string(),
            (None, _) => return Err(CliError::Usage(format!("endpoint {endpoint} names no host"))),
        };
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let request = sign::Request {
            method: "POST",
            path: url.path(),
            query: "",
            host: &host,
            headers: call.headers,
            body: &call.body,
        };
        let scope = sign::Scope { region, service: call.service.signing_name(), time: &time };
        let signature = sign::headers(keys, &request, &scope);
        let mut builder = self.client(&url)?.post(url.clone()).body(call.body.clone());
        for (name, value) in call.headers {
            builder = builder.header(*name, *value);
        }
        for (name, value) in signature {
            builder = builder.header(name, value);
        }
        let response = builder.send().map_err(|e| unreachable(endpoint, &e))?;
        read(endpoint, response)
    }

    fn client(&self, url: &reqwest::Url) -> Result<&Client, CliError> {
        let tls = url.scheme() != "http";
        let cell = if tls { &self.tls } else { &self.plain };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        // An error means that a provider is installed already, which is what is wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("batchyard/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.most.unwrap_or(CONNECT))
            .timeout(self.most.unwrap_or(WHOLE));
        if !tls {
            // No certificate is ever looked at here; without this the system's whole store would be read.
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(url) {
            builder = builder.no_proxy();
        }
        let client =
            builder.build().map_err(|e| CliError::Failed(format!("cannot set up the HTTP client: {e}")))?;
        Ok(cell.get_or_init(|| client))
    }
}

fn may_retry(code: &str, status: u16, read_only: bool) -> bool {
    let throttled = status == 429 || code.starts_with("Throttling") || code == "TooManyRequestsException";
    throttled || (read_only && matches!(status, 500 | 502 | 503 | 504))
}

/// Whether the endpoint is on this machine.
pub fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn unreachable(endpoint: &str, error: &reqwest::Error) -> CliError {
    let local = reqwest::Url::parse(endpoint).is_ok_and(|u| is_loopback(&u));
    let text = if error.is_connect() && local {
        format!("no server answers at {endpoint}; start one with `batchyard server`")
    } else if error.is_timeout() {
        format!("{endpoint} did not answer in time; check the endpoint and its load, then try again")
    } else {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        format!(
            "no answer from {endpoint} ({cause}); check --endpoint-url, AWS_ENDPOINT_URL_* and the network"
        )
    };
    CliError::Unreachable { text }
}

fn read(endpoint: &str, response: Response) -> Result<Vec<u8>, CliError> {
    let status = response.status().as_u16();
    let kind = response.headers().get("x-amzn-errortype").and_then(|v| v.to_str().ok()).map(String::from);
    let body = response.bytes().map_err(|e| unreachable(endpoint, &e))?;
    if (200..300).contains(&status) {
        return Ok(body.to_vec());
    }
    Err(api_error(status, kind.as_deref(), &body))
}

/// The error of an answer: the code from the header or the body (spec infrastructure §10.1), JSON or STS's XML.
fn api_error(status: u16, header: Option<&str>, body: &[u8]) -> CliError {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = String::from_utf8_lossy(body);
    let of_json = |names: [&str; 2]| names.iter().find_map(|n| json.get(n)?.as_str().map(String::from));
    let code = header
        .map(String::from)
        .or_else(|| of_json(["__type", "code"]))
        .or_else(|| element(&text, "Code"))
        .unwrap_or_else(|| format!("HTTP {status}"));
    let code = code.split(':').next().and_then(|c| c.rsplit('#').next()).unwrap_or_default().to_string();
    let message = of_json(["message", "Message"])
        .or_else(|| element(&text, "Message"))
        .unwrap_or_else(|| "the endpoint gave no message; is it an AWS Batch endpoint?".into());
    // AWS explains a wrong signature over many lines; the first says it.
    let mut message = message.lines().next().unwrap_or_default().trim().to_string();
    if KEY_ERRORS.contains(&code.as_str()) {
        message.push_str(
            " Check the keys (AWS_ACCESS_KEY_ID, …, --profile), the region and this machine's clock.",
        );
    }
    CliError::Api { code, message, status }
}

/// The text of the first XML element of this name.
pub fn element(xml: &str, name: &str) -> Option<String> {
    let rest = xml.split_once(&format!("<{name}>"))?.1;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, header: Option<&str>, body: &str) -> (String, String) {
        match api_error(status, header, body.as_bytes()) {
            CliError::Api { code, message, .. } => (code, message),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn codes_come_from_header_body_or_xml() {
        let body = r#"{"message":"no queue"}"#;
        assert_eq!(
            of(400, Some("ClientException:http://x"), body),
            ("ClientException".into(), "no queue".into())
        );
        let body = r#"{"__type":"com.amazonaws.logs#ResourceNotFoundException","Message":"m"}"#;
        assert_eq!(of(400, None, body), ("ResourceNotFoundException".into(), "m".into()));
        let body = "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>bad</Message></Error></ErrorResponse>";
        let (code, message) = of(403, None, body);
        assert_eq!(code, "InvalidClientTokenId");
        assert!(message.starts_with("bad Check the keys"), "{message}");
        let body = r#"{"message":"wrong signature.\n\nThe Canonical String was"}"#;
        let (_, message) = of(403, Some("InvalidSignatureException"), body);
        assert!(message.starts_with("wrong signature. Check"), "{message}");
        assert_eq!(of(502, None, "<html>").0, "HTTP 502");
    }

    #[test]
    fn a_change_is_sent_again_only_when_throttled() {
        assert!(may_retry("TooManyRequestsException", 429, false));
        assert!(may_retry("ServerException", 500, true));
        assert!(!may_retry("ServerException", 500, false));
        assert!(!may_retry("ClientException", 400, true));
    }

    #[test]
    fn refused_connections_name_the_endpoint_and_the_way_out() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let keys =
            Credentials { access_key_id: "a".into(), secret_access_key: "b".into(), session_token: None };
        let call =
            Call { service: Service::Batch, path: "/v1/x", headers: &[], body: vec![], read_only: true };
        let error = Http::default().send(&format!("http://{free}"), &keys, "us-east-1", &call).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&free.to_string()) && text.contains("batchyard server"), "{text}");
    }
}
