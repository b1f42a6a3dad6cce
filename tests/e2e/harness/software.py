# SPDX-License-Identifier: Apache-2.0
"""What tests of software updates share: messages as a hawkBit connector sends them, and what comes
back."""
from .artifacts import checksums
from .gateway import Gateway

FEATURE = "SoftwareUpdatable"
STEPS = ["STARTED", "DOWNLOADING", "DOWNLOADED", "INSTALLING", "INSTALLED", "FINISHED_SUCCESS"]
REPLACE_WAIT_S = 2


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


def rejected(peer, *artifacts, status="FINISHED_REJECTED", timeout_s=40):
    before = containers(peer)
    last = install(peer, module("m", *artifacts), timeout_s=timeout_s)[-1]
    assert last["status"] == status, last
    assert reports(peer, path="lastFailedOperation")[-1] == last
    assert containers(peer) == before, "nothing is left"
    return last["message"]
