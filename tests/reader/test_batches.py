"""The library face: rows, projection, rejects, accounting."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given
from job.twin import bad_user, user, users_table, write_export

import transformer
from transformer import RejectedLine, decode_lines, read_export
from transformer.errors import RejectCode, RejectsError, SourceError, UsageError
from transformer.schema.layout import row_columns
from transformer.schema.table import Column, UnmappedPolicy
from transformer.schema.types import parse

NAMES = [column.name for column in row_columns(users_table())]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_export(tmp_path, [[user(n) for n in range(12)], [user(n, more={"S": "x"}) for n in range(12, 20)]])


def test_all_rows_of_all_files_come_in_order_with_all_columns(export: Path) -> None:
    reader = read_export(export, users_table())
    assert reader.schema.names == NAMES
    rows = reader.read_all().to_pylist()
    assert [row["id"] for row in rows] == [f"user-{n:06}" for n in range(20)]
    assert rows[3] == {
        "id": "user-000003", "first_name": "sally 3", "age": 3, "version": 0, "is_deleted": 0, "_unmapped": [],
    }  # fmt: skip
    assert rows[13]["_unmapped"] == [("more", '{"S":"x"}')]


@given(columns=st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
def test_a_projection_is_what_selecting_afterwards_would_give(columns: list[str]) -> None:
    lines = b"".join(user(n, more={"N": str(n)}) for n in range(5)) + b"\n" + user(6, first_name={"NULL": True})
    table = replace(users_table(), raw_column="_raw", drop=(("secret",),))
    whole = decode_lines(lines, table)
    assert decode_lines(lines, table, columns=columns).equals(whole.select(columns)), columns


def test_a_column_that_is_not_wanted_is_not_decoded() -> None:
    from transformer.decode.decoder import Decoder

    whole, one = Decoder(users_table(), version=0), Decoder(users_table(), version=0, wanted=["age"])
    assert one.schema.names == ["age"]
    assert one._writer._program.made == [2]
    assert len(one._writer._program.ops) < len(whole._writer._program.ops)


def test_rejects_raise_unless_they_are_taken(export: Path, tmp_path: Path) -> None:
    spoiled = write_export(tmp_path / "spoiled", [[user(1), b"\n", bad_user(2), user(3), b"{\n"]])
    with pytest.raises(RejectsError, match=r"\.json\.gz line 3 byte \d+: age: OUT_OF_RANGE, .*column age"):
        read_export(spoiled, users_table()).read_all()
    rejected: list[RejectedLine] = []
    table = read_export(spoiled, users_table(), on_reject=rejected.append).read_all()
    assert table["id"].to_pylist() == ["user-000001", "user-000003"]
    assert [(one.line, one.verdict.code) for one in rejected] == [
        (3, RejectCode.OUT_OF_RANGE),
        (5, RejectCode.JSON_TRUNCATED),
    ]
    assert rejected[0].raw == bad_user(2).rstrip(b"\n")
    with pytest.raises(UsageError, match="on_reject"):
        read_export(export, users_table(), on_reject="ignore")  # type: ignore[arg-type]


def test_a_projection_judges_the_values_of_its_columns_and_the_form_of_every_line(tmp_path: Path) -> None:
    spoiled = write_export(tmp_path, [[bad_user(2)]])
    assert read_export(spoiled, users_table(), columns=["id"]).read_all().to_pydict() == {"id": ["user-000002"]}
    for age in ({"N": 1}, {"NUM": "1"}, {"L": [{"N": ["1"]}]}):
        with pytest.raises(RejectsError, match=r"WRONG_JSON_TYPE|UNKNOWN_TAG"):
            decode_lines(user(1, age=age), users_table(), columns=["id"])


def test_a_table_that_rejects_unmapped_attributes_does_so_under_any_projection() -> None:
    table = users_table(unmapped_policy=UnmappedPolicy.REJECT, unmapped_column="")
    assert decode_lines(user(1), table, columns=["id"]).num_rows == 1
    with pytest.raises(RejectsError, match="UNMAPPED"):
        decode_lines(user(1, more={"S": ""}), table, columns=["id"])


@pytest.mark.parametrize("changes", [{"counts": {0: 3}}, {"md5s": {0: "AAAAAAAAAAAAAAAAAAAAAA=="}}])
def test_a_file_that_is_not_what_the_manifest_says_raises(tmp_path: Path, changes: dict[str, object]) -> None:
    export = write_export(tmp_path, [[user(1), user(2)]], **changes)  # type: ignore[arg-type]
    with pytest.raises(SourceError):
        read_export(export, users_table()).read_all()


UNFIT = [(["id", "nope"], "no column 'nope'"), (["id", "id"], "twice"), ([], "no column")]


@pytest.mark.parametrize(("columns", "says"), UNFIT)
def test_columns_that_cannot_be_had_are_refused_at_once(export: Path, columns: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_export(export, users_table(), columns=columns)


def test_what_is_missing_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        read_export(tmp_path / "nowhere", users_table())


def test_bytes_stay_bytes_where_asked_and_never_become_broken_text() -> None:
    line = user(1, first_name={"B": "/w=="})
    with pytest.raises(SourceError, match="first_name") as raised:
        decode_lines(line, users_table())
    assert "binary=['first_name']" in raised.value.remedy
    assert decode_lines(line, users_table(), binary=["first_name"])["first_name"].to_pylist() == [b"\xff"]


ODD = (
    ("i128", "Nullable(Int128)", {"N": "-17014118346046923173168730371588410572"},
     "-17014118346046923173168730371588410572"),
    ("u256", "UInt256", {"N": "99999999999999999999999999999999999999"}, "99999999999999999999999999999999999999"),
    ("d76", "Decimal(76, 40)", {"N": "1E-40"}, "0.0000000000000000000000000000000000000001"),
    ("uuid", "UUID", {"S": "0A556908-F72B-4BE6-9048-9E60715358D4"}, "0a556908-f72b-4be6-9048-9e60715358d4"),
    ("list", "Array(Tuple(a Int256, b Map(String, UInt128)))",
     {"L": [{"M": {"a": {"N": "-1"}, "b": {"M": {"x": {"N": "7"}}}}}]}, [{"a": "-1", "b": [("x", "7")]}]),
    ("bytes", "Array(String)", {"SS": ["b", "a"]}, ["a", "b"]),
)  # fmt: skip


@pytest.mark.parametrize(("name", "type_", "value", "becomes"), ODD, ids=[case[0] for case in ODD])
def test_types_that_others_lack_become_text_that_spells_the_value(
    name: str, type_: str, value: dict[str, object], becomes: object
) -> None:
    from transformer.schema.table import Convert

    convert = Convert.UUID if type_ == "UUID" else None
    column = Column(name, (name,), parse(type_), convert)
    table = users_table(columns=(*users_table().columns, column))
    lines = [user(1, **{name: value}), user(2, age={"N": "999999"}, **{name: value}), user(3, **{name: value})]
    batch = decode_lines(lines, table, on_reject=lambda _: None)
    assert batch[name].to_pylist() == [becomes, becomes]
    batch.validate(full=True)


def test_nothing_at_all_is_an_empty_batch() -> None:
    batch = decode_lines(b"\n \n", users_table(), columns=["age"])
    assert (batch.num_rows, batch.schema) == (0, pa.schema([pa.field("age", pa.int16())]))


def test_the_package_is_light_until_something_is_used() -> None:
    program = (
        "import sys, transformer\n"
        "assert not {'numba', 'pyarrow', 'polars', 'numpy', 'fsspec'} & set(sys.modules)\n"
        "transformer.read_export, transformer.scan_export\n"
        "assert not {'clickhouse_connect', 'chdb'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there() -> None:
    for name in transformer.__all__:
        assert getattr(transformer, name) is not None
    with pytest.raises(AttributeError, match="nope"):
        _ = transformer.nope
