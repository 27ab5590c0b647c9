//! What is not HTTP, or too much of it.

use super::support::*;

const HEAD: &str = "POST /v1/describejobs HTTP/1.1\r\nhost: x\r\n";

#[tokio::test]
async fn headers_too_large_or_too_many() {
    let server = Server::start(quick()).await;
    let large = format!("{HEAD}x-large: {}\r\n\r\n", "x".repeat(100_000));
    let many = format!("{HEAD}{}\r\n", "a: b\r\n".repeat(500));
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70_000));
    for request in [large, many, long] {
        let mut client = server.connect().await;
        client.send(request.as_bytes()).await;
        let answer = client.answer().await;
        answer.is_error(431, "RequestEntityTooLargeException");
        assert_eq!(answer.header("connection"), Some("close"));
        client.closed().await;
    }
}

#[tokio::test]
async fn what_is_not_http() {
    let server = Server::start(quick()).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"hello\r\n\r\n",
        b"GET / HTTP/3.0\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = server.connect().await;
        client.send(garbage).await;
        let message = client.answer().await.is_error(400, "SerializationException");
        assert!(message.contains("not an HTTP/1.1 request"), "{message}");
        client.closed().await;
    }
}

#[tokio::test]
async fn a_head_that_ends_too_early() {
    let server = Server::start(quick()).await;
    for begun in ["POST /v1/desc", HEAD, "POST /v1/describejobs HTTP/1.1\r\nhost: x"] {
        let mut client = server.connect().await;
        client.send(begun.as_bytes()).await;
        tokio::io::AsyncWriteExt::shutdown(&mut client.stream).await.unwrap();
        client.answer().await.is_error(400, "SerializationException");
        client.closed().await;
    }
}

#[tokio::test]
async fn garbage_behind_a_good_request() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    let mut bytes = Ask::batch("/v1/describejobs", "{}").bytes();
    bytes.extend_from_slice(b"\x00\x01garbage\r\n\r\n");
    client.send(&bytes).await;
    assert_eq!(client.answer().await.status, 200);
    client.answer().await.is_error(400, "SerializationException");
    client.closed().await;
}

#[tokio::test]
async fn bad_chunks() {
    let server = Server::start(quick()).await;
    for chunks in ["zz\r\nab\r\n0\r\n\r\n", "2\r\nabc\r\n0\r\n\r\n", "fffffffffffffffff\r\na"] {
        let mut client = server.connect().await;
        client.send(format!("{HEAD}transfer-encoding: chunked\r\n\r\n{chunks}").as_bytes()).await;
        let message = client.answer().await.is_error(400, "SerializationException");
        assert!(message.starts_with("the request body cannot be read: "), "{message}");
        client.closed().await;
    }
}

#[tokio::test]
async fn good_chunks_are_one_body() {
    let server = Server::start(quick()).await;
    let whole = String::from_utf8(Ask::batch("/v1/describejobs", "hello world").bytes()).unwrap();
    let chunked = whole.replace(
        "content-length: 11\r\n\r\nhello world",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    );
    assert_ne!(whole, chunked);
    assert_eq!(server.ask(chunked.as_bytes()).await.json()["bytes"], 11);
}

#[tokio::test]
async fn bodies_at_the_limit_and_over_it() {
    let server = Server::start(quick()).await;
    let limit = quick().body_bytes;
    let at_limit = Ask::batch("/v1/describejobs", &"x".repeat(limit)).bytes();
    assert_eq!(server.ask(&at_limit).await.json()["bytes"], limit);
    // The client sends all of it before it reads, as most do.
    for over in [limit + 1, 20 * limit, 10 << 20, 20 << 20, 60 << 20] {
        let mut client = server.connect().await;
        let head = format!("{HEAD}content-length: {over}\r\n\r\n");
        client.send(head.as_bytes()).await;
        client.send(&vec![b'x'; over]).await;
        let message = client.answer().await.is_error(413, "RequestEntityTooLargeException");
        assert_eq!(message, format!("the request body is larger than {limit} bytes"));
    }
}

#[tokio::test]
async fn chunks_without_end() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    client.send(format!("{HEAD}transfer-encoding: chunked\r\n\r\n").as_bytes()).await;
    let chunk = [b"8000\r\n".as_slice(), &[b'x'; 0x8000], b"\r\n"].concat();
    for _ in 0..64 {
        client.send(&chunk).await;
    }
    client.answer().await.is_error(413, "RequestEntityTooLargeException");
}

#[tokio::test]
async fn expect_continue() {
    let server = Server::start(quick()).await;
    let whole = String::from_utf8(Ask::batch("/v1/describejobs", "{}").bytes()).unwrap();
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    let mut client = server.connect().await;
    client.send(format!("{head}\r\nexpect: 100-continue\r\n\r\n").as_bytes()).await;
    let mut interim = [0; 25];
    tokio::io::AsyncReadExt::read_exact(&mut client.stream, &mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send(body.as_bytes()).await;
    assert_eq!(client.answer().await.status, 200);
    // One that waits to send too much, or to nowhere, is told before it sends.
    for (path, length, status) in [("/v1/describejobs", 1 << 30, 413), ("/nowhere", 10, 404)] {
        let mut client = server.connect().await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        );
        client.send(head.as_bytes()).await;
        assert_eq!(client.answer().await.status, status);
    }
}
