# SPDX-License-Identifier: Apache-2.0
"""Brokers that go away, daemons that die: containers run on, nothing is lost, the truth is shown."""
import itertools
import os
import pathlib
import signal

import pytest

from harness import images, world as worlds
from harness.broker import Broker
from harness.gateway import Gateway
from harness.peer import Peer

POLICY_NO = {"restartPolicy": {"type": "NO"}}


@pytest.fixture
def ticker(registry):
    """An image that counts aloud ten times a second; SIGTERM: exit code 7."""
    return registry.push(images.busybox(
        ["sh", "-c", "trap 'exit 7' TERM; n=0; while :; do echo $n; n=$((n+1)); sleep 0.1; done"]),
        "test/ticker")


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


def last_tick(gateway, container):
    ticks = gateway.output(container).split()
    assert ticks == [str(n) for n in range(len(ticks))], "output is complete and in order"
    return len(ticks)


def wait_ticks(gateway, container, count):
    return worlds.wait_for(lambda: last_tick(gateway, container) >= count, 20,
                           f"{count} lines in the log")


@pytest.mark.parametrize("ending", ["stop", "kill"])
@pytest.mark.shows("K4", "reconnect")
def test_broker_restarted_in_the_middle(gateway, broker, peer, sleeper, ending):
    stays = peer.create(sleeper, name="stays", config=POLICY_NO)
    ends = peer.create(sleeper, name="ends", config=POLICY_NO)
    pid = peer.wait_state(stays, "RUNNING")["pid"]
    dying = peer.wait_state(ends, "RUNNING")["pid"]
    getattr(broker, ending)()
    os.kill(dying, signal.SIGKILL)
    mark = peer.mark()
    broker.start()
    gateway.wait_ready(broker, subscriptions=2, timeout_s=40)
    peer.wait(lambda: peer.find("edge/thing/request", mark), 20, "a handshake")
    shown = peer.wait_shown(ends, "EXITED")
    assert shown["exitCode"] == 137
    published = {feature for index, feature, path, _ in peer.history if index >= mark and not path}
    assert {f"Container:{stays}", f"Container:{ends}", "ContainerFactory"} <= published
    assert is_alive(pid) and peer.status(stays)["state"]["pid"] == pid
    assert peer.ask(f"Container:{stays}", "stop").status == 204


@pytest.mark.shows("K1", "first-connect")
def test_broker_that_is_down_at_first_is_tried_again(world):
    broker = Broker(world, 1883)
    peer = Peer(world, broker)
    broker.stop()
    gateway = Gateway(world, broker, peer)
    worlds.wait_for(lambda: "next try" in gateway.command("status")[1], 20, "a first try has failed")
    broker.start()
    gateway.wait_ready(broker, timeout_s=40)
    assert not peer.faults


def test_gateway_is_operable_without_the_cloud(gateway, broker, hello):
    broker.stop()
    code, text = gateway.command("run", "--name", "local", hello)
    assert code == 0, text
    worlds.wait_for(lambda: "hello" in gateway.command("logs", "local")[1], 20, "its output")
    broker.start()
    gateway.wait_ready(broker, subscriptions=2, timeout_s=40)


WHO = [("daemon",), ("monitor",), ("daemon", "monitor")]
HOW = ["stop", "kill"]


@pytest.mark.deadline(120)
@pytest.mark.parametrize("who, how", itertools.product(WHO, HOW),
                         ids=[f"{'+'.join(w)}-{h}" for w, h in itertools.product(WHO, HOW)])
@pytest.mark.shows("daemon-stop", "ended-meanwhile", "lost-exit-code")
def test_containers_outlive(world, broker, gateway, peer, ticker, who, how):
    runs = peer.create(ticker, name="runs", config=POLICY_NO)
    ends = peer.create(ticker, name="ends", config=POLICY_NO)
    pid = peer.wait_state(runs, "RUNNING")["pid"]
    ending = peer.wait_state(ends, "RUNNING")["pid"]
    wait_ticks(gateway, runs, 3)
    for name in who:
        getattr(getattr(gateway, name), how)()
    assert is_alive(pid) and is_alive(ending)
    os.kill(ending, signal.SIGTERM)

    def is_ended():
        # This process is the init of what has lost its parent.
        worlds.reap_zombies({process.pid for process in world.processes})
        return not is_alive(ending)
    worlds.wait_for(is_ended, 10, "the container ends")
    if "monitor" in who:
        gateway.start_monitor()
    if "daemon" in who:
        gateway.start_daemon()
        gateway.wait_ready(broker, subscriptions=2, timeout_s=40)
    shown = peer.wait_shown(ends, "EXITED", 30)
    if "monitor" in who and shown["exitCode"] != 7:
        assert shown["exitCode"] == 255 and "exit code unknown" in shown["error"]
    else:
        assert shown["exitCode"] == 7
    assert is_alive(pid)
    assert peer.wait_shown(runs, "RUNNING")["pid"] == pid
    wait_ticks(gateway, runs, last_tick(gateway, runs) + 5)
    assert peer.ask(f"Container:{runs}", "stop", {}, timeout_s=40).status == 204
    assert peer.wait_shown(runs, "STOPPED")["exitCode"] == 7
    again = peer.create(ticker, name="again", config=POLICY_NO)
    peer.wait_state(again, "RUNNING")


@pytest.mark.deadline(120)
def test_corrupt_record_is_set_aside_and_the_rest_loads(world, broker, gateway, peer, sleeper):
    good = peer.create(sleeper, start=False, name="good")
    bad = peer.create(sleeper, start=False, name="bad")
    assert gateway.daemon.stop() == 0
    record = gateway.home / "containers" / bad / "config.json"
    worlds.wait_for(record.exists, 5, "the record is written")
    record.write_text('{"broken":')
    journal = gateway.home / "journal"
    assert journal.exists()
    gateway.start_daemon()
    gateway.wait_ready(broker, subscriptions=2, timeout_s=40)
    assert peer.ask(f"Container:{good}", "start").status == 204
    assert bad in gateway.daemon.text() or bad in peer.twin


@pytest.mark.shows("K29")
def test_feature_of_a_lost_record_leaves_the_twin(world, broker, gateway, peer, sleeper):
    good = peer.create(sleeper, start=False, name="good")
    bad = peer.create(sleeper, start=False, name="bad")
    record = gateway.home / "containers" / bad / "config.json"
    worlds.wait_for(record.exists, 5, "the record is written")
    assert gateway.daemon.stop() == 0
    record.write_text('{"broken":')
    (gateway.home / "journal").unlink()
    gateway.start_daemon()
    gateway.wait_ready(broker, subscriptions=2, timeout_s=40)
    peer.wait_gone(bad)
    assert f"Container:{good}" in peer.twin
    assert record.with_name("config.json.bad").exists()


def test_folders_without_a_record_go_and_data_stays(broker, gateway, peer, sleeper):
    container = peer.create(sleeper, name="stays")
    peer.wait_state(container, "RUNNING")
    gateway.daemon.kill()
    for folder in (gateway.home / "containers/crashed/upper", gateway.home / "containers/crashed/work",
                   gateway.run / "containers/crashed/bundle", gateway.run / "containers/tmpfs-only",
                   gateway.home / "containers/precious/upper/etc"):
        folder.mkdir(parents=True)
    (gateway.home / "containers/crashed/json.log").write_text("{}\n")
    (gateway.home / "containers/precious/upper/etc/passwd").write_text("root\n")
    gateway.start_daemon()
    gateway.wait_ready(broker, subscriptions=2, timeout_s=40)
    worlds.wait_for(lambda: not (gateway.home / "containers/crashed").exists() and
                    not (gateway.run / "containers/crashed").exists() and
                    not (gateway.run / "containers/tmpfs-only").exists(), 10, "leftovers go")
    assert (gateway.home / "containers/precious/upper/etc/passwd").exists()
    assert "containers/precious" in gateway.daemon.text(), "it is reported"
    assert peer.wait_shown(container, "RUNNING")


def test_second_daemon_in_the_same_home_is_refused(world, broker, gateway):
    first = gateway.daemon
    second = gateway.start_daemon()
    assert second.wait(20) != 0
    assert first.is_running
    gateway.daemon = first
