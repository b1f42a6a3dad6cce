# SPDX-License-Identifier: Apache-2.0
"""Registries that ask who is there, and over which transport."""
import base64
import json
import random
import socket

import pytest

from harness import images
from harness.certificates import Authority
from harness.gateway import Gateway
from harness.handmade import HandRegistry
from harness.registry import Registry

POLICY_NO = {"restartPolicy": {"type": "NO"}}
USER, PASSWORD = "deploy", "s3cret:with/signs"


def start_gateway(world, broker, peer, insecure=(), configurations=None, auth_file=None):
    settings = {"containers": {"registry_configurations": configurations or {}}}
    gateway = Gateway(world, broker, peer, insecure, settings, start=False)
    gateway.config["davit"]["images"] = {"auth_file": str(auth_file or world.directory / "none")}
    gateway.start_monitor()
    gateway.start_daemon()
    gateway.wait_ready(broker)
    return gateway


def credentials(user=USER, password=PASSWORD):
    return {"credentials": {"user_id": user, "password": password}}


def create(peer, reference, timeout_s=40):
    return peer.ask("ContainerFactory", "createWithConfig",
                    {"imageRef": reference, "start": True,
                     "config": {**POLICY_NO, "cmd": ["echo", "hello"]}}, timeout_s)


def works(peer, reference):
    answer = create(peer, reference)
    assert answer.status == 200, answer.text
    peer.wait_state(answer.value, "EXITED", 30)


def fails(peer, reference, *words):
    answer = create(peer, reference)
    assert (answer.status, answer.error) == (500, "messages:execution.failed"), answer.text
    for word in words:
        assert word in answer.text, answer.text
    assert PASSWORD not in answer.text


def secrets_are_kept(gateway, *more):
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    for secret in (PASSWORD, pair, *more):
        assert secret not in gateway.daemon.text()


def write_auth(file, host, user=USER, password=PASSWORD):
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    file.write_text(json.dumps({"auths": {host: {"auth": pair}}}))


def test_password_from_the_configuration(world, broker, peer):
    registry = Registry(world, 5000, login=(USER, PASSWORD))
    reference = registry.push(images.busybox(["true"]), "test/login")
    gateway = start_gateway(world, broker, peer, [registry.host],
                            {registry.host: credentials()})
    works(peer, reference)
    secrets_are_kept(gateway)


@pytest.mark.parametrize("configured", [{}, credentials(password="wrong")], ids=["none", "wrong"])
def test_missing_and_wrong_passwords_are_told_apart(world, broker, peer, configured):
    registry = Registry(world, 5000, login=(USER, PASSWORD))
    reference = registry.push(images.busybox(["true"]), "test/login")
    start_gateway(world, broker, peer, [registry.host], {registry.host: configured})
    fails(peer, reference, "401", "the credentials of 'deploy' do not do" if configured else
          f"no credentials are configured for '{registry.host}'")


def test_credentials_file_is_read_at_each_pull(world, broker, peer):
    registry = Registry(world, 5000, login=(USER, PASSWORD))
    reference = registry.push(images.busybox(["true"]), "test/login")
    file = world.directory / "auth.json"
    gateway = start_gateway(world, broker, peer, [registry.host], auth_file=file)
    fails(peer, reference, "no credentials are configured")
    file.write_text(json.dumps({"auths": {}, "credHelpers": {registry.host: "ecr-login"}}))
    fails(peer, reference, "a credential helper keeps them")
    write_auth(file, registry.host)
    works(peer, reference)
    secrets_are_kept(gateway)


def test_credentials_of_a_repository_win(world, broker, peer):
    registry = HandRegistry(world, login=("basic", USER, PASSWORD))
    reference = registry.push(images.busybox(["true"]), "team/app")
    file = world.directory / "auth.json"
    wrong = base64.b64encode(b"other:wrong").decode()
    right = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    file.write_text(json.dumps({"auths": {registry.host: {"auth": wrong},
                                          f"{registry.host}/team": {"auth": right}}}))
    start_gateway(world, broker, peer, [registry.host], auth_file=file)
    works(peer, reference)


def test_token_is_fetched_for_the_repository_and_used(world, broker, peer):
    registry = HandRegistry(world, login=("bearer", USER, PASSWORD))
    reference = registry.push(images.busybox(["true"]), "team/app")
    gateway = start_gateway(world, broker, peer, [registry.host],
                            {registry.host: credentials()})
    works(peer, reference)
    assert [query for query, _ in registry.token_calls] == [
        {"service": ["test registry"], "scope": ["repository:team/app:pull"]}]
    secrets_are_kept(gateway, "token-1")


def test_anonymous_token(world, broker, peer):
    registry = HandRegistry(world, login=("bearer", None, None))
    reference = registry.push(images.busybox(["true"]), "team/app")
    start_gateway(world, broker, peer, [registry.host])
    works(peer, reference)
    assert [secret for _, secret in registry.token_calls] == [None]


def test_token_that_expires_in_the_middle_is_renewed(world, broker, peer):
    registry = HandRegistry(world, login=("bearer", USER, PASSWORD), token_uses=3)
    extra = [images.layer({f"f{i}": (bytes([i]) * 1000, 0o644)}) for i in range(4)]
    reference = registry.push(images.busybox(["true"], extra_layers=extra), "team/app")
    start_gateway(world, broker, peer, [registry.host], {registry.host: credentials()})
    works(peer, reference)
    assert len(registry.token_calls) > 1


@pytest.mark.parametrize("is_right", [True, False], ids=["right", "wrong"])
def test_identity_token_is_posted_to_the_token_server(world, broker, peer, is_right):
    registry = HandRegistry(world, login=("bearer", USER, PASSWORD))
    reference = registry.push(images.busybox(["true"]), "team/app")
    file = world.directory / "auth.json"
    file.write_text(json.dumps({"auths": {registry.host: {
        "auth": base64.b64encode(b"00000000:").decode(),
        "identitytoken": PASSWORD if is_right else "stale"}}}))
    gateway = start_gateway(world, broker, peer, [registry.host], auth_file=file)
    if not is_right:
        fails(peer, reference, "(identity token)", "do not do")
        return
    works(peer, reference)
    assert registry.token_calls == [({
        "grant_type": ["refresh_token"], "client_id": ["davit"], "service": ["test registry"],
        "scope": ["repository:team/app:pull"], "refresh_token": [PASSWORD]}, None)]
    secrets_are_kept(gateway, "s3cret%3Awith%2Fsigns")


def test_a_layer_that_takes_longer_than_many_logins(world, broker, peer):
    image = images.busybox(["true"], extra_layers=[
        images.layer({"bulk": (random.Random(3).randbytes(2_000_000), 0o644)})])
    blob = max(image.blobs, key=lambda one: len(one.data))
    parts = iter(range(1, 6))

    def hook(request, path):
        """Each try gets a part more, then the connection and the login are over."""
        if not path.endswith(blob.digest) or not registry.is_welcome(request):
            return False
        begin = int((request.headers.get("Range") or "bytes=0-")[6:-1])
        end = next(parts, 100) * 400_000
        if end > len(blob.data):
            return False
        request.send_response(206 if begin else 200)
        request.send_header("Content-Length", str(len(blob.data) - begin))
        request.send_header("Content-Range",
                            f"bytes {begin}-{len(blob.data) - 1}/{len(blob.data)}")
        request.end_headers()
        request.wfile.write(blob.data[begin:end])
        request.close_connection = True
        request.connection.shutdown(socket.SHUT_RDWR)
        registry.forget_tokens()
        return True
    registry = HandRegistry(world, login=("bearer", USER, PASSWORD), hook=hook)
    reference = registry.push(image, "team/app")
    start_gateway(world, broker, peer, [registry.host], {registry.host: credentials()})
    works(peer, reference)
    assert len(registry.token_calls) > 3


def test_wrong_password_at_the_token_server(world, broker, peer):
    registry = HandRegistry(world, login=("bearer", USER, PASSWORD))
    reference = registry.push(images.busybox(["true"]), "team/app")
    start_gateway(world, broker, peer, [registry.host],
                  {registry.host: credentials(password="wrong")})
    fails(peer, reference, "the credentials of 'deploy' do not do")
    assert len(registry.token_calls) <= 2


def test_password_does_not_go_to_another_host_for_a_token(world, broker, peer):
    other = HandRegistry(world, login=("bearer", None, None))
    registry = HandRegistry(world, login=("bearer", USER, PASSWORD), realm=f"{other.url}/token")
    reference = registry.push(images.busybox(["true"]), "team/app")
    start_gateway(world, broker, peer, [registry.host], {registry.host: credentials()})
    fails(peer, reference, "was not sent to", "another host")
    assert {secret for _, secret in other.token_calls} == {None}


@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_credentials_do_not_follow_a_redirect(world, broker, peer, kind):
    store = HandRegistry(world)

    def redirect(request, path):
        if "/blobs/" in path and request.headers.get("Authorization"):
            request.reply(307, b"", [("Location", f"{store.url}{path}")])
            return True
        return False
    registry = HandRegistry(world, login=(kind, USER, PASSWORD), hook=redirect)
    image = images.busybox(["true"])
    reference = registry.push(image, "team/app")
    store.push(image, "team/app")
    start_gateway(world, broker, peer, [registry.host], {registry.host: credentials()})
    works(peer, reference)
    assert len(store.seen) == 2
    assert not [headers for _, _, headers in store.seen if "Authorization" in headers]


# -- transport


def test_private_authority(world, broker, peer):
    authority = Authority(world.directory)
    registry = Registry(world, 5000, authority.sign("registry"), (USER, PASSWORD))
    reference = registry.push(images.busybox(["true"]), "test/tls")
    start_gateway(world, broker, peer, configurations={registry.host: {
        **credentials(), "transport": {"root_ca": str(authority.certificate)}}})
    works(peer, reference)


def test_unknown_authority_is_refused_before_the_password_goes_out(world, broker, peer):
    authority, stranger = Authority(world.directory), Authority(world.directory, "stranger")
    registry = HandRegistry(world, stranger.sign("registry"), login=("basic", USER, PASSWORD))
    reference = registry.push(images.busybox(["true"]), "test/tls")
    start_gateway(world, broker, peer, configurations={registry.host: {
        **credentials(), "transport": {"root_ca": str(authority.certificate)}}})
    fails(peer, reference, "certificate")
    assert not registry.seen


def test_certificate_of_another_address_is_refused(world, broker, peer):
    authority = Authority(world.directory)
    registry = HandRegistry(world, authority.sign("registry", "127.0.0.9"))
    reference = registry.push(images.busybox(["true"]), "test/tls")
    start_gateway(world, broker, peer, configurations={registry.host: {
        "transport": {"root_ca": str(authority.certificate)}}})
    fails(peer, reference, "127.0.0.1")
    assert not registry.seen


@pytest.mark.parametrize("with_certificate", [True, False], ids=["with", "without"])
def test_client_certificate(world, broker, peer, with_certificate):
    authority = Authority(world.directory)
    registry = HandRegistry(world, authority.sign("registry"), authority.certificate)
    reference = registry.push(images.busybox(["true"]), "test/tls")
    transport = {"root_ca": str(authority.certificate)}
    if with_certificate:
        certificate, key = authority.sign("gateway")
        transport |= {"client_cert": str(certificate), "client_key": str(key)}
    start_gateway(world, broker, peer, configurations={registry.host: {"transport": transport}})
    if with_certificate:
        works(peer, reference)
    else:
        fails(peer, reference, registry.host)
        assert not registry.seen


def test_insecure_registry_may_speak_tls_with_any_certificate(world, broker, peer):
    stranger = Authority(world.directory, "stranger")
    registry = HandRegistry(world, stranger.sign("registry", "10.0.0.1"))
    reference = registry.push(images.busybox(["true"]), "test/tls")
    start_gateway(world, broker, peer, [registry.host])
    works(peer, reference)


def test_plain_http_is_refused_unless_configured(world, broker, peer):
    registry = HandRegistry(world)
    reference = registry.push(images.busybox(["true"]), "test/plain")
    start_gateway(world, broker, peer)
    fails(peer, reference, registry.host)
    assert not registry.seen
