"""CloudWatch Logs as clients read it: by stream, by group and time, page by page (spec jobs §1.4)."""

import time

import pytest

from support.server import GROUP

COUNT = "for i in 0 1 2 3 4 5 6 7 8 9; do echo line $i; sleep 0.01; done"
LINES = [f"line {i}" for i in range(10)]


@pytest.fixture(scope="module")
def stream(server):
    """The stream of a job that printed ten lines, each at a time of its own."""
    return server.succeed(server.shell(COUNT))["container"]["logStreamName"]


def messages(page):
    return [event["message"] for event in page["events"]]


@pytest.mark.parametrize("by", ["logGroupName", "logGroupIdentifier"])
def test_a_stream_forwards_and_backwards(server, stream, by):
    """Tokens go both ways; at an end the token that was sent comes back."""
    def get(**more):
        return server.logs.get_log_events(**{by: GROUP}, logStreamName=stream, limit=4, **more)

    first = get(startFromHead=True)
    assert messages(first) == LINES[:4]
    second = get(nextToken=first["nextForwardToken"])
    assert messages(second) == LINES[4:8]
    last = get(nextToken=second["nextForwardToken"])
    assert messages(last) == LINES[8:]
    over = get(nextToken=last["nextForwardToken"])
    assert (messages(over), over["nextForwardToken"]) == ([], last["nextForwardToken"])
    assert messages(get(nextToken=second["nextBackwardToken"])) == LINES[:4]
    assert messages(get()) == LINES[6:], "without startFromHead the newest come"
    now = time.time() * 1000
    assert all(now - 60_000 < event["timestamp"] <= event["ingestionTime"] <= now for event in first["events"])


def test_a_range_of_time(server, stream):
    """GetLogEvents leaves out what is at endTime, FilterLogEvents does not."""
    events = server.logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True)["events"]
    times = {"startTime": events[3]["timestamp"], "endTime": events[6]["timestamp"]}
    page = server.logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True, **times)
    assert messages(page) == LINES[3:6]
    page = server.logs.filter_log_events(logGroupName=GROUP, logStreamNames=[stream], **times)
    assert messages(page) == LINES[3:7]


@pytest.mark.parametrize("by", ["logGroupName", "logGroupIdentifier"])
def test_events_of_a_group(server, stream, by):
    def all_pages(**more):
        events, token = [], {}
        while True:
            page = server.logs.filter_log_events(**{by: GROUP}, limit=3, **more, **token)
            assert len(page["events"]) <= 3 and page["searchedLogStreams"] == []
            events += page["events"]
            if "nextToken" not in page:
                return events
            token = {"nextToken": page["nextToken"]}

    events = all_pages(logStreamNamePrefix=stream[:-4])
    assert [event["message"] for event in events] == LINES
    assert len({event["eventId"] for event in events}) == 10
    assert {event["logStreamName"] for event in events} == {stream}
    assert all(event["timestamp"] <= event["ingestionTime"] for event in events)
    assert [e["message"] for e in all_pages(logStreamNames=[stream], filterPattern="?3 ?7")] == ["line 3", "line 7"]


def test_groups_and_streams(server, stream):
    definition = server.register(["sh", "-c", "echo there"], name="in-own-group", logConfiguration={
        "logDriver": "awslogs", "options": {"awslogs-group": "own", "awslogs-stream-prefix": "p"}})
    names = [server.succeed(server.submit(definition))["container"]["logStreamName"] for _ in range(3)]
    account, region = server.sts.get_caller_identity()["Account"], server.region
    arn = f"arn:aws:logs:{region}:{account}:log-group:own"
    page = server.logs.describe_log_groups(logGroupNamePrefix="ow", limit=1)
    [group] = page["logGroups"]
    assert (group["logGroupName"], group["logGroupArn"], group["arn"]) == ("own", arn, arn + ":*")
    assert group["creationTime"] and group["metricFilterCount"] == 0 and group["logGroupClass"] == "STANDARD"
    assert [g["logGroupName"] for g in server.logs.describe_log_groups(logGroupNamePattern="atch/j")["logGroups"]] == [GROUP]
    paged = server.logs.describe_log_groups(limit=1)
    rest = server.logs.describe_log_groups(limit=1, nextToken=paged["nextToken"])
    assert {g["logGroupName"] for g in paged["logGroups"] + rest["logGroups"]} == {GROUP, "own"}
    assert server.logs.describe_log_groups(logGroupClass="INFREQUENT_ACCESS")["logGroups"] == []

    def listed(by="logGroupName", **more):
        page = server.logs.describe_log_streams(**{by: "own"}, limit=2, **more)
        rest = server.logs.describe_log_streams(**{by: "own"}, limit=2, nextToken=page["nextToken"], **more)
        assert "nextToken" not in rest
        return page["logStreams"] + rest["logStreams"]

    assert [s["logStreamName"] for s in listed(orderBy="LastEventTime")] == names
    assert [s["logStreamName"] for s in listed("logGroupIdentifier", orderBy="LastEventTime", descending=True)] == names[::-1]
    assert [s["logStreamName"] for s in listed(logStreamNamePrefix="p/")] == sorted(names)
    shown = listed()[0]
    assert shown["arn"] == f"{arn}:log-stream:{shown['logStreamName']}"
    assert shown["creationTime"] <= shown["firstEventTimestamp"] <= shown["lastEventTimestamp"] <= shown["lastIngestionTime"]
    assert shown["storedBytes"] == 0
