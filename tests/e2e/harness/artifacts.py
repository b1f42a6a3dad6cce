# SPDX-License-Identifier: Apache-2.0
"""A server of artifacts in the test's own process: HTTP or HTTPS, with ranges; `hook` may answer
itself, slowly, wrongly or not at all."""
import hashlib
import http.server
import json
import re
import ssl
import threading
import time


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that go away are part of the tests


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", headers=()):
        self.send_response(status)
        names = {name.lower() for name, _ in headers}
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in names:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def cut(self, body, length):
        """Promises all of it, sends a part, and hangs up."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(body[:length])
        self.wfile.flush()
        self.close_connection = True

    def slow(self, body, pieces, pause_s):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        step = len(body) // pieces + 1
        for at in range(0, len(body), step):
            self.wfile.write(body[at:at + step])
            self.wfile.flush()
            time.sleep(pause_s)

    def do_GET(self):
        server = self.server.artifacts
        server.seen.append((self.path, dict(self.headers)))
        if server.hook and server.hook(self, self.path):
            return
        body = server.files.get(self.path.split("?")[0])
        if body is None:
            self.reply(404, b"not here")
            return
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not wanted:
            self.reply(200, body, [("ETag", '"1"')])
            return
        start = int(wanted[1])
        self.reply(206, body[start:],
                   [("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")])


class Artifacts:
    def __init__(self, world, certificate=None, client_authority=None, hook=None):
        self.files = {}
        self.seen = []  # (path, headers) of every request
        self.hook = hook
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.artifacts = self
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
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        world.defer(self.close)

    def put(self, path, body):
        """`body`: bytes, or a container description."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.files[path] = body
        return body

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def checksums(body, *kinds):
    return {kind: hashlib.new(kind.lower(), body).hexdigest() for kind in kinds or ("SHA256",)}
