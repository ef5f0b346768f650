"""The fuzzer finds what differs, makes it small, and can show it again; and a little of it runs with every test."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from decode_compare import judge

from fuzz import engines, run
from fuzz.lines import Lines
from fuzz.tables import make_table

pytestmark = pytest.mark.kernel


def test_kernels_and_twin_agree_on_some_rounds(tmp_path: Path) -> None:
    tallies = []
    for seed in range(3):
        tally, failure = run.run_round(seed, tmp_path, cases=400)
        assert failure is None, failure
        tallies.append(tally)
    assert all(tally.cases >= 400 and tally.features for tally in tallies)
    assert (
        sum(tally.rows for tally in tallies) > 100
    )  # most lines are broken; all of them would test nothing but refusal
    assert not list(tmp_path.iterdir())


def test_the_same_seed_makes_the_same_lines() -> None:
    for seed in range(5):
        table = make_table(seed)
        assert table == make_table(seed)
        once, again = (Lines(table, random.Random(seed)) for _ in range(2))
        corpus = [once.valid() for _ in range(5)]
        assert corpus == [again.valid() for _ in range(5)]
        assert [once.broken(corpus) for _ in range(50)] == [again.broken(corpus) for _ in range(50)]


def test_a_difference_is_made_small_saved_and_shown_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A twin that knows no capital X stands for a kernel with a bug."""

    def deaf(table, data, **options):  # type: ignore[no-untyped-def]
        return judge(table, data.replace(b"X", b"Y"), **options)

    monkeypatch.setattr(engines, "judge", deaf)
    failure = None
    for seed in range(20):
        _, failure = run.run_round(seed, tmp_path, cases=500)
        if failure is not None:
            break
    assert failure is not None
    record = json.loads(failure.file.read_text(encoding="utf-8"))
    assert len(record["lines"]) == 1
    assert "X" in record["text"][0]
    assert run.replay(failure.file) == failure.seen
    monkeypatch.undo()
    assert run.replay(failure.file) == ""
    assert [file.name for file in tmp_path.iterdir()] == [failure.file.name]


def test_what_the_kernels_raise_is_a_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(table, data, **_options):  # type: ignore[no-untyped-def]
        raise IndexError("index is out of bounds")

    monkeypatch.setattr(engines, "decode", raising)
    _, failure = run.run_round(1, tmp_path, cases=200)
    assert failure is not None
    assert "IndexError: index is out of bounds" in failure.seen


def test_lines_in_hand_are_on_disk_when_the_process_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dying(table, data, **_options):  # type: ignore[no-untyped-def]
        raise SystemExit

    monkeypatch.setattr(engines, "decode", dying)
    with pytest.raises(SystemExit):
        run.run_round(1, tmp_path, cases=200)
    (file,) = tmp_path.iterdir()
    monkeypatch.undo()
    assert file.name == "in-hand-1.json"
    assert run.replay(file) == ""


def test_minimising_keeps_what_is_needed_together() -> None:
    lines = [b"aaaa", b"bxbb", b"cccc", b"ddyd", b"eeee"]
    calls = 0

    def differs(few: list[bytes]) -> bool:
        nonlocal calls
        calls += 1
        joined = b"\n".join(few)
        return 0 <= joined.find(b"x") < joined.find(b"y")

    assert engines.minimised(lines, differs) == [b"x", b"y"]
    assert calls < 200
