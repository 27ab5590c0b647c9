//! `maxResults` and `nextToken`: a page at a time, with tokens that end.
//!
//! A token is opaque to clients: the operation it belongs to and the row id that the next page goes on from. Never
//! here: the rows.

use crate::error::ApiError;

/// Where a listing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The row id to go on from; absent on the first page.
    pub from: Option<i64>,
    /// Rows at most.
    pub size: u32,
}

impl Page {
    /// Reads `maxResults` (1 to `most`, `most` when absent) and `nextToken` of an operation.
    pub fn read(operation: &str, max: Option<i32>, token: Option<&str>, most: u32) -> Result<Self, ApiError> {
        let size = match max {
            None => most,
            Some(n) => u32::try_from(n).ok().filter(|n| (1..=most).contains(n)).ok_or_else(|| {
                ApiError::wrapped(format!("maxResults must be between 1 and {most}, got {n}"))
            })?,
        };
        let from = match token.filter(|t| !t.is_empty()) {
            None => None,
            Some(text) => {
                Some(decode(operation, text).ok_or_else(|| ApiError::wrapped("nextToken is not valid"))?)
            }
        };
        Ok(Self { from, size })
    }

    /// Cuts rows that were read with one more than the page's size, and gives the next token if one was too many.
    pub fn cut<T>(&self, operation: &str, rows: &mut Vec<T>, id: impl Fn(&T) -> i64) -> Option<String> {
        if rows.len() <= self.size as usize {
            return None;
        }
        rows.truncate(self.size as usize);
        rows.last().map(|row| encode(operation, id(row)))
    }

    /// Rows to read: one more than the page, to know whether there is another.
    pub fn limit(&self) -> u32 {
        self.size + 1
    }
}

fn encode(operation: &str, id: i64) -> String {
    batchyard_supervisor::format::to_hex(format!("{operation}:{id}").as_bytes())
}

fn decode(operation: &str, token: &str) -> Option<i64> {
    let bytes = batchyard_supervisor::format::from_hex("nextToken", token).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.strip_prefix(operation)?.strip_prefix(':')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_back_only_to_its_operation() {
        let page = Page { from: None, size: 2 };
        let mut rows = vec![10, 11, 12];
        let token = page.cut("ListJobs", &mut rows, |r| *r).expect("a third row");
        assert_eq!(rows, [10, 11]);
        assert_eq!(Page::read("ListJobs", None, Some(&token), 100).unwrap().from, Some(11));
        assert!(Page::read("DescribeJobQueues", None, Some(&token), 100).is_err());
        assert!(Page::read("ListJobs", None, Some("zz"), 100).is_err());
        assert!(Page::read("ListJobs", Some(0), None, 100).is_err());
        assert!(Page::read("ListJobs", Some(101), None, 100).is_err());
        assert_eq!(page.cut("ListJobs", &mut rows, |r| *r), None);
    }
}
