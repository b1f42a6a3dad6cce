# SPDX-License-Identifier: Apache-2.0
"""davit takes over the home directory of Kanto's container management: records as that writes
them, with what stands beside them."""
import fcntl
import json
import os
import stat

import pytest

from harness import inside
from harness.gateway import Gateway
from harness.world import wait_for

CREATED, RUNNING, STOPPED, PAUSED, EXITED, DEAD = 1, 2, 3, 4, 5, 6
STAY = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]


def record(container, image, status, **fields):
    """A record in Kanto's words and order; `fields` replace whole members."""
    up = status in (RUNNING, PAUSED)
    return {
        "container_id": container, "container_name": f"name-{container}",
        "image": {"name": image},
        "domain_name": "old-domain", "host_name": "old-host",
        "resolv_conf_path": f"/var/lib/container-management/containers/{container}/resolv.conf",
        "hosts_path": f"/var/lib/container-management/containers/{container}/hosts",
        "hostname_path": f"/var/lib/container-management/containers/{container}/hostname",
        "mount_points": None, "hooks": None, "config": {"env": None, "cmd": STAY},
        "host_config": {
            "devices": None, "network_mode": "bridge", "privileged": False,
            "restart_policy": {"maximum_retry_count": 0, "retry_timeout": 0,
                               "type": "unless-stopped"},
            "runtime": "io.containerd.runc.v2", "extra_hosts": None,
            "extra_capabilities": None, "port_mappings": None,
            "log_config": {"driver_config": {"type": "json-file", "max_files": 2,
                                             "max_size": "100M"},
                           "mode_config": {"mode": "blocking"}},
            "resources": None},
        "io_config": {"attach_stderr": False, "attach_stdin": False, "attach_stdout": False,
                      "open_stdin": False, "stdin_once": False, "tty": False},
        "network_settings": {"networks": {"bridge": {
            "id": "299c", "gateway": "172.18.0.1", "ip_address": "172.18.0.2",
            "mac_address": "02:42:ac:12:00:02", "network_id": "7d56"}},
            "sandbox_id": "5ce6", "sandbox_key": "/var/run/container-management/netns/5ce6",
            "network_controller_id": "7df8"} if up else None,
        "state": {"pid": 11672 if up else -1, "started_at": "2021-01-12T09:10:37.757318676Z",
                  "error": "", "exit_code": 0, "finished_at": "2021-01-10T20:06:42.358787194Z",
                  "exited": status == EXITED, "dead": status == DEAD, "restarting": False,
                  "paused": status == PAUSED, "running": status == RUNNING, "oomKilled": False,
                  "status": status},
        "created": "2021-01-08T17:03:57.78927095Z", "restart_count": 0,
        "manually_stopped": False, "started_successfully_before": True, **fields}


class Home:
    """Fills the home directory of a gateway that has not started."""

    def __init__(self, world, broker, peer, registry):
        self._broker = broker
        self.gateway = Gateway(world, broker, peer, [registry.host], start=False)
        self.image = None

    def add(self, container, status, **fields):
        folder = self.gateway.home / "containers" / container
        folder.mkdir(parents=True)
        text = json.dumps(record(container, self.image, status, **fields)) + "\n"
        (folder / "config.json").write_text(text)
        for name in ("hosts", "hostname", "resolv.conf"):
            (folder / name).write_text("of Kanto\n")
        (folder / "json.log").write_text(
            '{"stream":"stdout","log":"before\\n","time":"2021-01-12T09:10:38Z"}\n')

    def start(self):
        self.gateway.start_monitor()
        self.gateway.start_daemon()
        self.gateway.wait_ready(self._broker)
        return self.gateway


@pytest.fixture
def home(world, broker, peer, registry, sleeper):
    made = Home(world, broker, peer, registry)
    made.image = sleeper
    return made


@pytest.mark.shows("K38", "migration")
def test_containers_are_shown_and_started_as_their_records_say(home, peer):
    home.add("ran", RUNNING)
    home.add("swept", STOPPED)  # what a stop of Kanto itself leaves
    home.add("rested", STOPPED, manually_stopped=True)
    home.add("fresh", CREATED, started_successfully_before=False)
    gateway = home.start()
    for container in ("ran", "swept"):
        pid = peer.wait_shown(container, "RUNNING", 40)["pid"]
        assert inside.status(pid)["State"]
    for container, status in (("rested", "STOPPED"), ("fresh", "CREATED")):
        peer.wait_shown(container, status)
    shown = peer.status("ran")
    assert (shown["name"], shown["imageRef"]) == ("name-ran", home.image)
    assert shown["config"]["hostName"] == "old-host"
    # Its files are not here, and somebody is told so.
    assert "'name-ran' was made by another container manager" in gateway.daemon.text()
    assert peer.ask("Container:rested", "start").status == 204
    peer.wait_state("rested", "RUNNING")


@pytest.mark.shows("K30", "K41")
def test_log_goes_on_and_record_stays_one_that_kanto_reads(home, peer):
    home.add("ran", RUNNING, config={"cmd": ["sh", "-c", "echo after; " + STAY[2]]},
             future={"kept": True})
    gateway = home.start()
    peer.wait_shown("ran", "RUNNING", 40)
    assert gateway.wait_output("ran", "after\n") == "before\nafter\n"
    path = gateway.home / "containers" / "ran" / "config.json"

    def written():
        found = json.loads(path.read_text())
        return found["state"]["status"] == RUNNING and found["state"]["pid"] != 11672 and found
    now = wait_for(written, 20, "the record is written")
    before = record("ran", home.image, RUNNING)
    assert before.keys() - now.keys() <= {"resolv_conf_path", "hosts_path", "hostname_path"}
    assert now["future"] == {"kept": True}
    assert before["state"].keys() <= now["state"].keys()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644


def test_fields_of_an_old_record_take_effect(home, world, peer):
    shared = world.directory / "shared"
    shared.mkdir()
    (shared / "in").write_text("of the host")
    home.add("ran", RUNNING,
             config={"env": ["COLOUR=red"], "cmd": inside.staying("echo $COLOUR; cat /data/in")},
             mount_points=[{"destination": "/data", "source": str(shared),
                            "propagation_mode": "rprivate"}])
    gateway = home.start()
    peer.wait_shown("ran", "RUNNING", 40)
    said = gateway.wait_output("ran", "ready\n")
    assert said == "before\nred\nof the hostready\n"


def test_hooks_of_a_record_run_on_the_gateway(home, world, peer):
    said = world.directory / "said"
    script = world.directory / "hook"
    script.write_text(f'#!/bin/sh\necho "$1 $COLOUR $(cat | head -c 1)" >> {said}\n')
    script.chmod(0o755)

    def hook(kind, name):
        return {"path": str(script), "args": ["hook", name],
                "env": ["COLOUR=red", "PATH=/usr/bin:/bin"], "timeout": 5, "type": kind}
    home.add("ran", RUNNING, hooks=[hook(0, "before"), hook(1, "after"), hook(2, "end")])
    home.start()
    peer.wait_shown("ran", "RUNNING", 40)
    wait_for(lambda: said.exists() and said.read_text().count("\n") == 2, 10, "two hooks")
    assert said.read_text() == "before red {\nafter red {\n", "with the state on standard input"
    assert peer.ask("Container:ran", "stop").status == 204
    wait_for(lambda: said.read_text().endswith("end red {\n"), 10, "the last hook")


def test_hook_that_fails_fails_the_start(home, peer):
    home.add("rested", STOPPED, manually_stopped=True,
             hooks=[{"path": "/bin/false", "args": ["false"], "env": [], "timeout": 5, "type": 0}])
    home.start()
    answer = peer.ask("Container:rested", "start", timeout_s=40)
    assert answer.status == 500 and "hook" in answer.text, answer.text


def test_broken_record_is_set_aside_and_the_others_go_on(home, peer):
    home.add("ran", RUNNING)
    home.add("bad", STOPPED, host_config="torn")
    gateway = home.start()
    peer.wait_shown("ran", "RUNNING", 40)
    folder = gateway.home / "containers" / "bad"
    assert (folder / "config.json.bad").exists() and not (folder / "config.json").exists()
    assert "host_config" in gateway.daemon.text()
    assert peer.status("bad") is None


def test_missing_image_is_told_in_the_twin_and_tried_again(home, peer, registry):
    home.image = f"{registry.host}/no/such:1"
    home.add("ran", RUNNING)
    home.start()
    state = peer.wait(lambda: (peer.status("ran") or {}).get("state", {}).get("error") and
                      peer.status("ran")["state"], 40, "the failure is in the twin")
    assert "/no/such:1" in state["error"]


@pytest.mark.shows("old-names", "names")
def test_records_of_one_name_are_loaded_and_no_new_one_gets_it(home, peer):
    for container in ("one", "two"):
        home.add(container, STOPPED, container_name="twice", manually_stopped=True)
    gateway = home.start()
    for container in ("one", "two"):
        peer.wait_shown(container, "STOPPED")
        assert peer.status(container)["name"] == "twice"
    assert "twice" in gateway.daemon.text(), "it is reported"
    answer = peer.ask("ContainerFactory", "createWithConfig",
                      {"imageRef": home.image, "start": False, "name": "twice"})
    assert answer.status == 400 and "twice" in answer.text
    assert peer.ask("Container:two", "start").status == 204


@pytest.mark.shows("no-second-manager")
def test_davitd_does_not_start_beside_kanto(home, world):
    (home.gateway.run / "lock").touch()
    with open(home.gateway.run / "lock") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        home.gateway.start_monitor()
        daemon = home.gateway.start_daemon()
        assert daemon.wait(20) == 1
    assert "Kanto container management is running" in daemon.text()
