//! Launch templates, their overrides, and architectures.

use super::*;
use crate::api::compute_environments::tidy::tidy;

/// A launch template over instance types.
fn judge(types: &[&str], template: &str) -> Result<(), String> {
    let types = serde_json::to_string(types).unwrap();
    let mut r: ComputeResource =
        serde_json::from_str(&format!("{{\"instanceTypes\":{types},\"launchTemplate\":{template}}}"))
            .unwrap();
    tidy(&mut r);
    check(&r).map_err(|e| e.message)
}

fn bad(types: &[&str], template: &str, says: &str) {
    let text = judge(types, template).expect_err(template);
    assert!(text.contains(says), "{template}: {text}");
}

#[test]
fn a_template_is_named_one_way() {
    for good in [
        r#"{"launchTemplateId":"lt-1"}"#,
        r#"{"launchTemplateName":"n","version":"$Latest","userdataType":"eks_nodeadm"}"#,
        r#"{"launchTemplateId":"lt-1","launchTemplateName":"","version":"12"}"#,
        r#"{"launchTemplateId":"lt-1","version":""}"#,
        "{}",
    ] {
        assert_eq!(judge(&["optimal"], good), Ok(()), "{good}");
    }
    bad(&["optimal"], r#"{"launchTemplateId":"lt-1","launchTemplateName":"n"}"#, "not both");
    bad(
        &["optimal"],
        r#"{"version":"1"}"#,
        "launchTemplate must have a launchTemplateId or a launchTemplateName",
    );
    bad(
        &["optimal"],
        r#"{"launchTemplateId":"lt-1","version":"newest"}"#,
        "version must be a number, $Default",
    );
}

/// Overrides with these targets, each with a template of its own.
fn overrides(targets: &[&[&str]]) -> String {
    let one = |t: &&[&str]| {
        format!(
            "{{\"launchTemplateId\":\"lt-2\",\"targetInstanceTypes\":{}}}",
            serde_json::to_string(t).unwrap()
        )
    };
    let all: Vec<String> = targets.iter().map(one).collect();
    format!("{{\"launchTemplateId\":\"lt-1\",\"overrides\":[{}]}}", all.join(","))
}

#[test]
fn overrides_hit_instance_types_once() {
    for good in [overrides(&[&["m5.large", "m5.xlarge"], &["c5"]]), overrides(&[&["m5"]]), overrides(&[])] {
        assert_eq!(judge(&["m5", "c5", "r5.large"], &good), Ok(()), "{good}");
    }
    assert_eq!(judge(&["optimal"], &overrides(&[&["m6i.large"]])), Ok(()), "of the bundle, perhaps");
    bad(&["m5"], &overrides(&[&["c5.large"]]), "overrides[0].targetInstanceTypes c5.large is not among");
    bad(&["m5.large"], &overrides(&[&["m5"]]), "is not among");
    bad(&["optimal"], &overrides(&[&["optimal"]]), "must be instance types or families");
    bad(
        &["m5"],
        &overrides(&[&["m5.large"], &["m5"]]),
        "overrides[1].targetInstanceTypes m5 overlaps with m5.large",
    );
    bad(&["m5"], &overrides(&[&["m5", "m5"]]), "overlaps");
    bad(&["m5"], &overrides(&[&[]]), "targetInstanceTypes must name one at least");
    bad(
        &["m5"],
        r#"{"overrides":[{"targetInstanceTypes":["m5"]}]}"#,
        "overrides[0] must have a launchTemplateId",
    );
    let sizes: Vec<String> = (0..11).map(|n| format!("m5.{n}xlarge")).collect();
    let each: Vec<Vec<&str>> = sizes.iter().map(|s| vec![s.as_str()]).collect();
    let targets: Vec<&[&str]> = each.iter().map(Vec::as_slice).collect();
    assert_eq!(judge(&["m5"], &overrides(&targets[..10])), Ok(()));
    let many: Vec<String> = (0..1001).map(|n| format!("m5.{n}xlarge")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    bad(&["m5"], &overrides(&[&many]), "at most 1000 over all overrides");
    bad(&["m5"], &overrides(&targets), "overrides must have at most 10 items, got 11");
}

#[test]
fn one_architecture() {
    let judge = |types: &[&str]| check_architecture(&types.iter().map(|t| t.to_string()).collect::<Vec<_>>());
    let x86 = [
        "optimal",
        "default_x86_64",
        "m5",
        "c5.large",
        "g4dn.xlarge",
        "p5.48xlarge",
        "c7i-flex.large",
        "x2iedn",
        "g6",
    ];
    let arm = ["default_arm64", "a1", "m6g", "c7gn.large", "t4g.small", "g5g", "x2gd.metal", "im4gn"];
    assert_eq!(judge(&x86), Ok(()));
    assert_eq!(judge(&arm), Ok(()));
    for x in x86 {
        for a in arm {
            assert!(judge(&[x, a]).unwrap_err().message.contains("one architecture"), "{x} {a}");
        }
    }
}
