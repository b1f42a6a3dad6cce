# SPDX-License-Identifier: Apache-2.0
"""Limits of memory and processes, and freezing, as the kernel has them around the container."""
import pathlib

import pytest

from harness.world import wait_for

POLICY_NO = {"restartPolicy": {"type": "NO"}}
MIB = 1 << 20
NO_LIMIT = 1 << 50  # v1 shows the largest multiple of a page instead of "none"
# Doubles a text for ever: the process that grows is the first of the container.
HOG = ["sh", "-c", "x=0123456789abcdef; while :; do x=$x$x; done"]
SLEEP = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]


class Group:
    """The control groups of a process, one folder a controller."""

    def __init__(self, pid):
        self.folders = {}
        root = pathlib.Path("/sys/fs/cgroup")
        for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                top = root / controller if controllers else \
                    root / "unified" if (root / "unified").is_dir() else root
                self.folders[controller] = pathlib.Path(f"{top}{path}")
        self.is_v2 = set(self.folders) == {""}

    def read(self, controller, v1, v2):
        folder = self.folders["" if self.is_v2 else controller]
        return (folder / (v2 if self.is_v2 else v1)).read_text().strip()

    def number(self, controller, v1, v2):
        text = self.read(controller, v1, v2)
        value = NO_LIMIT if text == "max" else int(text)
        return None if value >= NO_LIMIT else value

    def memory(self):
        """Limit, reservation, and memory with swap; None: no limit."""
        limit = self.number("memory", "memory.limit_in_bytes", "memory.max")
        soft = self.number("memory", "memory.soft_limit_in_bytes", "memory.low") or None
        swap = self.number("memory", "memory.memsw.limit_in_bytes", "memory.swap.max")
        return limit, soft, swap + limit if self.is_v2 and swap is not None else swap


def run(peer, image, resources=None, command=None, **more):
    config = {**POLICY_NO, "cmd": command or SLEEP, **more}
    if resources is not None:
        config["resources"] = resources
    container = peer.create(image, config=config)
    return container, Group(peer.wait_state(container, "RUNNING")["pid"])


@pytest.mark.runtime
@pytest.mark.parametrize("given, shown, in_kernel", [
    ({"memory": "64M"}, {"memory": "64M", "memorySwap": "128M"}, (64, None, 128)),
    ({"memory": "64M", "memoryReservation": "32M", "memorySwap": "64M"}, None, (64, 32, 64)),
    ({"memory": "65536K", "memorySwap": "-1"}, {"memory": "65536K"}, (64, None, None)),
    ({"memoryReservation": "16777216"}, None, (None, 16, None)),
])
@pytest.mark.shows("K31")
def test_limits_are_those_of_the_kernel(gateway, peer, hello, given, shown, in_kernel):
    container, group = run(peer, hello, given)
    assert peer.status(container)["config"]["resources"] == (shown or given)
    assert group.memory() == tuple(n and n * MIB for n in in_kernel)
    # A new run, a new group.
    mark = peer.mark()
    assert peer.ask(f"Container:{container}", "stop").status == 204
    assert peer.ask(f"Container:{container}", "start").status == 204
    group = Group(peer.wait_state(container, "RUNNING", after=mark)["pid"])
    assert group.memory() == tuple(n and n * MIB for n in in_kernel)


@pytest.mark.runtime
def test_without_limits_there_are_none_but_that_of_processes(world, gateway, peer, hello):
    container, group = run(peer, hello)
    assert "resources" not in peer.status(container)["config"]
    assert group.memory() == (None, None, None)
    assert group.number("pids", "pids.max", "pids.max") == 4096
    assert group.folders["" if group.is_v2 else "memory"].match(
        f"*{world.cgroup_parent}/{container}")


@pytest.mark.parametrize("resources, named", [
    ({"memory": "2M"}, "config.resources.memory: '2M' is below the minimum of 3M"),
    ({"memory": "lots"}, "config.resources.memory: 'lots' is not a size"),
    ({"memory": "-1"}, "config.resources.memory: '-1'"),
    ({"memory": 64}, "config.resources.memory: a number is given"),
    ({"memory": "64M", "memoryReservation": "65M"}, "is above config.resources.memory"),
    ({"memorySwap": "64M"}, "config.resources.memorySwap: '64M' needs config.resources.memory"),
    ({"memory": "64M", "memorySwap": "63M"}, "config.resources.memorySwap: '63M' is below"),
])
@pytest.mark.shows("K31", "E16")
def test_limits_that_make_no_sense_are_refused_by_name(gateway, peer, hello, resources, named):
    answer = peer.ask("ContainerFactory", "createWithConfig",
                      {"imageRef": hello, "config": {"resources": resources}})
    assert (answer.status, answer.error) == (400, "messages:parameter.invalid")
    assert named in answer.text


@pytest.mark.shows("kernel-limits")
def test_limit_that_the_kernel_lacks_is_refused_and_a_default_is_left_out(
        gateway, broker, peer, hello):
    older = peer.create(hello, start=False, config={
        **POLICY_NO, "resources": {"memory": "64M", "memorySwap": "64M"}})
    # What the kernel lacks is found once a boot and remembered beside the choice of the runtime.
    choice = gateway.run / "runtime-choice"
    lines = choice.read_text().split("\n")
    assert lines[3] == "0", "this kernel has all of them"
    lines[3] = "4"
    choice.write_text("\n".join(lines))
    gateway.daemon.stop()
    gateway.start_daemon()
    gateway.wait_ready(broker, subscriptions=2)
    answer = peer.ask("ContainerFactory", "createWithConfig", {
        "imageRef": hello, "config": {"resources": {"memory": "64M", "memorySwap": "64M"}}})
    assert (answer.status, answer.error) == (400, "messages:parameter.invalid")
    assert "config.resources.memorySwap: '64M' cannot be enforced here" in answer.text
    assert "swapaccount=1" in answer.text
    answer = peer.ask(f"Container:{older}", "start")
    assert answer.status == 400 and "cannot be enforced here" in answer.text
    assert "swapaccount=1" in peer.wait_state(older, "STOPPED")["error"]
    container, group = run(peer, hello, {"memory": "64M"})
    assert peer.status(container)["config"]["resources"] == {"memory": "64M"}
    assert group.memory() == (64 * MIB, None, None)
    answer = update(peer, container, {"memorySwap": "64M"}, 400)
    assert "cannot be enforced here" in answer.text
    assert group.memory() == (64 * MIB, None, None)


# --- update


def update(peer, container, resources, status=204):
    answer = peer.ask(f"Container:{container}", "update", {"resources": resources})
    assert answer.status == status, answer.text
    return answer


def shown(peer, container):
    return peer.status(container)["config"].get("resources")


@pytest.mark.runtime
@pytest.mark.shows("D11", "D12", "K21")
def test_update_changes_the_limits_of_what_runs(gateway, peer, hello):
    container, group = run(peer, hello)
    update(peer, container, {"memory": "64M", "memoryReservation": "16M"})
    assert group.memory() == (64 * MIB, 16 * MIB, None)
    assert shown(peer, container) == {"memory": "64M", "memoryReservation": "16M"}
    # Higher than the sum was, then lower than the limit was.
    update(peer, container, {"memorySwap": "64M"})
    update(peer, container, {"memory": "256M", "memorySwap": "300M"})
    assert group.memory() == (256 * MIB, 16 * MIB, 300 * MIB)
    update(peer, container, {"memory": "32M", "memorySwap": "32M"})
    assert group.memory() == (32 * MIB, 16 * MIB, 32 * MIB)
    assert shown(peer, container) == {
        "memory": "32M", "memoryReservation": "16M", "memorySwap": "32M"}
    update(peer, container, {"memoryReservation": "", "memorySwap": "-1"})
    assert group.memory() == (32 * MIB, None, None)
    update(peer, container, {"memory": ""})
    assert group.memory() == (None, None, None)
    assert shown(peer, container) is None


def test_update_reaches_a_paused_container(gateway, peer, hello):
    container, group = run(peer, hello)
    assert peer.ask(f"Container:{container}", "pause").status == 204
    update(peer, container, {"memory": "64M"})
    assert group.memory()[0] == 64 * MIB and is_frozen(group)


def test_update_of_a_stopped_container_is_for_its_next_run(gateway, peer, hello):
    container, _ = run(peer, hello)
    feature = f"Container:{container}"
    assert peer.ask(feature, "stop").status == 204
    update(peer, container, {"memory": "64M"})
    mark = peer.mark()
    assert peer.ask(feature, "start").status == 204
    pid = peer.wait_state(container, "RUNNING", after=mark)["pid"]
    assert Group(pid).memory()[0] == 64 * MIB


def test_updated_limits_and_policy_outlive_the_daemon(gateway, broker, peer, hello):
    container, group = run(peer, hello)
    answer = peer.ask(f"Container:{container}", "update", {
        "resources": {"memory": "64M"}, "restartPolicy": {"type": "ALWAYS"}})
    assert answer.status == 204
    gateway.daemon.kill()
    gateway.start_daemon()
    gateway.wait_ready(broker, subscriptions=2)
    assert shown(peer, container) == {"memory": "64M"}
    assert peer.status(container)["config"]["restartPolicy"]["type"] == "ALWAYS"
    assert group.memory()[0] == 64 * MIB
    update(peer, container, {"memory": "65536K"})
    assert shown(peer, container) == {"memory": "65536K"}


@pytest.mark.runtime
def test_update_below_what_is_used_is_refused_and_changes_nothing(gateway, peer, hello):
    command = ["sh", "-c", "x=$(head -c 30000000 /dev/zero | busybox tr '\\0' x); echo full; "
               "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    container, group = run(peer, hello, {"memory": "200M", "memorySwap": "200M"}, command)
    gateway.wait_output(container, "full\n")
    answer = update(peer, container, {"memory": "4M", "memorySwap": "200M"}, 500)
    assert "uses more memory than the new limit of 4194304 bytes" in answer.text
    assert group.memory() == (200 * MIB, None, 200 * MIB)
    assert shown(peer, container) == {"memory": "200M", "memorySwap": "200M"}


@pytest.mark.parametrize("resources, named", [
    ({"memory": "256M"}, "config.resources.memorySwap: '128M' is below config.resources.memory"),
    ({"memory": "1M"}, "below the minimum of 3M"),
    ({"memory": ""}, "needs config.resources.memory"),
])
def test_update_that_makes_no_sense_is_refused_by_name(gateway, peer, hello, resources, named):
    container, group = run(peer, hello, {"memory": "64M"})
    answer = update(peer, container, resources, 400)
    assert named in answer.text and answer.error == "messages:parameter.invalid"
    assert group.memory() == (64 * MIB, None, 128 * MIB)


# --- lack of memory


@pytest.mark.runtime
def test_who_needs_more_than_the_limit_is_killed_and_shown_so(gateway, peer, hello):
    container = peer.create(hello, config={
        **POLICY_NO, "cmd": HOG, "resources": {"memory": "16M", "memorySwap": "16M"}})
    state = peer.wait_state(container, "EXITED")
    assert state["exitCode"] == 137 and state["oomKilled"] is True
    assert state["error"] == "OOM Killed"
    # The next run is not the last one.
    mark = peer.mark()
    assert peer.ask(f"Container:{container}", "start").status == 204
    running = peer.wait_state(container, "RUNNING", after=mark)
    assert "oomKilled" not in running and "error" not in running


@pytest.mark.runtime
def test_child_that_is_killed_for_memory_is_seen_when_it_ends_the_container(gateway, peer, hello):
    command = ["sh", "-c", f"sh -c '{HOG[2]}'; exit 3"]
    container = peer.create(hello, config={
        **POLICY_NO, "cmd": command, "resources": {"memory": "16M", "memorySwap": "16M"}})
    state = peer.wait_state(container, "EXITED")
    # A kernel of v2 ends the container as a whole, one of v1 the child alone.
    assert state["exitCode"] in (3, 137) and state["oomKilled"] is True


@pytest.mark.parametrize("resources", [None, {"memory": "64M"}])
def test_an_end_without_lack_of_memory_is_not_shown_as_one(gateway, peer, hello, resources):
    config = {**POLICY_NO, "cmd": ["sh", "-c", "kill -9 $$; exit 9"]}
    if resources:
        config["resources"] = resources
    container = peer.create(hello, config=config)
    state = peer.wait_state(container, "EXITED")
    assert state["exitCode"] == 9 and "oomKilled" not in state and "error" not in state


def test_kill_for_memory_is_known_when_nobody_was_there(world, gateway, peer, hello):
    shared = world.directory / "shared"
    shared.mkdir()
    command = ["sh", "-c", f"while [ ! -e /shared/go ]; do sleep 0.05; done; {HOG[2]}"]
    container, group = run(peer, hello, {"memory": "16M", "memorySwap": "16M"}, command,
                           mountPoints=[{"source": str(shared), "destination": "/shared"}])
    gateway.daemon.kill()
    (shared / "go").write_text("")
    wait_for(lambda: not group.read("memory", "cgroup.procs", "cgroup.procs"), 20, "it has ended")
    mark = peer.mark()
    gateway.start_daemon()
    state = peer.wait_state(container, "EXITED", after=mark)
    assert state["exitCode"] == 137 and state["oomKilled"] is True


def test_kill_for_memory_is_known_without_the_monitor(world, gateway, peer, hello):
    shared = world.directory / "shared"
    shared.mkdir()
    command = ["sh", "-c", f"while [ ! -e /shared/go ]; do sleep 0.05; done; {HOG[2]}"]
    container, _ = run(peer, hello, {"memory": "16M", "memorySwap": "16M"}, command,
                       mountPoints=[{"source": str(shared), "destination": "/shared"}])
    gateway.monitor.kill()
    (shared / "go").write_text("")
    state = peer.wait_state(container, "EXITED")
    assert state["exitCode"] in (137, 255) and state["oomKilled"] is True
    gateway.start_monitor()


def test_processes_are_limited(gateway, broker, peer, hello):
    gateway.daemon.stop()
    gateway.config["davit"]["pids_max"] = 20
    gateway.start_daemon()
    gateway.wait_ready(broker, subscriptions=2)
    container, group = run(peer, hello, command=[
        "sh", "-c", "(for i in $(seq 1 40); do sleep 1000 & done); sleep 1000"])
    assert group.number("pids", "pids.max", "pids.max") == 20
    wait_for(lambda: "max 0" not in group.read("pids", "pids.events", "pids.events"), 20,
             "the kernel has refused a process")
    assert group.number("pids", "pids.current", "pids.current") <= 20
    assert peer.ask(f"Container:{container}", "stopWithOptions", {"signal": "KILL"}).status == 204


# --- freezing


def is_frozen(group):
    if group.is_v2:
        return "frozen 1" in group.read("", "", "cgroup.events")
    return group.read("freezer", "freezer.state", "") == "FROZEN"


@pytest.mark.runtime
@pytest.mark.shows("K19", "D25")
def test_pause_freezes_and_resume_thaws(gateway, peer, hello):
    container, group = run(peer, hello)
    feature = f"Container:{container}"
    assert peer.ask(feature, "pause").status == 204
    peer.wait_state(container, "PAUSED")
    assert is_frozen(group)
    again = peer.ask(feature, "pause")
    assert again.status == 500 and "paused" in again.text.lower()
    mark = peer.mark()
    assert peer.ask(feature, "resume").status == 204
    peer.wait_state(container, "RUNNING", after=mark)
    assert not is_frozen(group)


@pytest.mark.parametrize("options, code", [
    (None, None), ({"signal": "SIGKILL", "force": True}, 137),
    ({"timeout": 5, "force": False}, None)])
@pytest.mark.shows("stop-paused")
def test_stop_of_a_paused_container_thaws_and_ends_it(gateway, peer, hello, options, code):
    container, group = run(peer, hello)
    feature = f"Container:{container}"
    assert peer.ask(feature, "pause").status == 204
    assert is_frozen(group)
    operation = "stopWithOptions" if options else "stop"
    assert peer.ask(feature, operation, options).status == 204
    assert peer.wait_state(container, "STOPPED").get("exitCode") == code


@pytest.mark.runtime
def test_forced_remove_ends_a_paused_container(gateway, peer, hello):
    container, group = run(peer, hello)
    assert peer.ask(f"Container:{container}", "pause").status == 204
    assert is_frozen(group)
    assert peer.ask(f"Container:{container}", "remove", True).status == 204
    peer.wait_gone(container)
    assert not any(folder.exists() for folder in group.folders.values() if folder.name == container)
