# SPDX-License-Identifier: Apache-2.0
"""The ways to a broker: TLS, logins, WebSocket, and what is told when they are closed."""
import json
import subprocess

import pytest

from harness import images, world as worlds
from harness.broker import Broker, free_port
from harness.certificates import Authority
from harness.gateway import Gateway
from harness.peer import Peer
from harness.registry import Registry

USER, PASSWORD = "gateway", "s3cret :/ word"


def gateway_on(world, broker, connection):
    """The peer uses the broker's plain listener, davitd what `connection` says."""
    registry = Registry(world, 5000)
    peer = Peer(world, broker)
    gateway = Gateway(world, broker, peer, [registry.host], {"connection": connection})
    return gateway, peer, registry


def works(world, broker, connection):
    gateway, peer, registry = gateway_on(world, broker, connection)
    gateway.wait_ready(broker)
    hello = registry.push(images.busybox(["echo", "hello"]), "test/hello")
    container = peer.create(hello, config={"restartPolicy": {"type": "NO"}})
    peer.wait_state(container, "EXITED")


def fails(world, broker, connection, *reasons):
    gateway, _, _ = gateway_on(world, broker, connection)

    def note():
        code, text = gateway.command("--json", "status")
        bridges = json.loads(text).get("bridges", []) if code == 0 else []
        return next((b.get("note", "") for b in bridges if b["bridge"] == "hono"), "")
    worlds.wait_for(lambda: all(reason in note() for reason in reasons), 20,
                    f"davit status says {reasons}")
    assert PASSWORD not in gateway.daemon.text()
    return gateway


def tls_broker(world, authority, *lines):
    certificate, key = authority.sign("broker")
    port = free_port()
    broker = Broker(world, 1883, lines=[
        f"listener {port} 127.0.0.1", f"cafile {authority.certificate}",
        f"certfile {certificate}", f"keyfile {key}", *lines])
    return broker, port


@pytest.mark.parametrize("scheme", ["mqtts", "ssl", "tls"])
def test_tls_with_a_private_authority(world, scheme):
    authority = Authority(world.directory)
    broker, port = tls_broker(world, authority)
    works(world, broker, {"broker_url": f"{scheme}://127.0.0.1:{port}",
                          "transport": {"root_ca": str(authority.certificate)}})


def test_tls_with_a_client_certificate(world):
    authority = Authority(world.directory)
    broker, port = tls_broker(world, authority, "require_certificate true")
    certificate, key = authority.sign("gateway")
    works(world, broker, {"broker_url": f"mqtts://127.0.0.1:{port}",
                          "transport": {"root_ca": str(authority.certificate),
                                        "client_cert": str(certificate),
                                        "client_key": str(key)}})


def test_broker_of_an_unknown_authority_is_refused(world):
    authority, stranger = Authority(world.directory), Authority(world.directory, "stranger")
    broker, port = tls_broker(world, stranger)
    fails(world, broker, {"broker_url": f"mqtts://127.0.0.1:{port}",
                          "transport": {"root_ca": str(authority.certificate)}}, "certificate")


def test_tls_without_an_authority_is_an_error_that_names_the_key(world):
    broker = Broker(world, 1883)
    peer = Peer(world, broker)
    gateway = Gateway(world, broker, peer, [], {"connection": {
        "broker_url": "mqtts://127.0.0.1:8883"}}, start=False)
    gateway.start_monitor()
    daemon = gateway.start_daemon()
    worlds.wait_for(lambda: not daemon.is_running, 10, "davitd ends")
    assert "connection.transport.root_ca" in daemon.text()


def password_broker(world):
    passwords = world.directory / "passwords"
    passwords.touch()
    subprocess.run(["mosquitto_passwd", "-b", passwords, USER, PASSWORD], check=True,
                   capture_output=True)
    port = free_port()
    broker = Broker(world, 1883, lines=[
        f"listener {port} 127.0.0.1", "allow_anonymous false", f"password_file {passwords}"],
        first=["per_listener_settings true"])
    return broker, port


def test_login_with_a_password(world):
    broker, port = password_broker(world)
    works(world, broker, {"broker_url": f"tcp://127.0.0.1:{port}",
                          "client_username": USER, "client_password": PASSWORD})


@pytest.mark.parametrize("login", [{"client_username": USER, "client_password": "wrong"}, {}],
                         ids=["wrong", "none"])
def test_refused_login_is_told_and_tried_again(world, login):
    broker, port = password_broker(world)
    fails(world, broker, {"broker_url": f"tcp://127.0.0.1:{port}", **login},
          "this client" if not login else "allow")


def test_websocket(world):
    port = free_port()
    broker = Broker(world, 1883, lines=[f"listener {port} 127.0.0.1", "protocol websockets"])
    works(world, broker, {"broker_url": f"ws://127.0.0.1:{port}/mqtt"})


def test_websocket_over_tls(world):
    authority = Authority(world.directory)
    broker, port = tls_broker(world, authority, "protocol websockets")
    works(world, broker, {"broker_url": f"wss://127.0.0.1:{port}/mqtt",
                          "transport": {"root_ca": str(authority.certificate)}})
