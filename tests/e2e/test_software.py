# SPDX-License-Identifier: Apache-2.0
"""Software updates as a hawkBit connector drives them: SoftwareUpdatable over the broker, artifacts
from a real HTTPS server."""
import json
import time

import pytest

from harness.artifacts import Artifacts, checksums
from harness.certificates import Authority
from harness.gateway import Gateway

FEATURE = "SoftwareUpdatable"
STEPS = ["STARTED", "DOWNLOADING", "DOWNLOADED", "INSTALLING", "INSTALLED", "FINISHED_SUCCESS"]
REPLACE_WAIT_S = 2


@pytest.fixture
def authority(world):
    return Authority(world.directory)


@pytest.fixture
def server(world, authority):
    return Artifacts(world, authority.sign("server"))


@pytest.fixture
def gateway(world, broker, peer, registry, authority):
    settings = {"davit": {"run_dir": str(world.directory / "run"),
                          "cgroup_parent": world.cgroup_parent,
                          "bridge": {"retry_max": "2s"},
                          "software": {"root_ca": str(authority.certificate),
                                       "replace_wait": f"{REPLACE_WAIT_S}s"}}}
    made = Gateway(world, broker, peer, [registry.host], settings)
    made.wait_ready(broker)
    return made


def description(image, name=None, **more):
    made = {"image": {"name": image}, "host_config": {"restart_policy": {"type": "no"}}, **more}
    if name:
        made["container_name"] = name
    return made


def artifact(server, path, body, sums=None, **more):
    body = server.put(path, body)
    return {"filename": path.split("/")[-1], "size": len(body),
            "download": {server.scheme.upper(): {"url": server.url + path}},
            "checksums": checksums(body, "MD5", "SHA1", "SHA256") if sums is None else sums, **more}


def module(name, *artifacts, version="1"):
    return {"softwareModule": {"name": name, "version": version}, "artifacts": list(artifacts)}


def send(peer, *modules, correlation="op", **more):
    return peer.send(FEATURE, "install",
                     {"correlationId": correlation, "softwareModules": list(modules), **more})


def reports(peer, after=0, path="lastOperation"):
    return [value for index, feature, at, value in peer.history
            if feature == FEATURE and at == f"properties/status/{path}" and index >= after]


def wait_finished(peer, after=0, timeout_s=30, count=1):
    """All reports up to the count-th FINISHED one."""
    def find():
        found = reports(peer, after)
        finished = [i for i, value in enumerate(found) if value["status"].startswith("FINISHED")]
        return len(finished) >= count and found[:finished[count - 1] + 1]
    return peer.wait(find, timeout_s, f"{count} operations are over: {reports(peer, after)[-3:]}")


def install(peer, *modules, timeout_s=30, **more):
    after = peer.mark()
    assert peer.answer_of(send(peer, *modules, **more)).status == 204
    return wait_finished(peer, after, timeout_s, len(modules))


def statuses(found):
    """Each step once: progress repeats DOWNLOADING."""
    names = [value["status"] for value in found]
    return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]


def dependencies(peer):
    return peer.twin[FEATURE]["properties"]["status"].get("installedDependencies") or {}


def containers(peer):
    return sorted(f.split(":", 1)[1] for f in peer.twin if f.startswith("Container:"))


def test_feature_is_there_and_empty(gateway, peer):
    assert peer.twin[FEATURE] == {
        "definition": ["org.eclipse.hawkbit.swupdatable:SoftwareUpdatable:2.0.0"],
        "properties": {"status": {"softwareModuleType": "oci:container"}}}


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


def rejected(peer, *artifacts, status="FINISHED_REJECTED", timeout_s=40):
    before = containers(peer)
    last = install(peer, module("m", *artifacts), timeout_s=timeout_s)[-1]
    assert last["status"] == status, last
    assert reports(peer, path="lastFailedOperation")[-1] == last
    assert containers(peer) == before, "nothing is left"
    return last["message"]


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
    assert "GOPHER is not one of" in rejected(
        peer, artifact(server, "/x", good, download={"GOPHER": {"url": "gopher://h/"}}))
    assert "a link begins with" in rejected(
        peer, artifact(server, "/x", good, download={"HTTP": {"url": "file:///etc/passwd"}}))
    assert "at least one link" in rejected(peer, artifact(server, "/x", good, download={}))
    assert "at most 1048576" in rejected(peer, artifact(server, "/x", good, size=100 << 20))
    server.put("/large", b" " * (3 << 20))
    assert "larger than a container description" in rejected(
        peer, {"download": {"HTTPS": {"url": server.url + "/large"}}})


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
    after = peer.mark()
    assert "10000 are given, at most 256" in refused(
        "install", {"correlationId": "many", "softwareModules": [{}] * 10000})
    [last] = wait_finished(peer, after)
    assert (last["correlationId"], last["status"]) == ("many", "FINISHED_REJECTED")
    for operation in ("download", "cancel", "cancelRemove"):
        refused(operation, {}, 404)


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
