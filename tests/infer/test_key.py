"""The key: told from the order of attributes, proved on the data, or not claimed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from transformer.decode.keys import KeyHasher
from transformer.errors import SchemaError, SourceError, UsageError
from transformer.job.infer import infer, key_warning, write
from transformer.job.key_proof import key_facts
from transformer.schema.file import load_schema
from transformer.schema.proposal_file import require_proven_key
from transformer.source.export import find_export

if TYPE_CHECKING:
    from transformer.source.export import Export


def export(folder: Path, *files: list[dict[str, Any]]) -> Export:
    """A folder of data files with these items."""
    for number, items in enumerate(files):
        text = "".join(json.dumps({"Item": item}) + "\n" for item in items)
        (folder / f"{number}.json.gz").write_bytes(gzip.compress(text.encode()))
    return find_export(str(folder))


def pair(pk: object, sk: object, **more: Any) -> dict[str, Any]:
    return {"pk": {"S": str(pk)}, "sk": {"N": str(sk)}, **more}


def test_a_partition_key_that_is_unique_is_the_key(tmp_path: Path) -> None:
    found = infer(export(tmp_path, [{"id": {"N": "1"}, "a": {"S": "x"}}], [{"id": {"N": "2"}}]))
    assert (found.key, found.proven) == (("id",), True)


def test_a_sort_key_is_proposed_where_the_partition_key_repeats(tmp_path: Path) -> None:
    found = infer(export(tmp_path, [pair("a", 1), pair("a", 2)], [pair("b", 1)]))
    assert (found.key, found.proven) == (("pk", "sk"), True)


@pytest.mark.parametrize("tag", ["S", "N", "B"])
def test_keys_of_every_type_are_told(tmp_path: Path, tag: str) -> None:
    texts = {"S": ("x", "é"), "N": ("1", "1.5"), "B": ("AQ==", "Ag==")}[tag]
    found = infer(export(tmp_path, [{"id": {tag: text}, f"a{text}": {"BOOL": True}} for text in texts]))
    assert (found.key, found.proven) == (("id",), True)


def test_where_both_readings_fit_the_key_is_marked(tmp_path: Path) -> None:
    found = infer(export(tmp_path, [pair("a", 1), pair("b", 2)]))
    assert (found.key, found.proven) == (("pk",), False)
    assert "# not proven" in found.text
    write(found.text, tmp_path / "made.yaml")
    assert "not proven" in (key_warning(tmp_path / "made.yaml") or "")
    with pytest.raises(SchemaError, match="not proven"):
        require_proven_key(tmp_path / "made.yaml")
    settled = infer(export(tmp_path, [pair("a", 1), pair("b", 2)]), key=["pk", "sk"])
    assert (settled.key, settled.proven) == (("pk", "sk"), True)
    write(settled.text, tmp_path / "settled.yaml")
    assert key_warning(tmp_path / "settled.yaml") is None
    require_proven_key(tmp_path / "settled.yaml")


def test_an_attribute_named_like_the_mark_is_not_the_mark(tmp_path: Path) -> None:
    found = infer(export(tmp_path, [{"# not proven": {"S": "1"}}, {"# not proven": {"S": "2"}}]))
    assert found.proven
    write(found.text, tmp_path / "made.yaml")
    assert key_warning(tmp_path / "made.yaml") is None
    assert load_schema(tmp_path / "made.yaml").key_columns[0].path == ("# not proven",)


def test_keys_that_repeat_are_no_key(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be told") as caught:
        infer(export(tmp_path, [pair("a", 1)], [pair("a", 1)]))
    assert "--key" in caught.value.remedy


def test_items_that_begin_differently_tell_no_key(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be told"):
        infer(export(tmp_path, [{"a": {"S": "1"}, "b": {"S": "2"}}, {"b": {"S": "3"}, "a": {"S": "4"}}]))


@pytest.mark.parametrize(
    ("key", "message"), [(["no"], "none has it"), (["m"], "M in 2"), (["half"], "S in 1"), (["pk"], "several items")]
)
def test_a_given_key_is_checked_on_the_data(tmp_path: Path, key: list[str], message: str) -> None:
    items = [pair("a", 1, m={"M": {}}, half={"S": "x"}), pair("a", 2, m={"M": {}})]
    with pytest.raises(UsageError, match=message):
        infer(export(tmp_path, items), key=key)


def test_an_export_without_items_has_no_schema(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no item"):
        infer(export(tmp_path, []))


def test_a_sample_is_marked_and_its_key_not_proven(tmp_path: Path) -> None:
    items = [{"id": {"S": str(number)}, "late" if number > 5 else "a": {"N": "1"}} for number in range(10)]
    found = infer(export(tmp_path, items), sample=4)
    assert not found.proven
    assert found.profile.items == 4
    assert found.text.startswith("# SAMPLE")
    assert all("Nullable" in column.type.sql for column in found.proposal.columns[1:])


def test_no_file_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        write("other", tmp_path / "mine.yaml")
    assert (tmp_path / "mine.yaml").read_text() == "mine"


def test_equal_hashes_of_different_keys_are_no_duplicates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # All keys collide: only their bytes tell them apart.
    monkeypatch.setattr(KeyHasher, "hashes", lambda self, batch: np.full(batch.num_rows, 7, np.uint64))
    files = export(tmp_path, [pair("a", 1), pair("a", 2)], [pair("b", 1)]).files
    alone, both = key_facts(files, [("pk",), ("pk", "sk")])
    assert (alone.items, alone.unique, alone.example) == (3, False, "a")
    assert (both.items, both.unique) == (3, True)


def test_numbers_that_are_written_differently_are_one_key(tmp_path: Path) -> None:
    (facts,) = key_facts(export(tmp_path, [pair("a", "1"), pair("a", "1.0")]).files, [("sk",)])
    assert not facts.unique


def test_processes_find_what_one_finds(tmp_path: Path) -> None:
    made = export(
        tmp_path, *([pair(file, number, **{f"a{file}": {"N": "1"}}) for number in range(3)] for file in "abc")
    )
    assert infer(made, workers=2).text == infer(made, workers=1).text


def test_a_damaged_file_is_told_from_a_process_too(tmp_path: Path) -> None:
    made = export(tmp_path, [pair("a", 1)], [pair("b", 1)])
    (tmp_path / "1.json.gz").write_bytes(b"no gzip")
    with pytest.raises(SourceError) as caught:
        infer(made, workers=2)
    assert "1.json.gz" in caught.value.message
