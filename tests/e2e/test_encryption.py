# SPDX-License-Identifier: Apache-2.0
"""Encrypted images: made by skopeo, pulled from a registry, opened with the keys of a container or
of the daemon, and by nobody else."""
import base64
import json
import os
import subprocess

import pytest

from harness import images
from harness.gateway import Gateway
from harness.registry import SlowProxy

INDEX = "application/vnd.oci.image.index.v1+json"
POLICY_NO = {"restartPolicy": {"type": "NO"}}


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Keys:
    """Private keys of a test, and what skopeo encrypts for."""

    def __init__(self, directory):
        self._directory = directory

    def rsa(self, name, password=None):
        private = self._directory / f"{name}.pem"
        public = self._directory / f"{name}.pub"
        openssl("genrsa", "-out", private, "2048")
        openssl("rsa", "-in", private, "-pubout", "-out", public)
        if password:
            plain = private.rename(private.with_suffix(".plain"))
            openssl("pkcs8", "-topk8", "-in", plain, "-out", private, "-passout", f"pass:{password}")
        return private, f"jwe:{public}"

    def elliptic(self, name, curve):
        private = self._directory / f"{name}.pem"
        public = self._directory / f"{name}.pub"
        openssl("ecparam", "-name", curve, "-genkey", "-noout", "-out", private)
        openssl("ec", "-in", private, "-pubout", "-out", public)
        return private, f"jwe:{public}"

    def ring(self, name, algorithms, password=None):
        """An OpenPGP ring, exported by gpg, whose home and agent are gone afterwards."""
        home = self._directory / f"{name}.gnupg"
        home.mkdir(mode=0o700)
        user = f"{name}@example.org"

        def gpg(*arguments):
            return subprocess.run(
                ["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback",
                 "--passphrase", password or "", *arguments], check=True, capture_output=True).stdout
        try:
            gpg("--quick-gen-key", user, algorithms[0], "sign", "never")
            shown = gpg("--with-colons", "--list-keys", user).decode()
            gpg("--quick-add-key", shown.split("fpr:::::::::")[1].split(":")[0], algorithms[1],
                "encr", "never")
            secret = self._directory / f"{name}.ring"
            secret.write_bytes(gpg("--export-secret-keys", *(["--armor"] if password else []), user))
            secret.chmod(0o600)
            # skopeo reads rings of the old form.
            (home / "pubring.gpg").write_bytes(gpg("--export", user))
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], capture_output=True)
        self.environment = {**os.environ, "GNUPGHOME": str(home)}
        return secret, f"pgp:{user}"

    def certificate(self, name):
        private = self._directory / f"{name}.pem"
        certificate = self._directory / f"{name}.crt"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", private, "-out",
                certificate, "-subj", f"/CN={name}", "-days", "2")
        return private, f"pkcs7:{certificate}"


@pytest.fixture
def keys(world):
    return Keys(world.directory)


def encrypt(registry, reference, name, recipients, layers=(), environment=None):
    """A copy of an image in the registry, encrypted for all recipients."""
    target = f"{registry.host}/{name}:1"
    options = [option for key in recipients for option in ("--encryption-key", key)]
    options += [option for layer in layers for option in ("--encrypt-layer", str(layer))]
    subprocess.run(["skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false",
                    *options, f"docker://{reference}", f"docker://{target}"], check=True,
                   capture_output=True, text=True, timeout=60, env=environment)
    return target


def create(peer, reference, private=None, recipients=(), **fields):
    config = dict(POLICY_NO)
    if private is not None:
        config["decryption"] = {"keys": [str(key) for key in private],
                                "recipients": list(recipients)}
    config.update(fields)
    return peer.ask("ContainerFactory", "createWithConfig",
                    {"imageRef": reference, "start": True, "config": config})


def runs(gateway, peer, answer):
    assert answer.status == 200, answer.text
    peer.wait_state(answer.value, "EXITED")
    assert gateway.wait_output(answer.value, "hello\n") == "hello\n"
    return answer.value


def layers_of(gateway):
    return sorted(f.name for f in (gateway.home / "layers").iterdir()
                  if f.name not in ("ids", "staging"))


@pytest.mark.parametrize("scheme", ["rsa", "p256", "p384", "p521", "pkcs7"])
def test_each_scheme_runs_with_its_key(gateway, peer, registry, hello, keys, scheme):
    curves = {"p256": "prime256v1", "p384": "secp384r1", "p521": "secp521r1"}
    if scheme == "rsa":
        private, recipient = keys.rsa("a")
    elif scheme == "pkcs7":
        private, recipient = keys.certificate("a")
    else:
        private, recipient = keys.elliptic("a", curves[scheme])
    reference = encrypt(registry, hello, "test/sealed", [recipient])
    given = [recipient] if scheme == "pkcs7" else []
    container = runs(gateway, peer, create(peer, reference, [private], given))
    shown = peer.twin[f"Container:{container}"]["properties"]["status"]["config"]
    assert shown["decryption"]["keys"] == [str(private)]


# To sign and to encrypt with; skopeo knows no others.
RINGS = {"rsa": ("rsa2048", "rsa2048"), "elgamal": ("dsa2048", "elg2048")}


@pytest.mark.deadline(180)
@pytest.mark.parametrize("kind", RINGS)
def test_rings_of_openpgp_open_it(gateway, peer, registry, hello, keys, kind):
    stranger, _ = keys.ring("stranger", RINGS["rsa"])
    private, recipient = keys.ring("a", RINGS[kind], "s3cret")
    reference = encrypt(registry, hello, "test/sealed", [recipient], environment=keys.environment)
    word = private.with_suffix(".word")
    word.write_text("s3cret\n")
    refused = create(peer, reference, [f"{private}:wr0ng"])
    assert refused.status == 500 and "password is wrong" in refused.text, refused.text
    refused = create(peer, reference, [private])
    assert refused.status == 500 and "needs a password" in refused.text, refused.text
    refused = create(peer, reference, [stranger])
    assert refused.status == 500 and "does not open" in refused.text, refused.text
    assert layers_of(gateway) == []
    for form in ("s3cret", f"file={word}"):
        runs(gateway, peer, create(peer, reference, [stranger, f"{private}:{form}"]))
    assert "s3cret" not in gateway.daemon.text()


def test_passwords_work_and_are_shown_nowhere(gateway, peer, registry, hello, keys):
    private, recipient = keys.rsa("a", "s3cret")
    reference = encrypt(registry, hello, "test/sealed", [recipient])
    word = private.with_suffix(".word")
    word.write_text("s3cret\n")
    for form in ("s3cret", "pass=s3cret", f"file={word}"):
        container = runs(gateway, peer, create(peer, reference, [f"{private}:{form}"]))
        shown = peer.twin[f"Container:{container}"]["properties"]["status"]["config"]
        assert shown["decryption"]["keys"] == [str(private)]
    refused = create(peer, reference, [f"{private}:wrong-s3cret"])
    assert refused.status == 500 and "password" in refused.text, refused.text
    assert not [m for m in peer.messages
                if b"s3cret" in m.payload and not m.topic.endswith("createWithConfig")]
    assert "s3cret" not in gateway.daemon.text()


def test_several_recipients_each_open_it(gateway, peer, registry, hello, keys):
    first, for_first = keys.rsa("first")
    second, for_second = keys.elliptic("second", "prime256v1")
    third, for_third = keys.certificate("third")
    stranger, _ = keys.rsa("stranger")
    reference = encrypt(registry, hello, "test/sealed", [for_first, for_second, for_third])
    for private in (first, second, third):
        runs(gateway, peer, create(peer, reference, [stranger, private]))
    assert create(peer, reference, [stranger]).status == 500


@pytest.mark.shows("K45")
def test_keys_of_the_daemon_serve_containers_without_their_own(world, broker, peer, registry, hello,
                                                               keys):
    private, recipient = keys.rsa("a")
    stranger, _ = keys.rsa("stranger")
    reference = encrypt(registry, hello, "test/sealed", [recipient])
    gateway = Gateway(world, broker, peer, [registry.host],
                      {"containers": {"insecure_registries": [registry.host],
                                      "image_dec_keys": [str(private)]}})
    gateway.wait_ready(broker)
    runs(gateway, peer, create(peer, reference))
    refused = create(peer, reference, [stranger])
    assert refused.status == 500, "its own keys replace those of the daemon"


def test_password_of_a_key_of_the_daemon_comes_from_a_descriptor(world, broker, peer, registry, hello,
                                                                 keys):
    private, recipient = keys.rsa("a", "s3cret")
    reference = encrypt(registry, hello, "test/sealed", [recipient])
    word = world.directory / "word"
    word.write_text("s3cret\n")
    gateway = Gateway(world, broker, peer, [registry.host])
    gateway.wait_ready(broker)
    gateway.daemon.stop()
    gateway.config["containers"]["image_dec_keys"] = [f"{private}:fd=9"]
    refused = gateway.start_daemon()
    assert refused.wait(20) == 1 and "without a descriptor of that number" in refused.text()
    with open(word, "rb") as source:
        given = os.dup2(source.fileno(), 9)
        gateway.start_daemon(descriptors=[given])
        os.close(given)
    gateway.wait_ready(broker, 2)
    runs(gateway, peer, create(peer, reference))
    assert not os.path.exists(f"/proc/{gateway.daemon.pid}/fd/9") or \
        os.readlink(f"/proc/{gateway.daemon.pid}/fd/9") != str(word)
    assert "s3cret" not in gateway.daemon.text()
    other = create(peer, reference, [f"{private}:fd=9"])
    assert other.status == 500 and "cannot know" in other.text, other.text


@pytest.mark.deadline(120)
def test_many_containers_may_wait_for_one_image_with_the_keys_of_the_daemon(
        world, broker, peer, registry, hello, keys):
    private, recipient = keys.rsa("a")
    encrypt(registry, hello, "test/sealed", [recipient])
    # So slow that all wait when the layer is unpacked: more than davit-unpack takes keys.
    slow = SlowProxy(world, registry.port, rate=200_000)
    reference = f"{slow.host}/test/sealed:1"
    gateway = Gateway(world, broker, peer, [],
                      {"containers": {"insecure_registries": [slow.host],
                                      "image_dec_keys": [str(private)]}})
    gateway.wait_ready(broker)
    commands = [peer.send("ContainerFactory", "create", {"imageRef": reference, "start": False})
                for _ in range(140)]
    answers = [peer.answer_of(command, 60) for command in commands]
    assert {answer.status for answer in answers} == {200}, [a.value for a in answers][:3]


def test_without_the_key_nothing_is_left_and_nothing_starts(gateway, peer, registry, hello, keys):
    private, recipient = keys.rsa("a")
    stranger, _ = keys.rsa("stranger")
    reference = encrypt(registry, hello, "test/sealed", [recipient])
    for given, reason in (([], "no key"), ([stranger], "does not open"),
                          ([f"{private}.none"], "No such file")):
        answer = create(peer, reference, given or None)
        assert answer.status == 500 and answer.error == "messages:execution.failed"
        assert reason in answer.text, answer.text
    assert layers_of(gateway) == []
    assert not [f for f in peer.twin if f.startswith("Container:")]


def test_right_to_use_it_is_asked_at_every_start_and_by_every_container(gateway, peer, registry,
                                                                       hello, keys):
    private, recipient = keys.rsa("a")
    stranger, _ = keys.rsa("stranger")
    reference = encrypt(registry, hello, "test/sealed", [recipient])
    container = runs(gateway, peer, create(peer, reference, [private]))
    assert create(peer, reference, [stranger]).status == 500, "it is stored, and not for him"
    assert create(peer, reference).status == 500
    hidden = private.rename(private.with_suffix(".hidden"))
    answer = peer.ask(f"Container:{container}", "start")
    assert answer.status == 500 and "No such file" in answer.text, answer.text
    hidden.rename(private)
    assert peer.ask(f"Container:{container}", "start").status == 204


@pytest.mark.shows("K45")
def test_some_layers_encrypted_and_containers_with_different_keys_at_once(gateway, peer, registry,
                                                                         keys):
    private, recipient = keys.rsa("a")
    stranger, _ = keys.rsa("stranger")
    plain = registry.push(images.busybox(["echo", "hello"]), "test/layers")
    reference = encrypt(registry, plain, "test/sealed", [recipient], layers=[-1])
    commands = [peer.send("ContainerFactory", "createWithConfig",
                          {"imageRef": reference, "start": True,
                           "config": {**POLICY_NO, "decryption": {"keys": [str(key)]}}})
                for key in (private, stranger, private, stranger)]
    answers = [peer.answer_of(command) for command in commands]
    assert [a.status for a in answers] == [200, 500, 200, 500], [a.text for a in answers[1::2]]
    for answer in answers[::2]:
        runs(gateway, peer, answer)


def test_an_index_of_several_platforms_is_opened_for_this_one(world, gateway, peer, registry, hello,
                                                              keys):
    private, recipient = keys.rsa("a")
    stranger, _ = keys.rsa("stranger")
    here = images.busybox(["echo", "hello"])
    there = images.image([images.layer({"elsewhere": (b"other", 0o644)})], ["true"])
    entries = []
    for image, architecture in ((there, "s390x"), (here, machine())):
        registry.push(image, "test/index", architecture)
        entries.append({**image.manifest.descriptor(),
                        "platform": {"os": "linux", "architecture": architecture}})
    registry.put_manifest("test/index", "1", images.Blob(json.dumps({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode(), INDEX))
    target = f"{registry.host}/test/sealed-index:1"
    subprocess.run(["skopeo", "copy", "-q", "--all", "--src-tls-verify=false",
                    "--dest-tls-verify=false", "--encryption-key", recipient,
                    f"docker://{registry.host}/test/index:1", f"docker://{target}"], check=True,
                   capture_output=True, text=True, timeout=60)
    assert create(peer, target, [stranger]).status == 500
    runs(gateway, peer, create(peer, target, [private]))


def machine():
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def tampered(world, registry, source, name, change):
    """A copy whose layers `change` has changed: it gets a layer's descriptor and its bytes, and
    gives the bytes back."""
    layout = world.directory / name
    subprocess.run(["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{source}",
                    f"oci:{layout}:1"], check=True, capture_output=True)

    def read(digest):
        return (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
    manifest = json.loads(read(json.loads((layout / "index.json").read_text())
                               ["manifests"][0]["digest"]))
    for layer in manifest["layers"]:
        blob = images.Blob(change(layer, read(layer["digest"])), layer["mediaType"])
        layer.update(digest=blob.digest, size=len(blob.data))
        registry.put_blob(f"test/{name}", blob)
    config = manifest["config"]
    registry.put_blob(f"test/{name}", images.Blob(read(config["digest"]), config["mediaType"]))
    registry.put_manifest(f"test/{name}", "1", images.Blob(json.dumps(manifest).encode(),
                                                          manifest["mediaType"]))
    return f"{registry.host}/test/{name}:1"


def change_options(layer, **changes):
    name = "org.opencontainers.image.enc.pubopts"
    options = json.loads(base64.b64decode(layer["annotations"][name])) | changes
    layer["annotations"][name] = base64.b64encode(json.dumps(options).encode()).decode()


def flip(data):
    return data[:100] + bytes([data[100] ^ 1]) + data[101:]


def without(layer, data, name):
    del layer["annotations"][f"org.opencontainers.image.enc.{name}"]
    return data


def with_options(layer, data, **changes):
    change_options(layer, **changes)
    return data


def with_jwe(layer, data, **changes):
    name = "org.opencontainers.image.enc.keys.jwe"
    jwe = json.loads(base64.b64decode(layer["annotations"][name]))
    jwe.update(changes)
    layer["annotations"][name] = base64.b64encode(json.dumps(jwe).encode()).decode()
    return data


TAMPERED = {
    "flipped": (lambda layer, data: flip(data), ""),
    "truncated": (lambda layer, data: data[:-20], ""),
    "empty": (lambda layer, data: b"", ""),
    "no-options": (lambda layer, data: without(layer, data, "pubopts"), "pubopts"),
    "no-keys": (lambda layer, data: without(layer, data, "keys.jwe"), "not with JWE, PKCS7 or OpenPGP"),
    "hmac": (lambda layer, data: with_options(
        layer, data, hmac=base64.b64encode(bytes(32)).decode()), "HMAC"),
    "cipher": (lambda layer, data: with_options(layer, data, cipher="ROT13"), "ROT13"),
    "zip": (lambda layer, data: with_jwe(layer, data, unprotected={"zip": "DEF"}), "compression"),
    "pbes2": (lambda layer, data: with_jwe(
        layer, data, protected=base64.urlsafe_b64encode(json.dumps(
            {"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": 2**31 - 1, "p2s": "AAAA"}
        ).encode()).decode().rstrip("=")), "PBES2"),
    "recipients": (lambda layer, data: with_jwe(
        layer, data, recipients=[{"header": {"alg": "RSA-OAEP"}, "encrypted_key": "AAAA"}] * 1000),
        "does not open"),
    "key-no-base64": (lambda layer, data: layer["annotations"].update(
        {"org.opencontainers.image.enc.keys.jwe": "!"}) or data, "base64"),
}


@pytest.mark.deadline(120)
def test_whatever_was_tampered_with_is_refused_and_leaves_nothing(world, gateway, peer, registry,
                                                                 hello, keys):
    private, recipient = keys.rsa("a")
    sealed = encrypt(registry, hello, "test/sealed", [recipient])
    for name, (change, reason) in TAMPERED.items():
        reference = tampered(world, registry, sealed, name, change)
        answer = create(peer, reference, [private])
        assert answer.status == 500 and reason in answer.text, (name, answer.text)
        assert layers_of(gateway) == [], name
    assert not [f for f in peer.twin if f.startswith("Container:")]
    runs(gateway, peer, create(peer, sealed, [private]))


def test_what_is_wrong_is_said_before_anything_is_made(gateway, peer, registry):
    for keys, reason in ((["relative.pem"], "absolute"), ([""], "absolute"),
                         (["/a\nb"], "absolute")):
        answer = create(peer, f"{registry.host}/test/none:1", keys)
        assert answer.status == 400 and reason in answer.text, answer.text
    answer = create(peer, f"{registry.host}/test/none:1", [], ["jwe:/x"])
    assert answer.status == 400 and "pkcs7:" in answer.text
