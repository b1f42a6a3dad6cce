# SPDX-License-Identifier: Apache-2.0
"""Which features there are, as things.features of Kanto's configuration says; and settings with
which davitd rather does not start."""
import pytest

from harness.gateway import Gateway


def start(world, broker, peer, registry, settings):
    gateway = Gateway(world, broker, peer, [registry.host], settings=settings)
    gateway.wait_ready(broker)
    return gateway


@pytest.mark.parametrize("named, missing", [
    (["ContainerFactory"], {"Metrics", "SoftwareUpdatable"}),
    (["ContainerFactory", "Metrics"], {"SoftwareUpdatable"}),
    (["ContainerFactory", "SoftwareUpdatable", "Metrics"], set()),
    ([], set())])
def test_features_are_those_that_are_named(world, broker, peer, registry, sleeper, named, missing):
    start(world, broker, peer, registry, {"things": {"features": named}})
    all_features = {"ContainerFactory", "Metrics", "SoftwareUpdatable"}
    peer.wait(lambda: all_features - missing <= peer.twin.keys(), 20, "the features are published")
    assert not missing & peer.twin.keys()
    for feature in missing:
        answer = peer.ask(feature, "request" if feature == "Metrics" else "install", {})
        assert (answer.status, answer.error) == (400, "messages:parameter.invalid")
    container = peer.create(sleeper)
    peer.wait_state(container, "RUNNING")


def test_signatures_are_not_left_unverified_silently(world, broker, peer, registry):
    gateway = Gateway(world, broker, peer, [registry.host], start=False,
                      settings={"containers": {"image_verifier_type": "notation"}})
    gateway.start_monitor()
    daemon = gateway.start_daemon()
    assert daemon.wait(20) == 1
    assert "image_verifier_type 'notation'" in daemon.text()
