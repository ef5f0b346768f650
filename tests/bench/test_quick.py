"""The benchmark suite with inputs so small that times mean nothing: it must run, agree, and say what it promises."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from bench import checks, cliffs, document, gates, more_peers, quick, report, suite
from bench.inputs import Input

RATES = ("inflate_mb_s", "kernel_mb_s", "arrow_mb_s", "typed_clickhouse_mb_s", "pyarrow_mb_s", "boto3_mb_s")
SETTLED = (
    *("settled_cpu_s", "settled_engine_cpu_s", "wall_s", "insert_only_wall_s", "single_pass_cpu_s", "guide_cpu_s"),
    *("settled_items", "settled_json_bytes", "fetch_local_s", "fetch_s3_s", "fetch_ratio"),
)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What quick says of a few hundred items. Making it raises when two readers disagree in any checksum."""
    tiny = replace(
        quick.plan(),
        items={"users": 400, "orders": 400, "wide": 120},
        settled_items=300,
        rounds=1,
        repeat=1,
        boto3_bytes=50_000,
        cliff_bytes=0,
        whole_runs=0,
        cache=tmp_path_factory.mktemp("bench"),
    )
    return suite.run(tiny)


def test_every_figure_is_there(record: dict[str, Any]) -> None:
    assert set(record["shapes"]) == {"users", "orders", "wide"}
    for figures in record["shapes"].values():
        for one in (figures, figures["ratio_15"]):
            assert one["gzip_ratio"] > 1
            assert all(one[name] > 0 for name in RATES)
    assert all(name in record["shapes"]["orders"] for name in SETTLED)


def test_every_column_was_compared(record: dict[str, Any]) -> None:
    compared = {shape: figures["checksums_compared"] for shape, figures in record["shapes"].items()}
    assert compared["users"] == 1 + 2 * 3
    assert compared["orders"] > 2 * 30
    assert compared["wide"] > 2 * 200


def test_the_machine_is_recorded(record: dict[str, Any]) -> None:
    where = record["machine"]
    assert where["cpu"]
    assert where["cores"] >= 1
    assert where["versions"]["chdb"]
    assert {"commit", "seed", "pinned_core", "load_before", "load_after"} <= set(where)


def test_the_record_is_kept_as_json_and_shown_as_tables(record: dict[str, Any], tmp_path: Path) -> None:
    assert json.loads(report.keep(record, tmp_path).read_text()) == json.loads(json.dumps(record))
    shown = report.text(record)
    for one in record["gates"]:
        assert f"{one['where']}: {one['what']}" in shown
    assert shown.count("MISS") == sum(not one["passed"] for one in record["gates"])


def test_a_gate_is_judged_in_its_direction() -> None:
    rates = {"inflate_mb_s": 1000, "kernel_mb_s": 1000, "arrow_mb_s": 500, "typed_clickhouse_mb_s": 100}
    figures = {"gzip_ratio": 4.0, **rates, "pyarrow_mb_s": 100, "boto3_mb_s": 100}
    figures |= {"settled_cpu_s": 1.0, "settled_engine_cpu_s": 0.5, "single_pass_cpu_s": 2.5, "guide_cpu_s": 2.0}
    figures |= {"wall_s": 1.0, "insert_only_wall_s": 0.9}
    judged = {one["what"]: one for one in gates.judge({"orders": figures}, cores=2)}
    assert len(judged) == 10
    assert judged["gz to Arrow / (inflate, then kernel)"]["reached"]
    assert judged["gz to Arrow / ClickHouse single pass"]["passed"]
    assert not judged["gz to Arrow / ClickHouse single pass"]["reached"]
    assert not judged["gz to Arrow / boto3"]["passed"]
    assert judged["settled: engine's CPU / single pass"]["reached"]
    assert not judged["settled: all CPU / guide"]["passed"]


def test_unequal_checksums_are_told() -> None:
    assert checks.differences({"a.sum": 1, "b.sum": 1.0}, {"a.sum": 1, "b.sum": 1.0 + 1e-12}) == []
    assert checks.differences({"a.sum": 1}, {"a.sum": 2}) == ["a.sum: 1 and 2"]
    assert checks.differences({"a.sum": 1, "b.sum": 2}, {"a.sum": 1}) == ["b.sum: 2 and None"]
    assert checks.differences({"a.sum": 1, "b.sum": 2}, {"a.sum": 1}, shared=True) == []


def test_peers_that_are_missing_are_named(record: dict[str, Any]) -> None:
    """orjson and DuckDB are optional: a run without them is a run all the same."""
    for figures in record["shapes"].values():
        for module in more_peers.PEERS:
            assert (f"{module}_mb_s" in figures) != (module in figures["peers_left_out"])


@pytest.mark.parametrize("name", ["unmapped", "escapes", "deep"])
def test_a_cliff_is_decoded_as_the_twin_does(name: str, tmp_path: Path) -> None:
    source = cliffs.inputs(name, 100_000, cache=tmp_path)
    cliff = cliffs.Cliff()
    assert cliff.load(name, asdict(source)) == source.json_bytes
    assert cliff.kernel() == source.items


def test_every_cliff_has_a_table() -> None:
    for name, (shape, _) in cliffs.CLIFFS.items():
        assert cliffs.table_of(name, Input(shape, 1, None, 1, "", 1, 1)).columns


def test_a_question_that_fails_says_why() -> None:
    def question(_: str) -> dict[str, Any]:
        raise ValueError("no answer\ntoday")

    assert suite._answered(question, "x") == {"error": "today"}


def test_what_is_beside_the_shapes_is_judged_too() -> None:
    beside = {
        "cliffs": {"shuffled": {"kernel_mb_s": 700}},
        "memory": {"growth": 1.2},
        "start": {"error": "no answer"},
        "scaling": {"ratio": 0.95},
    }
    judged = {one["what"]: one for one in gates.judge_rest({"orders": {"kernel_mb_s": 1000}}, beside, cores=2)}
    assert len(judged) == 3
    assert not judged["kernel, attributes shuffled / in order"]["passed"]
    assert not judged["peak memory at 10 x input / at 1 x"]["passed"]
    assert len(gates.judge_rest({"orders": {"kernel_mb_s": 1000}}, beside, cores=1)) == 2


def test_the_page_and_its_charts_are_written(record: dict[str, Any], tmp_path: Path) -> None:
    more = {"cliffs": {"deep": {"kernel_mb_s": 80.0}, "sparse": {"error": "no answer"}}, "start": {"error": "x"}}
    paths = document.write({**record, **more}, tmp_path)
    names = {path.name for path in paths}
    charts = {"users.svg", "orders.svg", "wide.svg", "settled.svg", "cliffs.svg"}
    assert names == charts | {"benchmarks.md", "reference.json"}
    for path in paths:
        if path.suffix == ".svg":
            assert ET.fromstring(path.read_text()).tag.endswith("svg")
    text = (tmp_path / "docs" / "benchmarks.md").read_text()
    assert all(f"charts/{name}" in text for name in charts)
    assert "no answer" in text
