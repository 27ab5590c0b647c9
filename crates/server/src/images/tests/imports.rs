//! Archives of every kind become images, and damaged ones do not.

use super::support::{
    Oci, Tape, archive, config, docker, docker_members, gzip, import, named, names, root, store, zstd,
};
use crate::images::digest::Digest;
use crate::images::{ImageConfig, ImageError, ImageKind, Platform};
use serde_json::json;
use std::fs;

fn layer(text: &str) -> Vec<u8> {
    Tape::new().folder("etc").file("etc/motd", text).end()
}

#[test]
fn docker_save_is_found_under_every_form_of_its_name() {
    if !root("docker_save") {
        return;
    }
    let (temp, store) = store();
    let layers = [layer("one"), Tape::new().file("two", "2").end()];
    let extra = json!({
        "Entrypoint": ["/bin/sh"], "Cmd": ["-c", "x"], "Env": ["A=b"], "WorkingDir": "/w", "User": "7:8",
        "StopSignal": "SIGINT", "Volumes": { "/v": {}, "/a": {} },
    });
    let path =
        temp.write("a.tar", &archive(&docker_members(&layers, json!(["busybox:latest", "me/x:1"]), extra)));
    let done = store.import(&path, None).unwrap();
    let image = &done.images[0];
    assert_eq!(image.references, ["docker.io/library/busybox:latest", "docker.io/me/x:1"]);
    assert_eq!((image.layers, image.new_layers, image.new_bytes), (2, 2, 4));
    let by_digest = format!("anything@{}", image.digest);
    for name in
        ["busybox", "busybox:latest", "docker.io/library/busybox", "me/x:1", &image.digest, &by_digest]
    {
        let found = store.resolve(name).unwrap();
        assert_eq!((found.digest.as_str(), found.kind), (image.digest.as_str(), ImageKind::Layers), "{name}");
        assert_eq!(fs::read_to_string(found.layers[0].join("etc/motd")).unwrap(), "one");
        assert_eq!(fs::read_to_string(found.layers[1].join("two")).unwrap(), "2");
    }
    let text = |t: &str| t.to_owned();
    let wanted = ImageConfig {
        entrypoint: vec![text("/bin/sh")],
        cmd: vec![text("-c"), text("x")],
        env: vec![text("A=b")],
        working_dir: text("/w"),
        user: text("7:8"),
        stop_signal: Some(text("SIGINT")),
        volumes: vec![text("/a"), text("/v")],
    };
    assert_eq!(store.resolve("busybox").unwrap().config, wanted);
    let rows = store.list().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].layers, rows[0].bytes, rows[0].builtin), (2, 4, false));
    assert_eq!(rows[0].created.as_deref(), Some("2024-01-02T03:04:05Z"));
    assert_eq!(store.resolve(&rows[0].id).unwrap().digest, image.digest, "the image id finds it too");
}

#[test]
fn docker_save_shares_a_layer_by_a_link() {
    if !root("docker_save_link") {
        return;
    }
    let (_temp, store) = store();
    let shared = layer("shared");
    let mut members = docker_members(&[shared.clone(), layer("other"), shared], json!(["a"]), json!(null));
    let (link, _) = members.remove(2);
    let target = format!("../{}", members[0].0);
    let tail = archive(&members);
    // A link between members, before everything else.
    let mut bytes = Tape::new().symlink(&link, &target).end();
    bytes.truncate(512);
    bytes.extend(tail);
    import(&store, &bytes, None).unwrap();
    let found = store.resolve("a").unwrap();
    let motd: Vec<_> = found.layers.iter().map(|l| fs::read_to_string(l.join("etc/motd")).unwrap()).collect();
    assert_eq!(motd, ["other", "shared"], "a folder may be in the stack once, where it is uppermost");
}

#[test]
fn oci_layouts_with_gzip_and_zstd_layers_are_imported() {
    if !root("oci") {
        return;
    }
    let (_temp, store) = store();
    for (name, pack) in [("gz:1", gzip as fn(&[u8]) -> Vec<u8>), ("zst:1", zstd), ("plain:1", <[u8]>::to_vec)]
    {
        let mut oci = Oci::default();
        let image = oci.image(&[layer(name)], pack);
        let digest = image["digest"].as_str().unwrap().to_owned();
        let done = import(&store, &oci.end(&[named(image, name)]), None).unwrap();
        assert_eq!(done.images[0].digest, digest);
        let found = store.resolve(name).unwrap();
        assert_eq!(fs::read_to_string(found.layers[0].join("etc/motd")).unwrap(), name);
    }
}

#[test]
fn the_archive_itself_may_be_packed() {
    if !root("packed") {
        return;
    }
    let (temp, store) = store();
    let plain = docker(&[layer("x")], "packed:1");
    for (name, bytes) in [("a.tar.gz", gzip(&plain)), ("a.tar.zst", zstd(&plain)), ("a.tar", plain)] {
        let path = temp.write(name, &bytes);
        assert_eq!(store.import(&path, None).unwrap().images[0].references, ["docker.io/library/packed:1"]);
        import(&store, &bytes, None).unwrap();
    }
    let xz = temp.write("a.tar.xz", b"\xfd7zXZ\0rest");
    let error = store.import(&xz, None).unwrap_err();
    assert!(error.to_string().contains("xz"), "{error}");
}

#[test]
fn an_index_of_platforms_gives_the_one_of_this_machine() {
    if !root("index") {
        return;
    }
    let (_temp, store) = store();
    let here = Platform::here();
    let mut oci = Oci::default();
    let mut ours = oci.image(&[layer("ours")], gzip);
    ours["platform"] = json!({ "os": here.os, "architecture": here.architecture });
    let foreign = |arch: &str| json!({ "digest": Digest::of(arch.as_bytes()), "size": 1, "platform": { "os": "linux", "architecture": arch } });
    let unknown = json!({ "digest": Digest::of(b"attestation"), "size": 1, "platform": { "os": "unknown", "architecture": "unknown" } });
    // The foreign ones are not in the archive, as `docker save` leaves them out.
    let index = oci.index(&[foreign("s390x"), unknown.clone(), ours, foreign("mips64le")]);
    import(&store, &oci.end(&[named(index, "multi:1")]), None).unwrap();
    let found = store.resolve("multi:1").unwrap();
    assert_eq!(fs::read_to_string(found.layers[0].join("etc/motd")).unwrap(), "ours");

    let mut oci = Oci::default();
    let index = oci.index(&[foreign("s390x"), unknown]);
    let error = import(&store, &oci.end(&[named(index, "foreign:1")]), None).unwrap_err();
    assert!(matches!(&error, ImageError::WrongPlatform { found, .. } if found == "linux/s390x"), "{error}");
}

#[test]
fn docker_save_that_is_an_oci_layout_keeps_its_manifest() {
    if !root("both") {
        return;
    }
    let (_temp, store) = store();
    let layers = [layer("both")];
    let config = config(&layers, json!({}));
    let mut oci = Oci::default();
    let image = oci.image_of(&layers, &config, gzip);
    let digest = image["digest"].as_str().unwrap().to_owned();
    let manifest = json!([{
        "Config": format!("blobs/sha256/{}", Digest::of(&config).hex()),
        "RepoTags": ["both:1", "both:2"],
        "Layers": [oci.0[0].0],
    }]);
    oci.0.push(("manifest.json".to_owned(), manifest.to_string().into_bytes()));
    let mut descriptor = image;
    descriptor["annotations"] = json!({
        "io.containerd.image.name": "docker.io/library/both:1", "org.opencontainers.image.ref.name": "1",
    });
    let done = import(&store, &oci.end(&[descriptor]), None).unwrap();
    assert_eq!(done.images[0].digest, digest);
    assert_eq!(done.images[0].references, ["docker.io/library/both:1", "docker.io/library/both:2"]);
}

#[test]
fn a_root_file_system_needs_a_name() {
    if !root("rootfs") {
        return;
    }
    let (_temp, store) = store();
    let bytes = Tape::new().folder("./").folder("./bin").file("./bin/x", "x").end();
    assert!(matches!(import(&store, &bytes, None), Err(ImageError::NeedsName { .. })));
    let done = import(&store, &gzip(&bytes), Some("mine")).unwrap();
    let found = store.resolve("mine:latest").unwrap();
    assert_eq!(found.digest, done.images[0].digest);
    assert_eq!(found.config.working_dir, "/");
    assert!(found.config.env[0].starts_with("PATH="));
    assert_eq!(names(&found.layers[0]), ["bin"]);
}

#[test]
fn a_given_name_replaces_those_of_the_archive() {
    if !root("given") {
        return;
    }
    let (_temp, store) = store();
    let bytes = docker(&[layer("x")], "theirs:1");
    assert_eq!(
        import(&store, &bytes, Some("ours")).unwrap().images[0].references,
        ["docker.io/library/ours:latest"]
    );
    assert!(matches!(store.resolve("theirs:1"), Err(ImageError::NotFound { .. })));
    let pinned = format!("a@{}", Digest::of(b""));
    assert!(matches!(import(&store, &bytes, Some(&pinned)), Err(ImageError::BadReference { .. })));
    assert!(matches!(import(&store, &bytes, Some("host:x")), Err(ImageError::ReservedName { .. })));
    assert!(matches!(
        import(&store, &docker(&[layer("x")], "host"), None),
        Err(ImageError::ReservedName { .. })
    ));
    let nameless = archive(&docker_members(&[layer("x")], json!(null), json!({})));
    assert!(matches!(import(&store, &nameless, None), Err(ImageError::NeedsName { .. })));
    let mut oci = Oci::default();
    let (one, two) = (oci.image(&[layer("1")], gzip), oci.image(&[layer("2")], gzip));
    let two = oci.end(&[named(one, "one:1"), named(two, "two:1")]);
    assert!(matches!(import(&store, &two, Some("a")), Err(ImageError::NeedsName { .. })));
    assert_eq!(import(&store, &two, None).unwrap().images.len(), 2);
}

#[test]
fn content_with_another_digest_is_refused() {
    if !root("digests") {
        return;
    }
    let (_temp, store) = store();
    // A layer of a docker archive that differs from its diff id.
    let mut members = docker_members(&[layer("right")], json!(["a"]), json!({}));
    members[0].1 = layer("wrong");
    let error = import(&store, &archive(&members), None).unwrap_err();
    assert!(matches!(error, ImageError::DigestMismatch { .. }), "{error}");
    // A configuration of a docker archive that differs from its name.
    let mut members = docker_members(&[layer("right")], json!(["a"]), json!({}));
    members[1].1.push(b' ');
    assert!(matches!(import(&store, &archive(&members), None), Err(ImageError::DigestMismatch { .. })));
    // One byte of any blob of an OCI layout: layer, configuration, manifest.
    for number in 0..3 {
        let mut oci = Oci::default();
        let image = oci.image(&[layer("right")], gzip);
        let blob = &mut oci.0[number].1;
        let at = blob.len() / 2;
        blob[at] ^= 1;
        let error = import(&store, &oci.end(&[named(image, "a:1")]), None).unwrap_err();
        assert!(matches!(error, ImageError::DigestMismatch { .. }), "blob {number}: {error}");
    }
    // A layer whose blob is as listed, but not what the configuration says.
    let mut oci = Oci::default();
    let image = oci.image_of(&[layer("wrong")], &config(&[layer("right")], json!({})), gzip);
    let error = import(&store, &oci.end(&[named(image, "a:1")]), None).unwrap_err();
    assert!(matches!(error, ImageError::DigestMismatch { .. }), "{error}");
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(names(&store.dir.join("layers")), [""; 0]);
    assert_eq!(names(&store.dir.join("tmp")), [""; 0]);
}

#[test]
fn what_is_no_archive_is_refused_with_a_reason() {
    let (temp, store) = store();
    let whole = docker(&[layer("x")], "a:1");
    let mut no_layer = docker_members(&[layer("x")], json!(["a"]), json!({}));
    no_layer.remove(0);
    let two_ids = config(&[layer("x"), layer("y")], json!({}));
    let mut oci = Oci::default();
    let uneven = oci.image_of(&[layer("x")], &two_ids, gzip);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("only zeros", vec![0; 1024]),
        ("text", vec![b'x'; 2000]),
        ("cut short", whole[..whole.len() / 2].to_vec()),
        ("packed and cut short", gzip(&whole)[..200].to_vec()),
        ("a layer missing", archive(&no_layer)),
        ("layers and diff ids differ in number", oci.end(&[named(uneven, "a:1")])),
        ("no json", archive(&[("manifest.json".to_owned(), b"{".to_vec())])),
        ("no image", archive(&[("manifest.json".to_owned(), b"[]".to_vec())])),
        ("no manifest", Oci::default().end(&[])),
    ];
    for (what, bytes) in cases {
        let error = import(&store, &bytes, Some("a")).expect_err(what);
        let fits = matches!(error, ImageError::BadArchive { .. } | ImageError::Io { .. });
        assert!(fits, "{what}: {error}");
    }
    assert!(matches!(store.import(&temp.join("nothing"), None), Err(ImageError::Io { .. })));
}

#[test]
fn an_image_of_another_machine_is_refused() {
    let (_temp, store) = store();
    let config = String::from_utf8(config(&[layer("x")], json!({}))).unwrap();
    let foreign = config.replace(&Platform::here().architecture, "s390x").into_bytes();
    let mut oci = Oci::default();
    let image = oci.image_of(&[layer("x")], &foreign, gzip);
    let error = import(&store, &oci.end(&[named(image, "a:1")]), None).unwrap_err();
    assert!(matches!(&error, ImageError::WrongPlatform { found, .. } if found == "linux/s390x"), "{error}");
}

#[test]
fn a_missing_image_says_how_to_get_it() {
    let (_temp, store) = store();
    let error = store.resolve("me/tool:3").unwrap_err();
    assert!(matches!(&error, ImageError::NotFound { reference } if reference == "me/tool:3"));
    assert!(error.to_string().contains("batchyard image import"), "{error}");
}
