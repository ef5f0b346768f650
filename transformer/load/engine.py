"""The embedded engine of this process: one folder, one process.

The engine serves one folder for each process, and one process for each folder. Both rules are enforced here, before the
engine would break off with less to say: beside the folder lies another, `<folder>.state`, with a lock that names its
holder and with the temporary files of inserts, which a killed process leaves behind and the next one removes.

The engine is also told here to live within the memory that `transformer.job.budget` counts on. As it comes, it takes
what it finds: an insert of 38 MiB as Arrow cost 319 MiB at the peak and costs 152, and what was freed stayed with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import tempfile
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from transformer.errors import InternalError, RetryError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = """\
<clickhouse>
    <background_pool_size>2</background_pool_size>
    <mark_cache_size>67108864</mark_cache_size>
    <index_mark_cache_size>67108864</index_mark_cache_size>
    <primary_index_cache_size>67108864</primary_index_cache_size>
    <merge_tree>
        <min_columns_to_activate_adaptive_write_buffer>1</min_columns_to_activate_adaptive_write_buffer>
    </merge_tree>
</clickhouse>
"""
"""What the engine starts with.

Write buffers that grow as they fill: as they come, each of the files of a part (90 for a nested table) has two of 1 MiB
from the start, 180 MiB for each insert under way. With the growing ones a part is 0.5 % larger, and CPU time the same.
Two merging threads on every machine, not as many as there are cores, because each takes 20 to 60 MiB.
Caches of 64 MiB, not of 5 GiB each.
"""

ALLOCATOR = "JE_MALLOC_CONF"
"""The environment variable that the engine's allocator reads when the library is loaded."""

CORES_PER_ARENA = 4
"""The engine's allocator has a pool of free memory for each core, and keeps in each what was once used there. With one
pool three inserts in a row peaked at 222 MiB, with one for each of two cores at 303, in the same CPU time."""

_guard = threading.Lock()
_engine: Engine | None = None


class Engine:
    """A claim on the embedded database in one folder. Made by `claim_engine`, given back with `release`."""

    def __init__(self, folder: Path) -> None:
        """Lock the folder, empty its place for temporary files, and send those of this process there."""
        if "?" in str(folder):
            raise UsageError(
                f"the embedded database cannot be kept in {folder}: the engine takes what follows the ? for options",
                remedy="Choose a folder without a ? in its name.",
            )
        self.folder = folder
        self.claims = 0
        self._process = os.getpid()
        state = folder.with_name(f"{folder.name}.state")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            state.mkdir(mode=0o700, exist_ok=True)
            self._lock = _lock(state / "lock", folder)
        except OSError as error:
            raise UsageError(
                f"the embedded database cannot be kept in {folder}: {error.strerror}",
                remedy="Choose a folder on a local disk that you may write to, as in --to chdb:///absolute/folder.",
            ) from error
        inserts = state / "inserts"
        shutil.rmtree(inserts, ignore_errors=True)
        inserts.mkdir(mode=0o700, exist_ok=True)
        # The driver writes each insert to a file from `tempfile` and offers no other way to say where.
        self._tempdir_before = tempfile.tempdir
        tempfile.tempdir = str(inserts)
        # No file beside the folder: its name may hold an &, at which the engine would end the file's name.
        self._configuration = os.memfd_create("engine.xml", os.MFD_CLOEXEC)
        os.write(self._configuration, CONFIGURATION.encode())

    @property
    def options(self) -> dict[str, str]:
        """What a connection says to the engine, which listens when it starts, with the first of them."""
        return {"config-file": f"/proc/self/fd/{self._configuration}"}

    def check_process(self) -> None:
        """Raise InternalError in a forked child: the engine's threads are not in it, and its first query would hang."""
        if os.getpid() != self._process:
            raise InternalError("the embedded engine does not survive a fork: spawn processes instead")

    def close(self) -> None:
        """Give up folder and lock; in a forked child do nothing, they are its parent's."""
        if os.getpid() != self._process:
            return
        tempfile.tempdir = self._tempdir_before
        with contextlib.suppress(OSError):
            os.ftruncate(self._lock, 0)
        os.close(self._lock)
        os.close(self._configuration)


def load_library() -> None:
    """Import the engine. Raises ImportError when it is not installed.

    Its allocator reads how it should behave from the environment, at this moment only. Who has set that, or has
    imported the engine before, has decided.
    """
    if ALLOCATOR in os.environ:
        import chdb
    else:
        arenas = max(1, (os.cpu_count() or 1) // CORES_PER_ARENA)
        os.environ[ALLOCATOR] = f"percpu_arena:disabled,narenas:{arenas}"
        try:
            import chdb  # noqa: F401
        finally:
            del os.environ[ALLOCATOR]


def claim_engine(folder: Path) -> Engine:
    """The engine of this process on `folder` (absolute, links resolved).

    Several claims on one folder share the engine. Raises RetryError when another process has the folder, naming it, and
    UsageError when this process has another folder or may not write to this one.
    """
    global _engine
    with _guard:
        if _engine is not None and _engine.folder != folder:
            raise UsageError(
                f"this process already uses the embedded database in {_engine.folder}, "
                "and the engine serves one folder for each process",
                remedy="Close that one first, or use a second process.",
            )
        if _engine is None:
            _engine = Engine(folder)
        _engine.check_process()
        _engine.claims += 1
        return _engine


def release_engine(engine: Engine) -> None:
    """Give back one claim; with the last one the folder is free for others. Its clients must be closed before."""
    global _engine
    with _guard:
        engine.claims -= 1
        if engine.claims == 0 and engine is _engine:
            _engine = None
            engine.close()


def _lock(path: Path, folder: Path) -> int:
    """The descriptor of the lock file, locked until it is closed or this process ends, however it ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(descriptor)
        os.close(descriptor)
        raise RetryError(
            f"the embedded database in {folder} is in use by {holder}",
            remedy="One process can use it at a time. Wait for that one to end, or choose another folder with --to.",
        ) from None
    except OSError:
        os.close(descriptor)
        raise
    os.ftruncate(descriptor, 0)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now}).encode(), 0)
    return descriptor


def _holder(descriptor: int) -> str:
    """Who holds the lock, as far as it has said so yet."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {said['pid']} on {said['host']}, since {said['since']}"
    return "another process"
