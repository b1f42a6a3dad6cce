# SPDX-License-Identifier: Apache-2.0
"""create, start, stop, remove: what the twin shows, what the answers say, what is left."""
import os
import pathlib
import re
import signal

import pytest

from harness import images
from harness import world as worlds

POLICY_NO = {"restartPolicy": {"type": "NO"}}


def state_names(peer, container):
    return [state["status"] for state in peer.states(container)]


@pytest.mark.shows("K1", "K2", "K4")
def test_handshake_comes_first_and_features_before_commands(world, broker, gateway, peer):
    assert peer.messages[0].topic == "edge/thing/request"
    assert peer.twin["ContainerFactory"] == {
        "definition": ["com.bosch.iot.suite.edge.containers:ContainerFactory:1.3.0"]}
    log = broker.log_text()
    assert "(p2, c1, k20" in log
    factory = log.index(f"e/{peer.tenant}/{peer.thing}")
    assert factory < log.index(f"command//{peer.thing}/req/# (QoS 1)")


@pytest.mark.runtime
def test_runtime_that_is_asked_for_is_used(gateway):
    code, text = gateway.command("status")
    assert code == 0 and re.search(r"\b(crun|runc) 1\.", text)
    if worlds.RUNTIME != "auto":
        assert f"{worlds.RUNTIME} 1." in text


@pytest.mark.runtime
@pytest.mark.shows("K14", "K15", "K16")
def test_created_container_runs_says_hello_and_ends(gateway, peer, hello):
    container = peer.create(hello, config=POLICY_NO)
    state = peer.wait_state(container, "EXITED")
    assert "exitCode" not in state and state["pid"] == -1
    assert state_names(peer, container) == ["CREATED", "RUNNING", "EXITED"]
    assert gateway.wait_output(container, "hello\n") == "hello\n"
    full = [value for _, feature, path, value in peer.history
            if feature == f"Container:{container}" and not path]
    assert full[0]["definition"] == ["com.bosch.iot.suite.edge.containers:Container:1.5.0"]
    status = full[0]["properties"]["status"]
    assert status["imageRef"] == hello
    assert status["state"] == {"status": "CREATED", "pid": -1}
    assert status["config"] == {
        "domainName": f"{container}-domain", "hostName": f"{container}-host",
        "restartPolicy": {"type": "NO"}, "networkMode": "BRIDGE",
        "log": {"type": "JSON_FILE", "maxFiles": 2, "maxSize": "100M", "mode": "BLOCKING"}}


@pytest.mark.shows("K18")
def test_plain_create_takes_the_image_and_start(gateway, peer, sleeper):
    answer = peer.ask("ContainerFactory", "create", {"imageRef": sleeper, "start": True}, 60)
    assert answer.status == 200
    peer.wait_state(answer.value, "RUNNING")


@pytest.mark.runtime
@pytest.mark.shows("K15", "D26")
def test_every_step_of_a_life(gateway, peer, sleeper):
    container = peer.create(sleeper, start=False, name="box", config=POLICY_NO)
    feature = f"Container:{container}"
    assert peer.status(container)["name"] == "box"
    assert peer.ask(feature, "start").status == 204
    running = peer.wait_state(container, "RUNNING")
    assert pathlib.Path(f"/proc/{running['pid']}").exists() and running["startedAt"]
    assert peer.ask(feature, "stop", {}).status == 204
    stopped = peer.wait_state(container, "STOPPED")
    assert stopped["pid"] == -1 and "exitCode" not in stopped and stopped["finishedAt"]
    mark = peer.mark()
    assert peer.ask(feature, "start").status == 204
    peer.wait_state(container, "RUNNING", after=mark)
    assert peer.ask(feature, "stop").status == 204
    mark = peer.mark()
    assert peer.ask(feature, "remove").status == 204
    peer.wait_gone(container)
    assert peer.states(container, mark)[-1]["status"] == "DEAD"
    assert not (gateway.home / "containers" / container).exists()


@pytest.mark.runtime
@pytest.mark.shows("K34")
def test_stop_sends_the_signal_and_reports_the_exit_code(gateway, peer, registry):
    image = registry.push(images.busybox(
        ["sh", "-c", "trap 'exit 5' INT; while :; do sleep 0.1; done"]), "test/five")
    container = peer.create(image, config=POLICY_NO)
    answer = peer.ask(f"Container:{container}", "stopWithOptions",
                      {"signal": "SIGINT", "timeout": 10, "force": True})
    assert answer.status == 204
    assert peer.wait_state(container, "STOPPED")["exitCode"] == 5


@pytest.mark.runtime
@pytest.mark.shows("K34", "D14")
def test_stop_ends_who_does_not_listen(gateway, peer, registry):
    image = registry.push(images.busybox(
        ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]), "test/deaf")
    container = peer.create(image, config=POLICY_NO)
    feature = f"Container:{container}"
    polite = peer.ask(feature, "stopWithOptions", {"timeout": 1, "force": False})
    assert polite.status == 500
    assert peer.status(container)["state"]["status"] == "RUNNING"
    forced = peer.ask(feature, "stopWithOptions", {"timeout": 1, "force": True})
    assert forced.status == 204
    assert peer.wait_state(container, "STOPPED")["exitCode"] == 137


@pytest.mark.parametrize("script, code", [
    ("exit 0", None), ("exit 42", 42), ("exit 255", 255),
    ("sh -c 'kill -9 $$'; exit $?", 137), ("nosuchprogram", 127)])
def test_exit_codes_are_true(gateway, peer, hello, script, code):
    container = peer.create(hello, config={**POLICY_NO, "cmd": ["sh", "-c", script]})
    assert peer.wait_state(container, "EXITED").get("exitCode") == code


@pytest.mark.runtime
def test_death_by_a_signal_of_the_host_is_an_exit(gateway, peer, sleeper):
    container = peer.create(sleeper, config=POLICY_NO)
    os.kill(peer.wait_state(container, "RUNNING")["pid"], signal.SIGKILL)
    assert peer.wait_state(container, "EXITED")["exitCode"] == 137


WRONG_STATE = [
    ("created", "stop", None), ("running", "start", None), ("running", "remove", False),
    ("running", "remove", None), ("stopped", "stop", None)]


@pytest.mark.parametrize("state, operation, value", WRONG_STATE)
@pytest.mark.shows("K33", "E16")
def test_wrong_states_are_refused_and_named(gateway, peer, sleeper, state, operation, value):
    container = peer.create(sleeper, start=state != "created", config=POLICY_NO)
    feature = f"Container:{container}"
    if state == "stopped":
        assert peer.ask(feature, "stop").status == 204
    before = peer.status(container)["state"]
    answer = peer.ask(feature, operation, value)
    assert (answer.status, answer.error) == (500, "messages:execution.failed")
    assert state in answer.text.lower()
    assert peer.status(container)["state"] == before


@pytest.mark.runtime
def test_forced_remove_ends_a_running_container(gateway, peer, sleeper):
    container = peer.create(sleeper, config=POLICY_NO)
    pid = peer.wait_state(container, "RUNNING")["pid"]
    assert peer.ask(f"Container:{container}", "remove", True).status == 204
    peer.wait_gone(container)
    assert not pathlib.Path(f"/proc/{pid}/root/bin").exists()


@pytest.mark.runtime
@pytest.mark.shows("K18")
def test_failed_start_is_shown_in_the_twin(gateway, peer, hello):
    container = peer.create(hello, config={**POLICY_NO, "cmd": ["/no/such/program"]})
    state = peer.wait_state(container, "STOPPED")
    assert "/no/such/program" in state["error"]


@pytest.mark.runtime
def test_config_reaches_the_container(world, gateway, peer, hello):
    shared = world.directory / "shared"
    shared.mkdir()
    (shared / "in").write_text("from the host")
    container = peer.create(hello, config={
        **POLICY_NO, "hostName": "ship", "env": ["COLOUR=red", "PATH=/bin"],
        "mountPoints": [{"source": str(shared), "destination": "/data",
                         "propagationMode": "RPRIVATE"}],
        "cmd": ["sh", "-c", "echo $COLOUR $(hostname) $(cat /data/in); echo out > /data/out"]})
    peer.wait_state(container, "EXITED")
    assert gateway.wait_output(container, "\n") == "red ship from the host\n"
    assert (shared / "out").read_text() == "out\n"


@pytest.mark.runtime
def test_host_network_is_the_hosts_and_bridge_is_not(gateway, peer, hello):
    cmd = ["sh", "-c", "ls -l /proc/self/ns/net"]
    shown = {}
    for mode in ("HOST", "BRIDGE"):
        container = peer.create(hello, config={**POLICY_NO, "networkMode": mode, "cmd": cmd})
        peer.wait_state(container, "EXITED")
        shown[mode] = gateway.wait_output(container, "\n").split()[-1]
    assert shown["HOST"] == os.readlink("/proc/self/ns/net") != shown["BRIDGE"]


@pytest.mark.parametrize("config, named", [
    ({"portMappings": [{"hostPort": 80, "containerPort": 80, "hostIP": "::1"}]},
     "config.portMappings[0].hostIP"),
    ({"extraHosts": ["a"]}, "config.extraHosts[0]"),
    ({"networkMode": "moon"}, "networkMode"),
    ({"restartPolicy": {"type": "SOMETIMES"}}, "restartPolicy"),
    ({"mountPoints": [{"source": "relative", "destination": "/x"}]}, "mountPoints"),
])
@pytest.mark.shows("E16")
def test_what_cannot_be_honoured_is_refused_by_name(gateway, peer, hello, config, named):
    answer = peer.ask("ContainerFactory", "createWithConfig",
                      {"imageRef": hello, "start": True, "config": config})
    assert (answer.status, answer.error) == (400, "messages:parameter.invalid")
    assert named in answer.text
    assert not [feature for feature in peer.twin if feature.startswith("Container:")]


@pytest.mark.shows("names")
def test_name_is_taken_once(gateway, peer, hello):
    peer.create(hello, start=False, name="only")
    answer = peer.ask("ContainerFactory", "createWithConfig",
                      {"imageRef": hello, "start": False, "name": "only"})
    assert answer.status == 400 and "only" in answer.text


@pytest.mark.shows("D23")
def test_documented_placeholders_mean_not_given(gateway, peer, hello):
    container = peer.create(hello, config={
        **POLICY_NO, "mountPoints": [{"source": "", "destination": "", "propagationMode": ""}],
        "devices": [{"pathOnHost": "", "pathInContainer": "", "cgroupPermissions": ""}],
        "log": {"type": "JSON_FILE", "rootDir": ""}, "resources": {"memory": ""}})
    peer.wait_state(container, "EXITED")


@pytest.mark.runtime
@pytest.mark.deadline(90)
@pytest.mark.shows("K35")
def test_on_failure_tries_again_as_often_as_told(gateway, peer, hello):
    container = peer.create(hello, config={
        "restartPolicy": {"type": "ON_FAILURE", "maxRetryCount": 2, "retryTimeout": 1},
        "cmd": ["sh", "-c", "exit 3"]})
    peer.wait(lambda: state_names(peer, container).count("EXITED") == 3, 30, "three exits")
    assert state_names(peer, container) == ["CREATED"] + ["RUNNING", "EXITED"] * 3


@pytest.mark.shows("manual-stop")
def test_always_restarts_and_a_stop_is_final(gateway, peer, hello):
    container = peer.create(hello, config={
        "restartPolicy": {"type": "ALWAYS"}, "cmd": ["sh", "-c", "sleep 0.2"]})
    peer.wait(lambda: state_names(peer, container).count("RUNNING") >= 2, 20, "a restart")
    assert peer.ask(f"Container:{container}", "stop").status == 204
    peer.wait_shown(container, "STOPPED")
    count = len(state_names(peer, container))
    other = peer.create(hello, config=POLICY_NO)
    peer.wait_state(other, "EXITED")
    assert len(state_names(peer, container)) == count


def test_logs_are_rotated(gateway, peer, hello):
    container = peer.create(hello, config={
        **POLICY_NO, "log": {"type": "JSON_FILE", "maxFiles": 3, "maxSize": "4K"},
        "cmd": ["sh", "-c", "seq 1 2000"]})
    peer.wait_state(container, "EXITED")
    gateway.wait_output(container, "2000\n")
    folder = gateway.home / "containers" / container
    assert sorted(f.name for f in folder.glob("json.log*")) == [
        "json.log", "json.log.1", "json.log.2"]
    lines = gateway.output(container).split()
    assert lines == [str(n) for n in range(int(lines[0]), 2001)]
