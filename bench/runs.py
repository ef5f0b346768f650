"""Whole runs from outside: how memory grows with the input, how fast a command starts, what a second worker brings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from statistics import median
from typing import Any

from bench.inputs import ROOT, Input

HEAVY = ("numba", "pyarrow", "polars", "fsspec", "clickhouse_connect", "chdb", "boto3")
"""What `--help` must not import."""

_EMPTY_APP = """
import typer
app = typer.Typer(add_completion=False)
def make(number):
    def command(name: str = "x", count: int = 1): "One."
    command.__name__ = f"c{number}"
    return command
for number in range(COMMANDS): app.command()(make(number))
app()
"""
_STARTS = """
import time
begin = time.process_time()
import numpy, pyarrow, numba
import pyarrow.compute, isal.isal_zlib, fsspec
imports = time.process_time() - begin
import numpy as np
from transformer.schema.file import load_schema
from transformer.decode.decoder import SLACK, Decoder
decoder = Decoder(load_schema("schemas/orders.yaml"), version=0)
line = b'{"Item":{"customer":{"S":"c"},"order_no":{"N":"1"}}}'
block = np.zeros(len(line) + SLACK, np.uint8)
block[: len(line)] = np.frombuffer(line, np.uint8)
decoder.step(block, 0, len(line), max_items=1, max_bytes=1 << 20)
print(imports, time.process_time() - begin)
"""


def _run(command: list[str], **variables: str) -> tuple[float, str]:
    """CPU seconds and standard output of a command that ends well."""
    before = os.times()
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    after = os.times()
    spent = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    return spent, done.stdout


def start(rounds: int) -> dict[str, Any]:
    """CPU seconds of `--help` against an empty application, and of a first batch against the imports that it needs."""
    tool = [sys.executable, "-m", "transformer.cli", "--help"]
    count = "import transformer.cli.main as m; print(len(m.app.registered_commands) + len(m.app.registered_groups))"
    commands = _run([sys.executable, "-c", count])[1].strip()
    empty = [sys.executable, "-c", _EMPTY_APP.replace("COMMANDS", commands), "--help"]
    probe = f"import json, sys, transformer.cli.main; print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    imported = json.loads(_run([sys.executable, "-c", probe])[1])
    ours, theirs, first = [], [], []
    _run([sys.executable, "-c", _STARTS])
    for _ in range(rounds):
        ours.append(_run(tool)[0])
        theirs.append(_run(empty)[0])
        imports, whole = map(float, _run([sys.executable, "-c", _STARTS])[1].split())
        first.append((whole / imports, imports, whole))
    ratio, imports, whole = sorted(first)[len(first) // 2]
    return {
        "help_cpu_s": round(median(ours), 3),
        "empty_app_cpu_s": round(median(theirs), 3),
        "help_ratio": round(median(ours) / median(theirs), 3),
        "help_imports": imported,
        "imports_cpu_s": round(imports, 3),
        "first_batch_cpu_s": round(whole, 3),
        "first_batch_ratio": round(ratio, 3),
    }


def _snapshot(source: Input, workers: int | None, *more: str) -> tuple[dict[str, Any], float, float]:
    """The result of a run into `null:`, its wall and its CPU seconds."""
    with tempfile.TemporaryDirectory() as rejects:
        command = [
            sys.executable, "-m", "transformer.cli", "snapshot", source.folder, "--to", "null:", "--rejects", rejects,
            "--schema", str(ROOT / "schemas" / f"{source.shape}.yaml"), "--json", *more,
        ]  # fmt: skip
        if workers:
            command += ["--workers", str(workers)]
        begin = time.perf_counter()
        cpu, text = _run(command)
        return json.loads(text), time.perf_counter() - begin, cpu


def memory(small: Input, large: Input, limit: str = "256MiB") -> dict[str, Any]:
    """Peak memory of the same run over an input and over one about ten times as large."""
    peaks = [_snapshot(source, 1, "--memory", limit)[0]["peak_rss_bytes"] for source in (small, large)]
    return {
        "json_bytes": [small.json_bytes, large.json_bytes],
        "memory": limit,
        "peak_rss_bytes": peaks,
        "growth": round(peaks[1] / peaks[0], 3),
    }


def scaling(source: Input, rounds: int) -> dict[str, Any]:
    """Two workers against one, and two processes with one worker each against one: seconds by the run's own clock."""
    single, double, pair = [], [], []
    code = (
        "import sys; from bench.runs import _snapshot; from bench.inputs import Input; import json;"
        "print(_snapshot(Input(**json.loads(sys.argv[1])), 1)[0]['seconds'])"
    )
    argument = json.dumps(asdict(source))
    for _ in range(rounds):
        single.append(float(_snapshot(source, 1)[0]["seconds"]))
        double.append(float(_snapshot(source, 2)[0]["seconds"]))
        both = [
            subprocess.Popen([sys.executable, "-c", code, argument], cwd=ROOT, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        pair.append(max(float(one.communicate()[0]) for one in both))
    workers = median(single) / median(double)
    processes = 2 * median(single) / median(pair)
    return {
        "files": len(source.paths),
        "one_worker_s": round(median(single), 3),
        "two_workers_s": round(median(double), 3),
        "two_processes_s": round(median(pair), 3),
        "speed_up": round(workers, 3),
        "processes_speed_up": round(processes, 3),
        "ratio": round(workers / processes, 3),
    }
