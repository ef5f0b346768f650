"""The estimate: its arithmetic on small cases, its schedule against brute force, and what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from job.twin import user, write_export

from transformer.errors import UsageError
from transformer.job.estimate import Plan, estimate
from transformer.job.rates import Prices, Rates, changed
from transformer.job.shards import Shard
from transformer.source.export import DataFile, Export, find_export

SIMPLE = Rates(
    gzip_ratio=1, inflate=2e6, decode=2e6, client_share=0, insert=1e9, merge=1e9, network=1e12, file_seconds=0
)
"""One MB of stored bytes is one second of a worker's time; nothing else counts."""


def export_of(*sizes: int | None) -> Export:
    files = tuple(
        DataFile(f"s3://b/data/{n:08}.json.gz", f"data/{n:08}.json.gz", size or 0, None, None, size)
        for n, size in enumerate(sizes)
    )
    return Export(
        url="s3://b/x", kind="full", export_arn=None, export_id="x", table_name="t", table_arn=None, export_time=None,
        item_count=sum(size or 0 for size in sizes), files=files, warnings=(),
    )  # fmt: skip


def test_one_worker_takes_the_sum() -> None:
    result = estimate(export_of(3_000_000, 1_000_000), Plan(workers=1, rates=SIMPLE))
    assert result.makespan == pytest.approx(4)
    assert (result.bottleneck, result.busy) == ("client cores", pytest.approx(1))


def test_the_largest_file_bounds_many_workers() -> None:
    result = estimate(export_of(9_000_000, *[1_000_000] * 4), Plan(machines=2, workers=4, rates=SIMPLE))
    assert result.makespan == pytest.approx(9)
    assert result.bottleneck == "largest file"
    assert "one file cannot be shared" in result.advice[0]


def test_slow_inserts_bound_everything() -> None:
    rates = replace(SIMPLE, insert=1e5)
    result = estimate(export_of(4_000_000), Plan(workers=1, server_cores=2, rates=rates))
    assert result.makespan == pytest.approx(20)
    assert result.bottleneck == "ClickHouse inserts"
    assert any("fewer of them would do" in text for text in result.advice)


def test_a_narrow_network_bounds_everything() -> None:
    result = estimate(export_of(4_000_000), Plan(workers=1, rates=replace(SIMPLE, network=5e5)))
    assert result.makespan == pytest.approx(8)
    assert result.network_bytes_s == pytest.approx(5e5)


@given(
    sizes=st.lists(st.integers(0, 50), min_size=1, max_size=30),
    machines=st.integers(1, 4),
    workers=st.integers(1, 4),
)
def test_the_schedule_is_that_of_a_run(sizes: list[int], machines: int, workers: int) -> None:
    export = export_of(*(size * 1_000_000 for size in sizes))
    result = estimate(export, Plan(machines=machines, workers=workers, rates=SIMPLE))
    ends = []
    for number in range(1, machines + 1):
        free = [0.0] * workers
        mine = Shard(number, machines).of(export.files)
        for file in sorted(mine, key=lambda file: (-(file.size or 0), file.name)):
            free[free.index(min(free))] += (file.size or 0) / 1e6
        ends.append(max(free))
    assert result.makespan == pytest.approx(max(ends))
    assert max(result.limits.values()) <= result.makespan + 1e-9
    assert 0 <= result.busy <= 1 + 1e-9


def test_more_than_the_stream_keeps_is_said_first() -> None:
    result = estimate(export_of(7_200_000_000), Plan(workers=1, retention_hours=1, rates=SIMPLE))
    assert result.retention_share == pytest.approx(2)
    assert "raise the retention" in result.advice[0]


def test_money_is_what_the_prices_say() -> None:
    prices = Prices(
        core_hour=1, server_core_hour=10, get_thousand=1000, list_thousand=1000, nat_gb=1000, egress_gb=2000
    )
    rates = replace(SIMPLE, insert=1e6, merge=1e6, request_bytes=1_000_000)
    plan = Plan(workers=1, server_cores=1000, nat=True, rates=rates, prices=prices)
    result = estimate(export_of(3_600_000, 2_500_000), plan)
    assert result.gets == 4 + 3 + 8
    assert result.costs == {
        "workers": pytest.approx(6.1 / 3600),
        "ClickHouse": pytest.approx(2 * 6.1 / 3600 * 10),
        "S3 requests": pytest.approx(15 + 1),
        "NAT gateway": pytest.approx(6.1),
        "egress": pytest.approx(12.2),
    }
    assert result.total_cost == pytest.approx(sum(result.costs.values()))


def test_sizes_that_nobody_lists_are_asked_for() -> None:
    with pytest.raises(UsageError) as raised:
        estimate(export_of(None), Plan())
    assert "--gz-bytes" in raised.value.remedy
    export = export_of(1, 3)
    result = estimate(export, Plan(gz_bytes=8_000_000, workers=2, rates=SIMPLE))
    assert (result.gz_bytes, result.largest) == (8_000_000, 6_000_000)  # shared out by items


@pytest.mark.parametrize("given", ["x=1", "decode", "decode=fast", "decode=0", "decode=-1", "decode=inf", "decode=nan"])
def test_assumptions_that_mean_nothing_are_refused(given: str) -> None:
    with pytest.raises(UsageError, match="--rate"):
        changed(Rates(), [given], "--rate")


def test_assumptions_can_be_changed() -> None:
    rates = changed(Rates(), ["gzip_ratio=14.8", "chunk_bytes=1000"], "--rate")
    assert (rates.gzip_ratio, rates.chunk_bytes) == (14.8, 1000)
    assert changed(Prices(), ["core_hour=0"], "--price").core_hour == 0


@pytest.mark.parametrize("changes", [{"machines": 0}, {"workers": 0}, {"server_cores": 0}, {"retention_hours": 0}])
def test_plans_that_cannot_run_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        Plan(**changes)  # type: ignore[arg-type]


def test_an_export_without_items_is_no_division_by_zero() -> None:
    assert estimate(export_of(), Plan()).makespan == 0
    assert estimate(export_of(0, 0), Plan()).empty == 2


def test_of_a_real_export_sizes_come_from_the_listing(tmp_path: Path) -> None:
    folder = write_export(tmp_path, [[user(n) for n in range(50)], []])
    result = estimate(find_export(str(folder)), Plan())
    assert result.gz_bytes == sum(path.stat().st_size for path in folder.glob("data/*"))
    assert (result.items, result.files, result.empty) == (50, 2, 1)
    assert json.loads(json.dumps(result.to_dict()))["total_cost"] >= 0
