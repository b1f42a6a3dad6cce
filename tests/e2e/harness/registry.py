# SPDX-License-Identifier: Apache-2.0
"""A private docker-registry, and a proxy of our own that slows and cuts."""
import base64
import ctypes
import secrets
import socket
import ssl
import threading
import time
import urllib.request

from .broker import free_port, is_listening
from .world import wait_for


def bcrypt(password):
    """As `htpasswd -B` writes it; no other form is taken by docker-registry."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    letters = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    salt = "$2b$05$" + "".join(secrets.choice(letters) for _ in range(21)) + "."
    return library.crypt(password.encode(), salt.encode()).decode()


class Registry:
    """`certificate`: (certificate, key) for TLS; `login`: (user, password) that it asks for."""

    def __init__(self, world, port=None, certificate=None, login=None):
        self._world = world
        self._login = login
        self._scheme = "https" if certificate else "http"
        self.port = port or free_port()
        self.host = f"127.0.0.1:{self.port}"
        store = world.directory / "registry"
        config = world.directory / "registry.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
            f"storage:\n  filesystem: {{rootdirectory: {store}}}\n  delete: {{enabled: true}}\n"
            f"http:\n  addr: {self.host}\n  secret: {world.unique}\n"
            + self._tls(certificate) + self._auth(world.directory, login))
        self._process = world.start("registry", ["docker-registry", "serve", config])
        wait_for(lambda: is_listening(self.port) or not self._process.is_running, 15,
                 "docker-registry listens")
        assert self._process.is_running, self._process.text()

    @staticmethod
    def _tls(certificate):
        if not certificate:
            return ""
        return f"  tls: {{certificate: {certificate[0]}, key: {certificate[1]}}}\n"

    @staticmethod
    def _auth(directory, login):
        if not login:
            return ""
        file = directory / "htpasswd"
        file.write_text(f"{login[0]}:{bcrypt(login[1])}\n")
        return f"auth:\n  htpasswd: {{realm: test, path: {file}}}\n"

    def _call(self, method, url, body=None, media_type=None):
        request = urllib.request.Request(url, data=body, method=method)
        if media_type:
            request.add_header("Content-Type", media_type)
        if self._login:
            pair = base64.b64encode(":".join(self._login).encode()).decode()
            request.add_header("Authorization", f"Basic {pair}")
        unverified = ssl.create_default_context()
        unverified.check_hostname = False
        unverified.verify_mode = ssl.CERT_NONE
        # Proxies of the environment are not for a loopback registry.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPSHandler(context=unverified))
        return opener.open(request, timeout=30)

    def put_blob(self, repository, blob):
        base = f"{self._scheme}://{self.host}/v2/{repository}/blobs"
        location = self._call("POST", f"{base}/uploads/", b"").headers["Location"]
        separator = "&" if "?" in location else "?"
        self._call("PUT", f"{location}{separator}digest={blob.digest}", blob.data,
                   "application/octet-stream")

    def put_manifest(self, repository, tag, blob):
        self._call("PUT", f"{self._scheme}://{self.host}/v2/{repository}/manifests/{tag}", blob.data,
                   blob.media_type)

    def push(self, image, repository, tag="1"):
        """Uploads an images.Image; returns its reference."""
        for blob in image.blobs:
            self.put_blob(repository, blob)
        self.put_manifest(repository, tag, image.manifest)
        return f"{self.host}/{repository}:{tag}"

    def stop(self):
        self._process.stop()


class SlowProxy:
    """Forwards to a port of this machine with at most `rate` bytes a second from the server, once
    `free_bytes` of a connection have passed. cut() closes all connections."""

    def __init__(self, world, target_port, rate=None, free_bytes=4096):
        self._target = target_port
        self.rate = rate
        self._free = free_bytes
        self._open = set()
        self._lock = threading.Lock()
        self.passed_bytes = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        world.defer(self.close)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            with self._lock:
                self._open |= {client, server}
            threading.Thread(target=self._copy, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, True), daemon=True).start()

    def _copy(self, source, sink, is_answer):
        passed = 0
        try:
            while data := source.recv(4096):
                passed += len(data)
                if is_answer:
                    self.passed_bytes += len(data)
                    if self.rate and passed > self._free:
                        time.sleep(len(data) / self.rate)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        with self._lock:
            for end in self._open:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self._listener.close()
        self.cut()
