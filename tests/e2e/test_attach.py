# SPDX-License-Identifier: Apache-2.0
"""Standard input, terminals, and who is connected to them."""
import os

from harness import images

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
