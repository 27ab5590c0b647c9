//! Reads Rust just well enough for the checks: blanks out comments and literals, finds words, matching braces and
//! test code. It is no parser; what it cannot tell apart, clippy and the compiler do.

/// `text` with every comment, string and character literal blanked, line ends kept. What is left is code only.
pub fn code_only(text: &str) -> String {
    let mut rest = text;
    let mut out = String::with_capacity(text.len());
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let literal = match first {
            '/' => comment_length(rest),
            '"' => Some(string_length(rest)),
            '\'' => char_length(rest),
            'r' | 'b' | 'c' if !after_word => prefixed_length(rest),
            _ => None,
        };
        let length = literal.unwrap_or(first.len_utf8());
        let (taken, left) = rest.split_at(length);
        match literal {
            Some(_) => out.extend(taken.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' })),
            None => out.push(first),
        }
        after_word = literal.is_none() && is_word(first);
        rest = left;
    }
    out
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn comment_length(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match text.as_bytes().get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
    Some(text.len())
}

/// The length of a string literal that starts with its quote.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal; a lifetime is none.
fn char_length(text: &str) -> Option<usize> {
    let mut letters = text.char_indices().skip(1);
    let (_, first) = letters.next()?;
    if first == '\\' {
        letters.next()?;
        return letters.find(|(_, letter)| *letter == '\'').map(|(at, _)| at + 1);
    }
    letters.next().filter(|(_, letter)| *letter == '\'').map(|(at, _)| at + 1)
}

/// The length of a literal with letters before its quote, such as `b'x'`, `c"x"` or `r#"x"#`.
fn prefixed_length(text: &str) -> Option<usize> {
    let letters = text.find(|letter| !matches!(letter, 'r' | 'b' | 'c')).filter(|count| *count <= 2)?;
    let (prefix, rest) = text.split_at(letters);
    if !prefix.contains('r') {
        let inner = if rest.starts_with('"') { Some(string_length(rest)) } else { None };
        return inner
            .or_else(|| rest.starts_with('\'').then(|| char_length(rest)).flatten())
            .map(|at| letters + at);
    }
    let hashes = rest.find(|letter| letter != '#')?;
    let body = rest[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(letters + hashes + 1 + length)
}

/// Where `word` stands in `code` as a word of its own.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The line of a place in a text, from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The block that belongs to what starts at `at`: from its opening to its closing brace, both included.
/// None if a semicolon ends it first.
pub fn block_after(code: &str, at: usize) -> Option<std::ops::RangeInclusive<usize>> {
    let (mut depth, mut start) = (0_i32, None);
    for (offset, byte) in code[at..].bytes().enumerate() {
        match (byte, start) {
            // Brackets before the block, as in `fn f(x: [u8; 2])`, hold semicolons that end nothing.
            (b'(' | b'[', None) => depth += 1,
            (b')' | b']', None) => depth -= 1,
            (b';', None) if depth == 0 => return None,
            (b'{', None) if depth == 0 => (start, depth) = (Some(at + offset), 1),
            (b'{', Some(_)) => depth += 1,
            (b'}', Some(start)) => {
                depth -= 1;
                if depth == 0 {
                    return Some(start..=at + offset);
                }
            }
            _ => {}
        }
    }
    None
}

/// The blocks that are compiled for tests only.
pub fn test_blocks(code: &str) -> Vec<std::ops::RangeInclusive<usize>> {
    const MARK: &str = "#[cfg(test)]";
    code.match_indices(MARK).filter_map(|(at, _)| block_after(code, at + MARK.len())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        let text = "let a = \"unsafe \\\" {\"; // unsafe {\nlet b = r#\"un\"safe\"#; /* { /* { */ } */ let c = '{';\n\
                    let d = b'\\''; fn e<'a>(f: &'a str) {} let bar\"x\"; for r in b {}";
        let code = code_only(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.matches('{').count(), 2, "{code}");
        assert!(!code.contains("unsafe") && !code.contains("safe"), "{code}");
        assert!(code.contains("fn e<'a>(f: &'a str) {} let bar"), "{code}");
        assert_eq!(code.matches('\n').count(), 2);
    }

    #[test]
    fn words_stand_alone() {
        assert_eq!(words("unsafe_code unsafe {un_unsafe}", "unsafe").collect::<Vec<_>>(), [12]);
    }

    #[test]
    fn blocks_end_at_their_brace() {
        let code = "fn a(x: [u8; 2]) -> u8 { if y { 1 } else { 2 } } fn b();";
        let block = block_after(code, 0).unwrap();
        assert_eq!(&code[block], "{ if y { 1 } else { 2 } }");
        assert_eq!(block_after(code, code.find("fn b").unwrap()), None);
        assert_eq!(test_blocks("#[cfg(test)]\nmod tests;\n#[cfg(test)] mod more { x }").len(), 1);
    }
}
