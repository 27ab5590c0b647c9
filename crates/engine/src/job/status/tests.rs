//! The life cycle against spec jobs §1.1.

use super::*;

const EVENTS: [Event; 7] = [
    Event::Waits,
    Event::Ready,
    Event::Placed,
    Event::Started,
    Event::Retried,
    Event::Succeeded,
    Event::Failed,
];

/// Spec jobs §1.1, the table of transitions, all of them and no other.
#[test]
fn the_transitions_are_those_of_the_spec() {
    let mut allowed = Vec::new();
    for status in JobStatus::ALL {
        for event in EVENTS {
            allowed
                .extend(status.on(event).map(|next| format!("{} {event:?} {}", status.name(), next.name())));
        }
    }
    let expected = [
        "SUBMITTED Waits PENDING",
        "SUBMITTED Ready RUNNABLE",
        "SUBMITTED Failed FAILED",
        "PENDING Ready RUNNABLE",
        "PENDING Failed FAILED",
        "RUNNABLE Placed STARTING",
        "RUNNABLE Failed FAILED",
        "STARTING Started RUNNING",
        "STARTING Retried RUNNABLE",
        "STARTING Succeeded SUCCEEDED",
        "STARTING Failed FAILED",
        "RUNNING Retried RUNNABLE",
        "RUNNING Succeeded SUCCEEDED",
        "RUNNING Failed FAILED",
    ];
    assert_eq!(allowed, expected);
}

/// Spec jobs §8: each state is waiting, placed or over, never two of them.
#[test]
fn a_state_is_one_of_waiting_placed_over() {
    for s in JobStatus::ALL {
        let kinds = [s.can_cancel(), s.is_placed(), s.is_terminal()];
        assert_eq!(kinds.iter().filter(|kind| **kind).count(), 1, "{}", s.name());
    }
}

/// Spec jobs §1.1: what is over stays as it is, and everything else can still fail.
#[test]
fn an_end_is_final_and_always_within_reach() {
    for s in JobStatus::ALL {
        let after: Vec<_> = EVENTS.into_iter().filter_map(|event| s.on(event)).collect();
        assert_eq!(after.is_empty(), s.is_terminal(), "{}", s.name());
        assert!(s.is_terminal() || after.contains(&JobStatus::Failed), "{}", s.name());
    }
}

#[test]
fn names_and_numbers_lead_back() {
    for s in JobStatus::ALL {
        assert_eq!(JobStatus::from_name(s.name()), Some(s));
        assert_eq!(JobStatus::from_number(s as i64), Some(s));
    }
    assert_eq!((JobStatus::from_name("Running"), JobStatus::from_number(7)), (None, None));
}
