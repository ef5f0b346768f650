"""The command `estimate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.conftest import Outcome
from job.twin import user, write_export

from transformer.cli.estimate import decimal_size, duration

Command = Callable[..., Outcome]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_export(tmp_path, [[user(n) for n in range(50)], [user(1)]])


def test_it_says_what_a_load_will_take(command: Command, export: Path) -> None:
    done = command("estimate", export, "--machines", "2", "--nat", "--price", "nat_gb=1000000")
    assert done.code == 0, done.err
    for text in ("2 (0 empty), 51 items", "limit     ", "NAT gateway", "gateway endpoint", "of the 24 hours"):
        assert text in done.out


def test_json_has_every_figure_and_every_assumption(command: Command, export: Path) -> None:
    record = json.loads(command("estimate", export, "--json", "--rate", "gzip_ratio=14.8").out)
    assert record["json_bytes"] == round(record["gz_bytes"] * 14.8)
    assert record["assumptions"]["rates"]["gzip_ratio"] == 14.8
    assert record["assumptions"]["prices"]["core_hour"] > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--rate", "speed=1"], "gzip_ratio"), (["--workers", "0"], "--workers"), (["--memory", "lots"], "no size")],
)
def test_what_means_nothing_exits_with_2(command: Command, export: Path, arguments: list[str], says: str) -> None:
    done = command("estimate", export, *arguments)
    assert (done.code, says in done.err) == (2, True)


def test_amounts_for_people() -> None:
    assert [duration(s) for s in (0.04, 59, 90, 7200)] == ["0.0 s", "59.0 s", "1.5 min", "2.0 h"]
    assert [decimal_size(n) for n in (7, 1500, 2_000_000, 10**13)] == ["7 B", "1.5 kB", "2.0 MB", "10.0 TB"]
