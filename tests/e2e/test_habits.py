# SPDX-License-Identifier: Apache-2.0
"""What a peer of Eclipse Kanto is used to, and where davit differs on purpose: small things that no
other test looks at."""
import configparser
import json
import pathlib
import re

import pytest

from harness import images, world as worlds

POLICY_NO = {"restartPolicy": {"type": "NO"}}
PACKAGING = pathlib.Path(__file__).resolve().parents[2] / "packaging"


def told(peer, container, after):
    """What the twin was told of a container from message index `after` on, in short."""
    feature = f"Container:{container}"
    short = []
    for index, of, path, value in peer.history:
        if index >= after and of == feature:
            short.append(value["status"] if path == "properties/status/state" else
                         path.removeprefix("properties/status/") or
                         ("whole" if value else "deleted"))
    return short


def behind(peer):
    """Whatever was on its way before this is in `peer.history` after it."""
    assert peer.ask("ContainerFactory", "fly").status == 404


# --- files


@pytest.mark.shows("K39")
def test_what_a_container_writes_is_there_at_its_next_start(gateway, peer, hello):
    container = peer.create(hello, config={
        **POLICY_NO, "cmd": ["sh", "-c", "echo run >> /etc/kept; cat /etc/kept; echo"]})
    peer.wait_state(container, "EXITED")
    mark = peer.mark()
    assert peer.ask(f"Container:{container}", "start").status == 204
    peer.wait_state(container, "EXITED", after=mark)
    assert gateway.wait_output(container, "run\nrun\n\n") == "run\n\nrun\nrun\n\n"


# --- restarts


@pytest.fixture
def waiting(gateway, peer, registry):
    """A container that waits so long for its restart that it stays so."""
    image = registry.push(images.busybox(["sh", "-c", "exit 3"]), "test/fails")
    container = peer.create(image, name="waits", config={"restartPolicy": {
        "type": "ON_FAILURE", "retryTimeout": 1000}})
    worlds.wait_for(lambda: (why := gateway.why("waits")).get("restart_count", 0) >= 4 and
                    why.get("restart_in_ms", 0) > 800, 30, "it waits for a restart")
    behind(peer)
    return container


@pytest.mark.shows("quiet-cancel", "restart-cancel")
def test_stop_of_what_waits_is_told_once(gateway, peer, waiting):
    mark = peer.mark()
    assert peer.ask(f"Container:{waiting}", "stop").status == 204
    peer.wait_shown(waiting, "STOPPED")
    behind(peer)
    assert told(peer, waiting, mark) == ["STOPPED"]
    assert gateway.why("waits")["rest"] == "STOPPED" and "restart_in_ms" not in gateway.why("waits")


@pytest.mark.shows("quiet-cancel")
def test_remove_of_what_waits_tells_no_stop(gateway, peer, waiting):
    mark = peer.mark()
    assert peer.ask(f"Container:{waiting}", "remove").status == 204
    peer.wait_gone(waiting)
    assert told(peer, waiting, mark) == ["DEAD", "deleted"]
    dead = peer.states(waiting, mark)[0]
    assert dead["exitCode"] == 3 and "error" not in dead


@pytest.mark.shows("quiet-cancel")
def test_rename_of_what_waits_tells_the_name(gateway, peer, waiting):
    mark = peer.mark()
    assert peer.ask(f"Container:{waiting}", "rename", "new").status == 204
    peer.wait(lambda: (peer.status(waiting) or {}).get("name") == "new", 10, "the new name")
    behind(peer)
    assert "STOPPED" not in told(peer, waiting, mark)


@pytest.mark.shows("quiet-cancel", "policy-no-revival")
@pytest.mark.parametrize("policy", [{"type": "NO"}, {"type": "ON_FAILURE", "maxRetryCount": 2}])
def test_new_policy_without_a_restart_ends_the_wait(gateway, peer, waiting, policy):
    mark = peer.mark()
    assert peer.ask(f"Container:{waiting}", "update", {"restartPolicy": policy}).status == 204
    peer.wait(lambda: peer.status(waiting)["config"]["restartPolicy"]["type"] == policy["type"] and
              told(peer, waiting, mark), 10, "the new policy")
    why = gateway.why("waits")
    assert "restart_in_ms" not in why and why["rest"] in ("POLICY", "RETRIES_USED")
    behind(peer)
    assert told(peer, waiting, mark) == ["config"]


@pytest.mark.shows("policy-no-revival")
def test_new_policy_with_a_restart_lets_it_come(gateway, peer, waiting):
    mark = peer.mark()
    assert peer.ask(f"Container:{waiting}", "update",
                    {"restartPolicy": {"type": "ALWAYS"}}).status == 204
    peer.wait_state(waiting, "RUNNING", after=mark)
    assert told(peer, waiting, mark)[0] == "config"


@pytest.mark.shows("policy-no-revival", "K21")
@pytest.mark.parametrize("end", ["STOPPED", "EXITED"])
def test_new_policy_starts_nothing(gateway, peer, registry, end):
    image = registry.push(images.busybox(
        ["sh", "-c", "trap 'exit 0' TERM; test -e /ran && touch /again; touch /ran; "
         f"{'while :; do sleep 0.1; done' if end == 'STOPPED' else 'exit 0'}"]), "test/policy")
    container = peer.create(image, name="box", config=POLICY_NO)
    feature = f"Container:{container}"
    if end == "STOPPED":
        peer.wait_state(container, "RUNNING")
        assert peer.ask(feature, "stop").status == 204
    peer.wait_shown(container, end)
    mark = peer.mark()
    assert peer.ask(feature, "update", {"restartPolicy": {"type": "ALWAYS"}}).status == 204
    peer.wait(lambda: peer.status(container)["config"]["restartPolicy"] == {"type": "ALWAYS"}, 10,
              "the new policy")
    assert "restart_in_ms" not in gateway.why("box")
    # A restart would have come long before another container has lived and ended.
    other = peer.create(image, config=POLICY_NO)
    peer.wait_state(other, "RUNNING")
    assert told(peer, container, mark) == ["config"]


# --- units


@pytest.mark.shows("units", "daemon-stop")
@pytest.mark.parametrize("name", ["davitd", "davit-monitor"])
def test_units_end_their_own_process_only_and_are_not_short_of_anything(name):
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str
    unit.read(PACKAGING / f"{name}.service")
    service = unit["Service"]
    assert service["KillMode"] == "process"
    assert service["TasksMax"] == "infinity"
    assert int(service["LimitNOFILE"]) >= 1 << 20
    assert int(service["OOMScoreAdjust"]) < 0
    assert service["Restart"] == "always"


# --- commands


@pytest.mark.shows("D32", "K19", "K33")
def test_values_of_commands_that_need_none_are_not_looked_at(gateway, peer, sleeper):
    container = peer.create(sleeper, start=False, config=POLICY_NO)
    for value in (None, {}, {"a": 1}, [], 5, True, "text"):
        for operation in ("start", "pause", "resume", "stop"):
            answer = peer.ask(f"Container:{container}", operation, value)
            assert (answer.status, answer.value) == (204, None), (operation, value)
    names = [state["status"] for state in peer.states(container)]
    assert names == ["CREATED"] + ["RUNNING", "PAUSED", "RUNNING", "STOPPED"] * 7


NO_ID, NO_TYPE = {"correlation-id": None}, {"content-type": None}
OTHER_THING = "org.example/gw2:edge:containers/things/live/messages/request"
# What is wrong, and the status and code of the row that comes first.
FIRST = [
    ({"topic": "a/b", "headers": NO_ID}, 400, "E3"),
    ({"topic": OTHER_THING, "headers": NO_ID}, 400, "E4"),
    ({"headers": {**NO_ID, **NO_TYPE}}, 400, "E4"),
    ({"topic": OTHER_THING, "headers": NO_TYPE}, 400, "E5"),
    ({"topic": OTHER_THING, "headers": {"content-type": "text/plain"}}, 400, "E6"),
    ({"topic": OTHER_THING, "path": "/features/Nothing/inbox/messages/x"}, 404, "E8"),
    ({"topic": OTHER_THING, "path": "/nothing"}, 404, "E8"),
    ({"topic": OTHER_THING, "path": "/inbox/messages/x"}, 404, "E8"),
    ({"path": "/features/Nothing/inbox/messages/fly", "value": 5}, 400, "E9"),
    ({"path": "/features/Metrics/inbox/messages/fly", "value": 5}, 404, "E13"),
    ({"path": "/features/Metrics/outbox/messages/fly", "value": 5}, 400, "E10"),
]


@pytest.mark.shows(*sorted({row for _, _, row in FIRST}))
def test_first_of_several_failures_is_answered(gateway, peer):
    for change, status, row in FIRST:
        fields = dict(change)
        value = fields.pop("value", {"frequency": "1s"})
        answer = peer.ask("Metrics", "request", value, **fields)
        code = "messages:subject.notfound" if status == 404 else "messages:parameter.invalid"
        assert (answer.status, answer.error) == (status, code), (row, change, answer.text)
        assert answer.message.topic.endswith(f"/{status}") and answer.value["status"] == status
        has_id = "correlation-id" not in fields.get("headers", {}) and row != "E3"
        assert ("correlation-id" in answer.headers) == has_id, (row, change)


@pytest.mark.shows("K15", "names")
def test_rename_changes_the_name_and_nothing_else(gateway, peer, sleeper):
    container = peer.create(sleeper, name="old", start=False, config=POLICY_NO)
    feature = f"Container:{container}"
    peer.create(sleeper, name="taken", start=False)
    before = peer.status(container)["config"]
    mark = peer.mark()
    for name, status in (("new_1.a-b", 204), ("new_1.a-b", 204), ("", 204), ("a/b", 400), ("-a", 400),
                         ("n" * 254, 400), (5, 400), (None, 400), ("taken", 400)):
        answer = peer.ask(feature, "rename", name)
        assert answer.status == status, (name, answer.value)
    behind(peer)
    assert told(peer, container, mark) == ["name"]
    assert peer.status(container)["name"] == "new_1.a-b"
    assert peer.status(container)["config"] == before, "host and domain name stay"
    assert before["hostName"] == "old-host"


@pytest.mark.shows("K21", "D12")
def test_update_without_a_change_tells_nothing(gateway, peer, sleeper):
    container = peer.create(sleeper, start=False, config={
        **POLICY_NO, "resources": {"memory": "64M"}})
    mark = peer.mark()
    for value in (None, {}, {"restartPolicy": None}, {"restartPolicy": {"type": "no"}},
                  {"resources": {}}, {"resources": {"memory": "64M"}}, {"unknown": 1}):
        assert peer.ask(f"Container:{container}", "update", value).status == 204, value
    behind(peer)
    assert told(peer, container, mark) == []


@pytest.mark.shows("json-keys")
def test_unknown_keys_are_accepted_and_reported(gateway, peer, sleeper):
    answer = peer.ask("ContainerFactory", "createWithConfig", {
        "IMAGEREF": sleeper, "Start": False, "strat": True, "name": "odd",
        "config": {"hostnames": "x", "Tty": True}}, headers={"X-Own": "1"})
    assert answer.status == 200
    assert peer.status(answer.value)["config"]["tty"] is True
    for reported in ("strat is not a known key, did you mean 'start'?",
                     "config.hostnames is not a known key, did you mean 'hostName'?"):
        assert reported in gateway.daemon.text()
        assert reported in gateway.command("why", "odd")[1]
    assert peer.ask(f"Container:{answer.value}", "update", {
        "restartPolicy": {"type": "ALWAYS"}, "resources": {"memori": "1G"}}).status == 204
    reported = "resources.memori is not a known key, did you mean 'memory'?"
    assert reported in gateway.daemon.text() and reported in gateway.command("why", "odd")[1]


# --- the whole of a configuration

RICH = {
    "domainName": "d.org", "hostName": "h", "env": ["A=1"], "cmd": ["sh", "-c", "sleep 1"],
    "extraHosts": ["a:1.1.1.1"], "extraCapabilities": ["CAP_NET_ADMIN"], "networkMode": "BRIDGE",
    "openStdin": True, "tty": True,
    "devices": [{"pathOnHost": "/dev/null", "pathInContainer": "/dev/n2", "cgroupPermissions": "rw"}],
    "restartPolicy": {"type": "ON_FAILURE", "maxRetryCount": 4, "retryTimeout": 9},
    "portMappings": [{"proto": "udp", "containerPort": 53, "hostIP": "127.0.0.1", "hostPort": 5353,
                      "hostPortEnd": 5360}],
    "log": {"type": "JSON_FILE", "maxFiles": 3, "maxSize": "1.5M", "mode": "NON_BLOCKING",
            "maxBufferSize": "2M"},
    "resources": {"memory": "100M", "memoryReservation": "50M", "memorySwap": "300M"}}
ORDER = ["domainName", "mountPoints", "hostName", "env", "cmd", "devices", "restartPolicy",
         "extraHosts", "extraCapabilities", "portMappings", "networkMode", "openStdin", "tty", "log",
         "resources"]
# As Kanto writes it.
RICH_RECORD = {
    "domain_name": "d.org", "host_name": "h", "hooks": None,
    "config": {"env": ["A=1"], "cmd": ["sh", "-c", "sleep 1"]},
    "host_config": {
        "devices": [{"path_on_host": "/dev/null", "path_in_container": "/dev/n2",
                     "cgroup_permissions": "rw"}],
        "extra_capabilities": ["CAP_NET_ADMIN"], "extra_hosts": ["a:1.1.1.1"],
        "log_config": {"driver_config": {"type": "json-file", "max_files": 3, "max_size": "1.5M"},
                       "mode_config": {"mode": "non-blocking", "max_buffer_size": "2M"}},
        "network_mode": "bridge",
        "port_mappings": [{"proto": "udp", "container_port": 53, "host_ip": "127.0.0.1",
                           "host_port": 5353, "host_port_end": 5360}],
        "privileged": False,
        "resources": {"memory": "100M", "memory_reservation": "50M", "memory_swap": "300M"},
        "restart_policy": {"maximum_retry_count": 4, "retry_timeout": 9000000000,
                           "type": "on-failure"}},
    "io_config": {"attach_stderr": False, "attach_stdin": False, "attach_stdout": False,
                  "open_stdin": True, "stdin_once": False, "tty": True},
    "manually_stopped": False, "network_settings": None, "restart_count": 0,
    "started_successfully_before": False}
RICH_STATE = {"dead": False, "error": "", "exit_code": 0, "exited": False, "finished_at": "",
              "oomKilled": False, "paused": False, "pid": -1, "restarting": False, "running": False,
              "started_at": "", "status": 1}


@pytest.mark.shows("K16", "K17", "K20", "K30")
def test_every_field_comes_back_in_twin_and_record(world, gateway, peer, sleeper):
    folder, logs = str(world.directory / "m"), str(world.directory / "logs")
    config = {**RICH, "log": {**RICH["log"], "rootDir": logs}, "mountPoints": [
        {"source": folder, "destination": "/m", "propagationMode": "RSHARED"}]}
    container = peer.create(sleeper, name="rich", start=False, config=config)
    shown = peer.status(container)["config"]
    assert shown == config and list(shown) == ORDER
    assert list(shown["log"]) == ["type", "maxFiles", "maxSize", "rootDir", "mode", "maxBufferSize"]
    assert list(shown["restartPolicy"]) == ["maxRetryCount", "retryTimeout", "type"]
    file = gateway.home / "containers" / container / "config.json"
    worlds.wait_for(file.exists, 10, "the record")
    text = file.read_text()
    assert text.endswith("}\n") and text.count("\n") == 1 and file.stat().st_mode & 0o777 == 0o644
    record = json.loads(text)
    wanted = json.loads(json.dumps(RICH_RECORD))
    wanted["host_config"]["log_config"]["driver_config"]["root_dir"] = logs
    host = record["host_config"]
    del host["port_mappings"][0]["davit_chosen_port"]
    assert {key: host[key] for key in wanted["host_config"]} == wanted["host_config"]
    assert {key: record[key] for key in wanted if key != "host_config"} == \
        {key: value for key, value in wanted.items() if key != "host_config"}
    assert record["mount_points"] == [
        {"source": folder, "destination": "/m", "propagation_mode": "rshared"}]
    assert (record["container_id"], record["container_name"], record["image"]["name"]) == \
        (container, "rich", sleeper)
    assert {key: record["state"][key] for key in RICH_STATE} == RICH_STATE


# --- handshake


def filters(broker):
    """What was subscribed and unsubscribed of commands, in order."""
    return re.findall(r"^\d+: \t(command//\S+/req/#)(?: \(QoS 1\))?$", broker.log_text(), re.MULTILINE)


@pytest.mark.shows("K2", "K4")
def test_another_device_is_moved_to_completely(gateway, peer, broker, sleeper):
    container = peer.create(sleeper, name="box", start=False)
    old = f"command//{peer.thing}/req/#"
    peer.device = "org.example:gw2"
    peer.thing = f"{peer.device}:edge:containers"
    peer.ditto_name = peer.thing.replace(":", "/", 1)
    mark = peer.mark()
    peer.answer_handshake()
    new = f"command//{peer.thing}/req/#"
    worlds.wait_for(lambda: broker.subscriptions(new) == 1, 20, "the new filter")
    assert filters(broker) == [old, old, new], "subscribed, left, subscribed"
    peer.wait(lambda: {m.body["path"] for m in peer.find(f"e/{peer.tenant}/{peer.thing}", mark)} >= {
        f"/features/Container:{container}", "/features/ContainerFactory", "/features/Metrics",
        "/features/SoftwareUpdatable"}, 10, "all features under the new name")
    assert not peer.find(r"e/t1/org\.example:gw1:.*", mark)
    assert peer.ask(f"Container:{container}", "start").status == 204


@pytest.mark.shows("K2")
def test_the_same_answer_again_changes_nothing_and_another_policy_tells_all(gateway, peer, broker):
    mark = peer.mark()
    peer.answer_handshake()
    behind(peer)
    assert not peer.find(r"e/.*", mark) and len(filters(broker)) == 1
    mark = peer.mark()
    peer.answer_handshake(policyId="other:policy")
    peer.wait(lambda: {m.body["path"] for m in peer.find(r"e/.*", mark)} >=
              {"/features/ContainerFactory", "/features/Metrics", "/features/SoftwareUpdatable"}, 10,
              "all features again")
    behind(peer)
    assert set(filters(broker)) == {f"command//{peer.thing}/req/#"}
