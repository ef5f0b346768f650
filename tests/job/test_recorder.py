"""Finished files are written in groups, by number and by time."""

from __future__ import annotations

import pytest
from job.twin import users_table

from transformer.errors import RetryError
from transformer.job.recorder import GROUP, LONGEST, Recorder
from transformer.job.result import FileOutcome
from transformer.load.destination import NullDestination
from transformer.load.ledger import FinishedFile, Job, JobKind, NoLedger
from transformer.schema.digest import KeyDigest


class Books(NoLedger):
    """Remembers the groups. fail: raise at the next write."""

    def __init__(self) -> None:
        self.groups: list[list[FinishedFile]] = []
        self.fail = False

    def record(self, files: object) -> None:
        if self.fail:
            self.fail = False
            raise RetryError("away")
        self.groups.append(list(files))  # type: ignore[call-overload]


def outcome(number: int) -> FileOutcome:
    return FileOutcome(f"f{number}", items=3, rows=2, rejects=1, chunks=1, keys=KeyDigest(2, 5, 7))


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def recorder(books: Books, now: list[float]) -> Recorder:
    job = Job(job="j", kind=JobKind.SNAPSHOT, table="users", export="e", attempts=4)
    return Recorder(books, job, clock=lambda: now[0])


def test_a_group_is_written_when_it_is_full(recorder: Recorder, books: Books) -> None:
    for number in range(GROUP):
        assert not recorder.due
        recorder.add(outcome(number))
    assert recorder.due
    recorder.flush()
    assert not recorder.due
    (group,) = books.groups
    assert [file.file for file in group] == [f"f{number}" for number in range(GROUP)]
    assert (group[0].job, group[0].attempt, group[0].keys) == ("j", 4, KeyDigest(2, 5, 7))


def test_a_group_is_written_when_its_first_file_has_waited(recorder: Recorder, books: Books, now: list[float]) -> None:
    recorder.add(outcome(1))
    now[0] += LONGEST / 2
    recorder.add(outcome(2))
    assert not recorder.due
    now[0] += LONGEST / 2
    assert recorder.due
    recorder.flush()
    assert [len(group) for group in books.groups] == [2]
    now[0] += LONGEST
    assert not recorder.due


def test_the_end_writes_what_is_left_and_nothing_twice(recorder: Recorder, books: Books) -> None:
    recorder.flush()
    recorder.add(outcome(1))
    recorder.flush()
    recorder.flush()
    assert [len(group) for group in books.groups] == [1]


def test_a_group_that_could_not_be_written_waits(recorder: Recorder, books: Books) -> None:
    recorder.add(outcome(1))
    books.fail = True
    with pytest.raises(RetryError):
        recorder.flush()
    recorder.add(outcome(2))
    recorder.flush()
    assert [len(group) for group in books.groups] == [2]


def test_the_ledger_of_nowhere_takes_groups_too() -> None:
    ledger = NullDestination().ledger(users_table())
    recorder = Recorder(ledger, Job(job="j", kind=JobKind.SNAPSHOT, table="users", export="e"))
    recorder.add(outcome(1))
    recorder.flush()
