# SPDX-License-Identifier: Apache-2.0
"""Standard input, terminals, and who is connected to them."""
import os

from harness import images
from harness import world as worlds

POLICY_NO = {"restartPolicy": {"type": "NO"}}


def end(peer, container):
    """The first process of a container does not hear TERM; nobody wants to wait for the KILL."""
    answer = peer.ask(f"Container:{container}", "stopWithOptions", {"signal": "KILL"})
    assert answer.status == 204


def test_with_open_stdin_cat_waits_and_without_it_ends_at_once(gateway, peer, registry):
    image = registry.push(images.busybox(["cat"]), "test/cat")
    ended = peer.create(image, config=POLICY_NO)
    assert "exitCode" not in peer.wait_state(ended, "EXITED")
    container = peer.create(image, config={**POLICY_NO, "openStdin": True})
    pid = peer.wait_state(container, "RUNNING")["pid"]
    assert peer.status(container)["config"]["openStdin"] is True
    stdin = os.open(f"/proc/{pid}/fd/0", os.O_WRONLY)
    os.write(stdin, b"to the cat\n")
    os.close(stdin)
    assert gateway.wait_output(container, "to the cat\n") == "to the cat\n"
    assert peer.status(container)["state"]["status"] == "RUNNING"
    end(peer, container)


def shell(peer, registry, script, **config):
    image = registry.push(images.busybox(["sh", "-c", script]), "test/tty")
    container = peer.create(image, config={**POLICY_NO, "tty": True, **config})
    peer.wait_state(container, "RUNNING")
    return container


def test_tty_is_a_terminal_and_its_output_is_logged(gateway, peer, registry):
    container = shell(peer, registry, "trap 'exit 3' TERM; tty; test -t 0 && test -t 1 && "
                      "test -t 2 && echo all three >&2; echo $TERM; while :; do sleep 0.1; done")
    text = gateway.wait_output(container, "xterm\n")
    assert text == "/dev/pts/0\nall three\nxterm\n"
    assert {record["stream"] for record in gateway.log_records(container)} == {"stdout"}
    assert peer.ask(f"Container:{container}", "stop").status == 204
    assert peer.wait_state(container, "STOPPED")["exitCode"] == 3


def test_output_before_the_end_of_a_terminal_is_complete(gateway, peer, registry):
    image = registry.push(images.busybox(["sh", "-c", "seq 1 20000; exit 4"]), "test/seq")
    container = peer.create(image, config={**POLICY_NO, "tty": True})
    assert peer.wait_state(container, "EXITED")["exitCode"] == 4
    expected = "".join(f"{n}\n" for n in range(1, 20001))
    assert gateway.wait_output(container, "\n20000\n") == expected


COUNTING = "trap 'echo hung up; exit 1' HUP; n=0; while :; do n=$((n+1)); echo $n; sleep 0.05; done"


def wait_more(gateway, container, what):
    before = len(gateway.log_records(container))
    worlds.wait_for(lambda: len(gateway.log_records(container)) > before + 5, 20, what)


def assert_counted(gateway, container):
    lines = gateway.output(container).split()
    assert lines == [str(n) for n in range(1, len(lines) + 1)]


def test_a_terminal_survives_the_death_of_either_and_loses_nothing(gateway, broker, peer, registry):
    container = shell(peer, registry, COUNTING)
    wait_more(gateway, container, "output at the beginning")
    for round_number in (2, 3):
        gateway.daemon.kill()
        gateway.start_daemon()
        gateway.wait_ready(broker, subscriptions=round_number)
        gateway.monitor.kill()
        gateway.start_monitor()
        wait_more(gateway, container, "output after both were killed, one after the other")
    assert_counted(gateway, container)
    assert peer.status(container)["state"]["status"] == "RUNNING"
    end(peer, container)
    gateway.wait_output(container, "\n")
