"""Measured work happens in processes of its own, so that no reader warms, fragments or burdens another.

A worker holds one object and calls its methods when told to, in lines of JSON over its standard input and output. It
lives through all rounds: what is timed is the work, not the start. It is spawned, never forked, because neither the
embedded engine nor pyarrow's threads survive a fork.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from typing import Any, Self

from bench.inputs import ROOT


@dataclass(frozen=True, slots=True)
class Timed:
    """What a call returned and what it took. cpu: seconds of all threads of the process, user and system."""

    value: Any
    wall: float
    cpu: float


class WorkerError(RuntimeError):
    """A call failed inside a worker; the message is the traceback there."""


class Worker:
    """A process that holds an object of the class named `module:Class`, made with `arguments`.

    core: the one core that it may use, or None for all.
    """

    def __init__(self, target: str, arguments: dict[str, Any] | None = None, *, core: int | None = None) -> None:
        start = json.dumps({"target": target, "arguments": arguments or {}, "core": core})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", start],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True,
        )  # fmt: skip
        self._target = target

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, **arguments: Any) -> Timed:
        """Call a method and wait for it. Raises WorkerError when it raises or when the process is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"method": method, "arguments": arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"{self._target} ended with exit code {self._process.wait()} in {method}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self._target}.{method}:\n{answer['error']}")
        return Timed(answer["value"], answer["wall"], answer["cpu"])

    def close(self) -> None:
        """End the process; it has nothing to save."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def cpu_seconds() -> float:
    """CPU seconds of this process so far, all threads, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _serve(start: dict[str, Any]) -> None:
    if start["core"] is not None:
        os.sched_setaffinity(0, {start["core"]})  # before imports: libraries size their pools by it
    # Whatever a library prints goes to standard error; the answers keep the pipe to themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, _, name = start["target"].partition(":")
    held = getattr(importlib.import_module(module), name)(**start["arguments"])
    for line in sys.stdin:
        request = json.loads(line)
        try:
            cpu, wall = cpu_seconds(), time.perf_counter()
            value = getattr(held, request["method"])(**request["arguments"])
            answer = {"value": value, "wall": time.perf_counter() - wall, "cpu": cpu_seconds() - cpu}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    answers.flush()
    os._exit(0)  # the engine's own end takes seconds, and its database is thrown away


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
