# SPDX-License-Identifier: Apache-2.0
"""The cloud's side of the connection, as a unit: answers, and writes down each change of the twin."""
import json
import os
import pathlib
import socket
import sys
import time
import types

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))

from harness import broker, peer as peers, world as worlds  # noqa: E402

# Ended by SIGTERM as any unit, after davitd: what is written is whole lines.
folder = pathlib.Path("/var/lib/machine")
folder.mkdir(parents=True, exist_ok=True)
number = len(list(folder.glob("twin-*.jsonl"))) + 1
worlds.wait_for(lambda: broker.is_listening(1883), 30, "the broker listens")
peer = peers.Peer(types.SimpleNamespace(defer=lambda _: None), types.SimpleNamespace(port=1883))
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
with open(folder / f"twin-{number}.jsonl", "w") as out:
    written = 0
    while True:
        for _, feature, path, value in peer.history[written:]:
            out.write(json.dumps([feature, path, value]) + "\n")
            written += 1
        out.flush()
        time.sleep(0.05)
