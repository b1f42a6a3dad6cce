# SPDX-License-Identifier: Apache-2.0
"""Software updates as a hawkBit connector drives them: SoftwareUpdatable over the broker, artifacts
from a real HTTPS server."""
import json
import threading
import time
import urllib.request

import pytest

from harness import images
from harness.artifacts import Artifacts, checksums
from harness.certificates import Authority
from harness.gateway import Gateway
from harness.software import (FEATURE, REPLACE_WAIT_S, STEPS, artifact, containers, dependencies,
                              description, install, make_gateway, module, rejected, reports,
                              send, statuses, wait_finished)


@pytest.fixture
def authority(world):
    return Authority(world.directory)


@pytest.fixture
def server(world, authority):
    return Artifacts(world, authority.sign("server"))


@pytest.fixture
def gateway(world, broker, peer, registry, authority):
    return make_gateway(world, broker, peer, [registry.host], authority)


@pytest.mark.shows("K14", "K24")
def test_feature_is_there_and_empty(gateway, peer):
    assert peer.twin[FEATURE] == {
        "definition": ["org.eclipse.hawkbit.swupdatable:SoftwareUpdatable:2.0.0"],
        "properties": {"status": {"softwareModuleType": "oci:container"}}}


def test_what_the_configuration_does_not_name_is_not_offered(world, broker, peer):
    gateway = Gateway(world, broker, peer, settings={
        "things": {"features": ["ContainerFactory", "Metrics"]}})
    gateway.wait_ready(broker)
    assert FEATURE not in peer.twin and "ContainerFactory" in peer.twin
    answer = peer.ask(FEATURE, "remove", {"software": [{"name": "x"}]})
    assert (answer.status, answer.error) == (400, "messages:parameter.invalid")


@pytest.mark.shows("K24", "K25", "K26")
def test_story_of_an_update(gateway, peer, server, sleeper):
    """Install, see it run and be a dependency, remove it by what the twin says."""
    found = install(peer, module("web", artifact(server, "/web.json", description(sleeper, "web"))))
    assert statuses(found) == STEPS
    assert all(value["correlationId"] == "op" and
               value["softwareModule"] == {"name": "web", "version": "1"} for value in found)
    [container] = containers(peer)
    peer.wait_shown(container, "RUNNING")
    assert peer.status(container)["name"] == "web"
    group, version = sleeper.split(":", 1)
    key = f"{group}.{container}:{version}".replace("/", "%2F")
    wanted = {"group": group, "name": container, "version": version}
    peer.wait(lambda: dependencies(peer) == {key: wanted}, 10, "it is a dependency")

    after = peer.mark()
    answer = peer.ask(FEATURE, "remove", {"correlationId": "bye", "software": [wanted]})
    assert answer.status == 204
    gone = wait_finished(peer, after)
    assert [(value["status"], value["software"]) for value in gone] == \
        [("REMOVING", [wanted]), ("REMOVED", [wanted]), ("FINISHED_SUCCESS", [wanted])]
    peer.wait_gone(container)
    peer.wait(lambda: not dependencies(peer), 10, "it is no dependency any more")
    assert peer.history[-1][1:] == (
        FEATURE, "properties/status/installedDependencies", None), "explicitly null"
    assert not reports(peer, path="lastFailedOperation")


@pytest.mark.shows("K26")
def test_modules_are_independent_of_each_other(gateway, peer, server, sleeper):
    found = install(
        peer, module("one", artifact(server, "/1", description(sleeper, "one"))),
        module("bad", artifact(server, "/2", description(sleeper, "bad"), {"MD5": "0" * 32})),
        module("three", artifact(server, "/3", description(sleeper, "three")),
               artifact(server, "/4", description(sleeper, "four"))))
    by_module = {name: statuses([v for v in found if v["softwareModule"]["name"] == name])
                 for name in ("one", "bad", "three")}
    assert by_module["one"] == by_module["three"] == STEPS
    assert by_module["bad"] == ["STARTED", "DOWNLOADING", "FINISHED_REJECTED"]
    [failed] = reports(peer, path="lastFailedOperation")
    assert failed["softwareModule"]["name"] == "bad"
    assert "md5 checksum does not match" in failed["message"]
    assert sorted(peer.status(c)["name"] for c in containers(peer)) == ["four", "one", "three"]


@pytest.mark.shows("K27", "D20", "D21")
def test_what_is_not_as_promised_is_rejected(gateway, peer, server, sleeper):
    good = description(sleeper, "x")
    for kind, wrong in (("MD5", "0" * 32), ("SHA1", "0" * 40), ("SHA256", "f" * 64)):
        sums = {**checksums(json.dumps(good).encode(), "MD5", "SHA1", "SHA256"), kind: wrong}
        assert f"{kind.lower()} checksum does not match" in \
            rejected(peer, artifact(server, "/x", good, sums)), "each one is verified"
    assert "its size says 9999" in rejected(peer, artifact(server, "/x", good, size=9999))
    assert "more bytes come than its size says" in rejected(peer, artifact(server, "/x", good,
                                                                           size=10))
    assert "32 hexadecimal digits" in rejected(peer, artifact(server, "/x", good, {"MD5": "zz"}))
    assert "CRC32 is not one of MD5, SHA1, SHA256" in \
        rejected(peer, artifact(server, "/x", good, {"CRC32": "00000000"}))
    assert "without folders" in rejected(peer, artifact(server, "/x", good, filename="../x"))
    assert "at most 1048576" in rejected(peer, artifact(server, "/x", good, size=100 << 20))
    server.put("/large", b" " * (3 << 20))
    assert "larger than a container description" in rejected(
        peer, {"download": {"HTTPS": {"url": server.url + "/large"}}})


@pytest.mark.shows("K26", "K27")
def test_what_kanto_calls_an_internal_error_is_one_with_its_reason(gateway, peer, server, sleeper):
    good = description(sleeper, "x")
    for wrong, reason in (({"download": {"GOPHER": {"url": "gopher://h/"}}}, "GOPHER is not one of"),
                          ({"download": {}}, "at least one link"),
                          ({"checksums": {"MD5": "0" * 40}}, "32 hexadecimal digits")):
        after = peer.mark()
        message = rejected(peer, {**artifact(server, "/x", good), **wrong}, status="FINISHED_ERROR")
        assert message.startswith("internal runtime error: ") and reason in message, message
        assert statuses(reports(peer, after)) == ["STARTED", "DOWNLOADING", "FINISHED_ERROR"]
    assert "a link begins with" in rejected(
        peer, artifact(server, "/x", good, download={"HTTP": {"url": "file:///etc/passwd"}}),
        status="FINISHED_ERROR")


@pytest.mark.shows("K27")
def test_what_a_create_refuses_is_rejected_before_anything_changes(gateway, peer, server, sleeper):
    assert "hooks" in rejected(
        peer, artifact(server, "/1", description(sleeper, "a")),
        artifact(server, "/2", description(sleeper, "b", hooks=[
            {"path": "/x", "args": [], "env": [], "timeout": 1, "type": 0}])))
    assert "image" in rejected(peer, artifact(server, "/3", {"container_name": "x"}))
    assert "two artifacts" in rejected(peer, artifact(server, "/1", description(sleeper, "a")),
                                       artifact(server, "/2", description(sleeper, "a")))
    rejected(peer, artifact(server, "/4", b"not json"), status="FINISHED_ERROR")
    rejected(peer, artifact(server, "/5", description("127.0.0.1:1/none:1", "x")),
             status="FINISHED_ERROR")
    install(peer, module("m", artifact(server, "/6", description(sleeper, "a", container_id="one"))))
    assert "'one' is that of a container that exists" in rejected(
        peer, artifact(server, "/7", description(sleeper, "b", container_id="one")),
        status="FINISHED_ERROR")


@pytest.mark.shows("E13", "E15")
def test_operations_that_are_none_are_refused(gateway, peer):
    def refused(operation, value, status=400):
        answer = peer.ask(FEATURE, operation, value)
        assert answer.status == status, answer.value
        assert answer.error == ("messages:parameter.invalid" if status == 400
                                else "messages:subject.notfound")
        return answer.text
    refused("install", None)
    refused("install", {"softwareModules": []})
    refused("install", {"softwareModules": [{"softwareModule": {"name": "m", "version": "1"}}]})
    refused("install", {"softwareModules": [{"artifacts": [{}]}]})
    refused("remove", {"software": []})
    twice = dict.fromkeys(("MD5", "md5"), "0" * 32)
    refused("install", {"softwareModules": [module("m", {
        "download": {"HTTP": {"url": "http://h/x"}}, "checksums": twice})]})
    after = peer.mark()
    assert "10000 are given, at most 256" in refused(
        "install", {"correlationId": "many", "softwareModules": [{}] * 10000})
    [last] = wait_finished(peer, after)
    assert (last["correlationId"], last["status"]) == ("many", "FINISHED_REJECTED")
    for operation in ("download", "cancel", "cancelRemove"):
        refused(operation, {}, 404)


@pytest.mark.shows("K28", "D19", "remove-matches")
def test_remove_knows_ids_modules_and_names(gateway, peer, server, sleeper):
    install(peer, module("shop", artifact(server, "/1", description(sleeper, "a")),
                         artifact(server, "/2", description(sleeper, "b")), version="7"))
    other = peer.create(sleeper, name="other", start=False)

    def remove(*software, **more):
        after = peer.mark()
        assert peer.ask(FEATURE, "remove", {"correlationId": "r", "software": list(software),
                                            **more}).status == 204
        peer.wait(lambda: [v for v in reports(peer, after)
                           if v["status"].startswith("FINISHED")], 30, "the remove is over")
        peer.wait(lambda: sum(len(v["software"]) for v in reports(peer, after)
                              if v["status"].startswith("FINISHED")) == len(software), 10,
                  "all are told of")
        return [(v["status"], [s["name"] for s in v["software"]], v.get("message"))
                for v in reports(peer, after) if v["status"].startswith("FINISHED")]
    assert remove({"name": "nosuch", "version": ""}) == [
        ("FINISHED_ERROR", ["nosuch"], "container with ID = nosuch does not exist")]
    assert remove({"name": "nosuch"}, {"name": "other"}) == [
        ("FINISHED_REJECTED", ["other"], None),
        ("FINISHED_ERROR", ["nosuch"], "container with ID = nosuch does not exist")]
    assert remove({"name": other, "group": "wrong"})[0][0] == "FINISHED_ERROR"
    assert remove({"name": "nosuch"}, {"name": "other"}, forced=True)[-1] == \
        ("FINISHED_SUCCESS", ["other"], None)
    assert remove({"name": "shop", "version": "8"})[0][0] == "FINISHED_ERROR"
    assert remove({"name": "shop", "version": "7"}) == [("FINISHED_SUCCESS", ["shop"], None)]
    peer.wait(lambda: not containers(peer), 10, "both containers of the module are gone")


# --- replacing


def steady(registry, version):
    return registry.push(
        images.busybox(["sh", "-c", f"echo v{version}; trap 'exit 0' TERM; "
                        "while :; do sleep 0.1; done"]), f"test/v{version}")


def by_name(peer):
    return {peer.status(c)["name"]: (c, peer.status(c)["state"]["status"])
            for c in containers(peer)}


@pytest.mark.deadline(90)
@pytest.mark.shows("install-replaces")
def test_a_container_is_replaced_by_one_that_stays_up(gateway, peer, registry, server):
    first = install(peer, module("web", artifact(server, "/1", description(
        steady(registry, 1), "web")), version="1"))
    assert statuses(first) == STEPS
    [old] = containers(peer)
    start = time.monotonic()
    second = install(peer, module("web", artifact(server, "/2", description(
        steady(registry, 2), "web")), version="2"))
    assert statuses(second) == STEPS
    assert time.monotonic() - start >= REPLACE_WAIT_S
    peer.wait_gone(old)
    [new] = containers(peer)
    assert new != old and by_name(peer) == {"web": (new, "RUNNING")}
    assert peer.status(new)["imageRef"].endswith("test/v2:1")
    peer.wait(lambda: [d["name"] for d in dependencies(peer).values()] == [new], 10,
              "the new one is the dependency")


@pytest.mark.deadline(90)
@pytest.mark.parametrize("was", ["RUNNING", "PAUSED", "STOPPED"])
@pytest.mark.shows("install-replaces")
def test_the_old_one_is_back_when_the_new_one_dies(gateway, peer, registry, server, was):
    install(peer, module("web", artifact(server, "/1", description(steady(registry, 1), "web"))))
    [old] = containers(peer)
    peer.wait_shown(old, "RUNNING")
    if was != "RUNNING":
        assert peer.ask(f"Container:{old}", {"PAUSED": "pause", "STOPPED": "stop"}[was]).status == 204
    dies = registry.push(images.busybox(["sh", "-c", "sleep 0.5; exit 3"]), "test/dies")
    last = install(peer, module("web", artifact(server, "/2", description(dies, "web"))))[-1]
    assert last["status"] == "FINISHED_ERROR" and "code 3" in last["message"], last
    peer.wait(lambda: by_name(peer) == {"web": (old, was)}, 10, "the old one as it was")
    assert containers(peer) == [old]


def test_a_new_one_that_does_not_start_changes_nothing(gateway, peer, registry, server):
    install(peer, module("web", artifact(server, "/1", description(steady(registry, 1), "web"))))
    [old] = containers(peer)
    bad = registry.push(images.busybox(["/no/such/program"]), "test/bad")
    last = install(peer, module("web", artifact(server, "/2", description(bad, "web"))))[-1]
    assert last["status"] == "FINISHED_ERROR"
    peer.wait(lambda: by_name(peer) == {"web": (old, "RUNNING")}, 10, "the old one runs")


@pytest.mark.shows("install-replaces")
def test_what_is_installed_already_is_no_work(gateway, peer, server, sleeper):
    web = module("web", artifact(server, "/1", description(sleeper, "web")))
    install(peer, web)
    before = containers(peer)
    assert statuses(install(peer, web, forced=False)) == \
        ["STARTED", "DOWNLOADING", "DOWNLOADED", "FINISHED_SUCCESS"]
    assert containers(peer) == before
    assert statuses(install(peer, web, forced=True)) == STEPS
    assert containers(peer) != before


# --- order and restarts


@pytest.mark.shows("D22", "K25")
def test_the_heaviest_waits_least(gateway, peer, server, sleeper):
    gate = threading.Event()
    body = json.dumps(description(sleeper)).encode()

    def hold(handler, path):
        if path == "/hold":
            gate.wait(20)
        return False
    server.hook = hold
    after = peer.mark()
    for name, path, weight in (("first", "/hold", 0), ("light", "/a", 1), ("heavy", "/b", 9)):
        assert peer.answer_of(send(peer, module(name, artifact(server, path, body)),
                                   weight=weight, correlation=name)).status == 204
    gate.set()
    done = [v["correlationId"] for v in wait_finished(peer, after, 30, 3)
            if v["status"].startswith("FINISHED")]
    assert done == ["first", "heavy", "light"]


def restart(gateway, broker):
    gateway.daemon.kill()
    before = broker.subscriptions(f"command//{gateway._peer.thing}/req/#")
    gateway.start_daemon()
    gateway.wait_ready(broker, before + 1)


def results(peer, after=0):
    """How each module ended, the last word counts."""
    ended = {}
    for value in reports(peer, after):
        if value["status"].startswith("FINISHED") and "softwareModule" in value:
            ended[value["softwareModule"]["name"]] = value["status"]
    status = peer.twin[FEATURE]["properties"]["status"].get("lastOperation")
    if status and status["status"].startswith("FINISHED") and "softwareModule" in status:
        ended[status["softwareModule"]["name"]] = status["status"]
    return ended


@pytest.mark.deadline(120)
@pytest.mark.parametrize("moment", ["DOWNLOADING", "INSTALLING", "INSTALLED", "between"])
def test_an_operation_goes_on_over_a_restart(gateway, broker, peer, registry, server, moment):
    install(peer, module("web", artifact(server, "/0", description(steady(registry, 1), "web"))))
    [old] = containers(peer)
    hold = threading.Event()
    server.hook = lambda _handler, path: moment == "DOWNLOADING" and path == "/1" and \
        hold.wait(5) and False
    after = peer.mark()
    send(peer, module("db", artifact(server, "/db", description(steady(registry, 3), "db"))),
         module("web", artifact(server, "/1", description(steady(registry, 2), "web"))))

    def reached():
        found = [v for v in reports(peer, after)]
        if moment == "between":
            return any(v["status"] == "FINISHED_SUCCESS" for v in found)
        return any(v["status"] == moment and v["softwareModule"]["name"] == "web" for v in found)
    peer.wait(reached, 30, f"web is {moment}")
    restart(gateway, broker)
    hold.set()
    peer.wait(lambda: results(peer, after) == {"db": "FINISHED_SUCCESS",
                                               "web": "FINISHED_SUCCESS"}, 40, "both are over")
    peer.wait(lambda: sorted(by_name(peer)) == ["db", "web"] and
              {s for _, s in by_name(peer).values()} == {"RUNNING"}, 20, "both run, nothing else")
    assert by_name(peer)["web"][0] != old
    assert peer.status(by_name(peer)["web"][0])["imageRef"].endswith("test/v2:1")
    assert gateway.command("ps", "-a")[0] == 0


@pytest.mark.deadline(90)
def test_a_remove_goes_on_over_a_restart(gateway, broker, peer, registry, server):
    stubborn = registry.push(images.busybox(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]),
                             "test/stubborn")
    names = ["a", "b", "c"]
    install(peer, module("m", *[artifact(server, f"/{n}", description(stubborn, n))
                                for n in names]))
    after = peer.mark()
    # SIGKILL comes late: there is time to end davitd in the middle of it.
    send_remove = {"correlationId": "r", "forced": True, "software": [{"name": n} for n in names]}
    assert peer.ask(FEATURE, "remove", send_remove).status == 204
    peer.wait(lambda: any(v["status"] == "REMOVING" for v in reports(peer, after)), 20, "it began")
    restart(gateway, broker)
    peer.wait(lambda: not containers(peer), 60, "all are gone")
    last = peer.wait(lambda: (v := peer.twin[FEATURE]["properties"]["status"].get("lastOperation"))
                     and v["status"].startswith("FINISHED") and v, 20, "it is over")
    assert (last["correlationId"], last["status"]) == ("r", "FINISHED_SUCCESS")
    assert [s["name"] for s in last["software"]] == names


@pytest.mark.deadline(90)
def test_the_new_one_takes_over_the_port_of_the_old_one(gateway, peer, registry, server):
    mapping = {"port_mappings": [{"proto": "tcp", "container_port": 80, "host_ip": "127.0.0.1",
                                  "host_port": 8080}], "restart_policy": {"type": "no"}}
    serving = [registry.push(images.busybox(
        ["sh", "-c", f"mkdir -p /w && echo v{n} > /w/index.html && "
                     "trap 'exit 0' TERM; httpd -f -p 80 -h /w & wait"]), f"test/serve{n}")
        for n in (1, 2)]

    def page():
        try:
            with urllib.request.urlopen("http://127.0.0.1:8080/index.html", timeout=2) as answer:
                return answer.read().decode().strip()
        except OSError:
            return None
    for n, image in enumerate(serving, 1):
        found = install(peer, module("web", artifact(server, f"/{n}", {
            "container_name": "web", "image": {"name": image}, "host_config": mapping})))
        assert statuses(found) == STEPS, found[-1]
        peer.wait(lambda: page() == f"v{n}", 10, f"version {n} answers on the port")
    assert len(containers(peer)) == 1
