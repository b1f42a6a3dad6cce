# SPDX-License-Identifier: Apache-2.0
"""Tests of a machine that systemd boots: they restart its units and end in its shutdown. They run
in the guest that scripts/lib/systemd_machine.py makes, and nowhere else."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))


def pytest_configure(config):
    if not pathlib.Path("/davit/run-tests").exists():
        pytest.exit("tests/machine runs in the guest of scripts/lib/systemd_machine.py only", 1)
