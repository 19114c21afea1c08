"""The examples in Python run as a reader would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from .conftest import REPOSITORY, Server


def test_an_optimizer_of_five_lines_trains_a_torch_network_beside_adam(server: Server) -> None:
    pytest.importorskip("torch")
    script = REPOSITORY / "examples" / "own-rule" / "train.py"
    environment = {**os.environ, "ASKTELL_TARGET": server.target}
    run = subprocess.run([sys.executable, script, "60"], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    accuracies = dict(re.findall(r"^(.+): ([\d.]+)% of held-out digits after 60 steps$", run.stdout, re.MULTILINE))
    assert set(accuracies) == {"five lines", "adam"}
    for accuracy in accuracies.values():
        assert 70 < float(accuracy) < 100
