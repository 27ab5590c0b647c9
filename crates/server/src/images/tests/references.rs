//! The table of names and what they mean.

use crate::images::{ImageError, Reference};

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn short_names_are_completed() {
    let pinned = format!("busybox@sha256:{HEX}");
    let table = [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("docker.io/library/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("index.docker.io/library/busybox:latest", "docker.io/library/busybox:latest", "busybox:latest"),
        ("me/tool", "docker.io/me/tool:latest", "me/tool:latest"),
        ("a/b/c__d-e--f.g", "docker.io/a/b/c__d-e--f.g:latest", "a/b/c__d-e--f.g:latest"),
        ("localhost/tool", "localhost/tool:latest", "localhost/tool:latest"),
        ("localhost:5000/tool", "localhost:5000/tool:latest", "localhost:5000/tool:latest"),
        ("Registry/tool:V_1.2-x", "Registry/tool:V_1.2-x", "Registry/tool:V_1.2-x"),
        ("[::1]:5000/tool:1", "[::1]:5000/tool:1", "[::1]:5000/tool:1"),
        (
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/tool:7",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/tool:7",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/tool:7",
        ),
        (&pinned, &format!("docker.io/library/{pinned}"), &pinned),
        (
            &format!("x:1@sha256:{HEX}"),
            &format!("docker.io/library/x:1@sha256:{HEX}"),
            &format!("x:1@sha256:{HEX}"),
        ),
    ];
    for (written, full, short) in table {
        let reference = Reference::parse(written).unwrap();
        assert_eq!(reference.to_string(), full, "{written}");
        assert_eq!(reference.familiar(), short, "{written}");
        assert_eq!(Reference::parse(full).unwrap(), reference, "{written}");
        assert_eq!(Reference::parse(short).unwrap(), reference, "{written}");
    }
}

#[test]
fn the_parts_can_be_asked_for() {
    let reference = Reference::parse(&format!("localhost:5000/a/b:c@sha256:{HEX}")).unwrap();
    assert_eq!((reference.host(), reference.repository()), ("localhost:5000", "a/b"));
    assert_eq!((reference.tag(), reference.digest()), (Some("c"), Some(format!("sha256:{HEX}").as_str())));
}

#[test]
fn what_is_no_reference_is_refused() {
    let long = "a".repeat(300);
    let tag = format!("a:{}", "t".repeat(129));
    let texts = [
        "",
        " ",
        ":",
        "@",
        "/",
        "a//b",
        "Busybox",
        "a b",
        "a:",
        "a:-x",
        "a:.x",
        "a:b:c",
        "-a",
        "a-",
        "a___b",
        "a..b",
        "a._b",
        "a/",
        "/a",
        "../a",
        "a/../b",
        "a@sha256:12",
        "a@md5:0",
        "host_x.y/a",
        "localhost:99999/a",
        "localhost:0/a",
        "[::1/a",
        "[x]/a",
        "a\nb",
        "a\0b",
        "é",
        &long,
        &tag,
        HEX,
    ];
    for text in texts {
        let error = Reference::parse(text).unwrap_err();
        assert!(
            matches!(&error, ImageError::BadReference { reference, .. } if reference == text),
            "{text:?}: {error}"
        );
    }
}
