"""SIGINT and SIGTERM, sent to a real process while it decodes."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from job.twin import user, write_export

pytestmark = pytest.mark.timeout(280)

Start = Callable[..., "subprocess.Popen[str]"]


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    """Read stderr until a line holds `text`; what was read."""
    assert process.stderr is not None
    read = ""
    for line in process.stderr:
        read += line
        if text in line:
            return read
    raise AssertionError(f"the process ended before it said {text!r}:\n{read}")


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Two files of 35 and 25 items."""
    return write_export(tmp_path, [[user(n) for n in range(35)], [user(n) for n in range(35, 60)]])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("destination", ["null:", "chdb"])
def test_the_first_signal_finishes_the_chunk_in_hand(
    start: Start, export: Path, tmp_path: Path, number: int, code: int, destination: str
) -> None:
    to = f"chdb://{tmp_path / 'own'}" if destination == "chdb" else destination
    process = start("snapshot", export, "--to", to, "--workers", "1", "--json", env={"DRIVER": "signal"})
    wait_for(process, "decoding")
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == code, err
    record = json.loads(out)
    assert record["status"] == "interrupted"
    assert record["exit_code"] == code
    # Three steps of three items and one of one made the chunk of ten that was in hand.
    assert record["rows_inserted"] == record["items_read"] == 10
    assert [file["state"] for file in record["files_not_loaded"]] == ["partly", "untouched"]
    assert any(json.loads(line)["event"] == "stop requested" for line in err.splitlines() if line.startswith("{"))
    if destination == "chdb":
        again = start("query", "SELECT count() FROM users FORMAT TSV", "--to", to)
        assert again.communicate()[0] == "10\n"


def test_the_second_signal_leaves_at_once(start: Start, export: Path) -> None:
    process = start("snapshot", export, "--to", "null:", env={"DRIVER": "hang"})
    wait_for(process, "decoding")
    process.send_signal(signal.SIGTERM)
    wait_for(process, "stop requested")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate()
    assert process.returncode == 143
    assert out == ""


def test_a_bug_in_a_thread_is_reported_and_ends_with_1(start: Start, export: Path) -> None:
    process = start("snapshot", export, "--to", "null:", "--json", env={"DRIVER": "bug"})
    out, err = process.communicate()
    assert process.returncode == 1
    assert json.loads(out)["error"]["type"] == "ZeroDivisionError"
    assert "error: this is a bug: ZeroDivisionError: division by zero" in err
    assert "Traceback" not in err


def test_debug_shows_where_a_bug_is(start: Start, export: Path) -> None:
    process = start("--debug", "snapshot", export, "--to", "null:", env={"DRIVER": "bug"})
    _, err = process.communicate()
    assert process.returncode == 1
    assert "Traceback" in err
    assert "_before_step" in err
