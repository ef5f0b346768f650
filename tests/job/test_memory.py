"""The memory budget, measured on processes of their own: kept, however much is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from transformer.job.budget import MIB
from transformer.synth import write_export

pytestmark = pytest.mark.timeout(280)

SCHEMA = Path(__file__).parents[2] / "schemas" / "orders.yaml"

BASE = 300 * MIB
"""Interpreter, libraries and machine code, as `transformer.job.budget` states it, with room for another platform."""


def peak(export: Path, *, memory: str) -> int:
    """Load `export` into nothing in a process of its own; the most memory it had."""
    command = [sys.executable, "-m", "transformer.cli", "snapshot", str(export), "--schema", str(SCHEMA)]
    command += ["--to", "null:", "--workers", "1", "--memory", memory, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["largest_chunk_bytes"] > 30 * MIB  # the chunks are full ones
    assert not record["warnings"]
    peak: int = record["peak_rss_bytes"]
    return peak


def test_memory_keeps_to_the_budget_however_much_is_loaded(tmp_path: Path) -> None:
    # One full chunk of 64 MiB and a little more in each file; how full the queues get depends on the threads' luck, so
    # a smaller load is no measure for a larger one, and each is held against what was granted.
    one, three = (
        write_export(tmp_path / str(files), shape="orders", items=80_000 * files, files=files, seed=1)
        for files in (1, 3)
    )
    peak(one.path, memory="320MiB")  # the first to run may compile the kernels, which takes memory of its own
    for export in (one, three):
        assert peak(export.path, memory="320MiB") <= BASE + 320 * MIB
