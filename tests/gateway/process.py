"""A gateway in a process of its own: what a server is to whoever loads into it, down to dying."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from gateway.faults import Fault
from gateway.server import CONTROL

TESTS = Path(__file__).parents[1]


class GatewayProcess:
    """The running process. python: of the environment that has the engine, by default this one."""

    def __init__(self, folder: Path, *, python: str = sys.executable, port: int = 0) -> None:
        command = [python, "-m", "gateway", "--path", str(folder), "--port", str(port)]
        environment = {**os.environ, "PYTHONPATH": str(TESTS)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder.parent, env=environment
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"the gateway ended with exit code {self._process.wait()}")
        self.port = int(line)

    @property
    def url(self) -> str:
        """For --to."""
        return f"http://default@127.0.0.1:{self.port}/default"

    @property
    def version(self) -> str:
        """Of the engine."""
        return str(self._state()["version"])

    @property
    def faults_met(self) -> int:
        """How many faults have happened."""
        return int(self._state()["met"])

    def fail(self, faults: Sequence[Fault] = (), inserts: Sequence[Fault] = ()) -> None:
        """Line up faults: for any requests, and for inserts."""
        told = {
            "faults": [fault.to_record() for fault in faults],
            "insert_faults": [fault.to_record() for fault in inserts],
        }
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{CONTROL}", json.dumps(told).encode())
        with urllib.request.urlopen(request) as answer:
            answer.read()

    def _state(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{CONTROL}") as answer:
            state: dict[str, Any] = json.load(answer)
        return state

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._release()

    def close(self) -> None:
        """End it in good order."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._release()

    def _release(self) -> None:
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.close()
