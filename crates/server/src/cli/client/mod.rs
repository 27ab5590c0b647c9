//! A client of the public API: Batch, CloudWatch Logs and STS over HTTP, signed, with the aws configuration.
//!
//! Knows nothing of this server that another AWS Batch endpoint does not also answer, so every command drives AWS too.
//! Answers are read leniently: unknown members are left alone. Never here: what commands do with the answers.

pub mod calls;
pub mod config;
pub mod http;
pub mod ini;
pub mod sign;

use super::error::CliError;
use config::{Service, Settings};
use http::{Call, Http};
use serde_json::Value;
use std::cell::Cell;
use std::time::Duration;

/// A connection to one endpoint with one set of keys.
pub struct Client {
    settings: Settings,
    http: Http,
    /// The endpoint refused the filters of ListJobs.
    no_filters: Cell<bool>,
}

impl Client {
    /// A client for these settings; nothing is sent yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, http: Http::default(), no_filters: Cell::new(false) }
    }

    /// For those who would rather have no answer than wait for one: each request takes at most this long.
    pub fn hurried(mut self, most: Duration) -> Self {
        self.http.most = Some(most);
        self
    }

    /// The Batch endpoint, for people.
    pub fn endpoint(&self) -> &str {
        &self.settings.endpoints[0]
    }

    /// The endpoint is AWS itself: rate limits hold, and logs arrive some seconds late.
    pub fn is_aws(&self) -> bool {
        let host = self.endpoint().trim_end_matches(".cn");
        host.ends_with(".amazonaws.com")
    }

    /// A Batch operation: `batch("DescribeJobs", …)`. Errors: see [`CliError`].
    pub fn batch(&self, operation: &str, body: &Value) -> Result<Value, CliError> {
        let path = format!("/v1/{}", operation.to_ascii_lowercase());
        let headers = [("content-type", "application/json")];
        self.json(Service::Batch, operation, &path, &headers, body)
    }

    /// A CloudWatch Logs operation. Errors: see [`CliError`].
    pub fn logs(&self, operation: &str, body: &Value) -> Result<Value, CliError> {
        let target = format!("Logs_20140328.{operation}");
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
        self.json(Service::Logs, operation, "/", &headers, body)
    }

    /// The ARN of whoever the keys belong to, as STS tells it.
    pub fn caller_arn(&self) -> Result<String, CliError> {
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let body = b"Action=GetCallerIdentity&Version=2011-06-15".to_vec();
        let call = Call { service: Service::Sts, path: "/", headers: &headers, body, read_only: true };
        let text = self.send(&call)?;
        let text = String::from_utf8_lossy(&text);
        http::element(&text, "Arn").ok_or_else(|| self.unreadable("GetCallerIdentity"))
    }

    fn json(
        &self,
        service: Service,
        operation: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Value, CliError> {
        let read_only = ["Describe", "List", "Get", "Filter"].iter().any(|verb| operation.starts_with(verb));
        let call = Call { service, path, headers, body: body.to_string().into_bytes(), read_only };
        let answer = self.send(&call)?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer).map_err(|_| self.unreadable(operation))
    }

    fn send(&self, call: &Call<'_>) -> Result<Vec<u8>, CliError> {
        let s = &self.settings;
        let endpoint = match call.service {
            Service::Batch => &s.endpoints[0],
            Service::Logs => &s.endpoints[1],
            Service::Sts => &s.endpoints[2],
        };
        self.http.send(endpoint, &s.credentials, &s.region, call)
    }

    fn unreadable(&self, operation: &str) -> CliError {
        let endpoint = self.endpoint();
        CliError::Failed(format!(
            "{endpoint} answered {operation} with something else; is it an AWS Batch endpoint?"
        ))
    }
}
