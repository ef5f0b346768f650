"""Ways to run the command."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from job.twin import TwinDecoder

import transformer.decode.profile  # noqa: F401 - bound to the real decoder, before `command` puts the twin in its place

DRIVER = Path(__file__).with_name("driver.py")

USERS = """\
table: users
key: [id]
columns:
  - {name: id, type: String}
  - {name: first_name, type: Nullable(String)}
  - {name: age, type: Nullable(Int16)}
"""


@dataclass
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def no_log_handler_stays() -> Iterator[None]:
    """The command logs to the standard error of its test, which is closed afterwards, while servers live on and log."""
    before = list(logging.getLogger().handlers)
    yield
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if handler not in before]:
        root.removeHandler(handler)


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory with schemas/users.yaml, and no settings in the environment."""
    folder = tmp_path / "workspace"
    (folder / "schemas").mkdir(parents=True)
    (folder / "schemas" / "users.yaml").write_text(USERS)
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("DYNAMO2CH_")]:
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the command in this process, decoding with the twin."""
    module = types.ModuleType("transformer.decode.decoder")
    module.Decoder = TwinDecoder  # type: ignore[attr-defined]
    module.SLACK = 64  # type: ignore[attr-defined]
    module.REVISION = 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformer.decode.decoder", module)

    def run(*arguments: str | Path) -> Outcome:
        from transformer.cli.main import main

        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["dynamo2ch", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capfd.readouterr()
        code = left.value.code
        assert code is None or isinstance(code, int)
        return Outcome(code or 0, captured.out, captured.err)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the driver as a process of its own; what is left of it at the end is ended."""
    with contextlib.ExitStack() as processes:

        def popen(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, str(DRIVER), *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, **(env or {})},
            )
            processes.enter_context(process)
            processes.callback(process.kill)
            return process

        yield popen
