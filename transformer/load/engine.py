"""The embedded engine of this process: one folder, one process.

The engine serves one folder for each process, and one process for each folder. Both rules are enforced here, before the
engine would break off with less to say: beside the folder lies another, `<folder>.state`, with a lock that names its
holder and with the temporary files of inserts, which a killed process leaves behind and the next one removes.
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

_guard = threading.Lock()
_engine: Engine | None = None


class Engine:
    """A claim on the embedded database in one folder. Made by `claim_engine`, given back with `release`."""

    def __init__(self, folder: Path) -> None:
        """Lock the folder, empty its place for temporary files, and send those of this process there."""
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
