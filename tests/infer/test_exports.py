"""Every made-up shape and every real full export, loaded with nothing but its address."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from infer.lines import check
from readback.plain import lines

from transformer.job.infer import infer
from transformer.job.request import SnapshotRequest
from transformer.job.snapshot import run
from transformer.source.export import find_export
from transformer.synth.export import write_export

if TYPE_CHECKING:
    from transformer.schema.table import Table

EXPORTS = Path(__file__).parents[2].parent / "shared" / "data" / "exports"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, where `schemas/` is made."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(export: Path, chdb_url: str, name: str) -> Table:
    """Load an export without a schema file, all of it; then compare every value with the schema that was made."""
    result = run(SnapshotRequest(export=str(export), destination=chdb_url, table=name))
    result.raise_for_status()
    assert (result.items_rejected, result.rows_inserted) == (0, result.items_in_manifest)
    assert Path(f"schemas/{name}.yaml").is_file()
    found = find_export(str(export))
    inferred = infer(found)
    return check([line for _, line in lines(export)], key=inferred.key)


@pytest.mark.parametrize(
    ("shape", "items", "key"),
    [
        ("users", 300, ("id",)),
        ("orders", 300, ("customer", "order_no")),
        ("all-types", 60, ("pk", "sk")),
        ("wide", 40, ("id",)),
        ("single-table", 300, ("pk", "sk")),
        ("hostile", 60, ("p.k",)),
    ],
)
def test_a_made_up_export_needs_no_schema_file(
    tmp_path: Path, chdb_url: str, unique_name: str, shape: str, items: int, key: tuple[str, ...]
) -> None:
    export = write_export(tmp_path / "export", shape=shape, items=items, files=2, seed=3).path
    table = load(export, chdb_url, unique_name)
    assert table.key_columns[0].path[0].startswith(key[0])
    assert len(table.key) == len(key)


@pytest.mark.parametrize("name", ["scylla-migrator", "purpom"])
def test_a_real_export_needs_no_schema_file(chdb_url: str, unique_name: str, name: str) -> None:
    if not (EXPORTS / name).is_dir():
        pytest.skip(f"../shared/data/exports/{name} is not there: it is kept beside the repository, not in it")
    table = load(EXPORTS / name, chdb_url, unique_name)
    assert table.key == ("id",)
