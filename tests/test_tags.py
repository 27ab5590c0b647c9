"""Tags of everything that can have some (spec infrastructure §5.4, jobs §9): set, removed, listed, shown by Describe."""

import json
import urllib.parse
import uuid

import pytest
from botocore.exceptions import ClientError

from support.refusal import refused
from support.wait import until
from support.wire import code_of, message_of, send, signed

ROLE = "arn:aws:iam::000000000000:role/batch"


def name():
    return "t-" + uuid.uuid4().hex[:10]


def environment(server, **more):
    return server.batch.create_compute_environment(
        computeEnvironmentName=name(), type="UNMANAGED", serviceRole=ROLE, **more)["computeEnvironmentArn"]


def queue(server, **more):
    return server.batch.create_job_queue(
        jobQueueName=name(), priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "default"}],
        **more)["jobQueueArn"]


def default(server):
    """A queue that is there anyway, for what is refused."""
    return server.batch.describe_job_queues(jobQueues=["default"])["jobQueues"][0]["jobQueueArn"]


def definition(server, **more):
    return server.register(["true"], **more)


def policy(server, **more):
    return server.batch.create_scheduling_policy(name=name(), fairsharePolicy={}, **more)["arn"]


def ended_job(server, **more):
    return server.succeed(server.submit(**more))["jobArn"]


def waiting_job(server, **more):
    lab = environment(server)
    until(lambda: server.batch.describe_compute_environments(computeEnvironments=[lab])["computeEnvironments"][0]["status"]
          == "VALID", what="a VALID environment")
    arn = server.batch.create_job_queue(jobQueueName=name(), priority=1, computeEnvironmentOrder=[
        {"order": 1, "computeEnvironment": lab}])["jobQueueArn"]
    return server.job(server.submit(queue=arn, **more))["jobArn"]


KINDS = {
    "compute-environment": (environment, lambda s, arn: s.batch.describe_compute_environments(
        computeEnvironments=[arn])["computeEnvironments"]),
    "job-queue": (queue, lambda s, arn: s.batch.describe_job_queues(jobQueues=[arn])["jobQueues"]),
    "job-definition": (definition, lambda s, arn: s.batch.describe_job_definitions(jobDefinitions=[arn])["jobDefinitions"]),
    "scheduling-policy": (policy, lambda s, arn: s.batch.describe_scheduling_policies(arns=[arn])["schedulingPolicies"]),
    "job": (ended_job, lambda s, arn: s.batch.describe_jobs(jobs=[arn.rsplit("/", 1)[1]])["jobs"]),
    "waiting job": (waiting_job, lambda s, arn: s.batch.describe_jobs(jobs=[arn.rsplit("/", 1)[1]])["jobs"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_tags_are_made_set_removed_and_shown(server, kind):
    make, describe = KINDS[kind]
    arn = make(server, tags={"made": "with", "gone": "soon"})

    def now():
        [found] = describe(server, arn)
        listed = server.batch.list_tags_for_resource(resourceArn=arn)["tags"]
        assert listed == found["tags"]
        return listed

    assert now() == {"made": "with", "gone": "soon"}
    server.batch.tag_resource(resourceArn=arn, tags={"made": "over", "New": ""})
    assert now() == {"made": "over", "gone": "soon", "New": ""}
    server.batch.untag_resource(resourceArn=arn, tagKeys=["gone", "never", "new"])
    assert now() == {"made": "over", "New": ""}
    server.batch.untag_resource(resourceArn=arn, tagKeys=["made", "New"])
    assert now() == {}
    untagged = make(server)
    assert server.batch.list_tags_for_resource(resourceArn=untagged)["tags"] == {}
    server.batch.tag_resource(resourceArn=untagged, tags={"first": "1"})
    assert describe(server, untagged)[0]["tags"] == {"first": "1"}


def test_a_page_shows_the_tags_of_each(server):
    arns = [queue(server, tags={"n": str(n)}) for n in range(4)]
    server.batch.tag_resource(resourceArn=arns[1], tags={"n": "changed"})
    server.batch.tag_resource(resourceArn=arns[2], tags={"more": "m"})
    shown = {q["jobQueueArn"]: q["tags"] for q in server.batch.describe_job_queues()["jobQueues"]}
    assert [shown[a] for a in arns] == [{"n": "0"}, {"n": "changed"}, {"n": "2", "more": "m"}, {"n": "3"}]


def test_other_changes_leave_tags_alone(server):
    arn = queue(server, tags={"a": "1"})
    server.batch.tag_resource(resourceArn=arn, tags={"b": "2"})
    server.batch.update_job_queue(jobQueue=arn, priority=7)
    assert server.batch.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "1", "b": "2"}


ODD = ["zwei Wörter", "a+b", "path/to:x", "a=b@c.d_e-f", "プロジェクト", "проект 7", " ", "100", "k" * 128]


def test_odd_keys_survive_path_and_query(server):
    """Percent-encoded ARN in the path, keys in the query, whatever they hold."""
    arn = queue(server)
    tags = {key: key * (256 // len(key)) for key in ODD}
    server.batch.tag_resource(resourceArn=arn, tags=tags)
    assert server.batch.list_tags_for_resource(resourceArn=arn)["tags"] == tags
    for key in ODD:
        server.batch.untag_resource(resourceArn=arn, tagKeys=[key])
        tags.pop(key)
        assert server.batch.list_tags_for_resource(resourceArn=arn)["tags"] == tags
    server.batch.tag_resource(resourceArn=arn, tags=dict.fromkeys(ODD, ""))
    server.batch.untag_resource(resourceArn=arn, tagKeys=ODD)
    assert server.batch.list_tags_for_resource(resourceArn=arn)["tags"] == {}


def test_the_command_line_tags_too(server):
    arn = queue(server)
    server.aws("batch", "tag-resource", "--resource-arn", arn, "--tags", json.dumps({"a b+c/ü": "x", "k": "v"}))
    server.aws("batch", "untag-resource", "--resource-arn", arn, "--tag-keys", "k", "absent")
    assert server.aws("batch", "list-tags-for-resource", "--resource-arn", arn)["tags"] == {"a b+c/ü": "x"}


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({}, ["tags"]), ({"": "x"}, ["tags"]), ({"k" * 129: ""}, ["128"]), ({"k": "v" * 257}, ["256"]),
        ({f"x{n}": "" for n in range(51)}, ["50"]), ({"aws:x": ""}, ["reserved"]), ({"aWS:cost": ""}, ["reserved"]),
        ({"semi;colon": ""}, ["letters, digits"]), ({"k": "new\nline"}, ["letters, digits"]), ({"😀": ""}, ["letters, digits"]),
    ],
)
def test_tags_that_aws_refuses(server, tags, words):
    arn = default(server)
    before = server.batch.list_tags_for_resource(resourceArn=arn)["tags"]
    refused(lambda: server.batch.tag_resource(resourceArn=arn, tags={"k": "v"} | tags if tags else {}), *words)
    assert server.batch.list_tags_for_resource(resourceArn=arn)["tags"] == before


@pytest.mark.parametrize("make", [environment, queue, definition, policy, ended_job])
def test_tags_on_create_are_held_to_the_same_rules(server, make):
    for tags, word in [({"Aws:x": ""}, "reserved"), ({"a|b": ""}, "letters, digits"), ({"k" * 129: ""}, "128"),
                       ({f"k{n}": "" for n in range(51)}, "50")]:
        refused(lambda tags=tags: make(server, tags=tags), word)


def test_fifty_tags_and_no_more(server):
    arn = queue(server, tags={f"a{n}": "" for n in range(30)})
    refused(lambda: server.batch.tag_resource(resourceArn=arn, tags={f"b{n}": "" for n in range(21)}), "50", "51")
    assert len(server.batch.list_tags_for_resource(resourceArn=arn)["tags"]) == 30
    server.batch.tag_resource(resourceArn=arn, tags={f"b{n}": "" for n in range(20)})
    server.batch.tag_resource(resourceArn=arn, tags={"a0": "changed, no more of them".replace(",", "")})
    refused(lambda: server.batch.tag_resource(resourceArn=arn, tags={"c": ""}), "51")


@pytest.mark.parametrize(
    ("keys", "words"),
    [([], ["tagKeys"]), ([""], ["tagKeys"]), (["k" * 129], ["128"]), ([f"k{n}" for n in range(51)], ["50"]),
     (["AWS:x"], ["reserved"])],
)
def test_keys_that_cannot_be_removed(server, keys, words):
    refused(lambda: server.batch.untag_resource(resourceArn=default(server), tagKeys=keys), *words)


def operations(server, arn):
    return [
        lambda: server.batch.list_tags_for_resource(resourceArn=arn),
        lambda: server.batch.tag_resource(resourceArn=arn, tags={"k": "v"}),
        lambda: server.batch.untag_resource(resourceArn=arn, tagKeys=["k"]),
    ]


def test_what_is_not_there_has_no_tags(server):
    base = default(server).split(":job-queue/")[0]
    for resource in (
        "job-queue/nowhere", "compute-environment/nowhere", "job-definition/nowhere:1", "scheduling-policy/nowhere",
        f"job/{uuid.uuid4()}", "consumable-resource/x", "service-environment/x", f"service-job/{uuid.uuid4()}",
        "job-queue/default/quota-share/x",
    ):
        for operation in operations(server, f"{base}:{resource}"):
            refused(operation, resource, "does not exist")
    for operation in operations(server, f"{base}:job-queue/default".replace(":us-east-1:", ":eu-west-9:")):
        refused(operation, "does not exist")
    for operation in operations(server, f"{base}:job-queue/default".replace(base.split(":")[4], "999999999999")):
        with pytest.raises(ClientError, match="AccessDenied"):
            operation()


def test_arns_that_are_none(server):
    base = default(server).split(":job-queue/")[0]
    for arn in ("default", "arn:aws:s3:::bucket", f"{base}:job-queue/", f"{base}:no-such-kind/x", f"{base}:job/not-an-id",
                "arn:aws:batch", "ä", base):
        for operation in operations(server, arn):
            refused(operation, "resourceArn")


def test_parts_of_jobs_and_whole_families_have_no_tags(server):
    arn = ended_job(server)
    for part in (f"{arn}:0", f"{arn}#1"):
        for operation in operations(server, part):
            refused(operation, "array children and nodes have no tags")
    family = definition(server).rsplit(":", 1)[0]
    for operation in operations(server, family):
        refused(operation, "revision")


def test_tags_go_with_their_resource(server):
    """A new resource of the same name has none of them."""
    arn = policy(server, tags={"old": "1"})
    server.batch.tag_resource(resourceArn=arn, tags={"older": "2"})
    server.batch.delete_scheduling_policy(arn=arn)
    for operation in operations(server, arn):
        refused(operation, "does not exist")
    server.batch.create_scheduling_policy(name=arn.rsplit("/", 1)[1], fairsharePolicy={})
    assert server.batch.list_tags_for_resource(resourceArn=arn)["tags"] == {}


def test_inactive_definitions_keep_their_tags(server):
    arn = definition(server, tags={"a": "1"})
    server.batch.deregister_job_definition(jobDefinition=arn)
    server.batch.tag_resource(resourceArn=arn, tags={"b": "2"})
    assert server.batch.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "1", "b": "2"}


def raw(server, method, arn, query="", body=b""):
    """The path as it is written here. A + in the query is signed as the blank that it means."""
    headers = {"Content-Type": "application/json"}
    url, headers, body = signed(server, method, f"/v1/tags/{arn}{query}".replace("+", "%20"), body, headers)
    return send(method, url.replace("%20", "+"), headers, body)


def test_the_wire(server):
    arn = queue(server)
    path = urllib.parse.quote(arn, safe="")
    assert raw(server, "POST", path, body=b'{"tags":{"a b":"1","c+d":"2"},"resourceArn":"ignored"}').json() == {}
    # Blanks in a query come as + or as %20; unencoded colons and slashes are the same ARN.
    assert raw(server, "GET", arn).json() == {"tags": {"a b": "1", "c+d": "2"}}
    assert raw(server, "DELETE", path, "?tagKeys=a+b").status_code == 200
    assert raw(server, "GET", path).json() == {"tags": {"c+d": "2"}}
    assert raw(server, "DELETE", path, "?other=x&tagKeys=c%2Bd&tagKeys=z").status_code == 200
    assert raw(server, "GET", path).json() == {"tags": {}}
    for answer in (
        raw(server, "DELETE", path), raw(server, "DELETE", path, "?tagKeys="), raw(server, "DELETE", path, "?TagKeys=x"),
        raw(server, "POST", path, body=b"{}"), raw(server, "POST", path, body=b""), raw(server, "GET", "%FF%FE"),
        raw(server, "GET", "%00"), raw(server, "GET", path + "%2Fmore"),
    ):
        assert (answer.status_code, code_of(answer)) == (400, "ClientException"), answer.text
        assert message_of(answer) and answer.headers["x-amzn-requestid"]
    for body in (b'{"tags":', b'{"tags":[]}', b'{"tags":{"a":1}}', b'{"tags":{"a":null}}', b'{"tags":"x"}', b"[]"):
        answer = raw(server, "POST", path, body=body)
        assert (answer.status_code, code_of(answer)) == (400, "SerializationException"), (body, answer.text)
    assert raw(server, "PUT", path).status_code == 405
    assert raw(server, "GET", path).json() == {"tags": {}}


def test_tags_are_kept_over_a_restart(own_server):
    server = own_server
    arn = queue(server, tags={"a": "1"})
    job = ended_job(server, tags={"j": "1"})
    server.batch.tag_resource(resourceArn=arn, tags={"b": "2"})
    server.batch.tag_resource(resourceArn=job, tags={"k": "2"})
    server.restart()
    assert server.batch.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "1", "b": "2"}
    assert server.batch.list_tags_for_resource(resourceArn=job)["tags"] == {"j": "1", "k": "2"}
