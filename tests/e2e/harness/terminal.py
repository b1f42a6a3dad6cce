# SPDX-License-Identifier: Apache-2.0
"""A program with a real terminal of its own, and somebody who types."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time


class Terminal:
    def __init__(self, command, rows=24, columns=80):
        self._master, slave = pty.openpty()
        self.resize(rows, columns)
        self.text = ""
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, close_fds=True,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self._slave = slave

    def resize(self, rows, columns):
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self._master, text.encode())

    def _read(self, timeout_s):
        if select.select([self._master], [], [], timeout_s)[0]:
            self.text += os.read(self._master, 65536).decode(errors="replace")

    def wait(self, text, timeout_s=20):
        """Until the screen has `text` behind what was waited for before."""
        deadline = time.monotonic() + timeout_s
        while text not in self.text:
            assert time.monotonic() < deadline, f"no {text!r} in {self.text!r}"
            self._read(0.05)
        seen, _, self.text = self.text.partition(text)
        return seen + text

    def is_raw(self):
        return not termios.tcgetattr(self._slave)[3] & termios.ICANON

    def wait_raw(self):
        deadline = time.monotonic() + 20
        while not self.is_raw():
            assert time.monotonic() < deadline, f"the terminal is not raw: {self.text!r}"
            self._read(0.05)

    def wait_end(self, timeout_s=20):
        """The exit code; the terminal must be as it was."""
        deadline = time.monotonic() + timeout_s
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end: {self.text!r}"
            self._read(0.05)
        while select.select([self._master], [], [], 0)[0]:
            self._read(0)
        assert not self.is_raw()
        return self._process.returncode

    def signal(self, number):
        self._process.send_signal(number)

    def close(self):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        os.close(self._master)
        os.close(self._slave)
