"""The cache of compiled kernels: filled by one process, found by the next, copied where it cannot be written."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"), reason="nothing is compiled in this run"
)

# One small kernel instead of all of them: what is tested is the cache, and compiling everything takes a minute.
PROGRAM = """
import json, sys
from transformer.decode.kernels import compiler
from transformer.decode.kernels.compiler import kernel
sys.path.insert(0, sys.argv[1])
import one
stats = [k.stats for k in compiler.KERNELS]
print(json.dumps({
    "hits": sum(sum(s.cache_hits.values()) for s in stats),
    "misses": sum(sum(s.cache_misses.values()) for s in stats),
    "cache": compiler.CACHE and str(compiler.CACHE),
    "cpu": compiler.processor(),
}))
"""
KERNEL = """
from transformer.decode.kernels.compiler import kernel

@kernel("int64(int64)")
def one(x):
    return x + 1
"""


def start(folder: Path, cache: Path, **variables: str) -> dict[str, Any]:
    (folder / "one.py").write_text(KERNEL)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **variables}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], env=environment, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_one_process_compiled_the_next_one_finds(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert (start(tmp_path, cache)["hits"], start(tmp_path, cache)["hits"]) == (0, 1)


def test_a_named_processor_has_a_cache_of_its_own(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    here = start(tmp_path, cache)
    named = start(tmp_path, cache, DYNAMO2CH_KERNEL_CPU=here["cpu"])
    assert named["misses"] == 1
    assert named["cpu"] == here["cpu"]
    assert named["cache"] != here["cache"]
    assert start(tmp_path, cache, DYNAMO2CH_KERNEL_CPU=here["cpu"])["hits"] == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to every folder")
def test_a_filled_cache_that_is_read_only_is_used_all_the_same(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    start(tmp_path, cache)
    folders = [cache, *(path for path in cache.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        found = start(tmp_path, cache)
    finally:
        for folder in folders:
            folder.chmod(stat.S_IRWXU)
    assert found["hits"] == 1
    assert not found["cache"].startswith(str(cache))


def test_no_place_for_a_cache_stops_nobody(tmp_path: Path) -> None:
    """Under a file, nobody can make a folder."""
    (tmp_path / "file").write_text("")
    found = start(tmp_path, tmp_path / "file" / "cache")
    assert found["cache"] is None


def test_the_command_tells_hits_and_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from transformer.cli.main import app

    monkeypatch.setenv("NO_COLOR", "1")
    done = CliRunner().invoke(app, ["warm", "--json"])
    record = json.loads(done.stdout)
    assert done.exit_code == 0
    assert record["kernels"] > 80
    assert record["hits"] + record["misses"] >= record["kernels"]
    assert CliRunner().invoke(app, ["warm", "--check"]).exit_code == (5 if record["misses"] else 0)
