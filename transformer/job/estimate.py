"""What a load will take, from the manifests alone: time, memory, requests, money, and what the limit is.

The makespan is simulated with the schedule of a run: files are shared out among machines as `--shard` does it, and on
each machine the largest file that is left goes to the worker that is free first. Nothing of the data is read.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from transformer.errors import UsageError
from transformer.job.budget import MEMORY_PER_WORKER, MIB
from transformer.job.rates import GB, Prices, Rates
from transformer.job.shards import split
from transformer.job.snapshot import largest_first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformer.source.export import DataFile, Export

BASE_MEMORY = 250 * MIB
"""Interpreter, libraries and machine code of one process (see `transformer.job.budget`)."""

_MANIFEST_REQUESTS = 8  # the two manifests and their checksums, looked for once each, and the version of each


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """With what a load is meant to run.

    machines: processes with a part of the files each. workers: of each machine, one core for each.
    server_cores: cores of ClickHouse that are free for it. retention_hours: of the table's stream.
    nat: whether the reads from S3 go through a NAT gateway. memory: of each machine for data, None for the default.
    gz_bytes: stored bytes of all data files, where the storage does not list their sizes; else None.
    Raises UsageError for what cannot run.
    """

    machines: int = 1
    workers: int = 2
    server_cores: int = 4
    retention_hours: float = 24.0
    nat: bool = False
    memory: int | None = None
    gz_bytes: int | None = None
    rates: Rates = field(default_factory=Rates)
    prices: Prices = field(default_factory=Prices)

    def __post_init__(self) -> None:
        for option, number in (
            ("--machines", self.machines),
            ("--workers", self.workers),
            ("--server-cores", self.server_cores),
        ):
            if number < 1:
                raise UsageError(f"{option} {number} cannot load anything", remedy=f"Give {option} 1 or more.")
        if not self.retention_hours > 0:
            raise UsageError("--retention-hours must be more than 0", remedy="A Kinesis stream keeps 24 to 8760 hours.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What it will take. Sizes in bytes, times in seconds, money in US dollars.

    largest, median, mean: stored bytes of a file; skew: largest / mean. empty: files without items.
    chunks: inserts. makespan: from the first byte to the last acknowledged insert. settled: until merges are done too,
    at the earliest. busy: share of the makespan in which the workers have something to do.
    limits: for each thing that may be the bottleneck, the least time that it needs; the largest of them is
    `bottleneck`. memory: of one machine. client_cpu, insert_cpu, merge_cpu: core seconds.
    gets, lists: requests to S3. costs: by name. retention_share: makespan / retention.
    """

    export: str
    table: str
    files: int
    items: int | None
    gz_bytes: int
    json_bytes: int
    largest: int
    median: int
    mean: float
    skew: float
    empty: int
    chunks: int
    machines: int
    workers: int
    server_cores: int
    makespan: float
    settled: float
    busy: float
    limits: dict[str, float]
    bottleneck: str
    memory: int
    network_bytes_s: float
    client_cpu: float
    insert_cpu: float
    merge_cpu: float
    gets: int
    lists: int
    costs: dict[str, float]
    retention_hours: float
    retention_share: float
    advice: list[str]
    assumptions: dict[str, dict[str, float]]

    @property
    def total_cost(self) -> float:
        """All costs together."""
        return sum(self.costs.values())

    def to_dict(self) -> dict[str, object]:
        """The record as `--json` prints it."""
        record: dict[str, object] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name, value in record.items():
            if isinstance(value, float):
                record[name] = round(value, 4)
        record["limits"] = {name: round(value, 3) for name, value in self.limits.items()}
        record["costs"] = {name: round(value, 4) for name, value in self.costs.items()}
        record["total_cost"] = round(self.total_cost, 4)
        return record


def estimate(export: Export, plan: Plan) -> Estimate:
    """What loading `export` as `plan` says will take.

    Raises UsageError when neither the storage nor the plan says how large the files are, SourceError never: nothing of
    the data is read.
    """
    rates, prices = plan.rates, plan.prices
    sizes = _sizes(export, plan)
    gz_bytes = sum(sizes.values())
    json_bytes = round(gz_bytes * rates.gzip_ratio)
    cpu_per_gz = rates.gzip_ratio * (1 / rates.inflate + (1 + rates.client_share) / rates.decode)
    wire_per_gz = plan.workers / rates.network
    per_gz = max(cpu_per_gz, wire_per_gz)

    def seconds(file: DataFile) -> float:
        return rates.file_seconds + sizes[file.name] * per_gz

    ends, work = [], 0.0
    for part in split(export.files, plan.machines):
        free = [0.0] * min(plan.workers, max(1, len(part)))
        for file in largest_first(part):
            took = seconds(file)
            work += took
            heapq.heapreplace(free, free[0] + took)
        ends.append(max(free))
    client = max(ends, default=0.0)
    client_cpu = gz_bytes * cpu_per_gz
    insert_cpu, merge_cpu = json_bytes / rates.insert, json_bytes / rates.merge
    all_workers = plan.machines * plan.workers
    largest = max(sizes.values(), default=0)
    limits = {
        "client cores": (client_cpu + rates.file_seconds * len(sizes)) / all_workers,
        "network": gz_bytes / (rates.network * plan.machines),
        "largest file": rates.file_seconds + largest * per_gz if sizes else 0.0,
        "ClickHouse inserts": insert_cpu / plan.server_cores,
    }
    makespan = max(client, limits["ClickHouse inserts"])
    hours = makespan / 3600
    ordered = sorted(sizes.values())
    mean = gz_bytes / len(sizes) if sizes else 0.0
    gets = sum(max(1, math.ceil(size / rates.request_bytes)) for size in ordered) + _MANIFEST_REQUESTS * plan.machines
    lists = plan.machines * max(1, math.ceil(len(sizes) / 1000))
    result = Estimate(
        export=export.shown,
        table=export.table_name or "",
        files=len(sizes),
        items=export.item_count,
        gz_bytes=gz_bytes,
        json_bytes=json_bytes,
        largest=largest,
        median=ordered[len(ordered) // 2] if ordered else 0,
        mean=mean,
        skew=largest / mean if mean else 1.0,
        empty=sum(file.item_count == 0 for file in export.files),
        chunks=sum(math.ceil(size * rates.gzip_ratio / rates.chunk_bytes) for size in ordered),
        machines=plan.machines,
        workers=plan.workers,
        server_cores=plan.server_cores,
        makespan=makespan,
        settled=max(makespan, (insert_cpu + merge_cpu) / plan.server_cores),
        busy=work / (makespan * all_workers) if makespan else 1.0,
        limits=limits,
        bottleneck=max(limits, key=lambda name: limits[name]),
        memory=BASE_MEMORY + (plan.memory or plan.workers * MEMORY_PER_WORKER),
        network_bytes_s=gz_bytes / makespan if makespan else 0.0,
        client_cpu=client_cpu,
        insert_cpu=insert_cpu,
        merge_cpu=merge_cpu,
        gets=gets,
        lists=lists,
        costs={
            "workers": all_workers * hours * prices.core_hour,
            "ClickHouse": (insert_cpu + merge_cpu) / 3600 * prices.server_core_hour,
            "S3 requests": gets / 1000 * prices.get_thousand + lists / 1000 * prices.list_thousand,
            "NAT gateway": gz_bytes / GB * prices.nat_gb if plan.nat else 0.0,
            "egress": gz_bytes / GB * prices.egress_gb,
        },
        retention_hours=plan.retention_hours,
        retention_share=hours / plan.retention_hours,
        advice=[],
        assumptions={
            "rates": {name: getattr(rates, name) for name in Rates.__dataclass_fields__},
            "prices": {name: getattr(prices, name) for name in Prices.__dataclass_fields__},
        },
    )
    result.advice.extend(_advice(result, plan, client))
    return result


def _sizes(export: Export, plan: Plan) -> dict[str, int]:
    """Stored bytes of each file by name."""
    files: Sequence[DataFile] = export.files
    if plan.gz_bytes is None:
        if any(file.size is None for file in files):
            raise UsageError(
                f"{export.shown}: the storage does not list the sizes of the data files",
                remedy="Give their sum with --gz-bytes, such as --gz-bytes 120GB.",
            )
        return {file.name: file.size or 0 for file in files}
    items = sum(file.item_count or 0 for file in files)
    if not items:
        return {file.name: plan.gz_bytes // max(1, len(files)) for file in files}
    return {file.name: plan.gz_bytes * (file.item_count or 0) // items for file in files}


_ADVICE = {
    "client cores": "More machines or workers: the cores that decode are what it waits for.",
    "network": "More machines, each with its own network: the reads from S3 are what it waits for.",
    "largest file": "More workers would not help: one file cannot be shared, and the largest is what it waits for.",
    "ClickHouse inserts": "A larger ClickHouse service for the time of the load: its inserts are what it waits for.",
}


def _advice(result: Estimate, plan: Plan, client: float) -> list[str]:
    """What to do about it, the most important first."""
    advice = []
    if result.retention_share >= 1:
        advice.append(
            f"The stream keeps {result.retention_hours:g} hours and the load takes longer: raise the retention of the "
            "stream before the export is begun, or changes are lost."
        )
    elif result.retention_share > 0.5:
        advice.append(
            "More than half of the stream's retention goes by: raise it, so that a second try has time as well."
        )
    advice.append(_ADVICE[result.bottleneck])
    if result.files and plan.machines * plan.workers > result.files:
        advice.append(f"{plan.machines * plan.workers} workers for {result.files} files: some will have nothing to do.")
    if plan.nat and result.costs["NAT gateway"] > result.total_cost / 4:
        advice.append("A gateway endpoint for S3 (free of charge) would save the price of the NAT gateway.")
    if client and client < result.limits["ClickHouse inserts"] / 2:
        advice.append("The workers wait for ClickHouse most of the time: fewer of them would do.")
    return advice
