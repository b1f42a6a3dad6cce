# SPDX-License-Identifier: Apache-2.0
"""How artifacts of a software update are fetched: from real servers of each protocol that lie, cut
and are slow."""
import json
import random

import pytest

from harness import images
from harness.artifacts import Artifacts, FtpServer, SftpServer, checksums
from harness.certificates import Authority
from harness.gateway import Gateway
from harness.registry import SlowProxy
from harness.software import (STEPS, artifact, description, install, make_gateway, module,
                              rejected, statuses)


@pytest.fixture
def authority(world):
    return Authority(world.directory)


@pytest.fixture
def server(world, authority):
    return Artifacts(world, authority.sign("server"))


@pytest.fixture
def gateway(world, broker, peer, registry, authority):
    return make_gateway(world, broker, peer, [registry.host], authority)


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
