"""Faults on cue inside a load: what happens at which insert, in this process or in one that the driver runs.

Every load here, disturbed or not, sends `optimize_on_insert=0`, so that ClickHouse stores each row that it is sent, and
writes its ledger often, so that a small load has finished files when it is interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from transformer.errors import PressureError, RetryError
from transformer.job import recorder, snapshot
from transformer.load import chunks, ledger, ledger_table, quarantine
from transformer.load.clickhouse import INSERT_SETTINGS, ClickHouse
from transformer.load.ledger_table import TableLedger
from transformer.schema.table import Table


@dataclass(frozen=True)
class Cue:
    """What happens at the insert number `at` (from 1; 0 for never).

    do: `die` (as by kill -9), `fail` (once, as a lost connection), `fail-on` (from then on), `full` (from then on, as a
    disk without space), `memory` (three times, as a memory limit). after: once ClickHouse has the rows, not before.
    ledger: from which write of finished files on the ledger fails, 0 for never. rejects: the number of the quarantine
    file for which the disk is full, 0 for none. clock: hours that the clock of this process is wrong.
    tokens: whether inserts carry the tokens that they should.
    """

    at: int = 0
    do: str = ""
    after: bool = False
    ledger: int = 0
    rejects: int = 0
    clock: int = 0
    tokens: bool = True

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Cue:
        return cls(**json.loads(text))


NONE = Cue()


@contextlib.contextmanager
def cued(cue: Cue) -> Iterator[None]:
    """Have `cue` happen to every load inside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(INSERT_SETTINGS, "optimize_on_insert", 0)
        patch.setattr(recorder, "LONGEST", 0.02)
        patch.setattr(ClickHouse, "insert", _inserting(cue))
        patch.setattr(TableLedger, "record", _recording(cue))
        patch.setattr(quarantine.QuarantineFile, "close", _closing(cue))
        if not cue.tokens:
            patch.setattr(chunks, "token", lambda *_: secrets.token_hex(16))
        if cue.clock:
            real = ledger.moment

            def moment(at: datetime) -> str:
                return real(at + timedelta(hours=cue.clock))

            for module in (recorder, snapshot, ledger_table):
                patch.setattr(module, "moment", moment)
        yield


def _inserting(cue: Cue) -> Any:
    real = ClickHouse.insert
    numbers = itertools.count(1)
    lock = threading.Lock()

    def insert(this: ClickHouse, table: Table, batches: Sequence[pa.RecordBatch], token: str) -> None:
        with lock:
            number = next(numbers)
        due = cue.at and (number == cue.at if cue.do in ("die", "fail") else number >= cue.at)
        if cue.do == "memory" and number >= cue.at + 3:
            due = False
        if due and not cue.after:
            _act(cue.do)
        real(this, table, batches, token)
        if due and cue.after:
            _act(cue.do)

    return insert


def _act(what: str) -> None:
    match what:
        case "die":
            os._exit(137)
        case "fail" | "fail-on":
            raise RetryError("the connection broke off")
        case "full":
            raise RetryError("NOT_ENOUGH_SPACE (243)")
        case "memory":
            raise PressureError("MEMORY_LIMIT_EXCEEDED (241)")
        case _:
            raise AssertionError(what)


def _recording(cue: Cue) -> Any:
    real = TableLedger.record
    numbers = itertools.count(1)

    def record(this: TableLedger, files: Any) -> None:
        if cue.ledger and next(numbers) >= cue.ledger:
            raise RetryError("the ledger is away")
        real(this, files)

    return record


def _closing(cue: Cue) -> Any:
    real = quarantine.QuarantineFile.close
    numbers = itertools.count(1)

    def close(this: quarantine.QuarantineFile) -> None:
        if cue.rejects and this.count and next(numbers) == cue.rejects:
            this.discard()
            raise RetryError(f"rejects cannot be written: {os.strerror(errno.ENOSPC)}")
        real(this)

    return close
