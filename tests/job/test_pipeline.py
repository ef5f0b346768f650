"""The threads of a run: what they load, what they tell, and how they end. Destinations here are lists in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from job.twin import TwinDecoder, bad_user, user, users_table, write_export

from transformer.errors import InternalError, PressureError, RetryError, SourceError
from transformer.job import events
from transformer.job.budget import Budget
from transformer.job.parts import Parts
from transformer.job.pipeline import Account, Pipeline
from transformer.job.result import FileState
from transformer.job.stop import StopSwitch
from transformer.load.chunks import ChunkLimits
from transformer.load.quarantine import Quarantine
from transformer.schema.table import Column, Table
from transformer.schema.types import parse
from transformer.source.blocks import BlockReader, open_blocks
from transformer.source.export import DataFile, find_export

pytestmark = pytest.mark.timeout(280)


class Memory:
    """A destination that keeps what it is given. on_insert is called before each insert, with the token."""

    url = "memory:"

    def __init__(self, on_insert: Callable[[str], None] = lambda _token: None) -> None:
        self._on_insert = on_insert
        self.inserts: dict[str, list[dict[str, Any]]] = {}

    def ensure_table(self, _table: Table) -> bool:
        return False

    def query(self, sql: str) -> bytes:
        raise NotImplementedError(sql)

    def insert(self, _table: Table, batches: Sequence[pa.RecordBatch], token: str) -> None:
        self._on_insert(token)
        assert token not in self.inserts
        self.inserts[token] = [row for batch in batches for row in batch.to_pylist()]

    def close(self) -> None:
        pass

    @property
    def rows(self) -> list[dict[str, Any]]:
        return sorted((row for rows in self.inserts.values() for row in rows), key=lambda row: str(row["id"]))


class Run:
    """One pipeline over an export, with its destination, stop switch and events."""

    def __init__(
        self,
        export: Path,
        *,
        table: Table | None = None,
        workers: int = 1,
        limits: ChunkLimits | None = None,
        block_bytes: int = 1 << 20,
        holding: int = 1 << 30,
        inserting: int = 1 << 30,
        quarantine: Path | None = None,
        before: Callable[[], None] = lambda: None,
        on_insert: Callable[[str], None] = lambda _token: None,
        on_event: Callable[[events.Event], None] = lambda _event: None,
    ) -> None:
        self.table = table or users_table()
        self.destination = Memory(on_insert)
        self.stop = StopSwitch()
        self.events: list[events.Event] = []
        self._on_event = on_event
        found = find_export(str(export))
        self.parts = Parts(
            table=self.table,
            files=found.files,
            decoders=[TwinDecoder(self.table, version=0, before=before) for _ in range(workers)],
            budget=Budget(workers, max(1, workers // 2), block_bytes, holding, inserting),
            limits=limits or ChunkLimits.for_table(self.table),
            read=lambda file: open_blocks(file, block_bytes=block_bytes, slack=0),
            destination=self.destination,
            token=lambda name, first, last: f"{name}:{first}-{last}",
            quarantine=None if quarantine is None else Quarantine(str(quarantine)),
            stop=self.stop,
        )

    def _observe(self, event: events.Event) -> None:
        self.events.append(event)
        self._on_event(event)

    def __call__(self) -> Account:
        before = threading.active_count()
        try:
            return Pipeline(self.parts, self._observe).run()
        finally:
            assert threading.active_count() == before


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Three files of 40, 0 and 25 items; the second has only blank lines, the third lacks its last newline."""
    third = [user(100 + n) for n in range(25)]
    return write_export(
        tmp_path, [[user(n) for n in range(40)], [b"\n", b" \t\r\n"], [b"\n", *third[:-1], third[-1].rstrip(b"\n")]]
    )


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("block_bytes", [200, 1000, 1 << 20])
def test_every_item_is_loaded_whatever_the_workers_and_blocks(export: Path, workers: int, block_bytes: int) -> None:
    run = Run(export, workers=workers, block_bytes=block_bytes, limits=ChunkLimits(items=7, bytes=1 << 20))
    account = run()
    assert account.error is None
    assert account.complete
    assert [row["id"].decode() for row in run.destination.rows] == [
        *(f"user-{n:06}" for n in range(40)),
        *(f"user-{n:06}" for n in range(100, 125)),
    ]
    first, second, third = account.files.values()
    assert (first.items, first.rows, first.rejects, first.chunks) == (40, 40, 0, 6)
    assert (second.items, second.rows, second.rejects, second.chunks) == (0, 0, 0, 0)
    assert (third.items, third.rows, third.rejects, third.chunks) == (25, 25, 0, 4)
    names = [file.name for file in run.parts.files]
    # Chunks are cut by lines alone, and the blank first line of the third file belongs to its first chunk.
    assert sorted(run.destination.inserts) == sorted(
        [f"{names[0]}:{n + 1}-{min(n + 7, 40)}" for n in range(0, 40, 7)]
        + [f"{names[2]}:1-8", f"{names[2]}:9-15", f"{names[2]}:16-22", f"{names[2]}:23-26"]
    )
    loaded = [event for event in run.events if isinstance(event, events.FileLoaded)]
    assert {event.file for event in loaded} == set(names)
    assert sum(event.json_bytes for event in loaded) == sum(file.json_bytes for file in account.files.values())
    assert set(account.stages) == {"read", "decode", "wait", "insert"}


def test_chunks_are_cut_by_bytes_too_and_rejects_do_not_move_cuts(tmp_path: Path) -> None:
    good = write_export(tmp_path / "good", [[user(n) for n in range(20)]])
    bad = write_export(
        tmp_path / "bad", [[user(n) if n % 3 else bad_user(n).replace(b"40000", b"99999") for n in range(20)]]
    )
    size = len(user(1))
    for export in (good, bad):
        run = Run(export, limits=ChunkLimits(items=1000, bytes=4 * size - 5))
        account = run()
        assert account.error is None
        lines = [tuple(map(int, token.rpartition(":")[2].split("-"))) for token in run.destination.inserts]
        assert all(last - first == 3 for first, last in lines[:-1]) or export == bad
    assert account.rejects_by_code == {"OUT_OF_RANGE": 7}


def test_rejects_are_counted_named_and_quarantined(tmp_path: Path) -> None:
    lines = [user(0), b"\n", bad_user(1), b"{broken}\n", user(2)]
    run = Run(write_export(tmp_path, [lines, [bad_user(9)]]), quarantine=tmp_path / "rejects")
    account = run()
    assert account.error is None
    assert account.complete
    assert account.rejects_by_code == {"OUT_OF_RANGE": 2, "JSON_SYNTAX": 1}
    assert [len(rows) for rows in run.destination.inserts.values()] == [2]
    first = {(item.line, item.offset, item.code, item.path, item.column) for item in account.first_rejects}
    assert (3, bad_user(1).index(b'"40000"'), "OUT_OF_RANGE", "age", "age") in first
    assert (4, 1, "JSON_SYNTAX", "", "") in first
    assert len(list((tmp_path / "rejects").iterdir())) == 2
    rejected = [event for event in run.events if isinstance(event, events.ItemsRejected)]
    assert sum(sum(event.codes.values()) for event in rejected) == 3


def test_a_file_with_fewer_items_than_its_manifest_fails_the_run(tmp_path: Path) -> None:
    run = Run(write_export(tmp_path, [[user(1), user(2)]], counts={0: 3}))
    account = run()
    assert isinstance(account.error, SourceError)
    assert "3 items, the file holds 2" in account.error.message
    assert account.error_file == run.parts.files[0].name
    assert not account.complete


def test_a_damaged_file_fails_the_run_and_says_which(tmp_path: Path) -> None:
    lines = [[user(n) for n in range(5)], [user(n) for n in range(10, 15)]]
    run = Run(write_export(tmp_path, lines, md5s={1: "AAAAAAAAAAAAAAAAAAAAAA=="}))
    account = run()
    assert isinstance(account.error, SourceError)
    assert "MD5" in account.error.message
    assert account.error_file == run.parts.files[1].name
    assert account.files[run.parts.files[1].name].state is FileState.UNTOUCHED


def test_a_file_that_vanishes_fails_the_run(tmp_path: Path) -> None:
    export = write_export(tmp_path, [[user(1)], [user(2)]])
    run = Run(export)
    (export / run.parts.files[1].name).unlink()
    account = run()
    assert isinstance(account.error, SourceError)
    assert account.error_file == run.parts.files[1].name


def test_a_failing_insert_stops_everybody_and_marks_its_file_as_partly_loaded(tmp_path: Path) -> None:
    export = write_export(tmp_path, [[user(100 * f + n) for n in range(50)] for f in range(4)])
    failed = threading.Event()

    def fail_third(_token: str) -> None:
        if len(run.destination.inserts) == 2:
            failed.set()
            raise RetryError("the server has gone away")

    run = Run(export, workers=2, limits=ChunkLimits(items=5, bytes=1 << 20), on_insert=fail_third)
    account = run()
    assert failed.is_set()
    assert isinstance(account.error, RetryError)
    assert account.files[account.error_file].state is FileState.PARTLY
    assert not account.complete
    assert sum(file.rows for file in account.files.values()) == 10
    assert len(run.destination.inserts) == 2
    stopping = [event for event in run.events if isinstance(event, events.Stopping)]
    assert [event.reason for event in stopping] == ["error"]


def _with(parts: Parts, **changes: Any) -> Parts:
    from dataclasses import replace

    return replace(parts, **changes)


def test_a_bug_in_a_thread_ends_the_run_instead_of_hanging_it(export: Path) -> None:
    def bug() -> None:
        raise ZeroDivisionError("division by zero")

    account = Run(export, workers=2, before=bug)()
    assert isinstance(account.error, ZeroDivisionError)
    assert account.error_file


def test_a_decoder_that_stands_still_is_found_out(export: Path) -> None:
    run = Run(export)

    class Still(TwinDecoder):
        def step(self, *_args: object, **_limits: int) -> Any:
            step = super().step(*_args, **_limits)  # type: ignore[arg-type]
            step.size = 0
            return step

    run.parts = _with(run.parts, decoders=[Still(run.table, version=0)])
    account = run()
    assert isinstance(account.error, InternalError)
    assert "no progress" in account.error.message


def test_a_decoder_that_loses_an_item_is_found_out(export: Path) -> None:
    run = Run(export)

    class Losing(TwinDecoder):
        def step(self, *_args: object, **_limits: int) -> Any:
            step = super().step(*_args, **_limits)  # type: ignore[arg-type]
            step.batch = step.batch.slice(1)
            return step

    run.parts = _with(run.parts, decoders=[Losing(run.table, version=0)])
    account = run()
    assert isinstance(account.error, InternalError)
    assert "39 rows" in account.error.message


def test_what_an_observer_raises_comes_through_and_leaves_no_thread(export: Path) -> None:
    def raising(_event: events.Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Run(export, workers=2, on_event=raising)()


def test_a_stop_finishes_the_chunk_in_hand_and_begins_no_other(tmp_path: Path) -> None:
    export = write_export(tmp_path, [[user(n) for n in range(50)], [user(n) for n in range(50, 60)]])
    run = Run(export, limits=ChunkLimits(items=10, bytes=1 << 20), before=lambda: run.stop.press(15))
    account = run()
    assert account.error is None
    assert not account.complete
    assert [token.rpartition(":")[2] for token in run.destination.inserts] == ["1-10"]
    first, second = account.files.values()
    assert (first.state, first.items, first.rows) == (FileState.PARTLY, 10, 10)
    assert (second.state, second.items) == (FileState.UNTOUCHED, 0)
    assert [event.reason for event in run.events if isinstance(event, events.Stopping)] == ["signal"]


def test_a_stop_in_the_last_chunk_of_the_last_file_leaves_nothing_out(tmp_path: Path) -> None:
    run = Run(write_export(tmp_path, [[user(n) for n in range(5)]]), before=lambda: run.stop.press(2))
    account = run()
    assert account.complete


def test_keys_of_two_types_fail_the_run(tmp_path: Path) -> None:
    run = Run(write_export(tmp_path, [[user(1, id={"S": "1"})], [user(2, id={"N": "1"})]]))
    account = run()
    assert isinstance(account.error, SourceError)
    assert "N (in" in account.error.message
    assert "S (in" in account.error.message
    assert "not keys of one DynamoDB table" in account.error.message


def test_each_key_column_may_have_a_type_of_its_own(tmp_path: Path) -> None:
    columns = (Column("pk", ("id",), parse("String")), Column("sk", ("age",), parse("String")))
    table = users_table(key=("pk", "sk"), columns=columns)
    account = Run(write_export(tmp_path, [[user(1), user(2)]]), table=table)()
    assert account.error is None
    assert account.complete


@pytest.mark.parametrize("workers", [1, 3])
def test_chunks_larger_than_every_share_delay_and_do_not_hang(export: Path, workers: int) -> None:
    run = Run(export, workers=workers, limits=ChunkLimits(items=3, bytes=1 << 20), holding=1, inserting=1)
    account = run()
    assert account.error is None
    assert account.complete
    assert len(run.destination.rows) == 65


def test_no_more_chunks_are_alive_than_the_budget_holds(tmp_path: Path) -> None:
    export = write_export(tmp_path, [[user(100 * f + n) for n in range(100)] for f in range(3)])
    alive: list[int] = []

    def look(_token: str) -> None:
        alive.append(shared.chunks.qsize())

    run = Run(export, workers=3, limits=ChunkLimits(items=10, bytes=1 << 20), holding=1, on_insert=look)
    pipeline = Pipeline(run.parts, lambda _event: None)
    shared = pipeline._shared
    account = pipeline.run()
    assert account.complete
    assert len(alive) == 30
    # holding=1 lets one chunk grow or wait at a time.
    assert max(alive) <= 1


# Inserts that are tried again. Waits are drawn from half a second on; here they end at once, by the clock of the run.


def _impatient(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformer.load.retry.FIRST_WAIT", 0.001)
    run.parts = replace(run.parts, retry_seconds=3600)


def test_an_insert_is_tried_again_with_the_same_token(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens: list[str] = []

    def on_insert(token: str) -> None:
        tokens.append(token)
        if len(tokens) in (2, 3, 5):
            raise RetryError("the server has gone away")

    run = Run(export, workers=2, limits=ChunkLimits(items=10, bytes=1 << 20), on_insert=on_insert)
    _impatient(run, monkeypatch)
    account = run()
    assert account.complete
    assert account.retries == 3
    assert tokens[1] == tokens[2] == tokens[3]
    assert len(set(tokens)) == len(tokens) - 3 == len(run.destination.inserts)
    told = [event for event in run.events if isinstance(event, events.CallRetried)]
    assert [event.number for event in told] == [1, 2, 1]
    assert all(event.message == "the server has gone away" and event.file for event in told)
    assert len(run.destination.rows) == 65


def test_an_insert_that_needs_too_much_memory_comes_again_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four inserters; the server has memory for two inserts at a time."""
    export = write_export(tmp_path, [[user(100 * f + n) for n in range(40)] for f in range(8)])
    lock = threading.Lock()
    inside: list[int] = [0]
    most: list[int] = []
    both = threading.Barrier(4)
    met: set[str] = set()

    def on_insert(token: str) -> None:
        with lock:
            inside[0] += 1
            now = inside[0]
            first = token not in met and len(met) < 4
            met.add(token)
        try:
            if first:
                both.wait(timeout=30)  # four at the same time, before the server has said anything
                raise PressureError("memory limit exceeded")
            most.append(now)
        finally:
            with lock:
                inside[0] -= 1

    run = Run(export, workers=8, limits=ChunkLimits(items=10, bytes=1 << 20), on_insert=on_insert)
    _impatient(run, monkeypatch)
    account = run()
    assert account.error is None
    assert account.complete
    assert len(run.destination.rows) == 320
    assert max(most) == 1
    # Chunks were not cut anew: each of the four came again under its own token.
    assert len(run.destination.inserts) == 32


def test_a_stop_ends_the_waiting_for_a_server_that_is_gone(export: Path) -> None:
    def on_insert(_token: str) -> None:
        run.stop.press(15)
        raise RetryError("the server has gone away")

    run = Run(export, on_insert=on_insert)
    run.parts = replace(run.parts, retry_seconds=3600)
    account = run()
    assert isinstance(account.error, RetryError)
    assert account.retries == 0


def test_a_failure_elsewhere_ends_the_waiting(tmp_path: Path) -> None:
    """One file's inserts fail for hours; then another file turns out to be damaged."""
    export = write_export(
        tmp_path, [[user(n) for n in range(40)], [user(n) for n in range(40, 70)]], md5s={1: "AAAAAAAAAAAAAAAAAAAAAA=="}
    )
    waiting = threading.Event()

    def on_insert(_token: str) -> None:
        raise RetryError("the server has gone away")

    def on_event(event: events.Event) -> None:
        if isinstance(event, events.CallRetried):
            waiting.set()

    names = sorted(file.name for file in find_export(str(export)).files)
    run = Run(export, workers=2, on_insert=on_insert, on_event=on_event)
    read = run.parts.read

    def slowly(file: DataFile) -> BlockReader:
        if file.name == names[1]:
            waiting.wait(timeout=30)
        return read(file)

    run.parts = replace(run.parts, read=slowly, retry_seconds=3600)
    account = run()
    assert isinstance(account.error, SourceError)
