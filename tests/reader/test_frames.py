"""The LazyFrame: same rows, only the columns a query uses, no further than it needs."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from job.twin import bad_user, user, users_table, write_export

from transformer import RejectedLine, read_export, scan_export
from transformer.errors import RejectsError


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_export(tmp_path, [[user(n) for n in range(12)], [user(n) for n in range(12, 20)]])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The columns of every decoder that is made."""
    from transformer.reader import batches

    made: list[list[str]] = []

    class Decoder(batches.Decoder):  # type: ignore[name-defined,misc]
        def __init__(self, table: object, *, version: int, wanted: list[str]) -> None:
            made.append(list(wanted))
            super().__init__(table, version=version, wanted=wanted)

    monkeypatch.setattr(batches, "Decoder", Decoder)
    return made


def test_collecting_gives_what_the_reader_gives(export: Path) -> None:
    frame = scan_export(export, users_table()).collect()
    assert frame.equals(pl.from_arrow(read_export(export, users_table()).read_all()))  # type: ignore[arg-type]
    assert frame.height == 20


def test_the_decoder_sees_only_the_columns_that_a_query_uses(export: Path, asked: list[list[str]]) -> None:
    lazy = scan_export(export, users_table())
    asked.clear()
    shown = lazy.filter(pl.col("age") >= 18).select("id").collect()
    assert shown["id"].to_list() == ["user-000018", "user-000019"]
    assert asked == [["id", "age"]]


def test_counting_decodes_one_column(export: Path, asked: list[list[str]]) -> None:
    lazy = scan_export(export, users_table())
    asked.clear()
    assert lazy.select(pl.len()).collect().item() == 20
    assert len(asked) == 1
    assert len(asked[0]) == 1


def test_a_limit_ends_the_reading(tmp_path: Path) -> None:
    export = write_export(tmp_path, [[user(n) for n in range(10)], [b"{\n"]])
    assert scan_export(export, users_table()).head(3).collect()["age"].to_list() == [0, 1, 2]
    with pytest.raises(RejectsError, match="JSON_TRUNCATED"):
        scan_export(export, users_table()).collect()


def test_rejects_can_be_taken(tmp_path: Path) -> None:
    export = write_export(tmp_path, [[user(1), bad_user(2)]])
    rejected: list[RejectedLine] = []
    assert scan_export(export, users_table(), on_reject=rejected.append).collect().height == 1
    assert [one.line for one in rejected] == [2]


def test_it_can_be_collected_again(export: Path) -> None:
    lazy = scan_export(export, users_table())
    assert lazy.collect().equals(lazy.collect())
