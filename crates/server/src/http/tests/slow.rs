//! Clients that are slow, half there, too many, or there when the server stops.

use super::support::*;
use crate::http::{Drained, Limits};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const SHORT: Duration = Duration::from_millis(60);

#[tokio::test]
async fn headers_that_never_end() {
    let server = Server::start(Limits { head_time: SHORT, ..quick() }).await;
    for start in ["", "POST /v1/sub", "POST /v1/submitjob HTTP/1.1\r\nhost: x\r\n"] {
        let mut client = server.connect().await;
        client.send(start.as_bytes()).await;
        client.answer().await.is_error(408, "RequestTimeoutException");
        client.closed().await;
    }
}

#[tokio::test]
async fn a_second_request_whose_headers_never_end() {
    let server = Server::start(Limits { head_time: SHORT, ..quick() }).await;
    let mut client = server.connect().await;
    client.send(&Ask::batch("/v1/describejobs", "{}").bytes()).await;
    assert_eq!(client.answer().await.status, 200);
    client.send(b"POST /v1").await;
    client.answer().await.is_error(408, "RequestTimeoutException");
}

#[tokio::test]
async fn a_body_that_never_ends() {
    let server = Server::start(Limits { body_time: SHORT, ..quick() }).await;
    let mut client = server.connect().await;
    client.send(b"POST /v1/submitjob HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345").await;
    client.answer().await.is_error(408, "RequestTimeoutException");
    client.closed().await;
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let server = Server::start(Limits { idle_time: SHORT, ..quick() }).await;
    let mut client = server.connect().await;
    client.send(&Ask::batch("/v1/describejobs", "{}").bytes()).await;
    assert_eq!(client.answer().await.status, 200);
    client.closed().await;
}

#[tokio::test]
async fn a_slow_handler_has_no_limit() {
    let limits =
        Limits { head_time: SHORT, idle_time: SHORT, body_time: SHORT, write_time: SHORT, ..quick() };
    let server = Server::start(limits).await;
    let mut client = server.connect().await;
    client.send(&Ask::batch("/v1/listjobs", "{}").bytes()).await;
    server.api.begun.notified().await;
    tokio::time::sleep(4 * SHORT).await; // the time itself is what is tested
    server.api.go_on.notify_one();
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn a_half_closed_client_gets_its_answer() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    client.send(&Ask::batch("/v1/listjobs", "{}").bytes()).await;
    client.stream.shutdown().await.unwrap();
    server.api.begun.notified().await;
    server.api.go_on.notify_one();
    assert_eq!(client.answer().await.status, 200);
    client.closed().await;
}

#[tokio::test]
async fn a_client_that_leaves_within_a_body() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    client.send(b"POST /v1/submitjob HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345").await;
    client.stream.shutdown().await.unwrap();
    client.answer().await.is_error(400, "SerializationException");
}

#[tokio::test]
async fn one_connection_too_many() {
    let server = Server::start(Limits { connections: 2, ..quick() }).await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut client = server.connect().await;
        client.send(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200);
        kept.push(client);
    }
    let mut third = server.connect().await;
    third.send(&Ask::batch("/v1/describejobs", "{}").bytes()).await;
    third.answer().await.is_error(503, "ServiceUnavailableException");
    third.closed().await;
    // A place that becomes free is given again; the server notices the close in its own time.
    drop(kept.pop());
    until_there_is_room(&server).await;
}

async fn until_there_is_room(server: &Server) {
    while server.ask(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.status != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read() {
    let server = Server::start(Limits { connections: 1, write_time: SHORT, ..quick() }).await;
    let mut deaf = server.connect().await;
    deaf.send(&Ask::batch("/v1/listservicejobs", "{}").bytes()).await;
    // It is cut off, and its place is free again, while it still holds its end open.
    until_there_is_room(&server).await;
    drop(deaf);
}

#[tokio::test]
async fn stopping_waits_for_requests_and_not_for_idle_connections() {
    let mut server = Server::start(quick()).await;
    let mut idle = server.connect().await;
    idle.send(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(idle.answer().await.status, 200);
    let mut busy = server.connect().await;
    busy.send(&Ask::batch("/v1/listjobs", "{}").bytes()).await;
    server.api.begun.notified().await;
    server.stop.take().unwrap().send(()).unwrap();
    idle.closed().await;
    assert!(!server.ended.is_finished());
    server.api.go_on.notify_one();
    let answer = busy.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(server.ended.await.unwrap(), Drained { cut: 0 });
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let mut server = Server::start(Limits { drain_time: SHORT, ..quick() }).await;
    let mut busy = server.connect().await;
    busy.send(&Ask::batch("/v1/listjobs", "{}").bytes()).await;
    server.api.begun.notified().await;
    server.stop.take().unwrap().send(()).unwrap();
    assert_eq!(server.ended.await.unwrap(), Drained { cut: 1 });
    busy.closed().await;
}
