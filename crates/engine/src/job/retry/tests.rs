//! Matching of `evaluateOnExit` (spec jobs §7).

use super::*;

fn rule(retry: bool, status: Option<&str>, reason: Option<&str>, code: Option<&str>) -> RetryRule {
    let text = |text: Option<&str>| text.map(Arc::from);
    RetryRule { retry, on_status_reason: text(status), on_reason: text(reason), on_exit_code: text(code) }
}

fn strategy(attempts: u32, rules: Vec<RetryRule>) -> RetryStrategy {
    RetryStrategy { attempts, rules: rules.into() }
}

fn exited(code: i32) -> FailedAttempt<'static> {
    FailedAttempt {
        number: 1,
        status_reason: "Essential container in task exited",
        reason: None,
        exit_code: Some(code),
    }
}

fn host_lost() -> FailedAttempt<'static> {
    FailedAttempt {
        number: 1,
        status_reason: "Host EC2 (instance i-0123456789abcdef0) terminated.",
        reason: None,
        exit_code: None,
    }
}

/// Spec jobs §7: attempts counts the first one.
#[test]
fn attempts_are_the_total() {
    let three = strategy(3, vec![]);
    let wants: Vec<bool> =
        (1..=4).map(|number| three.wants_another(FailedAttempt { number, ..exited(1) })).collect();
    assert_eq!(wants, [true, true, false, false]);
    assert!(!RetryStrategy::default().wants_another(exited(1)));
}

/// Spec jobs §7: the usual pair, hosts are retried and everything else is not.
#[test]
fn host_loss_is_retried_and_a_catch_all_ends_the_rest() {
    let usual =
        strategy(5, vec![rule(true, Some("Host EC2*"), None, None), rule(false, None, Some("*"), None)]);
    assert!(usual.wants_another(host_lost()));
    assert!(!usual.wants_another(exited(1)), "the catch-all takes an absent reason");
}

/// Spec jobs §7: no match means another attempt.
#[test]
fn no_match_is_another_attempt() {
    let only_two = strategy(2, vec![rule(false, None, None, Some("2"))]);
    assert!(only_two.wants_another(exited(1)));
    assert!(!only_two.wants_another(exited(2)));
}

/// Spec jobs §7: the first entry that matches decides.
#[test]
fn the_first_match_decides() {
    let (retry, exit) = (rule(true, None, None, Some("1*")), rule(false, None, None, Some("13*")));
    assert!(strategy(2, vec![retry.clone(), exit.clone()]).wants_another(exited(137)));
    assert!(!strategy(2, vec![exit, retry]).wants_another(exited(137)));
}

/// Spec jobs §7: all conditions of an entry must match; without an exit code no pattern for it does.
#[test]
fn all_conditions_of_an_entry_must_match() {
    let both = strategy(2, vec![rule(false, Some("Essential*"), None, Some("3"))]);
    assert!(!both.wants_another(exited(3)));
    assert!(both.wants_another(exited(4)));
    assert!(strategy(2, vec![rule(false, None, None, Some("*"))]).wants_another(host_lost()));
    assert!(strategy(2, vec![rule(false, None, Some("x"), None)]).wants_another(host_lost()));
}

/// Spec jobs §7: without `*` the whole string, the final period included.
#[test]
fn a_pattern_without_a_star_is_the_whole_text() {
    let spot = "Your Spot Task was interrupted.";
    assert!(fits(spot, spot));
    assert!(!fits("Your Spot Task was interrupted", spot));
    assert!(!fits("your spot*", spot), "case counts");
}

/// Every pattern and text of up to four letters, against a matcher that walks both letter by letter.
#[test]
fn matching_agrees_with_a_letter_by_letter_walk() {
    fn walk(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([b'*'], _) | ([], []) => true,
            ([p, pattern @ ..], [t, text @ ..]) => p == t && walk(pattern, text),
            _ => false,
        }
    }
    let mut words = vec![String::new()];
    for length in 0..4 {
        let longer: Vec<String> = words
            .iter()
            .filter(|word| word.len() == length)
            .flat_map(|word| ["a", "b", "*"].map(|letter| format!("{word}{letter}")))
            .collect();
        words.extend(longer);
    }
    let mut matches = 0;
    for pattern in &words {
        for text in &words {
            let expected = walk(pattern.as_bytes(), text.as_bytes());
            assert_eq!(fits(pattern, text), expected, "{pattern:?} against {text:?}");
            matches += usize::from(expected);
        }
    }
    assert!(matches > words.len(), "the words were too few to tell");
}
