"""Where figures come from: the machine, the versions, the commit."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.inputs import ROOT, SEED

_PACKAGES = ("chdb", "pyarrow", "polars", "numba", "numpy", "isal", "boto3", "clickhouse-connect")


def load() -> list[float]:
    """The load averages of the last 1, 5 and 15 minutes."""
    return [round(load, 2) for load in os.getloadavg()]


def describe(core: int | None) -> dict[str, Any]:
    """What a reader needs to judge figures. core: the one that one-core work was pinned to."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "pinned_core": core,
        "load_before": load(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
        "seed": SEED,
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    """The model, as Linux names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str | None:
    """The commit, with a plus sign when the tree has other changes; None outside a repository."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
        status = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if status.stdout.strip() else "")
