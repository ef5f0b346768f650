"""One folder, one process: the second is told who has it, whatever became of the first is cleared away."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pytest

from transformer.errors import ExitCode, InternalError, UsageError
from transformer.load.destination import Destination, open_destination
from transformer.schema.layout import arrow_schema
from transformer.schema.table import Column, Table
from transformer.schema.types import parse

HOLD = """
import sys, tempfile
from transformer.load.destination import open_destination
destination = open_destination(sys.argv[1])
destination.query("CREATE TABLE IF NOT EXISTS t (a Int64) ENGINE = MergeTree ORDER BY a")
open(tempfile.gettempdir() + "/left-behind.raw", "w").close()
print("open", flush=True)
sys.stdin.readline()
destination.close()
print("closed", flush=True)
sys.stdin.readline()
"""

OPEN = """
import sys
from transformer.errors import Dynamo2chError
from transformer.load.destination import open_destination
try:
    destination = open_destination(sys.argv[1])
except Dynamo2chError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
print(destination.query("SELECT count() FROM t FORMAT CSV").decode())
destination.close()
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter: the engine does not survive a fork."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@contextlib.contextmanager
def holder(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has the folder, until a line is sent to it."""
    command = [sys.executable, "-c", HOLD, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_is_told_who_has_the_folder(tmp_path: Path) -> None:
    url = f"chdb://{tmp_path}/db"
    with holder(url) as first:
        refused = run(OPEN, url)
        assert refused.returncode == ExitCode.RETRY
        assert f"in use by process {first.pid} on " in refused.stderr
        assert str(tmp_path / "db") in refused.stderr
        # A link to the folder is the same folder.
        (tmp_path / "link").symlink_to(tmp_path / "db")
        assert run(OPEN, f"chdb://{tmp_path}/link").returncode == ExitCode.RETRY

        assert first.stdin is not None
        assert first.stdout is not None
        first.stdin.write("\n")
        first.stdin.flush()
        assert first.stdout.readline() == "closed\n"
        # Closed is enough: the process itself still lives.
        accepted = run(OPEN, url)
        assert (accepted.returncode, accepted.stdout.strip()) == (0, "0"), accepted.stderr


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    url = f"chdb://{tmp_path}/db"
    left = tmp_path / "db.state" / "inserts" / "left-behind.raw"
    with holder(url) as first:
        assert left.exists()
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert left.exists()
        accepted = run(OPEN, url)
    assert (accepted.returncode, accepted.stdout.strip()) == (0, "0"), accepted.stderr
    assert not left.exists()


def test_another_program_on_the_folder_is_reported_too(tmp_path: Path) -> None:
    code = "import chdb, sys; c = chdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.readline()"
    command = [sys.executable, "-c", code, str(tmp_path / "db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        refused = run(OPEN, f"chdb://{tmp_path}/db")
        process.kill()
    assert refused.returncode == ExitCode.RETRY
    assert "cannot be opened" in refused.stderr


def test_folders_are_private(tmp_path: Path) -> None:
    code = OPEN.replace("SELECT count() FROM t", "SELECT 1")
    assert run(code, f"chdb://{tmp_path}/deep/er/db").returncode == 0
    for name in ("db", "db.state", "db.state/inserts"):
        assert stat.S_IMODE((tmp_path / "deep/er" / name).stat().st_mode) == 0o700


def test_an_unwritable_place_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = run(OPEN, f"chdb://{tmp_path}/file/db")
    assert refused.returncode == ExitCode.USAGE
    assert "--to" in refused.stderr


@pytest.mark.parametrize("name", ["R&D", "a b", "50%41", "a=b", "a+b", "o'clock", "ü"])
def test_the_engine_starts_with_its_configuration_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    code = """
import sys
from transformer.load.destination import open_destination
destination = open_destination(sys.argv[1])
print(destination.query("SELECT name, value FROM system.merge_tree_settings WHERE changed FORMAT CSV").decode())
print(destination.query("SELECT stats FROM system.jemalloc_stats FORMAT TSVRaw").decode())
"""
    finished = run(code, f"chdb://{quote(str(tmp_path / name))}")
    assert finished.returncode == 0, finished.stderr
    assert '"min_columns_to_activate_adaptive_write_buffer","1"' in finished.stdout
    assert 'opt.percpu_arena: "disabled"' in finished.stdout
    assert any((tmp_path / name).iterdir())  # its files are there, not in a folder with half of the name


def test_a_folder_whose_name_the_engine_would_cut_is_refused(tmp_path: Path) -> None:
    refused = run(OPEN, f"chdb://{tmp_path}/what%3F")
    assert refused.returncode == ExitCode.USAGE
    assert "without a ?" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_allocator_that_somebody_else_has_set_stays(tmp_path: Path) -> None:
    code = """
import os, sys
from transformer.load.destination import open_destination
destination = open_destination(sys.argv[1])
print(os.environ.get("JE_MALLOC_CONF"))
print(destination.query("SELECT stats FROM system.jemalloc_stats FORMAT TSVRaw").decode())
"""
    finished = run(f"import os\nos.environ['JE_MALLOC_CONF'] = 'narenas:3'\n{code}", f"chdb://{tmp_path}/set")
    assert finished.stdout.startswith("narenas:3\n"), finished.stderr
    assert "opt.narenas: 3" in finished.stdout
    finished = run(code, f"chdb://{tmp_path}/unset")
    assert finished.stdout.startswith("None\n"), finished.stderr


def test_a_second_folder_in_one_process_is_refused(chdb_destination: Destination, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one folder for each process"):
        open_destination(f"chdb://{tmp_path}/other")
    assert not (tmp_path / "other").exists()


def test_folders_one_after_the_other(tmp_path: Path) -> None:
    code = """
import sys, tempfile
from transformer.load.destination import open_destination
before = tempfile.gettempdir()
for url in sys.argv[1:]:
    first, second = open_destination(url), open_destination(url)
    first.close()
    assert tempfile.gettempdir() != before
    assert second.query("SELECT 1 FORMAT CSV") == b"1\\n"
    second.close()
    assert tempfile.gettempdir() == before
"""
    finished = run(code, f"chdb://{tmp_path}/a", f"chdb://{tmp_path}/b", f"chdb://{tmp_path}/a")
    assert finished.returncode == 0, finished.stderr


def test_inserts_leave_no_file(
    chdb_destination: Destination, chdb_url: str, unique_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inserts = Path(chdb_url.removeprefix("chdb://") + ".state") / "inserts"
    assert Path(tempfile.gettempdir()) == inserts
    removed: list[str] = []
    unlink = os.unlink
    monkeypatch.setattr(os, "unlink", lambda path: (removed.append(str(path)), unlink(path)))
    table = Table(unique_name, ("id",), (Column("id", ("id",), parse("String")),))
    chdb_destination.ensure_table(table)
    row = {"id": b"a", "version": 0, "is_deleted": 0, "_unmapped": []}
    chdb_destination.insert(table, [pa.RecordBatch.from_pylist([row], schema=arrow_schema(table))], "t")
    (file,) = removed
    assert Path(file).parent == inserts
    assert list(inserts.glob("*.raw")) == []


# Python warns of a fork with threads running, which is what is tried here.
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_child_is_stopped_before_it_hangs(chdb_destination: Destination) -> None:
    child = os.fork()
    if child == 0:
        try:
            chdb_destination.query("SELECT 1")
        except InternalError:
            os._exit(42)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
    assert chdb_destination.query("SELECT 1 FORMAT CSV") == b"1\n"
