# SPDX-License-Identifier: Apache-2.0
"""Standard input, terminals, and who is connected to them."""
import os
import signal
import subprocess

import pytest

from harness import images
from harness import world as worlds
from harness.terminal import Terminal

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


@pytest.mark.runtime
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


# -- the command ------------------------------------------------------------------------------

@pytest.fixture
def terminal(gateway, world):
    """Starts davit with a terminal of its own."""
    def start(*arguments, **size):
        opened = Terminal([*gateway.command_line().split(), *arguments], **size)
        world.defer(opened.close)
        return opened
    return start


@pytest.fixture
def shells(registry):
    return registry.push(images.busybox(["sh"]), "test/sh")


@pytest.mark.runtime
def test_run_it_is_a_shell_with_the_size_of_the_window_and_its_exit_code(terminal, shells):
    session = terminal("run", "-it", "--restart", "no", shells, "sh", "-c", "stty size; exec sh",
                       rows=33, columns=111)
    session.wait("33 111\r\n")
    session.wait("# ")
    session.resize(44, 55)
    session.type("sleep 0.2; stty size\n")
    session.wait("44 55")
    session.type("tty; echo $((6*7)) >&2\n")
    session.wait("/dev/pts/0")
    session.wait("42\r\n")
    session.type("exit 37\n")
    assert session.wait_end() == 37


def test_detach_keys_leave_the_container_alone_and_attach_comes_back(terminal, gateway, shells):
    session = terminal("run", "-it", "--restart", "no", "--name", "box", shells)
    session.wait("# ")
    session.type("x=kept\n")
    session.wait("# ")
    session.type("\x10\x11")  # ctrl-p ctrl-q
    session.wait("detached")
    assert session.wait_end() == 0
    assert "RUNNING" in gateway.command("ps")[1]
    again = terminal("attach", "box")
    again.wait_raw()
    again.type("echo $x\n")
    again.wait("kept\r\n")
    again.type("\x10x\x10\x10\x11")  # ctrl-p alone is a key like any other
    again.wait("detached")
    assert again.wait_end() == 0
    other = terminal("attach", "--detach-keys", "ctrl-],q", "box")
    other.wait_raw()
    other.type("\x03\n\x1dq")
    other.wait("detached")
    assert other.wait_end() == 0
    last = terminal("attach", "box")
    last.wait_raw()
    last.type("\nexit 5\n")
    assert last.wait_end() == 5


def test_start_with_a_terminal_runs_it_again(terminal, gateway, shells):
    code, text = gateway.command("create", "-it", "--restart", "no", "--name", "box", shells, "sh",
                                 "-c", "echo first; read x; exit $x")
    assert code == 0, text
    for exit_code in (4, 5):
        session = terminal("start", "-ai", "box")
        session.wait("first")
        session.wait_raw()
        session.type(f"{exit_code}\n")
        assert session.wait_end() == exit_code
        worlds.wait_for(lambda: "EXITED" in gateway.command("ps")[1], 10, "the end is seen")


def test_ctrl_c_is_for_the_program_in_the_container(terminal, shells):
    session = terminal("run", "-it", "--restart", "no", shells, "sh", "-c",
                       "trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 1; done")
    session.wait("ready")
    session.wait_raw()
    session.type("\x03")
    session.wait("interrupted")
    assert session.wait_end() == 9


def test_a_signal_gives_the_terminal_back(terminal, shells, gateway):
    session = terminal("run", "-it", "--restart", "no", "--name", "box", shells)
    session.wait("# ")
    session.signal(signal.SIGTERM)
    assert session.wait_end() == 128 + signal.SIGTERM
    assert "RUNNING" in gateway.command("ps")[1]
    assert gateway.command("stop", "-s", "KILL", "box")[0] == 0


def test_without_a_terminal_streams_are_told_apart_and_complete(gateway, registry, peer):
    image = registry.push(images.busybox(["sh", "-c", "read n; seq 1 $n; echo bad >&2; exit 6"]),
                          "test/count")
    result = subprocess.run([*gateway.command_line().split(), "run", "-i", "--restart", "no", image],
                            input=b"50000\n", capture_output=True, timeout=50)
    assert result.returncode == 6
    assert result.stdout == "".join(f"{n}\n" for n in range(1, 50001)).encode()
    assert result.stderr == b"bad\n"


def test_attach_without_stdin_only_looks(gateway, registry, peer, terminal):
    container = shell(peer, registry, "read x; echo got $x; exit 4", openStdin=True)
    looks = terminal("attach", "--no-stdin", container)
    types = terminal("attach", container)
    types.wait_raw()
    looks.type("no\n")
    types.type("yes\n")
    types.wait("got yes")
    looks.wait("got yes")
    assert (looks.wait_end(), types.wait_end()) == (4, 4)


def test_typing_goes_on_when_davitd_or_davit_monitor_was_killed(gateway, broker, peer, terminal,
                                                                shells):
    session = terminal("run", "-it", "--restart", "no", "--name", "box", shells)
    session.wait("# ")
    gateway.daemon.kill()
    session.type("echo without $((1+1)) davitd\n")
    session.wait("without 2 davitd\r\n")
    gateway.start_daemon()
    gateway.wait_ready(broker, subscriptions=2)
    for round_number in range(2):
        gateway.monitor.kill()
        gateway.start_monitor()
        session.wait("attached again")
        session.type(f"echo round $((10+{round_number}))\n")
        session.wait(f"round {10 + round_number}\r\n")
    session.type("exit 3\n")
    assert session.wait_end() == 3


def test_an_end_while_davit_monitor_is_away_has_its_code(gateway, peer, terminal, shells):
    session = terminal("run", "-it", "--restart", "no", shells, "sh", "-c",
                       "trap 'exit 11' USR1; echo ready; while :; do sleep 0.05; done")
    session.wait("ready")
    container = next(f for f in peer.twin if f.startswith("Container:"))
    pid = peer.status(container.removeprefix("Container:"))["state"]["pid"]
    gateway.monitor.kill()
    os.kill(pid, signal.SIGUSR1)
    gateway.start_monitor()
    assert session.wait_end(40) in (11, 255)


def test_attach_to_what_does_not_run_is_refused(gateway, peer, sleeper):
    container = peer.create(sleeper, start=False)
    code, text = gateway.command("attach", container)
    assert code == 1 and "not running" in text
    code, text = gateway.command("exec", container, "true")
    assert code == 1 and "not running" in text


# -- exec -------------------------------------------------------------------------------------

@pytest.mark.runtime
def test_exec_has_streams_environment_and_exit_code(gateway, peer, sleeper):
    container = peer.create(sleeper, config={**POLICY_NO, "env": ["COLOR=green"]})
    peer.wait_state(container, "RUNNING")
    command = [*gateway.command_line().split(), "exec"]
    result = subprocess.run([*command, "-e", "SIZE=big", container, "sh", "-c",
                             "echo $COLOR $SIZE; echo bad >&2; exit 21"],
                            capture_output=True, timeout=30)
    assert (result.returncode, result.stdout, result.stderr) == (21, b"green big\n", b"bad\n")
    data = os.urandom(1 << 20)
    result = subprocess.run([*command, "-i", container, "cat"], input=data,
                            capture_output=True, timeout=50)
    assert (result.returncode, result.stdout) == (0, data)
    result = subprocess.run([*command, container, "/no/such/program"], capture_output=True,
                            timeout=30)
    assert result.returncode == 126 and b"/no/such/program" in result.stderr
    assert not list((gateway.run / "containers" / container).glob("exec.*"))


@pytest.mark.runtime
def test_exec_with_a_terminal_is_a_shell(peer, sleeper, terminal):
    container = peer.create(sleeper, config=POLICY_NO)
    peer.wait_state(container, "RUNNING")
    session = terminal("exec", "-it", container, "sh", "-c", "stty size; exec sh", rows=30,
                       columns=90)
    session.wait("30 90\r\n")
    session.wait("# ")
    session.resize(31, 91)
    session.type("sleep 0.2; stty size\n")
    session.wait("31 91")
    session.type("exit 8\n")
    assert session.wait_end() == 8


def test_a_slow_reader_loses_nothing_of_an_exec(gateway, peer, sleeper):
    container = peer.create(sleeper, config=POLICY_NO)
    peer.wait_state(container, "RUNNING")
    process = subprocess.Popen([*gateway.command_line().split(), "exec", container, "seq", "1",
                                "400000"], stdout=subprocess.PIPE)
    assert process.stdout.read(1) == b"1"
    assert gateway.command("exec", container, "echo", "others are served") == \
        (0, "others are served\n")
    rest = process.stdout.read()
    assert process.wait(30) == 0
    assert b"1" + rest == "".join(f"{n}\n" for n in range(1, 400001)).encode()


def test_a_client_that_does_not_read_holds_up_its_container_for_seconds_and_nobody_else(
        gateway, registry, peer, terminal, shells):
    session = terminal("run", "-it", "--restart", "no", "--name", "floods", shells)
    session.wait("# ")
    session.type("n=0; while :; do n=$((n+1)); echo $n number; done\n")
    session.wait("100 number")
    session.signal(signal.SIGSTOP)
    floods = next(f for f in peer.twin if f.startswith("Container:")).removeprefix("Container:")
    other = shell(peer, registry, COUNTING)
    wait_more(gateway, other, "output of another container meanwhile")
    assert gateway.command("exec", other, "echo", "served") == (0, "served\n")
    path = gateway.home / "containers" / floods / "json.log"
    worlds.wait_for(lambda: "does not read and is let go" in gateway.monitor.text(), 30,
                    "the client is let go")
    size = path.stat().st_size
    worlds.wait_for(lambda: path.stat().st_size != size, 10, "the container goes on")
    session.signal(signal.SIGCONT)
    session.wait("attached again", 30)
    session.type("\x03exit 6\n")
    assert session.wait_end() == 6
    end(peer, other)
