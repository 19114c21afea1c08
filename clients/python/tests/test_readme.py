"""The examples of the README run, in their order."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_examples(server, monkeypatch, capsys):
    monkeypatch.setenv("ASKTELL_TARGET", server.target)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 7
    scope: dict[str, object] = {}
    for block in blocks:
        if "# needs: torch" in block and importlib.util.find_spec("torch") is None:
            continue
        exec(compile(block, "README.md", "exec"), scope)
    assert "SPACE_INVALID" in capsys.readouterr().out


def test_torch_is_named_when_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "asktell.torch", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'asktell\[torch\]'"):
        importlib.import_module("asktell.torch")
