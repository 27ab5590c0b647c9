//! What is right is answered in its service's format; what leads nowhere is told so.

use super::support::*;

const ARN: &str = "arn%3Aaws%3Abatch%3Aus-east-1%3A123456789012%3Ajob-queue%2Fq";

#[tokio::test]
async fn a_signed_call_is_answered_and_the_connection_goes_on() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        client.send(&Ask::batch("/v1/describejobs", "{\"jobs\":[]}").bytes()).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.json()["bytes"], 11);
        let id = answer.header("x-amzn-requestid").unwrap().to_owned();
        assert_eq!(answer.json()["id"], id, "the handler knows the id that the answer carries");
        ids.push(id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    let all: Vec<u8> = (0..5).flat_map(|n| Ask::batch("/v1/describejobs", &"x".repeat(n)).bytes()).collect();
    client.send(&all).await;
    for n in 0..5 {
        assert_eq!(client.answer().await.json()["bytes"], n);
    }
}

#[tokio::test]
async fn the_arn_in_the_path_and_the_query_are_decoded() {
    let server = Server::start(quick()).await;
    let ask = Ask { method: "GET", ..Ask::batch(&format!("/v1/tags/{ARN}"), "") };
    let answer = server.ask(&ask.bytes()).await;
    assert_eq!(answer.json()["arn"], "arn:aws:batch:us-east-1:123456789012:job-queue/q", "{answer:?}");
    let ask =
        Ask { method: "DELETE", ..Ask::batch(&format!("/v1/tags/{ARN}?tagKeys=a%20b&tagKeys=%C3%BC"), "") };
    let answer = server.ask(&ask.bytes()).await;
    assert_eq!(
        answer.json()["query"],
        serde_json::json!([["tagKeys", "a b"], ["tagKeys", "ü"]]),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_arn_that_is_no_text_is_refused() {
    let server = Server::start(quick()).await;
    let ask = Ask { method: "GET", ..Ask::batch("/v1/tags/%FF%FE", "") };
    server.ask(&ask.bytes()).await.is_error(400, "ClientException");
}

#[tokio::test]
async fn wrapped_messages_carry_the_answers_request_id() {
    let server = Server::start(quick()).await;
    let answer = server.ask(&Ask::batch("/v1/submitjob", "{}").bytes()).await;
    let message = answer.is_error(400, "ClientException");
    let id = answer.header("x-amzn-requestid").unwrap();
    assert_eq!(message, format!("Error executing request, Exception : no such thing, RequestId: {id}"));
}

#[tokio::test]
async fn logs_speak_json_11() {
    let server = Server::start(quick()).await;
    let logs = |name: &str| {
        let ask = Ask { service: "logs", ..Ask::batch("/", "{}") };
        ask.header("x-amz-target", &format!("Logs_20140328.{name}"))
    };
    let answer = server.ask(&logs("GetLogEvents").bytes()).await;
    assert_eq!(answer.header("content-type"), Some("application/x-amz-json-1.1"));
    answer.is_error(400, "ResourceNotFoundException");
    assert_eq!(server.ask(&logs("DescribeLogStreams").bytes()).await.status, 200);
    let unknown = server.ask(&logs("MakeCoffee").bytes()).await;
    assert!(unknown.is_error(404, "UnknownOperationException").contains("Logs_20140328.MakeCoffee"));
    // A logs request signed for Batch is not for logs; JSON 1.1 refuses with 400.
    let wrong = Ask { service: "batch", ..logs("GetLogEvents") };
    server.ask(&wrong.bytes()).await.is_error(400, "InvalidSignatureException");
}

#[tokio::test]
async fn sts_speaks_xml() {
    let server = Server::start(quick()).await;
    let form = |body: &str| {
        let ask = Ask { service: "sts", ..Ask::batch("/", body) };
        ask.header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
    };
    let good = form("Action=GetCallerIdentity&Version=2011-06-15");
    let answer = server.ask(&good.bytes()).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/xml")));
    assert!(answer.body.contains("<Arn>arn:aws:iam::123456789012:root</Arn>"), "{answer:?}");
    assert!(answer.body.contains(answer.header("x-amzn-requestid").unwrap()));
    let by_query = Ask {
        method: "GET",
        target: "/?Action=GetCallerIdentity&Version=2011-06-15".into(),
        body: vec![],
        ..good.clone()
    };
    assert_eq!(server.ask(&by_query.bytes()).await.status, 200);
    let wrong = Ask { secret: "something else entirely", ..good };
    let answer = server.ask(&wrong.bytes()).await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("<Type>Sender</Type><Code>SignatureDoesNotMatch</Code>"), "{answer:?}");
    let answer = server.ask(&form("Action=ListUsers&Version=2010-05-08").bytes()).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("<Code>InvalidAction</Code>"), "{answer:?}");
    assert!(answer.body.contains("Could not find operation ListUsers for version 2010-05-08"), "{answer:?}");
}

#[tokio::test]
async fn what_leads_nowhere_says_so() {
    let server = Server::start(quick()).await;
    for (request, status, allow) in [
        ("GET / HTTP/1.1", 404, None),
        ("GET /v2/x HTTP/1.1", 404, None),
        ("POST /v1/makecoffee HTTP/1.1", 404, None),
        ("OPTIONS * HTTP/1.1", 404, None),
        ("OPTIONS /v1/submitjob HTTP/1.1", 405, Some("post")),
        ("GET /v1/submitjob HTTP/1.1", 405, Some("post")),
        ("PUT /v1/tags/arn HTTP/1.1", 405, Some("delete, get, post")),
        ("DELETE / HTTP/1.1", 405, Some("get, head, post")),
        ("POST /health HTTP/1.1", 405, Some("get, head")),
        ("BREW /v1/submitjob HTTP/1.1", 405, Some("post")),
        ("GET /v1/../v1/submitjob HTTP/1.1", 404, None),
    ] {
        let answer = server.ask(format!("{request}\r\nhost: x\r\n\r\n").as_bytes()).await;
        answer.is_error(status, "UnknownOperationException");
        assert_eq!(answer.header("allow"), allow, "{request}");
    }
}

#[tokio::test]
async fn health_needs_no_signature() {
    let server = Server::start(quick()).await;
    let answer = server.ask(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
    assert!(answer.header("x-amzn-requestid").is_some() && answer.header("date").is_some());
}

#[tokio::test]
async fn a_panic_is_one_requests_500() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    client.send(&Ask::batch("/v1/canceljob", "{}").bytes()).await;
    let message = client.answer().await.is_error(500, "ServerException");
    assert!(!message.contains("the toy breaks"), "{message}");
    client.send(&Ask::batch("/v1/describejobs", "{}").bytes()).await;
    assert_eq!(client.answer().await.status, 200, "the connection survives");
}
