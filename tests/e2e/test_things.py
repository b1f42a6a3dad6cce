# SPDX-License-Identifier: Apache-2.0
"""Containers spread over several things of the cloud, since each may have so many bytes only."""
import re

import pytest

from harness.gateway import Gateway
from harness.world import wait_for

POLICY_NO = {"restartPolicy": {"type": "NO"}}
MANY = 12
BITS = (1 << 64) - 1


def place(container, things):
    """Jump consistent hashing over FNV-1a, as docs/twin.md has it; from 1."""
    key = 14695981039346656037
    for byte in container.encode():
        key = (key ^ byte) * 1099511628211 & BITS
    at, following = 0, 0
    while following < things:
        at = following
        key = (key * 2862933555777941757 + 1) & BITS
        following = int((at + 1) * (float(1 << 31) / float((key >> 33) + 1)))
    return at + 1


@pytest.fixture
def start(world, broker, peer, registry):
    def make(things, deadline="60s", **bridge):
        gateway = Gateway(world, broker, peer, [registry.host], start=False)
        gateway.config["davit"]["bridge"].update({"things": things, "twin_check": 0, **bridge})
        gateway.config["davit"]["deadlines"] = {"command": deadline}
        gateway.start_monitor()
        gateway.start_daemon()
        wait_subscribed(gateway, broker, peer, things, 1)
        return gateway
    return make


def wait_subscribed(gateway, broker, peer, things, times):
    for number in range(1, things + 1):
        pattern = re.escape(f"command//{peer.thing_name(number)}/req/#")
        wait_for(lambda: broker.subscriptions(pattern) >= times or not gateway.daemon.is_running,
                 20, f"davitd takes the commands of thing {number}, {times} times")
    assert gateway.daemon.is_running, gateway.daemon.text()


def make_many(peer, image):
    """Containers, until there is one on each of three things."""
    made = []
    while len(made) < MANY or {place(c, 3) for c in made} != {1, 2, 3}:
        made.append(peer.create(image, start=False, name=f"c{len(made)}", config=POLICY_NO))
    return made


def wait_spread(peer, containers, things):
    """Each container is shown by its thing and by no other."""
    wanted = {container: [place(container, things)] for container in containers}
    peer.wait(lambda: {c: peer.things_of(c) for c in containers} == wanted, 30,
              f"the containers are spread over {things} things: {wanted}")


def restart_with(gateway, broker, peer, things, times):
    gateway.daemon.stop()
    gateway.config["davit"]["bridge"]["things"] = things
    mark = peer.mark()
    gateway.start_daemon()
    wait_subscribed(gateway, broker, peer, 1, times)
    return mark


def test_each_container_is_on_one_thing_and_takes_commands_there(start, broker, peer, sleeper):
    gateway = start(3)
    made = make_many(peer, sleeper)
    wait_spread(peer, made, 3)
    for number in (1, 2, 3):
        thing = peer.thing_name(number)
        container = next(c for c in made if place(c, 3) == number)
        mark = peer.mark()
        answer = peer.ask(f"Container:{container}", "start", thing=thing)
        assert answer.status == 204
        assert answer.message.topic.startswith(f"command//{thing}/res/")
        assert answer.message.body["topic"].startswith(thing.replace(":", "/", 1) + "/things/")
        peer.wait_state(container, "RUNNING", after=mark)
        changes = [m for m in peer.since(mark) if container in m.body.get("path", "")
                   and m.topic.startswith("e/")]
        assert {m.topic for m in changes} == {f"e/{peer.tenant}/{thing}"}
        assert peer.ask(f"Container:{container}", "remove", True, thing=thing).status == 204
        peer.wait_gone(container)
        made.remove(container)
    wait_spread(peer, made, 3)
    code, text = gateway.command("status")
    assert code == 0 and all(f"twin of thing {n} about " in text for n in (1, 2, 3)), text


def test_all_else_is_on_the_first_and_any_thing_can_be_asked(start, peer, sleeper):
    start(2)
    others = {f: [t for t, twin in peer.twins.items() if f in twin]
              for f in ("ContainerFactory", "Metrics", "SoftwareUpdatable")}
    assert others == {feature: [peer.thing] for feature in others}
    second = peer.thing_name(2)
    answer = peer.ask("ContainerFactory", "create", {"imageRef": sleeper, "start": False}, 60,
                      thing=second)
    assert answer.status == 200
    assert answer.message.topic.startswith(f"command//{second}/res/")
    wait_spread(peer, [answer.value], 2)
    peer.wait(lambda: f":{answer.value}" in str(peer.twins[peer.thing]["SoftwareUpdatable"]) or
              f".{answer.value}:" in str(peer.twins[peer.thing]["SoftwareUpdatable"]), 20,
              "it is a dependency of the gateway, wherever it is shown")
    for number in (1, 2):
        asked = peer.ask(f"Container:{answer.value}", "rename", f"by-{number}",
                         thing=peer.thing_name(number))
        assert asked.status == 204
    missing = peer.ask("Container:nobody", "start", thing=second)
    assert missing.status == 400 and missing.message.topic.startswith(f"command//{second}/res/")


def test_everything_comes_again_to_its_thing_after_an_outage(start, broker, peer, sleeper):
    gateway = start(3)
    made = make_many(peer, sleeper)
    wait_spread(peer, made, 3)
    broker.stop()
    peer.twins.clear()
    gone = next(c for c in made if place(c, 3) == 3)
    code, text = gateway.command("remove", gone)
    assert code == 0, text
    made.remove(gone)
    broker.start()
    wait_subscribed(gateway, broker, peer, 3, 2)
    wait_spread(peer, made, 3)
    peer.wait(lambda: [m for m in peer.find(rf"e/.*-3") if m.body["topic"].endswith("/delete")
                       and m.body["path"] == f"/features/Container:{gone}"], 20,
              "what went during the outage is deleted from its thing")


@pytest.mark.deadline(120)
def test_another_number_of_things_moves_containers_and_leaves_nothing(start, broker, peer,
                                                                       sleeper):
    gateway = start(1)
    made = make_many(peer, sleeper)
    wait_spread(peer, made, 1)
    times = 1
    for things in (3, 3, 2, 1):
        times += 1
        mark = restart_with(gateway, broker, peer, things, times)
        wait_spread(peer, made, things)
        deletes = [m for m in peer.since(mark) if m.topic.startswith("e/")
                   and m.body["topic"].endswith("/delete")]
        if (times, things) == (3, 3):
            assert not deletes, "nothing moves without a change"
    assert set(peer.twins[peer.thing]) >= {f"Container:{c}" for c in made}


@pytest.mark.deadline(120)
def test_a_move_that_was_broken_off_is_finished(start, broker, peer, sleeper):
    """3 -> 2 without a broker, then 1: what 3 left is still known."""
    gateway = start(3)
    made = make_many(peer, sleeper)
    wait_spread(peer, made, 3)
    gateway.daemon.stop()
    broker.stop()
    gateway.config["davit"]["bridge"]["things"] = 2
    gateway.start_daemon()
    gone = next(c for c in made if place(c, 3) == 3)
    wait_for(lambda: gateway.command("remove", gone)[0] == 0, 20, "it is removed meanwhile")
    made.remove(gone)
    gateway.daemon.stop()
    broker.start()
    gateway.config["davit"]["bridge"]["things"] = 1
    times = broker.subscriptions(re.escape(f"command//{peer.thing}/req/#"))
    gateway.start_daemon()
    wait_subscribed(gateway, broker, peer, 1, times + 1)
    wait_spread(peer, made, 1)
    peer.wait(lambda: peer.things_of(gone) == [], 20, "the removed one is gone from everywhere")


def test_each_thing_is_compared_with_what_there_is(start, broker, peer, sleeper):
    gateway = start(2)
    made = []
    while {place(c, 2) for c in made} != {1, 2}:
        made.append(peer.create(sleeper, start=False, name=f"c{len(made)}", config=POLICY_NO))
    gateway.daemon.stop()
    gateway.config["davit"]["bridge"]["twin_check"] = "1s"
    gateway.start_daemon()
    on = {n: [f"Container:{c}" for c in made if place(c, 2) == n] for n in (1, 2)}
    first = peer.wait_question(topic=re.escape(f"e/{peer.tenant}/{peer.thing}"))
    mark = peer.mark()
    peer.answer_question(first, ["ContainerFactory", "Metrics", "SoftwareUpdatable", *on[1],
                                 on[2][0]])
    second = peer.wait_question(topic=re.escape(f"e/{peer.tenant}/{peer.thing_name(2)}"))
    peer.answer_question(second, [*on[2], "Container:ghost"])

    def deleted():
        return {(m.topic, m.body["path"]) for m in peer.find(r"e/.*", mark)
                if m.body["topic"].endswith("/delete")}
    wanted = {(f"e/{peer.tenant}/{peer.thing}", f"/features/{on[2][0]}"),
              (f"e/{peer.tenant}/{peer.thing_name(2)}", "/features/Container:ghost")}
    peer.wait(lambda: deleted() == wanted, 20, f"deleted are {wanted}")
    assert peer.ask(on[2][0], "rename", "stays", thing=peer.thing_name(2)).status == 204
    assert deleted() == wanted


def test_a_thing_that_the_cloud_does_not_have_is_suspected(start, peer):
    gateway = start(3, deadline="3s", twin_check="1s")
    first = peer.wait_question(topic=re.escape(f"e/{peer.tenant}/{peer.thing}"))
    peer.answer_question(first, ["ContainerFactory", "Metrics", "SoftwareUpdatable"])
    peer.wait_question(topic=re.escape(f"e/{peer.tenant}/{peer.thing_name(2)}"))
    third = peer.wait_question(topic=re.escape(f"e/{peer.tenant}/{peer.thing_name(3)}"))
    peer.answer_question(third, [])
    wait_for(lambda: "not for thing 2 of 3: does it exist" in gateway.daemon.text(), 20,
             "davit warns of the second thing")
    assert "not for thing 1" not in gateway.daemon.text()
    assert "not for thing 3" not in gateway.daemon.text()
