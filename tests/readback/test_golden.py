"""Exports that AWS made of real tables, loaded with schemas made for them and read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from readback import columns
from readback.plain import Item
from readback.proof import Check, Command, prove

pytestmark = pytest.mark.timeout(240)

EXPORTS = Path(__file__).parents[2].parent / "shared" / "data" / "exports"

SCYLLA = """\
table: s3_export_test
key: [id]
columns:
  - {name: id, type: String}
  - {name: bar, type: "Nullable(Decimal(9, 2))"}
  - {name: baz, type: Nullable(UInt8)}
  - {name: a, type: Nullable(Bool)}
  - {name: b, type: Nullable(String)}
  - {name: c, type: Array(String)}
  - {name: d, type: Array(Int64)}
  - {name: d_doubles, path: d, type: Array(Float64)}
  - {name: e, type: Nullable(String)}
  - {name: e_elements, path: e, type: Array(String)}
  - {name: f, type: Nullable(String)}
  - {name: f_g, path: f.g, type: Nullable(Int128)}
  - {name: f_h, path: f.h, type: Nullable(String)}
  - {name: f_i, path: f.i, type: Nullable(Bool)}
  - {name: j, type: Nullable(String)}
  - {name: k, type: Array(String)}
raw: {column: _raw}
"""

TODO = """\
table: todo
key: [id]
columns:
  - {name: id, type: String}
  - {name: title, type: String}
raw: {column: _raw}
"""

REST = """\
table: rest
key: [id]
columns:
  - {name: id, type: String}
raw: {column: _raw}
"""
"""A schema for the key alone: everything else is unmapped."""


@pytest.fixture
def real() -> Callable[[str], Path]:
    """The folder of a real export."""

    def find(name: str) -> Path:
        if not (EXPORTS / name).is_dir():
            pytest.skip(f"../shared/data/exports/{name} is not there: it is kept beside the repository, not in it")
        return EXPORTS / name

    return find


def _doubles(item: Item) -> object:
    return sorted(float(number) for number in item.get("d", {"NS": []})["NS"])


def _elements(item: Item) -> object:
    texts = [element.get("S", element.get("N")) for element in item.get("e", {"L": []})["L"]]
    assert None not in texts
    return texts


def _common() -> dict[str, Check]:
    return {
        "id": columns.text("id"),
        "version": columns.constant("version", 0),
        "is_deleted": columns.constant("is_deleted", 0),
        "_raw": columns.raw("_raw"),
    }


def _load(command: Command, export: Path, schema: str) -> None:
    path = command.folder / "schema.yaml"
    path.write_text(schema, encoding="utf-8")
    command.load(export, path)


def test_all_ten_types(command: Command, real: Callable[[str], Path]) -> None:
    export = real("scylla-migrator")
    _load(command, export, SCYLLA)
    checks = _common() | {
        "bar": columns.decimal("bar"),
        "baz": columns.integer("baz"),
        "a": columns.boolean("a"),
        "b": columns.text("b"),
        "c": columns.strings("c"),
        "d": columns.integers("d"),
        "d_doubles": Check("d_doubles", _doubles, lambda value: list(map(float, value))),
        "e": columns.as_json("e"),
        "e_elements": Check("e_elements", _elements),
        "f": columns.as_json("f"),
        "f_g": columns.integer("f_g", "f", "g"),
        "f_h": columns.text("f_h", "f", "h"),
        "f_i": columns.boolean("f_i", "f", "i"),
        "j": columns.binary("j"),
        "k": columns.binaries("k"),
        "_unmapped": columns.unmapped("_unmapped", "id", "bar", "baz", "a", "b", "c", "d", "e", "f", "j", "k"),
    }
    assert prove(command, export, "s3_export_test", checks, key=("id",)) == 3


def test_an_export_with_an_empty_file(command: Command, real: Callable[[str], Path]) -> None:
    export = real("purpom")
    _load(command, export, TODO)
    checks = _common() | {"title": columns.text("title"), "_unmapped": columns.unmapped("_unmapped", "id", "title")}
    assert prove(command, export, "todo", checks, key=("id",)) == 3


@pytest.mark.parametrize("name", ["scylla-migrator", "purpom"])
def test_what_has_no_column_is_kept(command: Command, real: Callable[[str], Path], name: str) -> None:
    export = real(name)
    _load(command, export, REST)
    checks = _common() | {"_unmapped": columns.unmapped("_unmapped", "id")}
    assert prove(command, export, "rest", checks, key=("id",)) == 3


def test_an_incremental_export_is_refused(command: Command, real: Callable[[str], Path]) -> None:
    export = real("awslabs-incremental")
    (command.folder / "schema.yaml").write_text(REST.replace("id", "name"), encoding="utf-8")
    done = command.run("snapshot", export, "--schema", "schema.yaml", "--to", command.url)
    assert done.returncode == 3
    assert "increment" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == "" or "complete" not in done.stdout
