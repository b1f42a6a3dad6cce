# SPDX-License-Identifier: Apache-2.0
"""A newcomer's five minutes; called by scripts/quickstart once the packages are there.

The work is done in a mount namespace of its own below a subreaper, so that whatever was started is
found and ended however this ends.
"""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from harness import images, world as worlds  # noqa: E402
from harness.broker import Broker  # noqa: E402
from harness.gateway import Gateway  # noqa: E402
from harness.peer import Peer  # noqa: E402
from harness.registry import Registry  # noqa: E402

PROGRAMS = ["davitd", "davit-monitor", "davit-launch", "davit-unpack", "davit"]
DEVICE = "org.davit:demo"
REPOSITORY = "demo/hello"
SCRIPT = "echo hello from davit; sleep 1"
WAIT_S = 60


class Interrupted(Exception):
    pass


def on_signal(number, _frame):
    raise Interrupted(signal.Signals(number).name)


def say(step, name, text):
    print(f"[{step}/6] {name:<15} {text}", flush=True)


def build():
    start = time.monotonic()
    configure = ["cmake", "--preset", "release"]
    if shutil.which("ccache"):
        configure.append("-DCMAKE_C_COMPILER_LAUNCHER=ccache")
    for arguments in (configure, ["cmake", "--build", "--preset", "release",
                                  "--target", *PROGRAMS]):
        result = subprocess.run(arguments, cwd=ROOT, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode != 0:
            sys.exit(f"{result.stdout[-4000:]}\nquickstart: {' '.join(arguments)} failed")
    say(2, "build", f"ok {time.monotonic() - start:.0f} s")


def short(feature):
    name, _, container = feature.partition(":")
    return f"{name}:{container[:4]}…" if container else name


class Reader:
    """Prints messages as they come, in words or as they are."""

    def __init__(self, is_raw):
        self._is_raw = is_raw
        self._next = 0
        self._start = time.monotonic()

    def start(self, peer):
        self._next = peer.mark()
        self._start = time.monotonic()

    def line(self, at, text):
        print(f"  +{max(at - self._start, 0):.2f} s  {text}", flush=True)

    def sent(self, topic, text, payload):
        if self._is_raw:
            print(f"  > {topic}\n    {json.dumps(payload)}", flush=True)
        else:
            self.line(self._start, text)

    def show(self, peer):
        fresh = peer.since(self._next)
        self._next += len(fresh)
        for message in fresh:
            if self._is_raw:
                print(f"  < {message.topic}\n    {message.payload.decode()}", flush=True)
            elif text := self.words(message):
                self.line(message.at, text)

    def words(self, message):
        body = message.body
        if message.topic.startswith("command//"):
            value = body.get("value")
            shown = value["message"] if body["status"] >= 400 else \
                "" if value is None else json.dumps(value)
            return f"reply {body['status']}  {shown}"
        feature, _, rest = body["path"].removeprefix("/features/").partition("/")
        if body["topic"].endswith("/delete"):
            return f"twin  {short(feature)}  deleted"
        value = body.get("value")
        if rest == "properties/status/state":
            return f"twin  {short(feature)}  state   {self.state(value)}"
        if not rest and feature.startswith("Container:"):
            state = value["properties"]["status"]["state"]
            return f"twin  {short(feature)}  added   {self.state(state)}"
        return f"twin  {short(feature)}  {rest or 'added'}"

    @staticmethod
    def state(state):
        text = state["status"]
        if state["status"] == "RUNNING":
            text += f" pid {state['pid']}"
        elif state["status"] == "EXITED":
            text += f" code {state.get('exitCode', 0)}"
        if state.get("error"):
            text += f" ({state['error']})"
        return text


def runtime_version():
    result = subprocess.run(["runc", "--version"], capture_output=True, text=True)
    return result.stdout.splitlines()[0].replace(" version", "") if result.stdout else "no runc"


def create(peer, reader, reference):
    reader.start(peer)
    value = {"imageRef": reference, "start": True,
             "config": {"restartPolicy": {"type": "NO"}}}
    topic = f"command//{peer.thing}/req/1/createWithConfig"
    say(6, "create", f"published to {topic}")
    reader.sent(topic, f"ContainerFactory  createWithConfig imageRef={reference} start=true",
                value)
    command = peer.send("ContainerFactory", "createWithConfig", value, rid="1")
    deadline = time.monotonic() + WAIT_S
    answer = None
    while time.monotonic() < deadline:
        reader.show(peer)
        if answer is None and peer.find(r"command//[^/]+/res/1/\d+", command.seen):
            answer = peer.answer_of(command)
            if answer.status != 200:
                return None
        state = answer and (peer.status(answer.value) or {}).get("state", {}).get("status")
        if state in ("EXITED", "STOPPED"):
            break
        # A container that serves does not end by itself.
        if state == "RUNNING" and not reference.endswith(f"/{REPOSITORY}:1") \
                and time.monotonic() > command.sent_at + 5:
            break
        time.sleep(0.02)
    reader.show(peer)
    return answer.value if answer else None


def print_output(gateway, container):
    for line in gateway.output(container).splitlines()[:20]:
        print(f"  container says: {line}", flush=True)


def remove(peer, reader, container):
    answer = peer.ask(f"Container:{container}", "remove", True, 30, rid="2")
    peer.wait_gone(container)
    reader.show(peer)
    return answer.status == 204


def keep(world, broker, registry, gateway, peer):
    print(f"""kept, until you press Ctrl-C:
  broker    127.0.0.1:{broker.port}    mosquitto_sub -p {broker.port} -v -t '#'
  registry  {registry.host}
  thing     {peer.thing}, tenant {peer.tenant}
  command   {gateway.command_line()}
  files     {world.directory}""", flush=True)
    while gateway.daemon.is_running:
        time.sleep(0.2)
    print(gateway.daemon.text()[-2000:], file=sys.stderr)


def demonstrate(world, options):
    broker = Broker(world)
    say(3, "broker", f"mosquitto on 127.0.0.1:{broker.port} (private)")
    registry = Registry(world)
    image = images.busybox(["sh", "-c", SCRIPT])
    reference = registry.push(image, REPOSITORY)
    size = sum(len(blob.data) for blob in image.blobs)
    say(4, "registry", f"{registry.host}, image {REPOSITORY}:1 ({size / 1e6:.1f} MB, made from "
                       "busybox-static)")
    peer = Peer(world, broker, DEVICE, "demo")
    start = time.monotonic()
    # A davit that this machine has already keeps its bridge.
    gateway = Gateway(world, broker, peer, [registry.host],
                      {"davit": {"network": {"name": "davitqs"}}})
    gateway.wait_ready(broker)
    say(5, "davitd", f"ready in {(time.monotonic() - start) * 1000:.0f} ms: {runtime_version()}")
    reader = Reader(options.raw)
    container = create(peer, reader, options.image or reference)
    if container is None:
        return 1
    print_output(gateway, container)
    state = peer.status(container)["state"]
    is_good = state["status"] in ("EXITED", "RUNNING") and not state.get("error")
    if options.keep:
        keep(world, broker, registry, gateway, peer)
    elif not remove(peer, reader, container):
        is_good = False
    for fault in peer.faults:
        print(f"Ditto would refuse: {fault}", file=sys.stderr)
    return 0 if is_good and not peer.faults else 1


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/quickstart",
        description="Builds davit, starts a private broker, a private registry and davit, and "
                    "creates a container by a Ditto message. Needs root.")
    parser.add_argument("image", nargs="?", metavar="IMAGE",
                        help="full image reference to run instead of the demo image")
    parser.add_argument("--keep", action="store_true", help="go on running until Ctrl-C")
    parser.add_argument("--raw", action="store_true", help="show topics and payloads as they are")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    code = 1
    world = None
    try:
        worlds.become_subreaper()
        build()
        os.environ["DAVIT_E2E_BIN"] = str(ROOT / "build" / "release" / "bin")
        worlds.enter_mounts()
        world = worlds.World("quickstart", f"davit-quickstart-{os.getpid()}")
        code = demonstrate(world, options)
    except Interrupted as reason:
        code = 0 if options.keep and world else 130
        print(f"\ninterrupted by {reason}", flush=True)
    except AssertionError as error:
        print(f"quickstart: {error}\n{world.logs() if world else ''}", file=sys.stderr)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        left = []
        if world:
            with contextlib.suppress(Exception):
                left = world.close()
        worlds.end_descendants()
    for what in left:
        print(f"quickstart: was left behind and has been removed: {what}", file=sys.stderr)
    if world:
        print("cleaned up. Next: ./scripts/quickstart --keep, README.md", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
