//! Every kind of ARN there and back, what is refused, and references by name.

use super::*;

const REGION: &str = "eu-central-1";
const ACCOUNT: &str = "123456789012";
const JOB: &str = "4c7599ae-0a82-49aa-ba5a-4727fcce14a8";

fn all() -> Vec<(Arn, String)> {
    let job: JobId = JOB.parse().unwrap();
    vec![
        (Arn::compute_environment(REGION, ACCOUNT, "ce"), "compute-environment/ce".into()),
        (Arn::consumable_resource(REGION, ACCOUNT, "licence"), "consumable-resource/licence".into()),
        (Arn::job(REGION, ACCOUNT, job), format!("job/{JOB}")),
        (Arn::job(REGION, ACCOUNT, job.child(7)), format!("job/{JOB}:7")),
        (Arn::job(REGION, ACCOUNT, job.node(0)), format!("job/{JOB}#0")),
        (Arn::job_definition(REGION, ACCOUNT, "d", 12), "job-definition/d:12".into()),
        (Arn::job_definition_family(REGION, ACCOUNT, "d"), "job-definition/d".into()),
        (Arn::job_queue(REGION, ACCOUNT, "q_1-x"), "job-queue/q_1-x".into()),
        (Arn::quota_share(REGION, ACCOUNT, "q", "s"), "job-queue/q/quota-share/s".into()),
        (Arn::scheduling_policy(REGION, ACCOUNT, "fair"), "scheduling-policy/fair".into()),
        (Arn::service_environment(REGION, ACCOUNT, "sage"), "service-environment/sage".into()),
        (Arn::service_job(REGION, ACCOUNT, job.uuid), format!("service-job/{JOB}")),
    ]
}

#[test]
fn every_kind_there_and_back() {
    for (arn, resource) in all() {
        let text = format!("arn:aws:batch:{REGION}:{ACCOUNT}:{resource}");
        assert_eq!(arn.to_string(), text);
        assert_eq!(text.parse::<Arn>(), Ok(arn));
    }
}

#[test]
fn what_is_no_arn_of_batch_is_refused() {
    let cases = [
        ("", ArnError::NotAnArn),
        ("job-queue/q", ArnError::NotAnArn),
        ("arn:aws:batch:r:123456789012", ArnError::NotAnArn),
        ("arn:aws:batch:r:12345:job-queue/q", ArnError::NotAnArn),
        ("arn:aws:batch::123456789012:job-queue/q", ArnError::NotAnArn),
        ("arn:aws:ecs:r:123456789012:job-queue/q", ArnError::NotBatch),
        ("arn:aws-cn:batch:r:123456789012:job-queue/q", ArnError::NotBatch),
        ("arn:aws:batch:r:123456789012:job-queue", ArnError::NoSuchForm),
        ("arn:aws:batch:r:123456789012:job-queue/", ArnError::NoSuchForm),
        ("arn:aws:batch:r:123456789012:job-queue/q/x", ArnError::NoSuchForm),
        ("arn:aws:batch:r:123456789012:job-queue/q/quota-share/", ArnError::NoSuchForm),
        ("arn:aws:batch:r:123456789012:job-definition/d:0", ArnError::NoSuchForm),
        ("arn:aws:batch:r:123456789012:job-definition/d:+1", ArnError::NoSuchForm),
        ("arn:aws:batch:r:123456789012:job-definition/d:1:2", ArnError::NoSuchForm),
        ("arn:aws:batch:r:123456789012:job/abc", ArnError::NoSuchForm),
        ("arn:aws:batch:r:123456789012:nothing/q", ArnError::NoSuchForm),
    ];
    for (text, error) in cases {
        assert_eq!(text.parse::<Arn>(), Err(error), "{text}");
    }
}

#[test]
fn a_resource_goes_by_name_or_arn() {
    let arn = Arn::job_queue(REGION, ACCOUNT, "q");
    let by_name = name_or_arn(ArnKind::JobQueue, "q").unwrap();
    let by_arn = name_or_arn(ArnKind::JobQueue, &arn.to_string()).unwrap();
    assert_eq!(by_name, Reference { name: "q".into(), arn: None });
    assert_eq!(by_arn, Reference { name: "q".into(), arn: Some(arn.clone()) });
    assert!(by_name.is_in("elsewhere", "000000000000"));
    assert!(by_arn.is_in(REGION, ACCOUNT));
    assert!(!by_arn.is_in("elsewhere", ACCOUNT) && !by_arn.is_in(REGION, "000000000000"));

    let wrong = ArnError::WrongKind { wanted: ArnKind::ComputeEnvironment, got: ArnKind::JobQueue };
    assert_eq!(name_or_arn(ArnKind::ComputeEnvironment, &arn.to_string()), Err(wrong));
    assert_eq!(name_or_arn(ArnKind::JobQueue, "a b"), Err(ArnError::NotAName));
    assert_eq!(name_or_arn(ArnKind::JobQueue, "arn:"), Err(ArnError::NotAnArn));
}

#[test]
fn a_definition_goes_by_four_forms() {
    let parse = |text: &str| DefinitionReference::parse(text).map(|found| (found.name, found.revision));
    let arn = Arn::job_definition(REGION, ACCOUNT, "d", 3).to_string();
    let family = Arn::job_definition_family(REGION, ACCOUNT, "d").to_string();
    assert_eq!(parse("d"), Ok(("d".into(), None)));
    assert_eq!(parse("d:3"), Ok(("d".into(), Some(3))));
    assert_eq!(parse(&arn), Ok(("d".into(), Some(3))));
    assert_eq!(parse(&family), Ok(("d".into(), None)));
    assert!(!DefinitionReference::parse(&arn).unwrap().is_in(REGION, "000000000000"));

    for bad in ["", ":3", "d:", "d:0", "d:03", "d:-1", "d:x", "d:4294967296", "-d", "ä"] {
        assert_eq!(parse(bad), Err(ArnError::NotAName), "{bad}");
    }
    let queue = Arn::job_queue(REGION, ACCOUNT, "d").to_string();
    let wrong = ArnError::WrongKind { wanted: ArnKind::JobDefinition, got: ArnKind::JobQueue };
    assert_eq!(parse(&queue), Err(wrong));
}

#[test]
fn names_are_short_and_plain() {
    for good in ["a", "9", "A-b_c", &"x".repeat(128)] {
        assert!(is_name(good), "{good}");
    }
    for bad in ["", "-a", "_a", "a.b", "a b", "é", "a/b", &"x".repeat(129)] {
        assert!(!is_name(bad), "{bad}");
    }
}
