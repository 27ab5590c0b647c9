"""CloudWatch Logs through boto3: groups, streams, events of clients, retention and both readers (spec infrastructure
§9.4). What jobs write is in test_logs_jobs.py."""

import time

import pytest
from botocore.exceptions import ClientError

from support.server import GROUP
from support.wait import until

DAY = 86_400_000
RETENTION = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]


def now():
    return int(time.time() * 1000)


def refused(code, call, *words, **parameters):
    """The call is refused with this code; the message holds these words."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    for word in words:
        assert word in error["Message"], error


@pytest.fixture
def group(server, request):
    name = "/test/" + request.node.name.replace("[", "/").replace("]", "")
    server.logs.create_log_group(logGroupName=name)
    return name


def put(server, group, stream, *events, **more):
    events = [{"timestamp": ms, "message": text} for ms, text in events]
    return server.logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events, **more)


def get(server, group, stream, **more):
    page = server.logs.get_log_events(logGroupName=group, logStreamName=stream, **{"startFromHead": True} | more)
    return [event["message"] for event in page["events"]]


def filtered(server, group, **more):
    """All pages of FilterLogEvents."""
    events, token = [], {}
    while True:
        page = server.logs.filter_log_events(logGroupName=group, **more, **token)
        events += page["events"]
        if "nextToken" not in page:
            return events
        token = {"nextToken": page["nextToken"]}


def test_a_group_is_made_shown_tagged_and_removed(server):
    name, logs = "/test/whole", server.logs
    logs.create_log_group(logGroupName=name, tags={"a": "1"}, logGroupClass="INFREQUENT_ACCESS")
    refused("ResourceAlreadyExistsException", logs.create_log_group, "The specified log group already exists", logGroupName=name)
    shown = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    arn = f"arn:aws:logs:{server.region}:123456789012:log-group:{name}"
    assert len(shown) == 1 and shown[0]["creationTime"] > now() - 60_000
    assert {k: v for k, v in shown[0].items() if k != "creationTime"} == {
        "arn": arn + ":*", "logGroupArn": arn, "logGroupClass": "INFREQUENT_ACCESS", "logGroupName": name,
        "metricFilterCount": 0, "storedBytes": 0, "deletionProtectionEnabled": False,
    }
    logs.tag_resource(resourceArn=arn, tags={"b": "2"})
    logs.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
    refused("InvalidParameterException", logs.tag_resource, "aws:", resourceArn=arn, tags={"aws:x": "1"})
    refused("TooManyTagsException", logs.tag_resource, "50", resourceArn=arn, tags={f"k{i}": "" for i in range(50)})
    logs.delete_log_group(logGroupName=name)
    refused("ResourceNotFoundException", logs.delete_log_group, "The specified log group does not exist.", logGroupName=name)
    assert logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"] == []
    refused("ResourceNotFoundException", logs.list_tags_for_resource, resourceArn=arn)
    logs.create_log_group(logGroupName=name)
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {}


def test_what_a_group_cannot_be(server):
    logs = server.logs
    for more, word in [({"kmsKeyId": "k"}, "kmsKeyId"), ({"logGroupClass": "DELIVERY"}, "DELIVERY"),
                       ({"tags": {"aws:x": "1"}}, "aws:"), ({"logGroupClass": "NO"}, "logGroupClass")]:
        refused("InvalidParameterException", logs.create_log_group, word, logGroupName="/test/no", **more)
    for name in ("a b", "aws/mine", "x" * 513):
        refused("InvalidParameterException", logs.create_log_group, "logGroupName", logGroupName=name)
    assert logs.describe_log_groups(logGroupNamePrefix="/test/no")["logGroups"] == []
    logs.create_log_group(logGroupName="/test/protected", deletionProtectionEnabled=True)
    refused("ValidationException", logs.delete_log_group, "protection", logGroupName="/test/protected")
    logs.put_log_group_deletion_protection(logGroupIdentifier="/test/protected", deletionProtectionEnabled=False)
    logs.delete_log_group(logGroupName="/test/protected")
    refused("ResourceNotFoundException", logs.put_log_group_deletion_protection,
            logGroupIdentifier="/test/protected", deletionProtectionEnabled=True)


def test_groups_are_found_by_prefix_pattern_and_identifier(server):
    logs = server.logs
    names = [f"/find/{n}" for n in ("a", "b", "x/a")]
    for name in names:
        logs.create_log_group(logGroupName=name)

    def found(**more):
        return [g["logGroupName"] for g in logs.describe_log_groups(**more)["logGroups"]]

    assert found(logGroupNamePrefix="/find/") == names
    assert found(logGroupNamePattern="nd/x") == ["/find/x/a"] and found(logGroupNamePattern="ND/X") == []
    arn = logs.describe_log_groups(logGroupNamePrefix="/find/b")["logGroups"][0]["logGroupArn"]
    assert found(logGroupIdentifiers=[arn, "/find/a", "/find/none"]) == ["/find/a", "/find/b"]
    assert found(logGroupNamePrefix="/find/", includeLinkedAccounts=False, logGroupClass="STANDARD") == names
    assert found(logGroupNamePrefix="/find/", logGroupClass="INFREQUENT_ACCESS") == []
    refused("InvalidParameterException", found, includeLinkedAccounts=True)
    refused("InvalidParameterException", found, logGroupNamePrefix="a", logGroupNamePattern="b")
    pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix="/find/", PaginationConfig={"PageSize": 2})
    assert [[g["logGroupName"] for g in page["logGroups"]] for page in pages] == [names[:2], names[2:]]


def test_a_client_writes_a_stream_and_reads_it_in_order(server, group):
    logs, at = server.logs, now() - 10_000
    stream = {"logGroupName": group, "logStreamName": "s"}
    refused("ResourceNotFoundException", logs.put_log_events, "The specified log stream does not exist.", **stream,
            logEvents=[{"timestamp": at, "message": "x"}])
    logs.create_log_stream(**stream)
    refused("ResourceAlreadyExistsException", logs.create_log_stream, "The specified log stream already exists", **stream)
    answer = put(server, group, "s", (at + 2, "c"), (at + 4, "e"), sequenceToken="whatever")
    assert len(answer["nextSequenceToken"]) == 56 and "rejectedLogEventsInfo" not in answer
    put(server, group, "s", (at, "a"), (at + 3, "d é \U0001f600"))
    put(server, group, "s", (at + 2, "c2"))
    order = ["a", "c", "c2", "d é \U0001f600", "e"]
    assert get(server, group, "s") == order
    assert [e["message"] for e in filtered(server, group)] == order
    shown = logs.describe_log_streams(logGroupName=group)["logStreams"][0]
    assert (shown["firstEventTimestamp"], shown["lastEventTimestamp"]) == (at, at + 4)
    assert now() - 10_000 < shown["lastIngestionTime"] <= now() and shown["uploadSequenceToken"]
    event = logs.get_log_events(**stream, limit=1)["events"][0]
    assert event["ingestionTime"] > at + 5000, "the time when it came, not its own"
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["storedBytes"] == 5 * 26 + 14
    logs.delete_log_stream(**stream)
    refused("ResourceNotFoundException", logs.get_log_events, **stream)
    logs.create_log_stream(**stream)
    assert get(server, group, "s") == [], "a stream of the same name begins anew"


def test_batches_that_are_refused_and_events_that_are_left_out(server, group):
    server.logs.create_log_stream(logGroupName=group, logStreamName="s")
    t = now()

    def bad(word, *events):
        refused("InvalidParameterException", put, word, server=server, group=group, stream="s", events=events)

    def put(server, group, stream, events):
        events = [{"timestamp": ms, "message": text} for ms, text in events]
        return server.logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    bad("chronological", (t, "a"), (t - 1, "b"))
    bad("24 hours", (t - DAY - 1000, "a"), (t, "b"))
    bad("1048577 bytes exceeds limit of 1048576", (t, "x" * ((1 << 20) - 25)))
    bad("message", (t, ""))
    bad("logEvents", *[(t, "x")] * 10_001)
    answer = put(server, group, "s", [(t - 15 * DAY, "old"), (t, "kept"), (t + 3 * 3_600_000, "new")])
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 2}
    assert get(server, group, "s") == ["kept"]
    server.logs.put_retention_policy(logGroupName=group, retentionInDays=3)
    answer = put(server, group, "s", [(t - 4 * DAY, "old")])
    assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    entity = {"keyAttributes": {"Type": "Service", "Name": "x"}}
    answer = server.logs.put_log_events(logGroupName=group, logStreamName="s", entity=entity,
                                        logEvents=[{"timestamp": t, "message": "of something"}])
    assert answer["rejectedEntityInfo"] == {"errorType": "UnsupportedLogGroupType"}
    full = [(t, '"\\\n' * 26)] * 10_000
    put(server, group, "s", full)
    assert len(filtered(server, group)) == 10_002


def test_retention_hides_and_removes(server, group):
    logs, t = server.logs, now()
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    put(server, group, "s", (t - 2 * DAY, "old"))
    put(server, group, "s", (t, "young"))
    logs.create_log_group(logGroupName="/test/days")
    for days in RETENTION:
        logs.put_retention_policy(logGroupName="/test/days", retentionInDays=days)
        assert logs.describe_log_groups(logGroupNamePrefix="/test/days")["logGroups"][0]["retentionInDays"] == days
    for days in (0, 2, -1, 3654):
        refused("InvalidParameterException", logs.put_retention_policy, "retentionInDays", logGroupName=group, retentionInDays=days)
    refused("ResourceNotFoundException", logs.put_retention_policy, logGroupName="/no", retentionInDays=1)
    assert get(server, group, "s") == ["old", "young"]
    logs.put_retention_policy(logGroupName=group, retentionInDays=1)
    assert get(server, group, "s") == ["young"] and len(filtered(server, group)) == 1
    size = 5 + 26
    until(lambda: logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["storedBytes"] == size, what="the sweep")
    logs.delete_retention_policy(logGroupName=group)
    assert "retentionInDays" not in logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]
    assert get(server, group, "s") == ["young"], "what is gone is gone"
    refused("ResourceNotFoundException", logs.delete_retention_policy, logGroupName="/no")


def test_pages_of_a_stream_in_both_directions(server, group):
    logs, t = server.logs, now() - 100_000
    stream = {"logGroupName": group, "logStreamName": "s"}
    logs.create_log_stream(**stream)
    empty = logs.get_log_events(**stream)
    put(server, group, "s", *[(t + i, str(i)) for i in range(10)])
    assert get(server, group, "s", nextToken=empty["nextForwardToken"]) == [str(i) for i in range(10)]
    assert get(server, group, "s", startTime=t + 2, endTime=t + 5) == ["2", "3", "4"]
    assert get(server, group, "s", startTime=t + 2, endTime=t + 5, startFromHead=False, limit=2) == ["3", "4"]
    assert get(server, group, "s", startFromHead=False, limit=3) == ["7", "8", "9"]
    arn = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["logGroupArn"]
    page = logs.get_log_events(logGroupIdentifier=arn, logStreamName="s", startFromHead=True, limit=1, unmask=True)
    assert [e["message"] for e in page["events"]] == ["0"]

    def pages(token_name, **first):
        page, seen = logs.get_log_events(**stream, **first), []
        while page["events"]:
            seen.append("".join(e["message"] for e in page["events"]))
            page = logs.get_log_events(**stream, limit=4, nextToken=page[token_name], startFromHead="Forward" in token_name)
        again = logs.get_log_events(**stream, limit=4, nextToken=page[token_name], startFromHead="Forward" in token_name)
        assert again[token_name] == page[token_name] and again["events"] == [], "the end has the same token"
        return seen

    assert pages("nextForwardToken", limit=4, startFromHead=True) == ["0123", "4567", "89"]
    assert pages("nextBackwardToken", limit=4) == ["6789", "2345", "01"]
    logs.create_log_stream(logGroupName=group, logStreamName="other")
    other = logs.get_log_events(logGroupName=group, logStreamName="other")
    for token in [other["nextForwardToken"], "garbage", "f/" + "0" * 56 + "/s"]:
        refused("InvalidParameterException", logs.get_log_events, "nextToken", **stream, nextToken=token)


def test_a_group_is_filtered_by_stream_time_pattern_and_direction(server, group):
    logs, t = server.logs, now() - 100_000
    for name, events in {"a/1": [(0, "x"), (20, "ERROR one")], "a/2": [(10, '{"n": 7, "s": "up"}')], "b": [(10, "b c 404"), (30, "ok")]}.items():
        logs.create_log_stream(logGroupName=group, logStreamName=name)
        put(server, group, name, *[(t + ms, text) for ms, text in events])

    def found(**more):
        return [e["message"].split()[0] for e in filtered(server, group, **more)]

    everything = ["x", '{"n":', "b", "ERROR", "ok"]
    assert found() == found(interleaved=False, unmask=True, startFromHead=True) == everything
    for limit in (1, 2, 4):
        assert found(limit=limit) == everything
        assert found(limit=limit, startFromHead=False) == everything[::-1]
    assert found(startTime=t + 10, endTime=t + 20) == ['{"n":', "b", "ERROR"]
    assert found(logStreamNamePrefix="a/") == ["x", '{"n":', "ERROR"]
    assert found(logStreamNames=["b", "a/1"]) == ["x", "b", "ERROR", "ok"]
    patterns = {
        "ERROR": ["ERROR"], "?ERROR ?ok": ["ERROR", "ok"], "-ERROR -x": ['{"n":', "b", "ok"], '"one"': ["ERROR"],
        "%[0-9]{3}%": ["b"], "{ $.n >= 7 && $.s = u* }": ['{"n":'], "[w1, w2, w3=4*]": ["b"], "": everything,
    }
    for pattern, wanted in patterns.items():
        assert found(filterPattern=pattern) == wanted, pattern
    ids = [e["eventId"] for e in filtered(server, group)]
    assert len(set(ids)) == 5 and ids == [e["eventId"] for e in filtered(server, group, limit=1)]
    call = logs.filter_log_events
    refused("ResourceNotFoundException", call, logGroupName=group, logStreamNames=["no"])
    refused("ResourceNotFoundException", call, logGroupName="/no")
    for more in [{"logStreamNames": ["b"], "logStreamNamePrefix": "b"}, {"filterPattern": "{ $.x = }"}, {"nextToken": "x"},
                 {"startFromHead": False, "startTime": 1}, {"limit": 10_001}]:
        refused("InvalidParameterException", call, logGroupName=group, **more)


def test_streams_are_listed_in_both_orders(server, group):
    logs, t = server.logs, now()
    for name, ms in [("a", -30), ("b", -10), ("c", -20)]:
        logs.create_log_stream(logGroupName=group, logStreamName=name)
        put(server, group, name, (t + ms, "x"))

    def listed(size=2, **more):
        pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=group, PaginationConfig={"PageSize": size}, **more)
        return "".join(s["logStreamName"] for page in pages for s in page["logStreams"])

    assert (listed(), listed(descending=True)) == ("abc", "cba")
    assert (listed(orderBy="LastEventTime"), listed(orderBy="LastEventTime", descending=True)) == ("acb", "bca")
    assert listed(logStreamNamePrefix="b") == "b"
    refused("InvalidParameterException", logs.describe_log_streams, "LastEventTime", logGroupName=group, logStreamNamePrefix="b", orderBy="LastEventTime")
    refused("InvalidParameterException", logs.describe_log_streams, "limit", logGroupName=group, limit=51)


def test_events_that_were_answered_outlive_a_kill(own_server):
    server, logs, t = own_server, own_server.logs, now()
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    for i in range(20):
        put(server, "g", "s", (t + i, f"event {i}"))
    server.restart()
    assert get(server, "g", "s") == [f"event {i}" for i in range(20)]
    put(server, "g", "s", (t + 30, "after"))
    assert get(server, "g", "s")[-1] == "after"


def test_the_group_of_a_running_job_stays(server):
    job = server.shell("echo begun; trap 'exit 0' TERM; sleep 60 & wait")
    stream = server.wait_job(job, "RUNNING")["container"]["logStreamName"]
    call = {"logGroupName": GROUP, "logStreamName": stream}
    refused("OperationAbortedException", server.logs.delete_log_stream, "Please try again", stream, **call)
    refused("OperationAbortedException", server.logs.delete_log_group, "Please try again", logGroupName=GROUP)
    refused("InvalidParameterException", server.logs.put_log_events, "a job wrote", **call, logEvents=[{"timestamp": now(), "message": "x"}])
    server.batch.terminate_job(jobId=job, reason="seen")
    server.wait_job(job)
    assert server.log(stream) == ["begun"]
    server.logs.delete_log_stream(**call)
    refused("ResourceNotFoundException", server.logs.get_log_events, **call)


def test_a_pattern_that_takes_long_gives_short_pages_and_an_end(server, group):
    """No call works for long: what it has not looked at yet is behind the token. A regular expression beyond all measure is
    refused."""
    server.logs.create_log_stream(logGroupName=group, logStreamName="s")
    for _ in range(3):
        put(server, group, "s", *[(now(), ("a" * 1023 + " ") * 200)] * 3)
    refused("InvalidParameterException", server.logs.filter_log_events, logGroupName=group, filterPattern=r"%\w{900}\w{900}X%")
    token, calls = {}, 0
    while calls == 0 or token["nextToken"]:
        page = server.logs.filter_log_events(logGroupName=group, filterPattern=r"%a\w{60}X%", **token)
        token, calls = {"nextToken": page.get("nextToken")}, calls + 1
        assert page["events"] == [] and calls < 20
