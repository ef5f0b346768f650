"""Schema files inferred from exports: the key and its proof, and exports that load whole with what was proposed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from decode_compare import decode
from hypothesis import given
from hypothesis import strategies as st

from transformer.errors import SchemaError, UsageError
from transformer.job import infer as module
from transformer.job import key_proof
from transformer.job.infer import Inferred, InferRequest, infer, prepare_schema, write_schema
from transformer.job.key_proof import HashSpool, repeats
from transformer.schema.file import load_schema_file, parse_schema
from transformer.synth.export import write_export

EXPORTS = Path(__file__).parents[3] / "shared" / "data" / "exports"


def folder(path: Path, *files: Sequence[dict[str, object]]) -> Path:
    """A bare folder of data files."""
    path.mkdir(exist_ok=True)
    for number, items in enumerate(files):
        lines = [json.dumps({"Item": item}, separators=(",", ":")).encode() + b"\n" for item in items]
        (path / f"{number}.json.gz").write_bytes(gzip.compress(b"".join(lines)))
    return path


def inferred(export: Path, *, key: tuple[str, ...] = (), sample: int | None = None) -> Inferred:
    return infer(InferRequest(export=str(export), table="t", key=key, sample=sample, workers=2))


def items(*pairs: tuple[str, str], third: str = "x") -> list[dict[str, object]]:
    return [{"p": {"S": p}, "q": {"S": q}, **({} if i else {"r": {"S": third}})} for i, (p, q) in enumerate(pairs)]


def loads_whole(export: Path, result: Inferred) -> None:
    table = parse_schema(result.text, "proposal").table
    data = b"".join(gzip.decompress(path.read_bytes()) for path in sorted(export.rglob("*.json.gz")))
    rows, rejects, _ = decode(table, data)
    assert rejects == []
    assert len(rows) == result.profile.items
    keys = {tuple(row[name] for name in table.key) for row in rows}
    assert len(keys) == len(rows)


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        ("users", 500),
        ("orders", 500),
        ("all-types", 200),
        ("wide", 100),
        ("single-table", 500),
        ("hostile", 60),
        ("shuffled", 300),
        ("sparse", 100),
        ("deep", 60),
        ("list-of-maps", 60),
        ("long-numbers", 200),
    ],
)
def test_every_made_up_export_loads_with_what_is_proposed(tmp_path: Path, shape: str, count: int) -> None:
    export = write_export(tmp_path, shape=shape, items=count, files=2, seed=3)
    result = infer(InferRequest(export=str(export.path)))
    assert result.table == export.table
    assert result.profile.items == count
    loads_whole(Path(export.path), result)


@pytest.mark.parametrize("export", ["purpom/AWSDynamoDB/01725803054816-222a3242", "scylla-migrator/dynamodb-export"])
def test_real_exports_load_with_what_is_proposed(export: str) -> None:
    place = EXPORTS / export
    if not place.exists():
        pytest.skip("the published exports are not beside the project")
    loads_whole(place, infer(InferRequest(export=str(place))))


def test_the_first_attribute_is_the_key_when_it_is_unique(tmp_path: Path) -> None:
    export = folder(tmp_path / "e", [{"p": {"N": str(i)}, ("a", "b")[i % 2]: {"S": "x"}} for i in range(10)])
    key = inferred(export).key
    assert (key.attributes, key.proven) == (("p",), True)


def test_the_second_joins_it_when_it_repeats(tmp_path: Path) -> None:
    key = inferred(folder(tmp_path / "e", items(("a", "1"), ("a", "2")), items(("b", "1")))).key
    assert (key.attributes, key.proven) == (("p", "q"), True)


def test_where_two_keys_fit_the_file_says_so_and_a_load_warns(tmp_path: Path) -> None:
    export = folder(tmp_path / "e", items(("a", "1"), ("b", "1")))
    result = inferred(export)
    assert (result.key.attributes, result.key.proven) == (("p",), False)
    assert "key: [p]  # not proven\n" in result.text
    path = tmp_path / "t.yaml"
    write_schema(path, result.text)
    assert not load_schema_file(path).key_proven
    assert "not proven" in prepare_schema(str(export), path, table=None, storage_options={})[1][0]
    settled = inferred(export, key=("p", "q"))
    assert (settled.key.attributes, settled.key.proven) == (("p", "q"), True)
    write_schema(path, settled.text)
    assert prepare_schema(str(export), path, table=None, storage_options={}) == (path, [])


def test_a_key_that_the_order_does_not_tell_is_found_by_trial(tmp_path: Path) -> None:
    ordered = [{"id": {"S": str(number)}, "v": {"S": "x"}} for number in range(9)]
    mixed = [dict(reversed(item.items())) if number % 2 else item for number, item in enumerate(ordered)]
    key = inferred(folder(tmp_path / "e", mixed)).key
    assert (key.attributes, key.proven) == (("id",), False)


def test_no_key_and_a_wrong_key_are_refused(tmp_path: Path) -> None:
    same = folder(tmp_path / "same", items(("a", "1"), ("a", "1")))
    with pytest.raises(UsageError, match=r"nothing in .* tells the key"):
        inferred(same)
    with pytest.raises(UsageError, match="several items have the same p"):
        inferred(same, key=("p",))
    with pytest.raises(UsageError, match="'r' is no key attribute"):
        inferred(same, key=("r",))
    empty = folder(tmp_path / "empty", [])
    with pytest.raises(UsageError, match="no item"):
        inferred(empty)
    assert inferred(empty, key=("p", "q")).key.attributes == ("p", "q")


@pytest.mark.parametrize("wrong", [{"sample": 0}, {"key": ("a", "b", "c")}, {"key": ("a", "a")}, {"key": ("",)}])
def test_requests_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        InferRequest(export="x", **wrong)  # type: ignore[arg-type]


def test_equal_hashes_of_different_keys_prove_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.hashes_of
    # Every fourth bit pattern survives, so that most keys share their hash with others.
    monkeypatch.setattr(module, "hashes_of", lambda batch, keys: real(batch, keys) & np.uint64(3))
    many = [{"p": {"N": str(i)}, ("a", "b")[i % 2]: {"S": "x"}} for i in range(100)]
    assert inferred(folder(tmp_path / "e", many)).key.attributes == ("p",)
    many[99] = {"p": {"N": "7"}, "b": {"S": "x"}}
    with pytest.raises(UsageError, match="several items have the same p"):
        inferred(folder(tmp_path / "e", many), key=("p",))


@given(st.lists(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3)), max_size=6), st.integers(1, 5))
def test_the_external_sort_finds_what_repeats(parts: list[list[int]], buffered: int) -> None:
    every = [hash_ for part in parts for hash_ in part]
    spool = HashSpool(buffered=buffered)
    for part in parts:
        spool.add(np.array(part, np.uint64))
    found = [int(hash_) for some in spool.repeated() for hash_ in some]
    spool.close()
    assert found == sorted({hash_ for hash_ in every if every.count(hash_) > 1})


def test_pairs_do_not_commute() -> None:
    one, two = np.array([1], np.uint64), np.array([2], np.uint64)
    assert key_proof.pair_hashes(one, two)[0] != key_proof.pair_hashes(two, one)[0]


def test_rechecking_compares_keys_of_equal_hash_only() -> None:
    suspects = np.array([1, 2], np.uint64)
    assert not repeats(suspects, [(1, (b"a",)), (2, (b"a",)), (1, (b"b",))])
    assert repeats(suspects, [(1, (b"a",)), (2, (b"b",)), (1, (b"a",))])


def test_a_sample_is_marked(tmp_path: Path) -> None:
    export = folder(tmp_path / "e", items(("a", "1"), ("b", "1")), items(("c", "1")))
    result = inferred(export, sample=2)
    assert result.profile.items == 2
    assert result.text.startswith("# SAMPLED: inferred from the first 2 items")


def test_a_load_without_a_schema_file_writes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    export = folder(tmp_path / "e", items(("a", "1"), ("a", "2")))
    path, warnings = prepare_schema(str(export), None, table="mine", storage_options={})
    assert path == Path("schemas/mine.yaml")
    assert "inferred from every line" in warnings[0]
    assert load_schema_file(path).table.key == ("p", "q")
    assert [each.name for each in Path("schemas").iterdir()] == ["mine.yaml"]
    before = path.read_bytes()
    assert prepare_schema(str(export), None, table="mine", storage_options={}) == (path, [])
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["../mine", "a/b", "/etc/mine"])
def test_no_schema_file_is_written_outside_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    export = folder(tmp_path / "e", items(("a", "1")))
    assert prepare_schema(str(export), None, table=name, storage_options={}) == (None, [])


def test_faults_are_left_to_the_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert prepare_schema(str(tmp_path / "none"), None, table=None, storage_options={}) == (None, [])
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("table: [")
    assert prepare_schema(str(tmp_path), wrong, table=None, storage_options={}) == (wrong, [])
    with pytest.raises(SchemaError):
        load_schema_file(wrong)


def test_a_schema_file_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_schema(tmp_path / "file" / "t.yaml", "")
