//! Signatures that do not hold.

use super::support::*;

async fn refused(ask: &Ask, status: u16, code: &str) -> String {
    let server = Server::start(quick()).await;
    server.ask(&ask.bytes()).await.is_error(status, code)
}

fn good() -> Ask {
    Ask::batch("/v1/describejobs", "{\"jobs\":[\"a\"]}")
}

#[tokio::test]
async fn unsigned() {
    let server = Server::start(quick()).await;
    let answer =
        server.ask(b"POST /v1/describejobs HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}").await;
    answer.is_error(403, "MissingAuthenticationTokenException");
}

#[tokio::test]
async fn an_unknown_key() {
    let message = refused(&Ask { key: "AKIDNOBODY", ..good() }, 403, "UnrecognizedClientException").await;
    assert_eq!(message, "The security token included in the request is invalid.");
}

#[tokio::test]
async fn a_wrong_secret() {
    let ask = Ask { secret: "not the secret", ..good() };
    let message = refused(&ask, 403, "InvalidSignatureException").await;
    assert!(message.starts_with("The request signature we calculated does not match"), "{message}");
}

#[tokio::test]
async fn another_region() {
    let ask = Ask { region: "eu-central-1", ..good() };
    let message = refused(&ask, 403, "InvalidSignatureException").await;
    assert!(message.contains("not 'eu-central-1'; this server's region is 'us-east-1'"), "{message}");
}

#[tokio::test]
async fn old_and_early_dates() {
    let message = refused(&Ask { ahead: -1000, ..good() }, 403, "InvalidSignatureException").await;
    assert!(
        message.starts_with("Signature expired: ") && message.contains(" is now earlier than "),
        "{message}"
    );
    let message = refused(&Ask { ahead: 1000, ..good() }, 403, "InvalidSignatureException").await;
    assert!(message.starts_with("Signature not yet current: "), "{message}");
}

#[tokio::test]
async fn a_changed_body() {
    let server = Server::start(quick()).await;
    let mut bytes = good().bytes();
    let last = bytes.len() - 3;
    bytes[last] = b'x';
    server.ask(&bytes).await.is_error(403, "InvalidSignatureException");
}

#[tokio::test]
async fn a_body_in_signed_chunks() {
    let ask = good().header("content-encoding", "aws-chunked");
    let message = refused(&ask, 400, "SerializationException").await;
    assert!(message.contains("'aws-chunked'"), "{message}");
    let ask = good().header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    refused(&ask, 403, "InvalidSignatureException").await;
}
