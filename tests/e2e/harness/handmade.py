# SPDX-License-Identifier: Apache-2.0
"""A registry made by hand, in the test's own process: it can ask for logins, redirect, and lie."""
import base64
import http.server
import json
import re
import ssl
import threading
import urllib.parse


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # clients that go away are part of the tests


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.registry.handle(self)

    do_HEAD = do_POST = do_GET

    def reply(self, status, body=b"", headers=()):
        self.send_response(status)
        names = {name.lower() for name, _ in headers}
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in names and "transfer-encoding" not in names:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def reply_blob(self, data, media_type, digest):
        """As registries do, ranges included."""
        headers = [("Content-Type", media_type), ("Docker-Content-Digest", digest)]
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not wanted:
            self.reply(200, data, headers)
            return
        start = int(wanted[1])
        if start >= len(data):
            self.reply(416, b"", headers)
            return
        headers.append(("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}"))
        self.reply(206, data[start:], headers)


class HandRegistry:
    """Speaks the registry protocol for the images that were put into it.

    `login`: None, ("basic", user, password) or ("bearer", user, password); a bearer token comes from
    `realm` (default: this registry's own /token) and is good for `token_uses` requests. `hook` is
    called with (request handler, path) first and may answer itself, then it returns True."""

    def __init__(self, world, certificate=None, client_authority=None, login=None, realm=None,
                 token_uses=None, hook=None):
        self.login = login
        self.token_uses = token_uses
        self.hook = hook
        self.seen = []         # (method, path, headers) of every request
        self.token_calls = []  # (query, Authorization) of every call of /token
        self._objects = {}
        self._tokens = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.registry = self
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, certificate))
            if client_authority:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(str(client_authority))
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
            self.scheme = "https"
        self.port = self._server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{self.scheme}://{self.host}"
        self.realm = realm or f"{self.url}/token"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()
        world.defer(self.close)

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    # -- content

    def put(self, path, data, media_type, digest):
        self._objects[path] = (data, media_type, digest)

    def push(self, image, repository, tag="1"):
        for blob in image.blobs:
            self.put(f"/v2/{repository}/blobs/{blob.digest}", blob.data,
                     "application/octet-stream", blob.digest)
        manifest = image.manifest
        for name in (tag, manifest.digest):
            self.put(f"/v2/{repository}/manifests/{name}", manifest.data, manifest.media_type,
                     manifest.digest)
        return f"{self.host}/{repository}:{tag}"

    def paths(self, part=""):
        """Paths that were asked for, in order."""
        return [path for _, path, _ in self.seen if part in path]

    # -- answers

    def handle(self, request):
        path = request.path
        with self._lock:
            self.seen.append((request.command, path, dict(request.headers)))
        if self.hook and self.hook(request, path):
            return
        if path.startswith("/token"):
            self._give_token(request)
        elif not self.is_welcome(request):
            request.reply(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"log in"}]}',
                          [("WWW-Authenticate", self._challenge(path)),
                           ("Docker-Distribution-Api-Version", "registry/2.0")])
        elif path in self._objects:
            request.reply_blob(*self._objects[path])
        else:
            request.reply(404, b'{"errors":[{"code":"NAME_UNKNOWN","message":"no such thing"}]}',
                          [("Docker-Distribution-Api-Version", "registry/2.0")])

    def _challenge(self, path):
        if self.login[0] == "basic":
            return 'Basic realm="test"'
        repository = re.sub(r"^/v2/(.*)/(blobs|manifests)/.*$", r"\1", path)
        return (f'Bearer realm="{self.realm}",service="test registry",'
                f'scope="repository:{repository}:pull"')

    def _has_password(self, request):
        _, user, password = self.login
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {pair}"

    def _give_token(self, request):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)
        form = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        if request.command == "POST":
            query = urllib.parse.parse_qs(form.decode())
        with self._lock:
            self.token_calls.append((query, request.headers.get("Authorization")))
            if request.command == "POST" and query.get("refresh_token") != [self.login[2]]:
                token = None
            elif request.command != "POST" and self.login[1] and not self._has_password(request):
                token = None
            else:
                token = f"token-{len(self.token_calls)}"
                self._tokens[token] = self.token_uses
        if token:
            request.reply(200, json.dumps({"token": token, "expires_in": 300}).encode())
        else:
            request.reply(401, b'{"details":"incorrect username or password"}')

    def forget_tokens(self):
        with self._lock:
            self._tokens.clear()

    def is_welcome(self, request):
        if not self.login:
            return True
        if self.login[0] == "basic":
            return self._has_password(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        with self._lock:
            if token not in self._tokens:
                return False
            left = self._tokens[token]
            if left is not None:
                self._tokens[token] = left - 1
            return left is None or left > 0
