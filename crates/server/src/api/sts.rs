//! STS as far as Batch's clients ask it: who the caller is. It makes no credentials.

use crate::iam::Principal;
use bytes::Bytes;

/// The answer of GetCallerIdentity, in the query protocol's XML. `UserId` of an account's root is the account.
pub fn get_caller_identity(caller: &Principal, request_id: &str) -> Bytes {
    let (arn, account) = (escape(&caller.arn), escape(&caller.account));
    Bytes::from(format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <GetCallerIdentityResult><Arn>{arn}</Arn><UserId>{account}</UserId><Account>{account}</Account>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>"
    ))
}

/// `text` as XML character data. Control characters that XML 1.0 cannot hold become U+FFFD.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\n' | '\t' => out.push(c),
            c if c < ' ' || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_names_account_and_arn() {
        let caller = Principal::root("123456789012", "AKID");
        let xml = get_caller_identity(&caller, "r-1");
        let xml = std::str::from_utf8(&xml).unwrap();
        assert!(
            xml.contains("<Arn>arn:aws:iam::123456789012:root</Arn><UserId>123456789012</UserId>"),
            "{xml}"
        );
        assert!(xml.contains("<Account>123456789012</Account>"), "{xml}");
        assert!(xml.contains("<RequestId>r-1</RequestId>"), "{xml}");
    }

    #[test]
    fn markup_in_text_stays_text() {
        assert_eq!(escape("a<b>&\"\u{1}"), "a&lt;b&gt;&amp;&quot;\u{fffd}");
    }
}
