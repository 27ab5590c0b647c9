//! What a request says about its own signature, in either form. Nothing here is believed yet.

use super::{MAX_EXPIRES, SignedRequest, text};
use crate::error::{ApiError, ErrorKind};
use std::borrow::Cow;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A signature and what it claims to be made with.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    pub access_key: Cow<'a, str>,
    /// The scope's day, `YYYYMMDD`.
    pub day: Cow<'a, str>,
    pub region: Cow<'a, str>,
    pub service: Cow<'a, str>,
    pub terminator: Cow<'a, str>,
    /// The request's date as `YYYYMMDDTHHMMSSZ`.
    pub stamp: Cow<'a, str>,
    /// The same in Unix seconds.
    pub time: i64,
    /// Names joined by `;`.
    pub signed_headers: Cow<'a, str>,
    /// Hexadecimal.
    pub signature: Cow<'a, str>,
    /// A presigned request's life in seconds; none in the header form.
    pub expires: Option<i64>,
    /// A session token came along. Root has none.
    pub has_token: bool,
}

/// The claim of `request`: its Authorization header if it has one, else its query.
pub(super) fn read<'a>(request: &SignedRequest<'a>) -> Result<Claim<'a>, ApiError> {
    let claim = match request.headers.get(hyper::header::AUTHORIZATION) {
        Some(value) => {
            let value = value.to_str().map_err(|_| incomplete("Authorization header is not ASCII."))?;
            from_header(request, value)?
        }
        None if request.query.contains("X-Amz-Signature=") || request.query.contains("X-Amz-Algorithm=") => {
            from_query(request.query)?
        }
        None => return Err(ApiError::new(ErrorKind::MissingAuthentication, "Missing Authentication Token")),
    };
    check_signed(request, &claim)?;
    Ok(claim)
}

fn from_header<'a>(request: &SignedRequest<'a>, value: &'a str) -> Result<Claim<'a>, ApiError> {
    let fields = value.strip_prefix(ALGORITHM).filter(|rest| rest.starts_with(' ')).ok_or_else(|| {
        let found = value.split(' ').next().unwrap_or_default();
        incomplete(format!("Unsupported AWS 'algorithm': '{}'; only {ALGORITHM} is read.", clip(found)))
    })?;
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for field in fields.split(',').map(str::trim) {
        match field.split_once('=') {
            Some(("Credential", value)) => credential = Some(value),
            Some(("SignedHeaders", value)) => signed_headers = Some(value),
            Some(("Signature", value)) => signature = Some(value),
            _ => {
                let text = format!(
                    "'{}' not a valid key=value pair (missing equal-sign) in Authorization header.",
                    clip(field)
                );
                return Err(incomplete(text));
            }
        }
    }
    let need = |part: Option<&'a str>, name: &str| {
        part.ok_or_else(|| incomplete(format!("Authorization header requires '{name}' parameter.")))
    };
    let (stamp, time) = date_header(request)?;
    let [access_key, day, region, service, terminator] = scope(need(credential, "Credential")?)?;
    Ok(Claim {
        access_key: access_key.into(),
        day: day.into(),
        region: region.into(),
        service: service.into(),
        terminator: terminator.into(),
        stamp,
        time,
        signed_headers: need(signed_headers, "SignedHeaders")?.into(),
        signature: need(signature, "Signature")?.into(),
        expires: None,
        has_token: request.headers.contains_key("x-amz-security-token"),
    })
}

fn from_query(query: &str) -> Result<Claim<'static>, ApiError> {
    let all = text::pairs(query);
    let get = |name: &str| all.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let need = |name: &str| {
        get(name).ok_or_else(|| incomplete(format!("AWS query-string parameters must include '{name}'.")))
    };
    let algorithm = need("X-Amz-Algorithm")?;
    if algorithm != ALGORITHM {
        return Err(incomplete(format!(
            "Unsupported AWS 'algorithm': '{}'; only {ALGORITHM} is read.",
            clip(&algorithm)
        )));
    }
    let expires = need("X-Amz-Expires")?;
    let expires = expires.parse::<i64>().ok().filter(|s| (1..=MAX_EXPIRES).contains(s)).ok_or_else(|| {
        incomplete(format!(
            "X-Amz-Expires must be between 1 and {MAX_EXPIRES} seconds, not '{}'.",
            clip(&expires)
        ))
    })?;
    let stamp = need("X-Amz-Date")?;
    let time = text::time(&stamp).ok_or_else(|| bad_date(&stamp))?;
    let credential = need("X-Amz-Credential")?;
    let [access_key, day, region, service, terminator] =
        scope(&credential)?.map(|part| Cow::Owned(part.to_owned()));
    Ok(Claim {
        access_key,
        day,
        region,
        service,
        terminator,
        stamp: stamp.into(),
        time,
        signed_headers: need("X-Amz-SignedHeaders")?.into(),
        signature: need("X-Amz-Signature")?.into(),
        expires: Some(expires),
        has_token: get("X-Amz-Security-Token").is_some(),
    })
}

/// The request's date: `X-Amz-Date`, else `Date`.
fn date_header<'a>(request: &SignedRequest<'a>) -> Result<(Cow<'a, str>, i64), ApiError> {
    let text_of = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(stamp) = text_of("x-amz-date") {
        let time = text::time(stamp).ok_or_else(|| bad_date(stamp))?;
        return Ok((stamp.into(), time));
    }
    let Some(date) = text_of("date") else {
        return Err(incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        ));
    };
    // HTTP's form, or the one of `X-Amz-Date`.
    let time = text::time(date)
        .or_else(|| jiff::fmt::rfc2822::parse(date).ok().map(|zoned| zoned.timestamp().as_second()))
        .ok_or_else(|| bad_date(date))?;
    Ok((text::stamp(time).into(), time))
}

/// `AKID/20260101/us-east-1/batch/aws4_request` in its five parts.
fn scope(credential: &str) -> Result<[&str; 5], ApiError> {
    let mut parts = credential.split('/');
    let five = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
    match (five, parts.next()) {
        ([Some(a), Some(b), Some(c), Some(d), Some(e)], None) => Ok([a, b, c, d, e]),
        _ => Err(incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'.",
            clip(credential)
        ))),
    }
}

/// What decides the request's meaning must be under its signature: the host and every `x-amz-` header.
fn check_signed(request: &SignedRequest<'_>, claim: &Claim<'_>) -> Result<(), ApiError> {
    let signed = |name: &str| claim.signed_headers.split(';').any(|given| given == name);
    if !signed("host") {
        return Err(unsigned("'Host' or ':authority'"));
    }
    match request.headers.keys().find(|name| name.as_str().starts_with("x-amz-") && !signed(name.as_str())) {
        Some(name) => Err(unsigned(&format!("'{name}'"))),
        None => Ok(()),
    }
}

fn unsigned(name: &str) -> ApiError {
    ApiError::new(
        ErrorKind::InvalidSignature,
        format!("{name} must be a 'SignedHeader' in the AWS Authorization."),
    )
}

fn bad_date(found: &str) -> ApiError {
    incomplete(format!("Date must be in ISO-8601 'basic format'. Got '{}'.", clip(found)))
}

fn incomplete(text: impl Into<String>) -> ApiError {
    ApiError::new(ErrorKind::IncompleteSignature, text)
}

/// What a client sent, short enough for a message.
fn clip(text: &str) -> String {
    text.chars().take(100).collect()
}
