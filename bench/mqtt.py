# SPDX-License-Identifier: Apache-2.0
"""The few packets of MQTT 3.1.1 that measuring needs, on one blocking socket and without threads,
so that what is measured is the other side.

As a program, `mqtt.py PORT`: a subscriber that answers each message of echo/request at once on
echo/answer, the round trip that a broker makes possible at all.
"""
import collections
import socket
import struct
import sys
import time

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
QOS_1 = 0x02
READ_BYTES = 1 << 16
REQUEST, ANSWER = "echo/request", "echo/answer"

Message = collections.namedtuple("Message", "at topic payload")


def _text(text):
    data = text.encode()
    return struct.pack("!H", len(data)) + data


def _packet(kind, flags, body):
    length, rest = bytearray(), len(body)
    while True:
        length.append(rest % 128 | (128 if rest > 127 else 0))
        rest //= 128
        if rest == 0:
            return bytes([kind << 4 | flags]) + bytes(length) + body


class Client:
    def __init__(self, port, name, topics):
        self._number = 0
        self._buffer = bytearray()
        self._kinds_seen = set()
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        clean_session, keep_alive_s = 2, 0
        self._socket.sendall(_packet(CONNECT, 0, _text("MQTT") + struct.pack(
            "!BBH", 4, clean_session, keep_alive_s) + _text(name)))
        self._wait_kind(CONNACK)
        self._socket.sendall(_packet(SUBSCRIBE, 2, self._next_number() + b"".join(
            _text(topic) + b"\1" for topic in topics)))
        self._wait_kind(SUBACK)

    def _next_number(self):
        self._number = self._number % 65535 + 1
        return struct.pack("!H", self._number)

    def _wait_kind(self, kind):
        deadline = time.monotonic() + 10
        while kind not in self._kinds_seen:
            if self.read(deadline) is None and time.monotonic() > deadline:
                raise AssertionError("the broker does not answer")

    def publish(self, topic, payload):
        """QoS 1; the acknowledgement is taken by a later read()."""
        self._socket.sendall(_packet(PUBLISH, QOS_1, _text(topic) + self._next_number() + payload))

    def read(self, deadline):
        """The next message, acknowledged, or None: another packet, or `deadline` has passed."""
        packet = self._take()
        while packet is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(READ_BYTES)
            except TimeoutError:
                return None
            if not data:
                raise AssertionError("the broker has closed the connection")
            self._buffer += data
            packet = self._take()
        first, body = packet
        self._kinds_seen.add(first >> 4)
        return self._message(first, body) if first >> 4 == PUBLISH else None

    def _take(self):
        """First byte and body of the next whole packet that has arrived."""
        length = 0
        for index in range(1, min(len(self._buffer), 5)):
            length |= (self._buffer[index] & 127) << 7 * (index - 1)
            if self._buffer[index] < 128:
                end = index + 1 + length
                if len(self._buffer) < end:
                    return None
                packet = self._buffer[0], bytes(self._buffer[index + 1:end])
                del self._buffer[:end]
                return packet
        return None

    def _message(self, first, body):
        at = time.monotonic()
        start = 2 + struct.unpack_from("!H", body)[0]
        topic = body[2:start].decode()
        if first & QOS_1:
            self._socket.sendall(_packet(PUBACK, 0, body[start:start + 2]))
            start += 2
        return Message(at, topic, body[start:])

    def close(self):
        self._socket.close()


def echo(port):
    client = Client(port, "echo", [REQUEST])
    print("ready", flush=True)
    while True:
        message = client.read(time.monotonic() + 3600)
        if message:
            client.publish(ANSWER, message.payload)


if __name__ == "__main__":
    echo(int(sys.argv[1]))
