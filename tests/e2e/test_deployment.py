# SPDX-License-Identifier: Apache-2.0
"""Containers that files of the gateway describe: what is made, replaced, changed and left alone at
the starts of davitd."""
import json
import time

import pytest

from harness import images, inside
from harness.gateway import Gateway
from harness.world import wait_for

pytestmark = pytest.mark.deadline(90)
STAY = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]


class Deployment:
    """A gateway with a deployment directory, started as often as a test wants."""

    def __init__(self, world, broker, peer, registry, mode):
        self._broker, self._peer = broker, peer
        self.folder = world.directory / "deployed"
        self.folder.mkdir()
        self.gateway = Gateway(world, broker, peer, [registry.host], start=False, settings={
            "deployment": {"mode": mode, "ctr_dir": str(self.folder)}})
        self._starts = 0

    def write(self, file, image, **members):
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"image": {"name": image}, **members}))

    def start(self, wait=True):
        """(Re)starts davitd and waits until all files were gone through."""
        gateway = self.gateway
        if self._starts:
            assert gateway.daemon.stop() == 0
        else:
            gateway.start_monitor()
        gateway.start_daemon()
        self._starts += 1
        gateway.wait_ready(self._broker, self._starts)
        if wait:
            wait_for(lambda: " failed" in self.said(), 60, "the deployment is over")
        return self.said()

    def said(self):
        return "\n".join(line for line in self.gateway.daemon.text().splitlines()
                         if "deployment:" in line)

    def shown(self, name):
        """(id, status) of the container of that name in the twin."""
        for feature, value in list(self._peer.twin.items()):
            status = value.get("properties", {}).get("status", {})
            if status.get("name") == name:
                return feature.removeprefix("Container:"), status
        return None

    def wait_running(self, name):
        def running():
            found = self.shown(name)
            return found and found[1]["state"]["status"] == "RUNNING" and found
        return wait_for(running, 40, f"{name} runs")


@pytest.fixture
def deployment(world, broker, peer, registry):
    return Deployment(world, broker, peer, registry, "update")


@pytest.fixture
def initial(world, broker, peer, registry):
    return Deployment(world, broker, peer, registry, "init")


@pytest.mark.shows("K48", "deployment-names")
def test_files_become_containers_that_run(deployment, peer, sleeper):
    deployment.write("one.json", sleeper, container_name="own-name",
                     config={"env": ["COLOUR=red"], "cmd": inside.staying("echo $COLOUR")})
    deployment.write("deep/below/two.json", sleeper)
    deployment.write("three.txt", sleeper)
    (deployment.folder / "bad.json").write_text('{"image":')
    deployment.write("wrong.json", "no-reference")
    said = deployment.start()
    first, _ = deployment.wait_running("own-name")
    deployment.wait_running("two")
    assert deployment.gateway.wait_output(first, "ready\n") == "red\nready\n"
    assert len([f for f in peer.twin if f.startswith("Container:")]) == 2
    assert "bad.json' is left out: JSON line 1" in said
    assert "wrong.json' is left out: imageRef: 'no-reference'" in said
    assert "4 files, 2 failed" in said


@pytest.mark.shows("container-ids")
def test_id_of_a_file_is_the_containers(deployment, peer, sleeper):
    deployment.write("one.json", sleeper, container_id="edge-1", container_name="one")
    deployment.write("two.json", sleeper, container_id="../two")
    said = deployment.start()
    assert deployment.wait_running("one")[0] == "edge-1"
    assert "two.json' is left out: container_id: '../two'" in said
    assert not (deployment.gateway.home / "two").exists()


def test_next_start_leaves_what_is_as_described(deployment, peer, sleeper):
    deployment.write("one.json", sleeper, host_config={"resources": None})
    deployment.start()
    before = deployment.wait_running("one")
    said = deployment.start()
    after = deployment.wait_running("one")
    assert (before[0], before[1]["state"]["pid"]) == (after[0], after[1]["state"]["pid"])
    assert "'one' is as described" in said


@pytest.mark.shows("K48")
def test_file_that_differs_replaces_its_container(deployment, peer, sleeper, registry):
    deployment.write("one.json", sleeper)
    deployment.start()
    before, _ = deployment.wait_running("one")
    other = registry.push(images.busybox(STAY), "test/other")
    deployment.write("one.json", other)
    said = deployment.start()
    after, status = deployment.wait_running("one")
    assert "'one' differed and was replaced" in said
    assert after != before and status["imageRef"] == other
    peer.wait_gone(before)
    assert len([f for f in peer.twin if f.startswith("Container:")]) == 1
    assert status["config"]["hostName"] == "one-host"


@pytest.mark.shows("K48")
def test_policy_is_changed_in_place(deployment, peer, sleeper):
    deployment.write("one.json", sleeper)
    deployment.start()
    before = deployment.wait_running("one")
    deployment.write("one.json", sleeper, host_config={
        "restart_policy": {"type": "on-failure", "maximum_retry_count": 3}})
    said = deployment.start()
    after = deployment.wait_running("one")
    assert "'one' was changed in place" in said
    assert (before[0], before[1]["state"]["pid"]) == (after[0], after[1]["state"]["pid"])
    assert deployment.shown("one")[1]["config"]["restartPolicy"] == {
        "type": "ON_FAILURE", "maxRetryCount": 3}


@pytest.mark.shows("K48")
def test_stopped_and_paused_ones_run_again(deployment, peer, sleeper):
    for name in ("stopped", "paused"):
        deployment.write(f"{name}.json", sleeper)
    deployment.start()
    ids = {name: deployment.wait_running(name)[0] for name in ("stopped", "paused")}
    assert peer.ask(f"Container:{ids['stopped']}", "stop").status == 204
    assert peer.ask(f"Container:{ids['paused']}", "pause").status == 204
    deployment.start()
    assert {name: deployment.wait_running(name)[0] for name in ids} == ids


@pytest.mark.shows("K48")
def test_replacement_that_does_not_start_leaves_the_old_one(deployment, peer, sleeper):
    deployment.write("one.json", sleeper)
    deployment.start()
    before, _ = deployment.wait_running("one")
    deployment.write("one.json", sleeper, config={"cmd": ["/no/such/program"]})
    said = deployment.start()
    assert deployment.wait_running("one")[0] == before
    assert "the old one is back" in said and "/no/such/program" in said
    assert len([f for f in peer.twin if f.startswith("Container:")]) == 1


def test_missing_image_leaves_the_old_one_untouched(deployment, peer, sleeper, registry):
    deployment.write("one.json", sleeper)
    deployment.start()
    before, status = deployment.wait_running("one")
    deployment.write("one.json", f"{registry.host}/no/such:1")
    said = deployment.start()
    assert "/no/such:1" in said and "1 files, 1 failed" in said
    after, now = deployment.wait_running("one")
    assert (after, now["state"]["pid"]) == (before, status["state"]["pid"])


def test_end_in_the_middle_of_a_replacement_is_made_good(deployment, peer, sleeper, registry):
    """Left half done: the old one and its replacement, or the replacement alone."""
    deployment.write("one.json", sleeper)
    deployment.write("two.json", sleeper)
    deployment.start()
    one, _ = deployment.wait_running("one")
    two, _ = deployment.wait_running("two")
    rest = peer.create(sleeper, start=False, name="one.next")
    assert peer.ask(f"Container:{two}", "rename", "two.next").status == 204
    said = deployment.start()
    assert deployment.wait_running("one")[0] == one
    assert deployment.wait_running("two")[0] == two
    peer.wait_gone(rest)
    assert "2 files, 0 failed" in said


@pytest.mark.shows("K48")
def test_nothing_is_removed_with_its_file(deployment, peer, sleeper):
    deployment.write("one.json", sleeper)
    deployment.start()
    before, _ = deployment.wait_running("one")
    (deployment.folder / "one.json").unlink()
    deployment.start(wait=False)
    assert deployment.wait_running("one")[0] == before


@pytest.mark.shows("K48")
def test_init_happens_once(initial, peer, sleeper):
    initial.write("one.json", sleeper)
    initial.start()
    one, _ = initial.wait_running("one")
    assert (initial.gateway.home / "deployment").is_dir()
    assert peer.ask(f"Container:{one}", "remove", True).status == 204
    initial.write("two.json", sleeper)
    initial.start(wait=False)
    code, said = initial.gateway.command("ps", "--json")
    assert code == 0 and "two" not in said and "one" not in said


def test_init_goes_on_where_it_was_interrupted(initial, peer, sleeper):
    initial.write("one.json", sleeper)
    initial.start()
    one, status = initial.wait_running("one")
    (initial.gateway.home / "deployment" / "pending").touch()
    initial.write("one.json", sleeper, config={"env": ["A=1"]})
    initial.write("two.json", sleeper)
    initial.start()
    initial.wait_running("two")
    # What exists is not compared.
    after, now = initial.wait_running("one")
    assert (one, status["state"]["pid"]) == (after, now["state"]["pid"])


def test_init_leaves_a_home_with_containers_alone(initial, peer, sleeper, broker):
    folder = initial.gateway.home / "containers" / "old"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(
        {"container_id": "old", "image": {"name": sleeper}}))
    initial.write("one.json", sleeper)
    said = initial.start()
    assert "there are containers already" in said and not initial.shown("one")


def test_file_in_place_of_the_directory_is_an_error(deployment):
    deployment.folder.rmdir()
    deployment.folder.write_text("")
    deployment.gateway.start_monitor()
    daemon = deployment.gateway.start_daemon()
    assert daemon.wait(20) == 1
    assert "deployment.ctr_dir" in daemon.text() and "no directory" in daemon.text()


@pytest.mark.deadline(180)
def test_ends_of_the_daemon_at_any_moment_leave_one_container_that_is_as_described(
        deployment, peer, sleeper, registry, broker):
    """Each start has something to replace, and is killed a little later than the one before."""
    other = registry.push(images.busybox(STAY), "test/other")
    deployment.write("one.json", sleeper)
    deployment.start()
    deployment.wait_running("one")
    gateway = deployment.gateway
    for step in range(12):
        image = (other, sleeper)[step % 2]
        deployment.write("one.json", image)
        gateway.daemon.kill()
        daemon = gateway.start_daemon()
        # A moment that moves through the replacement; that of the last line is its beginning.
        wait_for(lambda: "is up as" in daemon.text() or not daemon.is_running, 20, "a bridge is up")
        end = time.monotonic() + step * 0.03
        wait_for(lambda: time.monotonic() >= end or " failed" in daemon.text(), 5, "the moment")
    gateway.daemon.kill()
    ready = broker.subscriptions(f"command//{peer.thing}/req/#")
    gateway.start_daemon()
    gateway.wait_ready(broker, ready + 1)
    wait_for(lambda: " failed" in deployment.said(), 60, "the deployment is over")
    assert "1 files, 0 failed" in deployment.said()
    code, said = gateway.command("ps", "--json")
    assert code == 0, said
    containers = json.loads(said)
    containers = containers if isinstance(containers, list) else containers["containers"]
    assert len(containers) == 1, said
    found = wait_for(lambda: (shown := deployment.shown("one")) and
                     shown[1]["state"]["status"] == "RUNNING" and
                     shown[1]["imageRef"] == image and shown, 40, "the twin shows the last image")
    peer.wait(lambda: [f for f in peer.twin if f.startswith("Container:")] ==
              [f"Container:{found[0]}"], 40, "nothing else is in the twin")
