# SPDX-License-Identifier: Apache-2.0
"""The feature Metrics: requests, filters, dialects, restarts; and values held against readings of
the kernel that the test makes by itself."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import pytest

from harness import images
from harness.gateway import Gateway
from harness.world import wait_for

CGROUP = pathlib.Path("/sys/fs/cgroup")
IDS = ["cpu.utilization", "memory.total", "memory.used", "memory.utilization", "io.readBytes",
       "io.writeBytes", "net.readBytes", "net.writeBytes", "pids"]
SYSTEM = [{"id": None, "originator": "SYSTEM"}]
EVENT_TOPIC = r"e/.*"


def data_messages(peer, after=0, topic=EVENT_TOPIC):
    return [m for m in peer.find(topic, after)
            if m.body.get("path") == "/features/Metrics/outbox/messages/data"]


def request(peer, frequency, filters=None, **options):
    value = {"frequency": frequency}
    if filters is not None:
        value["filter"] = filters
    return peer.ask("Metrics", "request", value, **options)


def wait_data(peer, count=1, timeout_s=15, after=None, topic=EVENT_TOPIC):
    """The count-th data message from now on (or from index `after`)."""
    start = peer.mark() if after is None else after
    return peer.wait(lambda: data_messages(peer, start, topic)[count - 1:count], timeout_s,
                     f"{count} messages of metrics")[0]


def snapshot(message):
    """{originator: {measurement: value}} of one data message."""
    return {row["originator"]: {m["id"]: m["value"] for m in row["measurements"]}
            for row in message.body["value"]["snapshot"]}


def of(container):
    return f"Container:{container}"


def run(peer, registry, script, **config):
    """A container that runs a script; (id, pid)."""
    image = registry.push(images.busybox(["sh"]), "test/metrics")
    container = peer.create(image, config={
        "cmd": ["sh", "-c", f"trap 'exit 0' TERM; {script}"], "restartPolicy": {"type": "NO"},
        **config})
    return container, peer.wait_state(container, "RUNNING")["pid"]


# --- requests


@pytest.mark.shows("K14")
def test_the_feature_is_published_with_the_others(gateway, peer):
    assert peer.twin["Metrics"] == {
        "definition": ["com.bosch.iot.suite.edge.metric:Metrics:1.0.0"]}


@pytest.mark.shows("K22", "K23", "D15", "D18")
def test_data_comes_each_period_until_it_is_stopped(gateway, peer, sleeper):
    container = peer.create(sleeper)
    before_ms = time.time() * 1000
    answer = request(peer, "1s")
    assert answer.status == 204 and answer.value is None
    messages = [wait_data(peer, count, after=0) for count in (1, 2, 3)]
    for message in messages:
        body = message.body
        assert message.topic == f"e/{peer.tenant}/{peer.thing}"
        assert body["topic"] == f"{peer.ditto_name}/things/live/messages/data"
        assert body["headers"] == {"content-type": "application/json", "response-required": False}
        assert list(body["value"]) == ["snapshot", "timestamp"]
        assert list(snapshot(message)) == [of(container)]
        assert before_ms < body["value"]["timestamp"] < time.time() * 1000 + 1
    gaps = [b.body["value"]["timestamp"] - a.body["value"]["timestamp"]
            for a, b in zip(messages, messages[1:])]
    assert all(700 < gap < 1600 for gap in gaps), gaps
    measured = snapshot(messages[-1])[of(container)]
    assert list(measured) == [name for name in IDS if name in measured]
    assert {"cpu.utilization", "memory.used", "net.readBytes", "pids"} <= set(measured)
    assert request(peer, "0s").status == 204
    mark = peer.mark()
    peer.wait_quiet(lambda: data_messages(peer, mark), 2.5, "data after the end of the request")


@pytest.mark.shows("D3")
def test_data_is_in_the_dialect_of_its_request(gateway, peer, sleeper):
    peer.create(sleeper)
    assert request(peer, 1, rid="").status == 204
    documented = rf"command//{peer.thing}/res//data"
    body = wait_data(peer, topic=documented).body
    assert body["path"] == "/features/Metrics/outbox/messages/data"
    assert request(peer, 1).status == 204
    wait_data(peer)
    mark = peer.mark()
    wait_data(peer, 2)
    assert not data_messages(peer, mark, documented)


def test_a_request_outlives_the_daemon(world, gateway, peer, broker, sleeper):
    container = peer.create(sleeper)
    assert request(peer, 1, [{"id": ["pids"]}]).status == 204
    wait_data(peer)
    for end in (lambda: gateway.daemon.kill(), lambda: gateway.daemon.stop()):
        end()
        mark = peer.mark()
        gateway.start_daemon()
        assert snapshot(wait_data(peer, after=mark, timeout_s=30)) == {of(container): {"pids": 2}}


def test_data_comes_again_after_the_broker_was_away(gateway, peer, broker, sleeper):
    container = peer.create(sleeper)
    assert request(peer, 1).status == 204
    wait_data(peer)
    broker.stop()
    mark = peer.mark()
    peer.wait_quiet(lambda: data_messages(peer, mark), 2.5, "data without a broker")
    broker.start()
    message = wait_data(peer, after=mark, timeout_s=30)
    assert list(snapshot(message)) == [of(container)]
    # Nothing of the time between is sent late.
    assert message.body["value"]["timestamp"] > time.time() * 1000 - 3000


@pytest.mark.shows("K22", "D16", "D17")
def test_filters_choose_originators_and_measurements(gateway, peer, sleeper):
    first = peer.create(sleeper, name="first")
    second = peer.create(sleeper, name="second")
    cases = [
        ([{"id": ["memory.*"], "originator": of(first)}],
         {of(first): ["memory.total", "memory.used", "memory.utilization"]}),
        ([{"id": ["pids"], "originator": "Container:second"}], {of(second): ["pids"]}),
        ([{"id": ["net", "pid"]}], {of(c): ["net.readBytes", "net.writeBytes", "pids"]
                                    for c in (first, second)}),
        ([{"id": ["pids"], "originator": "Container:f*"},
          {"id": ["memory.used"], "originator": of(second)}],
         {of(first): ["pids"], of(second): ["memory.used"]}),
        ([{"id": ["pids"], "originator": "SYSTEM"}], {"SYSTEM": ["pids"]}),
    ]
    for filters, expected in cases:
        assert request(peer, 1, filters).status == 204
        found = snapshot(wait_data(peer, 2))
        assert {who: list(what) for who, what in found.items()} == expected, filters


@pytest.mark.shows("K23")
def test_filters_that_match_nothing_give_no_data(gateway, peer, sleeper):
    peer.create(sleeper, name="box")
    for filters in ([{"id": ["temperature"]}], [{"originator": "Container:nobody"}],
                    [{"originator": "box"}]):
        assert request(peer, 1, filters).status == 204
        mark = peer.mark()
        peer.wait_quiet(lambda m=mark: data_messages(peer, m), 1.6, f"data for {filters}")


BAD = [
    {"frequency": "never"}, {"frequency": "5"}, {"frequency": ""}, {"frequency": None},
    {"frequency": True}, {"frequency": ["1s"]}, {"frequency": "169h"}, {"frequency": 1e12},
    {"frequency": 1, "filter": "cpu"}, {"frequency": 1, "filter": ["cpu"]},
    {"frequency": 1, "filter": [{"id": "cpu"}]}, {"frequency": 1, "filter": [{"id": [1]}]},
    {"frequency": 1, "filter": [{"originator": 1}]}, {"frequency": 1, "filter": [{}] * 65},
    5, [], "1s"]


@pytest.mark.shows("E14")
def test_bad_requests_are_refused_and_the_one_in_force_goes_on(gateway, peer):
    assert request(peer, 1, SYSTEM).status == 204
    for value in BAD:
        answer = peer.ask("Metrics", "request", value)
        assert answer.status == 400, value
        assert answer.error == "messages:parameter.invalid"
        assert answer.message.body["path"] == "/features/Metrics/outbox/messages/request"
        assert answer.text
    assert list(snapshot(wait_data(peer, 2))) == ["SYSTEM"]


@pytest.mark.shows("E13")
def test_an_unknown_operation_is_not_found(gateway, peer):
    answer = peer.ask("Metrics", "subscribe", {})
    assert (answer.status, answer.error) == (404, "messages:subject.notfound")


def test_only_containers_that_run_report_and_paused_ones(gateway, peer, sleeper):
    container = peer.create(sleeper)
    assert request(peer, 1).status == 204
    wait_data(peer)
    assert peer.ask(of(container), "pause").status == 204
    assert snapshot(wait_data(peer, 2))[of(container)]["cpu.utilization"] < 1
    assert peer.ask(of(container), "stop").status == 204
    # One pass may be under way when it ends.
    mark = peer.mark()
    peer.wait_quiet(lambda: len(data_messages(peer, mark)) > 1, 3, "data of a stopped container")
    assert peer.ask(of(container), "start").status == 204
    assert "cpu.utilization" in snapshot(wait_data(peer, 3))[of(container)]


@pytest.mark.shows("ditto-sizes")
def test_data_is_split_at_the_largest_message(world, broker, peer, registry, sleeper):
    gateway = Gateway(world, broker, peer, [registry.host], start=False)
    gateway.config["davit"]["bridge"]["max_message_bytes"] = 4096
    gateway.start_monitor()
    gateway.start_daemon()
    gateway.wait_ready(broker)
    containers = {peer.create(sleeper) for _ in range(10)}
    assert request(peer, 1).status == 204

    def whole():
        stamps = {}
        for message in data_messages(peer):
            assert len(message.payload) <= 4096
            stamps.setdefault(message.body["value"]["timestamp"], []).append(snapshot(message))
        return [parts for parts in stamps.values() if sum(map(len, parts)) == 10]
    parts = peer.wait(whole, 15, "data of all containers with one time stamp")[0]
    assert len(parts) > 1
    assert set().union(*parts) == {of(c) for c in containers}


@pytest.mark.shows("D15")
def test_time_stamps_are_in_seconds_for_who_is_used_to_that(world, broker, peer, registry):
    gateway = Gateway(world, broker, peer, [registry.host], start=False)
    gateway.config["davit"]["metrics"] = {"timestamp_in_seconds": True}
    gateway.start_monitor()
    gateway.start_daemon()
    gateway.wait_ready(broker)
    assert request(peer, 1, SYSTEM).status == 204
    assert abs(wait_data(peer).body["value"]["timestamp"] - time.time()) < 5


# --- values


def cpu_ticks():
    """(busy, all) of the machine."""
    fields = [int(n) for n in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def process_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.shows("K43")
def test_processor_time_is_what_the_process_used(world, gateway, peer, registry):
    container, pid = run(peer, registry, "while :; do :; done")
    quota = CGROUP / "cpu" / world.unique / container / "cpu.cfs_quota_us"
    if quota.exists():
        quota.write_text("40000")  # of 100,000
    else:
        (CGROUP / world.unique / container / "cpu.max").write_text("40000 100000")
    assert request(peer, 2).status == 204
    wait_data(peer)
    before, (busy, total) = process_ticks(pid), cpu_ticks()
    value = snapshot(wait_data(peer))[of(container)]["cpu.utilization"]
    share = 100 * (process_ticks(pid) - before) / (cpu_ticks()[1] - total)
    assert abs(value - share) < 3, (value, share)
    assert 1 < value < 40 / os.cpu_count() + 3


@pytest.mark.runtime
@pytest.mark.shows("K43")
def test_memory_and_tasks_are_what_the_container_took(gateway, peer, registry):
    container, pid = run(peer, registry,
                         "dd if=/dev/zero of=/dev/shm/x bs=1M count=32 2>/dev/null; "
                         "sleep 1000 & sleep 1000 & wait")
    total = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) * 1024
    file = pathlib.Path(f"/proc/{pid}/root/dev/shm/x")
    wait_for(lambda: file.exists() and file.stat().st_size == 32 << 20 and
             len(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()) == 2, 10,
             "the container has what it wants")
    assert request(peer, 1, [{"id": ["memory", "pids"]}]).status == 204
    measured = snapshot(wait_data(peer))[of(container)]
    assert measured["memory.total"] == total
    assert 32 << 20 <= measured["memory.used"] < 40 << 20
    assert abs(measured["memory.utilization"] - 100 * measured["memory.used"] / total) < 1e-9
    assert measured["pids"] == 3


@pytest.mark.runtime
def test_total_memory_is_the_limit_of_the_container(gateway, peer, registry):
    container, _ = run(peer, registry, "sleep 1000 & wait", resources={"memory": "100M"})
    assert request(peer, 1, [{"id": ["memory"]}]).status == 204
    measured = snapshot(wait_data(peer))[of(container)]
    assert measured["memory.total"] == 100 << 20
    assert abs(measured["memory.utilization"] - 100 * measured["memory.used"] / (100 << 20)) < 1e-9


def disk(world):
    """A folder on a disk whose traffic is counted, and "major:minor" if a limit must be set for
    that. Newer kernels count for version 1 only where some control group limits the device, so
    the test then has a disk of its own."""
    if not (CGROUP / "blkio").exists():
        folder = world.directory / "disk.d"
        folder.mkdir()
        return folder, None
    image, folder = world.directory / "disk", world.directory / "disk.d"
    folder.mkdir()
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", str(image)], check=True)
    device = subprocess.run(["losetup", "-f", "--show", str(image)], capture_output=True, text=True,
                            check=False).stdout.strip()
    if not device:
        pytest.skip("this machine has no loop devices")
    world.defer(lambda: subprocess.run(["losetup", "-d", device], check=True))
    subprocess.run(["mount", device, str(folder)], check=True)
    world.defer(lambda: subprocess.run(["umount", str(folder)], check=True))
    number = pathlib.Path(f"/sys/block/{pathlib.Path(device).name}/dev").read_text().strip()
    return folder, number


@pytest.mark.runtime
def test_bytes_of_block_devices_are_those_that_were_written_and_read(world, gateway, peer,
                                                                     registry):
    folder, number = disk(world)
    container, _ = run(
        peer, registry,
        "while [ ! -e /disk/go ]; do sleep 0.1; done; "
        "dd if=/dev/zero of=/disk/file bs=64k count=64 oflag=direct; "
        "dd if=/disk/file of=/dev/null bs=64k count=32 iflag=direct; touch /disk/done; sleep 1000 & wait",
        mountPoints=[{"source": str(folder), "destination": "/disk",
                      "propagationMode": "rprivate"}])
    if number:
        limit = CGROUP / "blkio" / world.unique / container / "blkio.throttle.write_bps_device"
        limit.write_text(f"{number} 1000000000000")
    (folder / "go").touch()
    wait_for(lambda: (folder / "done").exists(), 20, "the container has written")
    assert request(peer, 1, [{"id": ["io"]}]).status == 204
    measured = snapshot(wait_data(peer))[of(container)]
    written = measured["io.writeBytes"]
    assert 64 * 65536 <= written <= 64 * 65536 + (256 << 10), measured
    assert 32 * 65536 <= measured["io.readBytes"] <= 32 * 65536 + (256 << 10), measured


def inside_net(pid, program, *arguments):
    command = [shutil.which(program), *arguments]  # busybox prefers its own
    return subprocess.run(["nsenter", "-t", str(pid), "-n", *command], check=True,
                          capture_output=True, text=True).stdout


SENDER = ("import socket, sys, time\n"
          "udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
          "for _ in range(20):\n"
          "    udp.sendto(bytes(1000), (sys.argv[1], 9))\n"
          "    time.sleep(0.01)\n")


def counted(pid):
    """(received, sent) over all interfaces but the loopback, as the kernel shows the namespace."""
    received = sent = 0
    for line in inside_net(pid, "cat", "/proc/self/net/dev").splitlines()[2:]:
        name, rest = line.split(":")
        if name.strip() != "lo":
            fields = rest.split()
            received, sent = received + int(fields[0]), sent + int(fields[8])
    return received, sent


@pytest.mark.runtime
def test_bytes_of_the_network_are_those_of_the_interfaces_of_the_container(world, gateway, peer,
                                                                          registry):
    container, pid = run(peer, registry, "sleep 1000 & wait")
    outside = json.loads(inside_net(pid, "ip", "-j", "route", "show", "default"))[0]["gateway"]
    inside = json.loads(inside_net(pid, "ip", "-j", "-4", "addr", "show", "eth0"))[0]
    address = inside["addr_info"][0]["local"]
    subprocess.run([sys.executable, "-c", SENDER, address], check=True)
    inside_net(pid, sys.executable, "-c", SENDER, outside)
    assert request(peer, 1, [{"id": ["net"]}]).status == 204
    low = counted(pid)
    measured = snapshot(wait_data(peer))[of(container)]
    high = counted(pid)
    assert 20000 < low[0] and 20000 < low[1]
    assert low[0] <= measured["net.readBytes"] <= high[0]
    assert low[1] <= measured["net.writeBytes"] <= high[1]
    # They are read at the host's end: an open file would keep the namespace alive.
    folder = pathlib.Path(f"/proc/{gateway.daemon.pid}/fd")
    assert not [name for name in map(os.readlink, folder.iterdir()) if "net/dev" in name]


def test_interfaces_that_others_add_do_not_count_as_the_gateways(gateway, peer, registry):
    """What a container moves inside the gateway is none of the gateway's own traffic."""
    container, pid = run(peer, registry, "sleep 1000 & wait")
    inside = json.loads(inside_net(pid, "ip", "-j", "-4", "addr", "show", "eth0"))[0]
    assert request(peer, 1, [{"id": ["net"], "originator": "*"}]).status == 204
    before = snapshot(wait_data(peer))
    subprocess.run([sys.executable, "-c", SENDER, inside["addr_info"][0]["local"]], check=True)
    after = snapshot(wait_data(peer, 2))
    assert after[of(container)]["net.readBytes"] >= before[of(container)]["net.readBytes"] + 20000
    assert after.get("SYSTEM") == before.get("SYSTEM")


def test_a_container_in_the_network_of_the_host_has_no_traffic_of_its_own(gateway, peer, registry):
    container, _ = run(peer, registry, "sleep 1000 & wait", networkMode="HOST")
    assert request(peer, 1, [{"id": ["net"]}]).status == 204
    assert snapshot(wait_data(peer))[of(container)] == {"net.readBytes": 0, "net.writeBytes": 0}


def test_the_machine_is_measured_as_a_whole(gateway, peer):
    assert request(peer, 2, SYSTEM).status == 204
    wait_data(peer)
    busy, total = cpu_ticks()
    measured = snapshot(wait_data(peer))["SYSTEM"]
    later = cpu_ticks()
    memory = dict(line.split()[:2] for line in
                  pathlib.Path("/proc/meminfo").read_text().splitlines())
    used = (int(memory["MemTotal:"]) - int(memory["MemAvailable:"])) * 1024
    share = 100 * (later[0] - busy) / (later[1] - total)
    assert abs(measured["cpu.utilization"] - share) < 6, (measured, share)
    assert measured["memory.total"] == int(memory["MemTotal:"]) * 1024
    assert abs(measured["memory.used"] - used) < 256 << 20
    assert measured["pids"] > 5


# --- on the gateway itself


def test_stats_shows_what_containers_use(gateway, peer, sleeper):
    peer.create(sleeper, name="first")
    peer.create(sleeper, name="second")
    idle = peer.create(sleeper, name="idle", start=False)
    code, text = gateway.command("stats")
    rows = {line.split()[0]: line for line in text.splitlines()}
    assert code == 0 and list(rows)[0] == "NAME" and list(rows)[-1] == "(gateway)", text
    assert set(rows) == {"NAME", "first", "second", "(gateway)"}
    assert all("%" in row and "B / " in row for name, row in rows.items() if name != "NAME"), text
    code, text = gateway.command("stats", "second")
    assert code == 0 and [line.split()[0] for line in text.splitlines()] == ["NAME", "second"]
    code, text = gateway.command("--json", "stats")
    names = [row["name"] for row in json.loads(text)["containers"]]
    assert code == 0 and sorted(names) == ["first", "second"]
    code, text = gateway.command("--json", "stats", "first")
    assert [row["name"] for row in json.loads(text)["containers"]] == ["first"]
    assert gateway.command("stats", "idle") == (
        1, "davit: container 'idle' does not run\n"), idle
    code, text = gateway.command("stats", "nobody")
    assert code == 1 and "nobody" in text


def test_local_clients_are_told_where_metrics_go(gateway):
    """A request needs somewhere to send the data to, which the local socket is not."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(gateway.run / "davit.sock"))
        client.sendall(json.dumps({"kind": "local_request", "id": "1", "feature": "Metrics",
                                   "operation": "request",
                                   "args": "{\"frequency\":1}"}).encode() + b"\n")
        answer = json.loads(client.makefile().readline())
    assert answer["status"] == 400 and "davit stats" in answer["error"]
