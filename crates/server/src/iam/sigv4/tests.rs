//! SigV4 against requests that botocore signed (`vectors.py`), and against every way to get it wrong.

use super::*;
use hyper::header::{HeaderName, HeaderValue};

const NOW: &str = "20261124T123456Z";

#[derive(serde::Deserialize, Clone)]
struct Vector {
    name: String,
    service: String,
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Vector {
    fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("vectors.json")).unwrap()
    }

    fn named(name: &str) -> Self {
        Self::all().into_iter().find(|v| v.name == name).unwrap()
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self
    }

    /// Changes the Authorization header.
    fn reworded(self, from: &str, to: &str) -> Self {
        let old = self.headers.iter().find(|(key, _)| key == "Authorization").unwrap().1.clone();
        assert!(old.contains(from), "{old} lacks {from}");
        let new = old.replace(from, to);
        self.set("Authorization", &new)
    }

    fn service(&self) -> Service {
        [Service::Batch, Service::Logs, Service::Sts].into_iter().find(|s| s.name() == self.service).unwrap()
    }

    fn verify_at(&self, now: i64) -> Result<Principal, ApiError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let request = SignedRequest {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &headers,
            body: self.body.as_bytes(),
        };
        verifier("us-east-1").verify(&request, self.service(), now)
    }

    fn verify(&self) -> Result<Principal, ApiError> {
        self.verify_at(now())
    }

    /// The kind and text with which it is refused.
    fn refused(&self) -> (ErrorKind, String) {
        let error = self.verify().unwrap_err();
        (error.kind, error.message)
    }
}

fn now() -> i64 {
    text::time(NOW).unwrap()
}

fn verifier(region: &str) -> Verifier {
    let credentials = Credentials {
        access_key_id: "AKIDEXAMPLE".into(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
    };
    Verifier::new(credentials, "123456789012", region)
}

#[test]
fn what_botocore_signs_is_taken() {
    let all = Vector::all();
    assert!(all.len() >= 12);
    for vector in all {
        let who = vector.verify().unwrap_or_else(|e| panic!("{}: {e}", vector.name));
        assert_eq!(&*who.arn, "arn:aws:iam::123456789012:root");
        assert_eq!(&*who.access_key_id, "AKIDEXAMPLE");
    }
}

#[test]
fn a_change_anywhere_is_noticed() {
    for vector in Vector::all() {
        let mut changed = vec![
            Vector { body: vector.body.clone() + " ", ..vector.clone() },
            Vector { path: vector.path.clone() + "x", ..vector.clone() },
            Vector { query: format!("{}&more=1", vector.query), ..vector.clone() },
            Vector { method: "PUT".into(), ..vector.clone() },
            vector.clone().set("Host", "127.0.0.1:9741"),
        ];
        if vector.headers.iter().any(|(key, _)| key == "Content-Type") {
            changed.push(vector.clone().set("Content-Type", "text/plain"));
        }
        for (at, changed) in changed.iter().enumerate() {
            let (kind, message) = changed.refused();
            assert_eq!(kind, ErrorKind::InvalidSignature, "{} change {at}", vector.name);
            assert!(message.starts_with("The request signature we calculated does not match"), "{message}");
        }
    }
}

#[test]
fn the_refusal_shows_what_was_expected() {
    let (_, message) = Vector::named("empty object").set("Host", "other").refused();
    assert!(
        message.contains("'POST\n/v1/describejobqueues\n\ncontent-type:application/json\nhost:other\n"),
        "{message}"
    );
    assert!(message.contains("'AWS4-HMAC-SHA256\n20261124T123456Z\n20261124/us-east-1/batch/aws4_request\n"));
}

#[test]
fn another_key_is_unknown_and_another_signature_is_wrong() {
    let vector = Vector::named("submit job");
    let (kind, message) = vector.clone().reworded("AKIDEXAMPLE", "AKIDOTHER").refused();
    assert_eq!(kind, ErrorKind::UnrecognizedClient);
    assert_eq!(message, "The security token included in the request is invalid.");
    let good = vector.headers[0].1.rsplit('=').next().unwrap().to_owned();
    for bad in ["0".repeat(64), String::new(), "zz".repeat(32), good.to_uppercase(), good[..62].to_owned()] {
        assert_eq!(vector.clone().reworded(&good, &bad).refused().0, ErrorKind::InvalidSignature, "{bad}");
    }
    assert_eq!(vector.set("X-Amz-Security-Token", "t").refused().0, ErrorKind::InvalidSignature);
}

#[test]
fn a_session_token_is_unknown() {
    let vector = Vector::named("submit job")
        .reworded("SignedHeaders=", "SignedHeaders=x-amz-security-token;")
        .set("X-Amz-Security-Token", "t");
    assert_eq!(vector.refused().0, ErrorKind::UnrecognizedClient);
}

#[test]
fn the_scope_must_fit() {
    let vector = Vector::named("submit job");
    let refused = |from: &str, to: &str| {
        let (kind, message) = vector.clone().reworded(from, to).refused();
        assert_eq!(kind, ErrorKind::InvalidSignature);
        message
    };
    assert_eq!(refused("/batch/", "/logs/"), "Credential should be scoped to correct service: 'batch'.");
    assert!(refused("/us-east-1/", "/eu-west-1/").starts_with(
        "Credential should be scoped to a valid region, not 'eu-west-1'; this server's region is 'us-east-1'"
    ));
    assert!(refused("aws4_request", "aws4").contains("valid terminator: 'aws4_request', not 'aws4'"));
    assert!(
        refused("/20261124/", "/20261123/").contains("'20261123' != '20261124', from '20261124T123456Z'")
    );
}

#[test]
fn sts_takes_the_global_region() {
    let vector = Vector::named("caller identity");
    let mut headers = HeaderMap::new();
    for (name, value) in &vector.headers {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let Vector { method, path, query, body, .. } = &vector;
    let request = SignedRequest { method, path, query, headers: &headers, body: body.as_bytes() };
    assert!(verifier("eu-west-1").verify(&request, Service::Sts, now()).is_ok());
}

#[test]
fn the_date_may_be_a_quarter_of_an_hour_off() {
    let vector = Vector::named("submit job");
    for near in [-900, 900] {
        assert!(vector.verify_at(now() + near).is_ok(), "{near}");
    }
    let late = vector.verify_at(now() + 901).unwrap_err();
    assert_eq!(late.kind, ErrorKind::InvalidSignature);
    assert_eq!(
        late.message,
        "Signature expired: 20261124T123456Z is now earlier than 20261124T123457Z (20261124T124957Z - 15 min.)"
    );
    let early = vector.verify_at(now() - 901).unwrap_err();
    assert_eq!(
        early.message,
        "Signature not yet current: 20261124T123456Z is still later than 20261124T123455Z (20261124T121955Z + 15 min.)"
    );
}

#[test]
fn a_presigned_request_lives_as_long_as_it_says() {
    let vector = Vector::named("presigned identity");
    assert!(vector.verify_at(now() + 900).is_ok());
    let late = vector.verify_at(now() + 901).unwrap_err();
    assert_eq!(late.kind, ErrorKind::ExpiredToken, "{late}");
    assert!(vector.verify_at(now() - 901).unwrap_err().message.starts_with("Signature not yet current"));
    for bad in ["604801", "0", "-1", "x"] {
        let query = vector.query.replace("X-Amz-Expires=900", &format!("X-Amz-Expires={bad}"));
        assert_ne!(query, vector.query);
        assert_eq!(Vector { query, ..vector.clone() }.refused().0, ErrorKind::IncompleteSignature, "{bad}");
    }
    let query = format!("{}&X-Amz-Security-Token=t", vector.query);
    assert_eq!(Vector { query, ..vector }.refused().0, ErrorKind::UnrecognizedClient);
}

#[test]
fn a_stated_body_hash_must_be_the_bodys() {
    let vector = Vector::named("submit job").reworded(
        "SignedHeaders=content-type;host;",
        "SignedHeaders=content-type;host;x-amz-content-sha256;",
    );
    let with = |value: &str| vector.clone().set("X-Amz-Content-Sha256", value).refused();
    assert!(with("UNSIGNED-PAYLOAD").1.contains("an unsigned body is not taken"));
    assert!(with("STREAMING-UNSIGNED-PAYLOAD-TRAILER").1.contains("signed in chunks"));
    assert!(with("00").1.contains("does not match what was computed"));
    let right = text::hex(&<sha2::Sha256 as sha2::Digest>::digest(vector.body.as_bytes()));
    assert!(
        with(&right).1.contains(&format!("x-amz-content-sha256:{right}\n")),
        "it is in the canonical request"
    );
}

#[test]
fn what_matters_must_be_signed() {
    let vector = Vector::named("log events");
    let target = vector.clone().reworded(";x-amz-target", "").refused();
    assert_eq!(target.1, "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.");
    let host = vector.clone().reworded(";host", "").refused();
    assert_eq!(host.1, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
    let gone = vector.without("Content-Type").refused();
    assert_eq!(gone.1, "header 'content-type' is named in SignedHeaders and is not in the request.");
}

#[test]
fn what_cannot_be_read_is_said() {
    let vector = Vector::named("submit job");
    assert_eq!(vector.clone().without("Authorization").refused().0, ErrorKind::MissingAuthentication);
    for (header, says) in [
        ("Basic YTpi", "Unsupported AWS 'algorithm': 'Basic'"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/e", "requires 'SignedHeaders'"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d, SignedHeaders=host, Signature=0", "exactly 5 slash-delimited"),
        ("AWS4-HMAC-SHA256 nonsense", "'nonsense' not a valid key=value pair"),
        ("AWS4-HMAC-SHA256", "Unsupported"),
    ] {
        let (kind, message) = vector.clone().set("Authorization", header).refused();
        assert_eq!(kind, ErrorKind::IncompleteSignature, "{header}");
        assert!(message.contains(says), "{header}: {message}");
    }
    for date in ["20261124", "2026-11-24T12:34Z", "20261324T123456Z", "٢٠٢٦"] {
        let (kind, message) = vector.clone().set("X-Amz-Date", date).refused();
        assert_eq!(kind, ErrorKind::IncompleteSignature, "{date}: {message}");
    }
    assert_eq!(vector.without("X-Amz-Date").refused().0, ErrorKind::IncompleteSignature);
}

#[test]
fn http_dates_are_read() {
    // Signed with the Date header instead: the signature differs, the date is understood.
    let vector = Vector::named("submit job")
        .without("X-Amz-Date")
        .reworded("x-amz-date", "date")
        .set("Date", "Tue, 24 Nov 2026 12:34:56 GMT");
    let (_, message) = vector.refused();
    assert!(
        message.contains("The String-to-Sign should have been\n'AWS4-HMAC-SHA256\n20261124T123456Z\n"),
        "{message}"
    );
}

#[test]
fn a_day_key_is_derived_once() {
    let verifier = verifier("us-east-1");
    let sign = |day: &str, service: Service| {
        verifier.keys.get("secret", day, "us-east-1", service).finalize().into_bytes()
    };
    let first = sign("20261124", Service::Batch);
    assert_eq!(sign("20261124", Service::Batch), first);
    assert_eq!(verifier.keys.len(), 1);
    assert_ne!(sign("20261125", Service::Batch), first);
    assert_ne!(sign("20261124", Service::Logs), first);
    for day in 0..100 {
        sign(&day.to_string(), Service::Batch);
    }
    assert!(verifier.keys.len() <= 32, "old days are forgotten");
}
