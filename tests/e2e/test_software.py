# SPDX-License-Identifier: Apache-2.0
"""Software updates as a hawkBit connector drives them: SoftwareUpdatable over the broker, artifacts
from a real HTTPS server."""
import json
import random
import threading
import time
import urllib.request

import pytest

from harness import images
from harness.artifacts import Artifacts, FtpServer, SftpServer, checksums
from harness.certificates import Authority
from harness.gateway import Gateway
from harness.registry import SlowProxy

FEATURE = "SoftwareUpdatable"
STEPS = ["STARTED", "DOWNLOADING", "DOWNLOADED", "INSTALLING", "INSTALLED", "FINISHED_SUCCESS"]
REPLACE_WAIT_S = 2


@pytest.fixture
def authority(world):
    return Authority(world.directory)


@pytest.fixture
def server(world, authority):
    return Artifacts(world, authority.sign("server"))


def make_gateway(world, broker, peer, hosts, authority):
    settings = {"manager": {"default_ctrs_stop_timeout": "2s"},
                "davit": {"run_dir": str(world.directory / "run"),
                          "cgroup_parent": world.cgroup_parent,
                          "bridge": {"retry_max": "2s"},
                          "software": {"root_ca": str(authority.certificate),
                                       "replace_wait": f"{REPLACE_WAIT_S}s"}}}
    made = Gateway(world, broker, peer, hosts, settings)
    made.wait_ready(broker)
    return made


@pytest.fixture
def gateway(world, broker, peer, registry, authority):
    return make_gateway(world, broker, peer, [registry.host], authority)


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
    """Each step once: progress repeats DOWNLOADING and INSTALLING."""
    names = [value["status"] for value in found]
    return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]


def dependencies(peer):
    return peer.twin[FEATURE]["properties"]["status"].get("installedDependencies") or {}


def containers(peer):
    return sorted(f.split(":", 1)[1] for f in peer.twin if f.startswith("Container:"))


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


def rejected(peer, *artifacts, status="FINISHED_REJECTED", timeout_s=40):
    before = containers(peer)
    last = install(peer, module("m", *artifacts), timeout_s=timeout_s)[-1]
    assert last["status"] == status, last
    assert reports(peer, path="lastFailedOperation")[-1] == last
    assert containers(peer) == before, "nothing is left"
    return last["message"]


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


# --- fetching


@pytest.mark.parametrize("wrong", ["authority", "host", "expired"])
def test_wrong_certificates_are_not_trusted(world, gateway, peer, authority, sleeper, wrong):
    certificate = {"authority": lambda: Authority(world.directory, "other").sign("other"),
                   "host": lambda: authority.sign("host", "127.0.0.9"),
                   "expired": lambda: authority.sign("old", days=-1)}[wrong]()
    evil = Artifacts(world, certificate)
    plain = Artifacts(world)
    body = json.dumps(description(sleeper, "x")).encode()
    plain.put("/x", body)
    links = {"HTTPS": {"url": evil.url + "/x"}, "HTTP": {"url": plain.url + "/x"}}
    message = rejected(peer, artifact(evil, "/x", body, download=links), status="FINISHED_ERROR")
    assert "certificate" in message, message
    assert not evil.seen and not plain.seen, "no way round a wrong certificate"


def test_client_certificate_is_shown(world, broker, peer, registry, authority, sleeper):
    certificate, key = authority.sign("device")
    gateway = Gateway(world, broker, peer, [registry.host], {"davit": {
        "run_dir": str(world.directory / "run"), "cgroup_parent": world.cgroup_parent,
        "software": {"root_ca": str(authority.certificate), "client_cert": str(certificate),
                     "client_key": str(key)}}})
    gateway.wait_ready(broker)
    asking = Artifacts(world, authority.sign("server"), authority.certificate)
    found = install(peer, module("m", artifact(asking, "/x", description(sleeper, "x"))))
    assert statuses(found) == STEPS


def test_cut_transfer_goes_on_where_it_broke(gateway, peer, server, sleeper):
    body = json.dumps(description(sleeper, "x")).encode()
    calls = []

    def cut_twice(handler, path):
        if path != "/x" or len(calls) >= 2:
            return False
        calls.append(handler.headers.get("Range"))
        if len(calls) == 1:
            handler.cut(body, 20)
        else:
            handler.reply(503, b"busy")
        return True
    server.hook = cut_twice
    found = install(peer, module("m", artifact(server, "/x", body)))
    assert statuses(found) == STEPS
    ranges = [(headers.get("Range"), headers.get("If-Range")) for _, headers in server.seen]
    assert ranges == [(None, None), ("bytes=20-", '"1"'), ("bytes=20-", '"1"')]


def test_content_that_changed_is_fetched_anew(gateway, peer, server, sleeper):
    body = json.dumps(description(sleeper, "x")).encode()
    calls = []

    def changed(handler, path):
        calls.append(path)
        if len(calls) == 1:
            handler.cut(b"y" * len(body), 30)
        else:
            handler.reply(200, body, [("ETag", '"2"')])  # whatever range was asked for
        return True
    server.hook = changed
    assert statuses(install(peer, module("m", artifact(server, "/x", body)))) == STEPS


def test_progress_of_a_slow_download_is_told(gateway, peer, server, sleeper):
    body = json.dumps(description(sleeper, "x", config={"env": [f"A{n}=" + "x" * 100
                                                                for n in range(50)]})).encode()
    server.hook = lambda handler, path: handler.slow(body, 8, 0.3) or True
    found = install(peer, module("m", artifact(server, "/x", body)))
    told = [value["progress"] for value in found if "progress" in value]
    assert len(told) >= 2 and told == sorted(told) and 0 < told[0] < 100, found
    assert statuses(found) == STEPS


def test_progress_of_slow_pulls_is_told(world, broker, peer, registry, authority, server):
    """Two images, one after the other: progress grows through both and never says 100."""
    slow = SlowProxy(world, registry.port, rate=800_000)
    make_gateway(world, broker, peer, [slow.host], authority)
    parts = []
    for name in ("one", "two"):
        bulk = images.layer({name: (random.Random(name).randbytes(3_000_000), 0o644)})
        registry.push(images.busybox(["true"], extra_layers=[bulk]), f"test/{name}")
        body = json.dumps(description(f"{slow.host}/test/{name}:1", name)).encode()
        parts.append(artifact(server, f"/{name}", body))
    found = install(peer, module("m", *parts), timeout_s=60)
    assert statuses(found) == STEPS
    told = [value["progress"] for value in found
            if value["status"] == "INSTALLING" and "progress" in value]
    assert told == sorted(set(told)), f"it stands still or goes back: {told}"
    assert told[0] >= 10 and told[-1] < 100, told
    assert sum(10 < percent < 55 for percent in told) >= 2, f"within the first image: {told}"
    assert sum(55 < percent < 100 for percent in told) >= 2, f"within the second image: {told}"
    assert not any("progress" in value for value in found
                   if value["status"] not in ("DOWNLOADING", "INSTALLING"))


def test_redirects(world, gateway, peer, authority, server, sleeper):
    other = Artifacts(world, authority.sign("other"))
    plain = Artifacts(world)
    body = json.dumps(description(sleeper, "x")).encode()
    other.put("/there", body)
    plain.put("/there", body)

    def redirect(handler, path):
        to = {"/ok": other.url + "/there", "/plain": plain.url + "/there", "/loop": "/loop",
              "/file": "file:///etc/hostname"}.get(path)
        if to:
            handler.reply(302, b"", [("Location", to)])
        return bool(to)
    server.hook = redirect

    def link(path):
        return artifact(server, path, body, download={"HTTPS": {"url": server.url.replace(
            "//", "//me:hidden@") + path}})
    assert statuses(install(peer, module("m", link("/ok")))) == STEPS
    assert server.seen[0][1].get("Authorization") and \
        not other.seen[0][1].get("Authorization"), "the password is for the first host only"
    for path in ("/plain", "/file"):
        assert "hidden" not in rejected(peer, link(path), status="FINISHED_ERROR")
    assert "redirects" in rejected(peer, link("/loop"), status="FINISHED_ERROR")
    assert not plain.seen
    assert b"hidden" not in b"".join(m.payload for m in peer.messages if m.topic.startswith("e/"))
    assert "hidden" not in gateway.daemon.text()


@pytest.mark.shows("D20", "D21")
def test_a_sum_beside_the_artifact_is_fetched(gateway, peer, server, sleeper):
    body = json.dumps(description(sleeper, "x")).encode()
    server.put("/good.md5", (checksums(body, "MD5")["MD5"].upper() + "  x\n").encode())
    server.put("/wrong.md5", b"0" * 32)
    server.put("/none.md5", b"<html>")

    def link(name):
        return artifact(server, "/x", body, {}, download={"HTTPS": {
            "url": server.url + "/x", "md5url": f"{server.url}/{name}.md5"}})
    assert "md5 checksum does not match" in rejected(peer, link("wrong"))
    assert "MD5 sum is expected" in rejected(peer, link("none"))
    last = install(peer, module("m", link("good")))[-1]
    assert last["status"] == "FINISHED_SUCCESS" and "message" not in last
    last = install(peer, module("n", artifact(server, "/y", description(sleeper), {})))[-1]
    assert last["status"] == "FINISHED_SUCCESS" and "no checksum" in last["message"]


def test_other_links_are_tried_where_that_is_safe(world, gateway, peer, server, sleeper):
    plain = Artifacts(world)
    body = json.dumps(description(sleeper, "x")).encode()
    plain.put("/x", body)
    links = {"HTTP": {"url": plain.url + "/x"}, "HTTPS": {"url": server.url + "/none"},
             "SFTP": {"url": "sftp://127.0.0.1:1/x"}}
    assert "404" in rejected(peer, {"download": {k: links[k] for k in ("HTTP", "HTTPS")}},
                             status="FINISHED_ERROR")
    assert not plain.seen, "without a checksum nobody would know what came"
    found = install(peer, module("m", {"download": links, "checksums": checksums(body, "SHA256")}))
    assert statuses(found) == STEPS


@pytest.mark.shows("D21", "sftp-hosts")
def test_ftp(world, gateway, peer, sleeper):
    ftp = FtpServer(world, "me", "hidden")
    body = ftp.files["a/x.json"] = json.dumps(description(sleeper, "x")).encode()

    def link(password, path="a/x.json"):
        return {"download": {"FTP": {"url": f"ftp://me:{password}@127.0.0.1:{ftp.port}/{path}"}},
                "checksums": checksums(body, "SHA256"), "size": len(body)}
    assert "hidden" not in rejected(peer, link("hidden", "none"), status="FINISHED_ERROR")
    rejected(peer, link("wrong"), status="FINISHED_ERROR")
    assert statuses(install(peer, module("m", link("hidden")))) == STEPS
    assert "hidden" not in gateway.daemon.text()


@pytest.mark.shows("D21", "sftp-hosts")
def test_sftp_knows_its_hosts(world, broker, peer, registry, sleeper):
    known, stranger = SftpServer(world), SftpServer(world)
    hosts = world.directory / "known_hosts"
    hosts.write_text(known.known_hosts)
    gateway = Gateway(world, broker, peer, [registry.host], {"davit": {
        "run_dir": str(world.directory / "run"), "cgroup_parent": world.cgroup_parent,
        "software": {"known_hosts": str(hosts)}}})
    gateway.wait_ready(broker)
    body = json.dumps(description(sleeper, "x")).encode()
    known.files["x.json"] = stranger.files["x.json"] = body

    def link(server, password="secret"):
        return {"download": {"SFTP": {
            "url": f"sftp://me:{password}@127.0.0.1:{server.port}/x.json"}},
            "checksums": checksums(body, "SHA256")}
    rejected(peer, link(stranger), status="FINISHED_ERROR")
    rejected(peer, link(known, "wrong"), status="FINISHED_ERROR")
    assert statuses(install(peer, module("m", link(known)))) == STEPS


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
