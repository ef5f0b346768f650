"""What a run looks like while it goes on: on a terminal, and in a log."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import DRIVER
from job.twin import bad_user, user, write_export
from rich.console import Console
from rich.progress import Progress, TextColumn

from transformer import log
from transformer.cli import progress
from transformer.cli.progress import Bars, LogLines, bars_wanted
from transformer.job import events

pytestmark = pytest.mark.timeout(280)

STARTED = events.RunStarted("job", "export", "table", "null:", 2, 10, 2, 1, 1 << 20, warnings=("odd \x1b[31m",))


class Terminal(io.StringIO):
    """Text that calls itself a terminal."""

    def isatty(self) -> bool:
        return True


def test_bars_are_for_terminals_that_can_redraw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not bars_wanted()
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert bars_wanted()
    monkeypatch.setenv("DYNAMO2CH_LOG_FORMAT", "json")
    assert not bars_wanted()
    monkeypatch.delenv("DYNAMO2CH_LOG_FORMAT")
    monkeypatch.setenv("TERM", "dumb")
    assert not bars_wanted()


def test_bars_count_files_items_and_rejects_and_escape_what_they_show() -> None:
    out = io.StringIO()
    columns = (TextColumn("{task.description} {task.completed} {task.total} {task.fields[note]}", markup=False),)
    console = Console(file=out, markup=False, highlight=False, width=100)
    with Progress(*columns, console=console) as shown:
        bars = Bars(shown)
        bars(events.ChunkInserted("f", 1, 2, 2, 100, 0.1))  # before the start there is nothing to advance
        bars(STARTED)
        bars(events.BlockDecoded("f", 7, 1000))
        bars(events.ItemsRejected("f", {"MISSING": 2, "BAD_NUMBER": 1}))
        bars(events.FileLoaded("f", 7, 4, 3, 10, 1000, "md5"))
        bars(events.Stopping("error", "it broke \x07\nand more"))
    text = out.getvalue()
    assert "warning: odd \\x1b[31m" in text
    assert "files 1 2 it broke \\x07" in text
    assert "items 7 10 3 rejected" in text
    assert "\x07" not in text


def test_log_lines_tell_of_progress_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    log.configure("info", "json", stream=out)
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = LogLines(log.get("dynamo2ch"))
    lines(STARTED)
    for second in range(1, 26):
        now[0] = float(second)
        lines(events.BlockDecoded("f", 10, 100))
    lines(events.ItemsRejected("f", {"MISSING": 2}))
    lines(events.ChunkInserted("f", 1, 2, 2, 100, 0.1))
    lines(events.Stopping("signal", "asked to stop"))
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in told] == ["run started", "source warning", "progress", "progress", "stopping"]
    assert [line["items"] for line in told if line["event"] == "progress"] == [100, 200]
    assert {line["job"] for line in told} == {"job"}
    assert "\x1b" not in out.getvalue()


def in_terminal(*arguments: str | Path, stdout_too: bool = False) -> tuple[int, str, str]:
    """Run the driver with a terminal for stderr, or for stdout; exit code, what the terminal and the other one got."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(DRIVER), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=theirs if stdout_too else subprocess.PIPE,
        stderr=subprocess.PIPE if stdout_too else theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:  # Linux says so when the other side has gone
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    with process:
        pipe = process.stderr if stdout_too else process.stdout
        assert pipe is not None
        other = pipe.read()
    return process.returncode, shown.decode(), other.decode()


def test_a_run_in_a_terminal_draws_bars_and_prints_its_result_to_stdout(tmp_path: Path) -> None:
    export = write_export(tmp_path, [[user(n) for n in range(20)], [bad_user(1)]])
    code, shown, out = in_terminal("snapshot", export, "--to", "null:", "--json")
    assert code == 3
    assert "files" in shown
    assert '"event"' not in shown
    assert json.loads(out)["rows_inserted"] == 20


def test_a_query_in_a_terminal_is_escaped(tmp_path: Path) -> None:
    to = f"chdb://{tmp_path / 'own'}"
    code, shown, _ = in_terminal("query", r"SELECT 'a\x1b[31mb' FORMAT TSVRaw", "--to", to, stdout_too=True)
    assert code == 0
    assert shown.replace("\r\n", "\n") == "a\\x1b[31mb\n"
