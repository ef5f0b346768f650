"""Which windows make a table exact: `job.chain` against a model of what AWS writes and what ClickHouse keeps."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.errors import ConflictError, UsageError
from transformer.job.chain import Loaded, check_continues
from transformer.load.ledger import Job, JobKind, JobState, moment
from transformer.source.window import (
    LEAD,
    LONGEST,
    SHORTEST,
    TAIL,
    Window,
    first_window,
    is_first,
    next_window,
    windows_between,
)
from transformer.synth.history import History, Item, Step, history
from transformer.synth.increments import micros_of

SNAPSHOT = datetime(2026, 11, 23, 12, 0, 0, 622_000, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEYS = ("a", "b", "c")


class Model:
    """A ReplacingMergeTree(version, is_deleted) in plain Python, and a table in DynamoDB beside it."""

    def __init__(self, past: History) -> None:
        self.past = past
        self.rows: dict[str, tuple[int, Item | None]] = {}

    def _insert(self, name: str, version: int, item: Item | None) -> None:
        if name not in self.rows or version >= self.rows[name][0]:
            self.rows[name] = (version, item)

    def snapshot(self, at: datetime, seen: dict[str, timedelta]) -> None:
        """Every item as it was at a moment of its own around `at`; version 0."""
        for name, offset in seen.items():
            for item in self.past.state(micros_of(at + offset)):
                if item["id"]["S"] == name:
                    self._insert(name, 0, item)

    def window(self, window: Window) -> None:
        for change in self.past.net(micros_of(window.since), micros_of(window.until)):
            self._insert(change.key["id"]["S"], change.micros, change.new)

    def items(self) -> dict[str, Item]:
        return {name: item for name, (_, item) in self.rows.items() if item is not None}

    def truth(self, at: datetime) -> dict[str, Item]:
        return {item["id"]["S"]: item for item in self.past.state(micros_of(at))}


@st.composite
def pasts(draw: st.DrawFn) -> History:
    """What happened to a few items within some hours around the snapshot; most of it close to it."""
    minute = st.integers(-4 * 60, 4 * 60) | st.integers(-6, 6) | st.integers(-20, 20)
    steps: list[Step] = []
    for number in range(draw(st.integers(1, 14))):
        at = SNAPSHOT + draw(minute) * MINUTE + timedelta(seconds=draw(st.integers(0, 59)), microseconds=number)
        key = {"id": {"S": draw(st.sampled_from(KEYS))}}
        steps.append((micros_of(at), key, {**key, "n": {"N": str(number)}} if draw(st.booleans()) else None))
    return history("t", ("id",), steps)


@st.composite
def loads(draw: st.DrawFn, first: Window) -> tuple[list[Window], datetime]:
    """Windows of which each ends where another begins, in any order and several times; and their end.

    One chain begins with `first`; another may begin anywhere beside it, and ends with it.
    """
    windows = [first]
    for _ in range(draw(st.integers(0, 3))):
        windows.append(Window(windows[-1].until, windows[-1].until + draw(st.integers(15, 90)) * MINUTE))
    end = windows[-1].until
    since = first.since + draw(st.integers(0, 300)) * MINUTE
    while end - since >= SHORTEST and draw(st.booleans()):
        until = since + draw(st.integers(15, 90)) * MINUTE
        if end - until < SHORTEST or draw(st.booleans()):
            until = end
        windows.append(Window(since, until))
        since = until
    if windows[-1].until != end:
        windows.append(Window(since, end))
    return draw(st.permutations(windows + draw(st.lists(st.sampled_from(windows), max_size=2)))), end


def lived_within(past: History, name: str, since: datetime, until: datetime) -> bool:
    """Whether the item came into being and was deleted between these moments, at least once."""
    born: int | None = None
    for change in past.changes:
        if change.key["id"]["S"] == name:
            if change.old is None:
                born = change.micros
            if (
                change.new is None
                and born is not None
                and micros_of(since) <= born
                and change.micros < micros_of(until)
            ):
                return True
    return False


grey = st.integers(-60, 60).map(lambda seconds: timedelta(seconds=seconds))


@given(pasts(), st.fixed_dictionaries(dict.fromkeys(KEYS, grey)), st.data())
def test_a_snapshot_and_a_chain_after_it_tell_the_state_at_the_end(past, seen, data):
    """In any order, any number of times, whatever lies beside the chain; but for the hole that `job.chain` names."""
    since = (SNAPSHOT - LEAD).replace(microsecond=0) - data.draw(st.integers(0, 120)) * MINUTE
    until = max(since + SHORTEST, SNAPSHOT + TAIL + data.draw(st.integers(0, 60)) * MINUTE)
    first = Window(since, until)
    assert is_first(first, SNAPSHOT)
    every, end = data.draw(loads(first))
    model = Model(past)
    loading = [lambda window=window: model.window(window) for window in every]
    loading.insert(data.draw(st.integers(0, len(every))), lambda: model.snapshot(SNAPSHOT, seen))
    for load in loading:
        load()
    truth = model.truth(end)
    for name in KEYS:
        if model.items().get(name) != truth.get(name):
            assert name not in truth
            assert lived_within(past, name, first.since, first.until)


@given(pasts(), st.fixed_dictionaries(dict.fromkeys(KEYS, grey)), st.data())
def test_after_the_best_first_window_the_hole_is_a_matter_of_awss_minute(past, seen, data):
    first = first_window(SNAPSHOT)
    every, end = data.draw(loads(first))
    model = Model(past)
    model.snapshot(SNAPSHOT, seen)
    for window in every:
        model.window(window)
    truth = model.truth(end)
    for name in KEYS:
        if model.items().get(name) != truth.get(name):
            assert name not in truth
            deleted = [
                change.micros
                for change in past.between(micros_of(SNAPSHOT - TAIL), micros_of(first.until))
                if change.key["id"]["S"] == name and change.new is None
            ]
            assert deleted


def put_and_deleted(put: datetime, deleted: datetime) -> Model:
    key = {"id": {"S": "a"}}
    return Model(history("t", ("id",), [(micros_of(put), key, key), (micros_of(deleted), key, None)]))


def test_windows_that_overlap_leave_what_was_deleted():
    """A window saw the put; the one in which it was deleted holds the put as well, and so has no line."""
    start = SNAPSHOT + timedelta(hours=1)
    first, second = Window(start, start + 15 * MINUTE), Window(start + 15 * MINUTE, start + 45 * MINUTE)
    beside = Window(start + 10 * MINUTE, start + 25 * MINUTE)
    model = put_and_deleted(start + 20 * MINUTE, start + 30 * MINUTE)
    for window in (first, second, beside):
        model.window(window)
    assert model.items()
    assert not model.truth(second.until)
    # Where one begins at its end, the deletion has a line.
    model.window(Window(beside.until, second.until))
    assert not model.items()


def test_the_hole_that_no_window_closes():
    """What was put long before, or deleted after AWS's minute, goes; what lived around the snapshot alone stays."""
    for put, deleted, left in ((-20, 0.5, False), (0.2, 5, False), (-1.5, 0.5, True)):
        model = put_and_deleted(SNAPSHOT + put * MINUTE, SNAPSHOT + deleted * MINUTE)
        model.snapshot(SNAPSHOT, {"a": 0.3 * MINUTE})
        first = first_window(SNAPSHOT)
        assert model.items()
        for window in (first, Window(first.until, first.until + 60 * MINUTE)):
            model.window(window)
        assert bool(model.items()) is left


def loaded(*windows: Window, snapshots: tuple[datetime, ...] = (SNAPSHOT,)) -> Loaded:
    return Loaded(snapshots, windows)


FIRST = Window(SNAPSHOT.replace(microsecond=0) - 5 * MINUTE, SNAPSHOT.replace(microsecond=0) + 25 * MINUTE)
SECOND = Window(FIRST.until, FIRST.until + 60 * MINUTE)


def test_a_chain_goes_on_where_it_ends():
    check_continues(loaded(), FIRST, "t")
    check_continues(loaded(FIRST), SECOND, "t")
    check_continues(loaded(FIRST), FIRST, "t")
    check_continues(loaded(FIRST, SECOND), SECOND, "t")
    assert loaded().end() is None
    assert loaded(FIRST).end() == FIRST.until
    assert loaded(SECOND, FIRST).end() == SECOND.until
    assert loaded(SECOND).end() is None
    assert loaded(SECOND).loose() == [SECOND]
    assert not loaded(FIRST, SECOND, FIRST).loose()
    # Of a later export into a live table, the chain may begin anew.
    later = SNAPSHOT + timedelta(days=2)
    anew = first_window(later)
    check_continues(loaded(FIRST, snapshots=(SNAPSHOT, later)), anew, "t")
    check_continues(loaded(FIRST, snapshots=(SNAPSHOT, later)), SECOND, "t")


@pytest.mark.parametrize(
    ("before", "window", "what"),
    [
        (loaded(snapshots=()), FIRST, "knows no full export"),
        (loaded(), Window(SNAPSHOT - MINUTE, SNAPSHOT + 30 * MINUTE), "must begin at 2026-11-23T11:58:00.622000Z"),
        (loaded(), Window(SNAPSHOT - 30 * MINUTE, SNAPSHOT), "and end at 2026-11-23T12:01"),
        (loaded(), SECOND, "must begin"),
        (loaded(FIRST), Window(FIRST.until + MINUTE, SECOND.until), "until 2026-11-23T12:26:00Z they would be"),
        (loaded(FIRST), Window(FIRST.until - MINUTE, SECOND.until), "deleted in another window without a line"),
        (loaded(FIRST), Window(FIRST.since, SECOND.until), "deleted in another window without a line"),
    ],
)
def test_gaps_and_overlaps_are_refused(before, window, what):
    with pytest.raises(ConflictError, match=what) as caught:
        check_continues(before, window, "t")
    assert "--allow-gap" in caught.value.remedy


def test_what_counts_is_what_the_ledger_calls_complete():
    def job(kind, state, **times):
        return Job(job="j", kind=kind, table="t", export="e", state=state, **times)

    times = {"window_since": moment(FIRST.since), "window_until": moment(FIRST.until)}
    jobs = [
        job(JobKind.SNAPSHOT, JobState.COMPLETE, export_time=moment(SNAPSHOT)),
        job(JobKind.SNAPSHOT, JobState.COMPLETE),
        job(JobKind.SNAPSHOT, JobState.ABANDONED, export_time=moment(SNAPSHOT - LONGEST)),
        job(JobKind.INCREMENT, JobState.COMPLETE, **times),
        job(JobKind.INCREMENT, JobState.STARTED, window_since=moment(SECOND.since), window_until=moment(SECOND.until)),
    ]
    assert Loaded.of(jobs) == loaded(FIRST)


def test_the_best_first_window_is_one():
    first = first_window(SNAPSHOT)
    assert is_first(first, SNAPSHOT)
    assert first.until - first.since == SHORTEST
    assert not first.since.microsecond


@given(st.integers(15 * 60, 5 * 86400))
def test_windows_between_touch_and_are_such_as_aws_allows(seconds):
    until = SNAPSHOT + timedelta(seconds=seconds)
    windows = windows_between(SNAPSHOT, until)
    assert (windows[0].since, windows[-1].until) == (SNAPSHOT, until)
    assert all(SHORTEST <= window.until - window.since <= LONGEST for window in windows)
    assert all(one.until == other.since for one, other in itertools.pairwise(windows))
    assert len(windows) == max(1, -(-seconds // 86400))


def test_what_is_too_short_for_a_window():
    with pytest.raises(UsageError, match="15 minutes"):
        windows_between(SNAPSHOT, SNAPSHOT + 14 * MINUTE)
    assert next_window(SNAPSHOT, SNAPSHOT + 16 * MINUTE, margin=2 * MINUTE) is None
    found = next_window(SNAPSHOT, SNAPSHOT + timedelta(days=3), margin=2 * MINUTE)
    assert found == Window(SNAPSHOT, SNAPSHOT + LONGEST)


def test_the_model_agrees_with_itself():
    """A chain without any snapshot, over all of history, is the state: what the model is measured by."""
    chance = random.Random(7)
    steps: list[Step] = []
    for number in range(200):
        key = {"id": {"S": chance.choice(KEYS)}}
        item = {**key, "n": {"N": str(number)}} if chance.random() < 0.6 else None
        steps.append((micros_of(SNAPSHOT) + number * 17_000_000, key, item))
    model = Model(history("t", ("id",), steps))
    for window in windows_between(SNAPSHOT, SNAPSHOT + timedelta(hours=2)):
        model.window(window)
    assert model.items() == model.truth(SNAPSHOT + timedelta(hours=2))
