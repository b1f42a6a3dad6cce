# SPDX-License-Identifier: Apache-2.0
"""Servers of artifacts in the test's own process: HTTP or HTTPS, with ranges, whose `hook` may
answer itself, slowly, wrongly or not at all; FTP; SFTP."""
import contextlib
import hashlib
import http.server
import io
import json
import re
import socket
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


class FtpServer:
    """Just enough of FTP for a client that logs in and gets files, also from the middle of one."""

    def __init__(self, world, user="anonymous", password=None):
        self.files = {}
        self.commands = []
        self._user = user
        self._password = password
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        world.defer(self._listener.close)

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        with connection, connection.makefile("rw", newline="\r\n") as lines:
            state = {"user": None, "start": 0, "folder": "", "data": None}

            def say(text):
                lines.write(text + "\n")
                lines.flush()
            say("220 ready")
            for line in lines:
                command, _, argument = line.strip().partition(" ")
                self.commands.append(line.strip())
                if not self._answer(command.upper(), argument, say, state):
                    return

    def _answer(self, command, argument, say, state):
        if command == "USER":
            state["user"] = argument
            say("331 password")
        elif command == "PASS":
            good = state["user"] == self._user and self._password in (None, argument)
            say("230 in" if good else "530 no")
        elif command == "EPSV":
            # A new one each time: the last one may hold a connection that came to nothing.
            state["data"] = socket.create_server(("127.0.0.1", 0))
            say(f"229 here (|||{state['data'].getsockname()[1]}|)")
        elif command == "SIZE":
            body = self.files.get(state["folder"] + argument.lstrip("/"))
            say("550 none" if body is None else f"213 {len(body)}")
        elif command == "REST":
            state["start"] = int(argument)
            say("350 from there")
        elif command == "RETR":
            body = self.files.get(state["folder"] + argument.lstrip("/"))
            if body is None:
                say("550 none")
                return True
            say("150 comes")
            stream, _ = state["data"].accept()
            with stream:
                stream.sendall(body[state["start"]:])
            state["start"] = 0
            say("226 all")
        elif command == "QUIT":
            say("221 bye")
            return False
        elif command == "CWD":
            state["folder"] = "" if argument == "/" else state["folder"] + argument + "/"
            say("250 there")
        elif command in ("TYPE", "OPTS"):
            say("200 yes")
        elif command == "PWD":
            say('257 "/"')
        else:
            say("502 no")
        return True


class SftpServer:
    """SFTP for one user with a password; `known_hosts` is the line that names it."""

    def __init__(self, world, user="me", password="secret"):
        import paramiko
        self._paramiko = paramiko
        self.files = {}
        self._key = paramiko.RSAKey.generate(2048)
        self._user, self._password = user, password
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.known_hosts = (f"[127.0.0.1]:{self.port} {self._key.get_name()} "
                            f"{self._key.get_base64()}\n")
        threading.Thread(target=self._serve, daemon=True).start()
        world.defer(self._listener.close)

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        paramiko, outer = self._paramiko, self

        class Login(paramiko.ServerInterface):
            def check_auth_password(self, user, password):
                good = (user, password) == (outer._user, outer._password)
                return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

            def get_allowed_auths(self, _user):
                return "password"

            def check_channel_request(self, _kind, _number):
                return paramiko.OPEN_SUCCEEDED

        class Files(paramiko.SFTPServerInterface):
            def stat(self, path):
                body = outer.files.get(path.lstrip("/"))
                if body is None:
                    return paramiko.SFTP_NO_SUCH_FILE
                attributes = paramiko.SFTPAttributes()
                attributes.st_size, attributes.st_mode = len(body), 0o100644
                return attributes

            lstat = stat

            def open(self, path, _flags, _attributes):
                body = outer.files.get(path.lstrip("/"))
                if body is None:
                    return paramiko.SFTP_NO_SUCH_FILE
                handle = paramiko.SFTPHandle()
                handle.readfile = io.BytesIO(body)
                handle.stat = lambda: self.stat(path)
                return handle

        transport = paramiko.Transport(connection)
        transport.add_server_key(self._key)
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
        with contextlib.suppress(Exception):
            transport.start_server(server=Login())
            while transport.is_active():
                time.sleep(0.05)
