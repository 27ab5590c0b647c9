"""Networks: the host's by default, an address of a job's own where the administrator wants it, and what no job reaches.

Never here: the network of jobs of several nodes."""

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import threading

import pytest

from support import leaks
from support.server import BINARY, Server
from support.wait import until

pytestmark = pytest.mark.drivers("native", "oci")
NETS = itertools.count(1)


def own_networks(whose="all", prefix=26, **more):
    """Settings for jobs with addresses that no other server of these tests gives."""
    net = f"10.{200 + os.getpid() % 40}.{next(NETS)}.0/{prefix}"
    return {"BATCHYARD_VCPUS": "16", "BATCHYARD_NETWORK_NAMESPACES": whose, "BATCHYARD_JOB_NETWORK": net} | more


@contextlib.contextmanager
def listener(address, answer=b"hello\n"):
    """Something of the host that answers at `address`; gives its port and the addresses of who came."""
    with socket.create_server((address, 0)) as server:
        peers = []

        def serve():
            while True:
                try:
                    peer, who = server.accept()
                except OSError:
                    return
                peers.append(who[0])
                with peer:
                    peer.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], peers
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A server all of whose jobs have addresses."""
    server = Server(tmp_path_factory.mktemp("own"), own_networks()).start()
    yield server
    server.stop()
    assert leaks.bridge(server.data_dir) not in leaks.tables(), "the table goes with the bridge"


def gateway(server):
    return server.settings["BATCHYARD_JOB_NETWORK"].rsplit(".", 1)[0] + ".1"


def test_the_metadata_address_fails_at_once(server):
    lines = server.run_shell("time -p nc -w 20 169.254.169.254 80 2>&1; true")
    assert any("Operation not permitted" in line for line in lines), lines
    assert next(float(line.split()[1]) for line in lines if line.startswith("real")) < 1, lines


@pytest.mark.parametrize("networks", ["off", "all"])
def test_blocked_addresses_are_not_reached_and_others_are(make_server, networks):
    blocked = {"BATCHYARD_BLOCKED_ADDRESSES": "127.0.0.2, 10.255.0.0/16, fd00:ec2::254"}
    server = make_server(**own_networks(networks), **blocked).start()
    with listener("0.0.0.0") as (port, peers):
        host = "127.0.0.1" if networks == "off" else gateway(server)
        lines = server.run_shell(
            f"for a in 127.0.0.2 10.255.3.4 {host}; do nc -w 9 $a {port} </dev/null 2>&1; done; "
            f"ping -c1 -W1 127.0.0.2 2>&1 | tail -1")
    denied = [line for line in lines if "Operation not permitted" in line]
    assert "hello" in lines and len(peers) == 1 and len(denied) >= 2, lines
    assert not any("64 bytes" in line or "1 packets received" in line for line in lines), lines


def test_nothing_blocked_is_nothing_blocked(make_server):
    server = make_server(BATCHYARD_BLOCKED_ADDRESSES="").start()
    with listener("127.0.0.2") as (port, _):
        assert server.run_shell(f"nc -w 9 127.0.0.2 {port} </dev/null") == ["hello"]


def test_the_network_is_the_hosts_by_default(server):
    names = set(server.run_shell("ls /sys/class/net"))
    assert names == set(os.listdir("/sys/class/net"))
    job = server.succeed(server.shell("true"))
    assert job["container"]["networkInterfaces"] == job["attempts"][0]["container"]["networkInterfaces"] == []


def test_a_job_has_an_address_of_its_own_and_knows_its_name(own):
    job = own.succeed(own.shell(
        "hostname; cat /etc/hostname; echo $HOSTNAME; ip -4 -o addr show eth0 | awk '{print $4}'; ls /sys/class/net; "
        "cat /etc/hosts; echo more >>/etc/hosts && tail -1 /etc/hosts; echo --; cat /etc/resolv.conf"))
    address = job["container"]["networkInterfaces"][0]["privateIpv4Address"]
    assert job["attempts"][0]["container"]["networkInterfaces"] == [{"privateIpv4Address": address}]
    name = "ip-" + address.replace(".", "-")
    lines = own.log_of(job)
    assert lines[:4] == [name, name, name, f"{address}/26"], lines
    assert lines[4:6] == ["eth0", "lo"], lines
    assert f"{address}\t{name}" in lines and f"{gateway(own)}\thost.docker.internal" in lines
    assert lines[lines.index("--") - 1] == "more", "its hosts file is its own"
    servers = [line for line in lines[lines.index("--"):] if line.startswith("nameserver")]
    assert servers and not any("127." in line for line in servers), servers


def test_a_job_of_a_task_shows_its_address_too(own):
    container = {"name": "main", "image": "busybox", "command": ["hostname"], "resourceRequirements": [
        {"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]}
    arn = own.batch.register_job_definition(jobDefinitionName="task-address", type="container", ecsProperties={
        "taskProperties": [{"containers": [container]}]})["jobDefinitionArn"]
    job = own.succeed(own.submit(arn))
    shown = [of["taskProperties"][0]["containers"][0]["networkInterfaces"] for of in (job["ecsProperties"], job["attempts"][0])]
    assert shown[0] == shown[1]
    stream = job["ecsProperties"]["taskProperties"][0]["containers"][0]["logStreamName"]
    assert own.log(stream) == ["ip-" + shown[0][0]["privateIpv4Address"].replace(".", "-")]


def test_jobs_share_no_port_and_reach_the_host_and_each_other(own):
    """Two listen on one port at once; the host, and a third, find both."""
    with listener("0.0.0.0", b"host\n") as (port, peers):
        serve = f"nc host.docker.internal {port} </dev/null; echo $(hostname) | nc -l -p 5000"
        jobs = [own.shell(serve) for _ in range(2)]
        addresses = []
        for job in jobs:
            container = own.wait_job(job, "RUNNING")["container"]
            addresses.append(container["networkInterfaces"][0]["privateIpv4Address"])
        assert len(set(addresses)) == 2
        ask = "until nc %s 5000 </dev/null; do :; done"
        assert own.run_shell(ask % addresses[0]) == ["ip-" + addresses[0].replace(".", "-")]
        until(lambda: peers and addresses[1] in peers, what="the second job at the host")

        def answered():
            with contextlib.suppress(OSError), socket.create_connection((addresses[1], 5000), timeout=5) as s:
                return s.makefile().readline().strip()

        assert until(answered, what="an answer of the second job") == "ip-" + addresses[1].replace(".", "-")
    assert [own.log_of(own.succeed(job)) for job in jobs] == [["host"]] * 2


def test_nothing_of_a_network_outlives_its_job_and_a_server_may_die(make_server):
    server = make_server(**own_networks()).start()
    job = server.shell("nc -l -p 5000; echo over")
    address = server.wait_job(job, "RUNNING")["container"]["networkInterfaces"][0]["privateIpv4Address"]
    server.restart()
    others = [server.succeed(server.shell("true")) for _ in range(3)]
    taken = {other["container"]["networkInterfaces"][0]["privateIpv4Address"] for other in others}
    assert address not in taken and len(taken) == 3
    server.kill9()
    with socket.create_connection((address, 5000), timeout=5):
        pass  # Its network does not need the server.
    server.start()
    ended = server.succeed(job)
    assert ended["container"]["networkInterfaces"] == [{"privateIpv4Address": address}]
    port = f"{leaks.bridge(server.data_dir)}{int(address.split('.')[2]):02x}{int(address.split('.')[3]):02x}"
    until(lambda: not os.path.exists(f"/sys/class/net/{port}"), what=f"{port} to be gone")


def test_a_job_waits_for_an_address_when_all_are_taken(make_server):
    server = make_server(**own_networks(prefix=29)).start()
    jobs = [server.shell("nc -l -p 5000", memory=16) for _ in range(6)]

    def waiting():
        found = [server.job(job) for job in jobs]
        running = [job for job in found if job["status"] == "RUNNING"]
        return len(running) == 5 and [job for job in found if "job_network" in job.get("statusReason", "")]

    assert len(until(waiting, what="five jobs that run and one that waits")) == 1
    running = [job for job in map(server.job, jobs) if job["status"] == "RUNNING"]
    for job in running:
        address = job["container"]["networkInterfaces"][0]["privateIpv4Address"]
        until(lambda: reached(address), what=address)
    last = next(job for job in jobs if job not in [r["jobId"] for r in running])
    address = server.wait_job(last, "RUNNING")["container"]["networkInterfaces"][0]["privateIpv4Address"]
    until(lambda: reached(address), what=address)
    for job in jobs:
        server.succeed(job)


def reached(address):
    with contextlib.suppress(OSError), socket.create_connection((address, 5000), timeout=5):
        return True


def test_an_address_that_another_job_had_just_now_is_reached(make_server):
    """Neighbours remember the last one's hardware address; the bridge is kept up meanwhile, or they would forget."""
    server = make_server(**own_networks(prefix=29)).start()
    others = [server.shell("trap 'exit 0' TERM; while :; do sleep 0.05; done", memory=16) for _ in range(4)]
    for job in others:
        server.wait_job(job, "RUNNING")
    seen = []
    for _ in range(2):
        job = server.shell("nc -l -p 5000", memory=16)
        address = server.wait_job(job, "RUNNING")["container"]["networkInterfaces"][0]["privateIpv4Address"]
        until(lambda where=address: reached(where), what=address)
        server.succeed(job)
        seen.append(address)
    assert seen[0] == seen[1]
    for job in others:
        server.batch.terminate_job(jobId=job, reason="seen")
    for job in others:
        server.wait_job(job)


def test_only_jobs_of_fargate_environments_where_that_is_wanted(make_server):
    server = make_server(**own_networks("fargate")).start()
    server.batch.create_compute_environment(
        computeEnvironmentName="serverless", type="MANAGED", computeResources={
            "type": "FARGATE", "maxvCpus": 4, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]})
    until(lambda: server.batch.describe_compute_environments(
        computeEnvironments=["serverless"])["computeEnvironments"][0]["status"] == "VALID", what="VALID")
    queue = server.batch.create_job_queue(jobQueueName="serverless", priority=1, computeEnvironmentOrder=[
        {"order": 1, "computeEnvironment": "serverless"}])["jobQueueArn"]
    definition = server.batch.register_job_definition(
        jobDefinitionName="serverless", type="container", platformCapabilities=["FARGATE"], containerProperties={
            "image": "busybox", "command": ["sh", "-c", "nc -l -p 80 -w 1 2>&1; id -u; ls /sys/class/net"],
            "executionRoleArn": "arn:aws:iam::123456789012:role/x",
            "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}]},
    )["jobDefinitionArn"]
    job = server.succeed(server.submit(definition, queue))
    assert server.log_of(job) == ["nc: timed out", "0", "eth0", "lo"], "a low port is no matter of rights"
    assert len(job["container"]["networkInterfaces"]) == 1
    assert server.succeed(server.shell("true"))["container"]["networkInterfaces"] == []


def test_what_cannot_be_is_refused_at_start(make_server, own):
    for settings, words in [
        ({"BATCHYARD_JOB_NETWORK": own.settings["BATCHYARD_JOB_NETWORK"]}, "reaches 10."),
        ({"BATCHYARD_JOB_NETWORK": "127.0.0.0/16"}, "JOB_NETWORK"),
        ({"BATCHYARD_JOB_NETWORK": "10.0.0.0/8"}, "/16 to /29"),
        ({"BATCHYARD_BLOCKED_ADDRESSES": "example.org"}, "BLOCKED_ADDRESSES"),
        ({"BATCHYARD_NETWORK_NAMESPACES": "some"}, "off, fargate or all"),
        ({"BATCHYARD_JOB_DNS_SERVERS": "::1"}, "JOB_DNS_SERVERS"),
    ]:
        server = make_server(**(own_networks() | settings))
        server.start(wait=False)
        assert server.wait_aborted() != 0
        until(lambda: any(words in line for line in server.output), what=f"{words} in {server.output}")
        server.process = None


OUTSIDE = """
import socket
server = socket.create_server(("198.51.100.1", 7000))
print("ready", flush=True)
while True:
    peer, who = server.accept()
    peer.sendall(who[0].encode() + b"\\n")
    peer.close()
"""


def in_namespace(*command, **popen):
    """A process in a network namespace of its own."""
    return subprocess.Popen(["unshare", "-n", *command], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **popen)


def test_packets_go_out_under_the_hosts_address(make_server, tmp_path):
    """A host in a namespace of its own, so that forwarding can be switched on without touching this machine's: beyond it
    there is another that knows nothing of jobs' addresses."""
    wait = "ip link set lo up; echo up; read go; "
    with (
        in_namespace("sh", "-c", wait + f"exec {sys.executable} -c \"$0\"", OUTSIDE) as outside,
        in_namespace("sh", "-c", wait + "cat") as host,
    ):
        try:
            assert outside.stdout.readline() == host.stdout.readline() == "up\n"
            enter = ["nsenter", "-t", str(host.pid), "-n"]
            for line in (
                f"ip link add host0 type veth peer name out0 netns {outside.pid}",
                "ip addr add 198.51.100.2/24 dev host0", "ip link set host0 up",
                "ip route add default via 198.51.100.1", "tee /proc/sys/net/ipv4/ip_forward",
                f"nsenter -t {outside.pid} -n ip addr add 198.51.100.1/24 dev out0",
                f"nsenter -t {outside.pid} -n ip link set out0 up",
            ):
                subprocess.run([*enter, *line.split()], check=True, input="1" if "tee" in line else "", text=True)
            outside.stdin.write("go\n")
            outside.stdin.flush()
            assert outside.stdout.readline() == "ready\n"
            server = make_server(**own_networks())
            server.prefix = enter
            server.start()
            assert leaks.bridge(server.data_dir) in subprocess.run([*enter, "ip", "-o", "link"], capture_output=True, text=True).stdout
            run = [*enter, BINARY, "run", "busybox", "--", "sh", "-c", "until nc -w 5 198.51.100.1 7000 </dev/null; do :; done"]
            done = subprocess.run(run, env=server.environment(), capture_output=True, text=True, timeout=60)
            assert done.returncode == 0 and "198.51.100.2" in done.stdout.split(), done
            stop = subprocess.run([*enter, BINARY, "stop"], env=server.environment(), capture_output=True, text=True, timeout=60)
            assert stop.returncode == 0, stop
            server.process.wait(30)
            list_links = [*enter, "ip", "-o", "link"]
            # A bridge goes at once; a pair's end in a namespace that just ended goes when the kernel gets to it.
            until(lambda: leaks.bridge(server.data_dir) not in subprocess.run(list_links, capture_output=True, text=True).stdout,
                  what="the end of the bridge and its links")
            server.process = None
        finally:
            host.kill()
            outside.kill()


def test_lines_for_a_syslog_leave_by_the_hosts_network(own):
    """Its address is one of this machine's, whatever network the job has; blocked ones are blocked here, too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as syslog:
        syslog.bind(("127.0.0.1", 0))
        syslog.settimeout(10)
        options = {"syslog-address": f"udp://127.0.0.1:{syslog.getsockname()[1]}"}
        own.succeed(own.shell("echo one", logConfiguration={"logDriver": "syslog", "options": options}))
        assert syslog.recv(1 << 16).decode().endswith("]: one")
    options = {"syslog-address": "udp://[fd00:ec2::254]:514"}
    job = own.fail(own.shell("echo one", logConfiguration={"logDriver": "syslog", "options": options}))
    assert "blocked_addresses" in job["container"]["reason"]


def test_no_job_gets_round_the_blocked_addresses_with_frames(own):
    """Whole frames would not pass the control group's filter; privileged jobs alone may send them."""
    said = own.run_shell("arping -c 1 -w 1 -I eth0 169.254.169.254 2>&1; true")
    assert said == ["arping: socket: Operation not permitted"], said
