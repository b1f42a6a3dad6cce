# SPDX-License-Identifier: Apache-2.0
"""Stops of programs that make it hard: each is answered, has the right code, and leaves nothing.

Each kind is stopped a few times; in a full run a thousand times, by several containers at once."""
import os
import pathlib

import pytest

from harness import images, world as worlds

IS_FULL = os.environ.get("DAVIT_E2E_FULL") == "1"
STOPS = 1000 if IS_FULL else 6
AT_ONCE = 20 if IS_FULL else 3
POLICY_NO = {"restartPolicy": {"type": "NO"}}

# name: script, options of the stop, exit codes that are right
KINDS = {
    "ends-at-once": ("trap 'exit 5' TERM; echo ready; sleep 1000 & wait", {}, {5}),
    "ignores-signals": ("trap '' TERM; echo ready; while :; do sleep 1; done", {"timeout": 1, "force": True},
                        {137}),
    # A first process without a handler does not get TERM at all.
    "has-no-handler": ("echo ready; exec sleep 1000", {"timeout": 1, "force": True}, {137}),
    "forks": ("trap 'exit 3' TERM; echo ready; for i in 1 2 3; do (trap '' TERM; while :; do sleep 0.01; done) & "
              "done; while :; do (sleep 0.02 &); sleep 0.01; done", {}, {3}),
    "has-zombies": ("(exit 0) & (exit 1) & exec sh -c 'trap \"exit 6\" TERM; echo ready; while :; do "
                    "sleep 0.05; done'", {}, {6}),
    "takes-its-time": ("trap 'sleep 0.3; exit 7' TERM; echo ready; while :; do sleep 0.05; done", {}, {7}),
}


def push(registry, script):
    return registry.push(images.busybox(["sh", "-c", script]), "test/stops")


def start_all(gateway, peer, containers, runs):
    """Starts them and waits until each program has set itself up."""
    commands = [peer.send(f"Container:{container}", "start") for container in containers]
    for command in commands:
        assert peer.answer_of(command, 60).status == 204
    for container in containers:
        worlds.wait_for(lambda c=container: gateway.output(c).count("ready") >= runs, 20, "it runs")


def who_hangs(gateway, container):
    """What davit and the kernel say of a stop that is not answered."""
    why = gateway.why(container)
    lines = [str(why)]
    for path in pathlib.Path(f"/proc/{why.get('pid')}").glob("status"):
        lines.append(path.read_text())
        lines.append((path.parent / "stack").read_text())
    return "\n".join(lines + [str(worlds.descendants(os.getpid()))])


def nothing_is_left(world, gateway, container, pid):
    return (not os.path.exists(f"/proc/{pid}") and
            not any(container in path.parts for path in worlds.cgroups(world.unique)) and
            not (gateway.run / "containers" / container).exists())


@pytest.mark.deadline(2400 if IS_FULL else 90)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.shows("stop-race", "K34")
def test_stop_is_exact(world, gateway, peer, registry, record_property, kind):
    record_property("stops", STOPS)
    script, options, codes = KINDS[kind]
    image = push(registry, script)
    containers = [peer.create(image, name=f"{kind}-{n}", start=False, config=POLICY_NO)
                  for n in range(AT_ONCE)]
    for run in range(1, STOPS // AT_ONCE + 1):
        start_all(gateway, peer, containers, run)
        pids = [peer.wait_shown(container, "RUNNING")["pid"] for container in containers]
        commands = [peer.send(f"Container:{container}", "stopWithOptions", options)
                    for container in containers]
        for container, pid, command in zip(containers, pids, commands):
            answer = peer.answer_of(command, 30)
            assert answer.status == 204, answer.value
            shown = peer.wait_shown(container, "STOPPED")
            assert shown.get("exitCode", 0) in codes, shown
            worlds.wait_for(lambda c=container, p=pid: nothing_is_left(world, gateway, c, p), 10,
                            f"nothing is left of {container}")


@pytest.mark.deadline(2400 if IS_FULL else 90)
@pytest.mark.shows("stop-race")
def test_stop_in_the_instant_of_the_end_is_answered_and_the_code_is_known(gateway, peer, registry,
                                                                          world, record_property):
    """Whichever comes first, there is one end with one code, and the command knows which."""
    record_property("stops", STOPS)
    image = push(registry, "trap 'exit 5' TERM; echo ready; sleep 0.15 & wait $!; exit 4")
    containers = [peer.create(image, name=f"instant-{n}", start=False, config=POLICY_NO)
                  for n in range(AT_ONCE)]
    seen = {204: 0, 500: 0}
    for run in range(STOPS // AT_ONCE):
        start_all(gateway, peer, containers, run + 1)
        commands = []
        for number, container in enumerate(containers):
            commands.append(peer.send(f"Container:{container}", "stop"))
        for container, command in zip(containers, commands):
            try:
                answer = peer.answer_of(command, 20)
            except AssertionError as error:
                raise AssertionError(who_hangs(gateway, container)) from error
            seen[answer.status] += 1
            state = "STOPPED" if answer.status == 204 else "EXITED"
            if answer.status != 204:
                assert "already exited" in answer.text, answer.value
            shown = peer.wait_shown(container, state)
            assert shown.get("exitCode") in (4, 5), shown
            assert answer.status == 204 or shown["exitCode"] == 4
    print(f"stopped {seen[204]}, ended before {seen[500]}")


@pytest.mark.deadline(90)
@pytest.mark.shows("K34", "D14")
def test_stop_without_force_of_one_that_ignores_it_fails_and_it_runs_on(gateway, peer, registry):
    image = push(registry, KINDS["ignores-signals"][0])
    container = peer.create(image, name="stubborn", config=POLICY_NO)
    pid = peer.wait_shown(container, "RUNNING")["pid"]
    worlds.wait_for(lambda: "ready" in gateway.output(container), 20, "it runs")
    answer = peer.ask(f"Container:{container}", "stopWithOptions", {"timeout": 1}, timeout_s=20)
    assert answer.status == 500 and "use force, or a longer timeout" in answer.text
    assert os.path.exists(f"/proc/{pid}") and peer.wait_shown(container, "RUNNING")["pid"] == pid
    assert peer.ask(f"Container:{container}", "stopWithOptions",
                    {"signal": "KILL"}, timeout_s=20).status == 204
    assert peer.wait_shown(container, "STOPPED")["exitCode"] == 137
