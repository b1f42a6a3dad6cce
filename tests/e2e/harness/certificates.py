# SPDX-License-Identifier: Apache-2.0
"""An authority of the test's own, made with the openssl command."""
import subprocess


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """Files below `directory`: <name>-ca.crt, and what sign() makes."""

    def __init__(self, directory, name="test"):
        self._directory = directory
        self._key = directory / f"{name}-ca.key"
        self.certificate = directory / f"{name}-ca.crt"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-days", "2", "-subj", f"/CN={name} authority", "-keyout", self._key,
                 "-out", self.certificate)

    def sign(self, name, address="127.0.0.1", days=2):
        """A certificate for that address, also good for a client; (certificate, key)."""
        key, request, certificate, extensions = (
            self._directory / f"{name}.{ending}" for ending in ("key", "csr", "crt", "ext"))
        extensions.write_text(f"subjectAltName=IP:{address}\n"
                              "extendedKeyUsage=serverAuth,clientAuth\n")
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key,
                 "-CAcreateserial", "-days", str(days), "-extfile", extensions,
                 "-out", certificate)
        return certificate, key
