"""All questions over some inputs: check that every reader sees the same, then measure, then compare with the gates."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from bench import checks, cliffs, fetch, gates, inputs, machine, more_peers, rounds, runs, settled
from bench.clickhouse_sql import SINGLE_PASS
from bench.inputs import Input
from bench.rounds import Case
from bench.stages import as_arguments
from bench.worker import Worker, WorkerError

Figures = dict[str, Any]


class UnequalError(RuntimeError):
    """Two readers of one input came to different results, so that comparing their times would mean nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    items: of each shape. ratios: gzip ratios asked for; the first is the one of the headline figures.
    rounds, repeat: rounds of everything; calls of our own short stages in each.
    boto3_bytes: how much JSON is given to boto3.
    settled_items: how many `orders` are loaded to a settled table; 0 leaves that out.
    cliff_bytes: JSON of each cliff; 0 leaves them out. whole_runs: rounds of start, memory and scaling; 0: none.
    cache: where inputs are kept. core: to which one-core work is pinned, or None.
    """

    name: str
    items: dict[str, int]
    settled_items: int
    ratios: tuple[int, ...] = (4, 15)
    rounds: int = 3
    repeat: int = 3
    boto3_bytes: int = 2_000_000
    cache: Path = inputs.CACHE
    core: int | None = None
    cliff_bytes: int = 0
    whole_runs: int = 0


def run(plan: Plan) -> Figures:
    """Measure; the record that is written and printed. Raises UnequalError before anything is timed."""
    begin = time.perf_counter()
    where = machine.describe(plan.core)
    shapes: dict[str, Figures] = {}
    with ExitStack() as stack:
        targets = ("stages:Stages", "peers:PyArrow", "peers:Boto3", "peers:TypedClickHouse")
        ours, pyarrow, boto3, clickhouse = (
            stack.enter_context(Worker(f"bench.{target}", core=plan.core)) for target in targets
        )
        for shape, items in plan.items.items():
            for ratio in plan.ratios:
                _tell(f"{shape} at gzip ratio {ratio}")
                source = inputs.ensure(shape, items, ratio, cache=plan.cache)
                figures = one_core(plan, source, ours, pyarrow, boto3, clickhouse)
                if ratio == plan.ratios[0]:
                    shapes[shape] = {**figures, **further_peers(plan, source, ours)}
                else:
                    shapes[shape][f"ratio_{ratio}"] = figures
    if plan.settled_items:
        shapes["orders"].update(to_settled(plan))
        _tell(f"{plan.settled_items:,} orders from S3")
        source = inputs.ensure("orders", plan.settled_items, plan.ratios[0], files=2, cache=plan.cache)
        shapes["orders"].update(fetch.measure(source, plan.rounds))
    beside = beside_the_shapes(plan)
    record = {
        "name": plan.name,
        "machine": where,
        "rounds": plan.rounds,
        "shapes": shapes,
        **beside,
        "gates": [*gates.judge(shapes, where["cores"]), *gates.judge_rest(shapes, beside, where["cores"])],
        "seconds": round(time.perf_counter() - begin, 1),
    }
    record["machine"]["load_after"] = machine.load()
    return record


def one_core(plan: Plan, source: Input, ours: Worker, pyarrow: Worker, boto3: Worker, clickhouse: Worker) -> Figures:
    """The stages and the peers over one input, each on one core. All rates, MD5 too: MB of JSON for each CPU second."""
    taken = as_arguments(source)
    ours.call("load", source=taken)
    clickhouse.call("load", source=taken)
    left_out = pyarrow.call("load", source=taken).value
    sample_lines = max(1, min(source.items, plan.boto3_bytes * source.items // source.json_bytes))
    sample_bytes = boto3.call("load", source=taken, lines=sample_lines).value
    expected = ours.call("checksums").value
    _equal(source, "rows", expected["rows"], source.items)
    for way in SINGLE_PASS:
        _same(source, f"ClickHouse ({way})", expected, clickhouse.call("checksums", way=way).value)
    _same(source, "pyarrow", expected, pyarrow.call("checksums").value, shared=True)
    sample = ours.call("sample_checksums", lines=sample_lines).value
    _same(source, "boto3", sample, boto3.call("checksums").value)
    _equal(source, "inflated bytes", ours.call("inflate").value, source.json_bytes)
    cases = {
        "inflate": Case(ours, "inflate", {}, plan.repeat),
        "md5": Case(ours, "md5", {}, plan.repeat),
        "kernel": Case(ours, "kernel", {}, plan.repeat),
        "arrow": Case(ours, "arrow", {}, plan.repeat),
        **{f"clickhouse_{way}": Case(clickhouse, "read", {"way": way}, warm=True) for way in SINGLE_PASS},
        "pyarrow": Case(pyarrow, "read", {}, warm=True),
        "boto3": Case(boto3, "read", {}, warm=True),
    }
    timed = rounds.interleave(cases, plan.rounds, lambda _: None)
    sizes = dict.fromkeys(cases, source.json_bytes) | {"boto3": sample_bytes}
    rates = {f"{name}_mb_s": round(sizes[name] / 1e6 / rounds.cpu(timed[name]), 1) for name in cases}
    return {
        "items": source.items,
        "json_bytes": source.json_bytes,
        "gz_bytes": source.gz_bytes,
        "gzip_ratio": round(source.gzip_ratio, 2),
        **rates,
        "typed_clickhouse_mb_s": max(rates[f"clickhouse_{way}_mb_s"] for way in SINGLE_PASS),
        "pyarrow_leaves_out": len(left_out),
        "spread": {name: round(rounds.spread(timed[name]), 2) for name in cases},
        "checksums_compared": len(expected),
    }


def further_peers(plan: Plan, source: Input, ours: Worker) -> Figures:
    """The peers that not everybody has. One that is missing, or cannot read this shape, is named and left out."""
    rates: Figures = {}
    left_out: dict[str, str] = {}
    taken = as_arguments(source)
    lines = max(1, min(source.items, plan.boto3_bytes * source.items // source.json_bytes))
    sample = ours.call("sample_checksums", lines=lines).value
    found = more_peers.available()
    for module in more_peers.PEERS:
        if module not in found:
            left_out[module] = "not installed"
            continue
        with Worker(f"bench.more_peers:{found[module]}", core=plan.core) as worker:
            try:
                size = worker.call("load", source=taken, lines=lines).value
                _same(source, module, sample, worker.call("checksums").value, shared=True)
                case = {module: Case(worker, "read", {}, warm=True)}
                timed = rounds.interleave(case, plan.rounds, lambda _: None)
                rates[f"{module}_mb_s"] = round(size / 1e6 / rounds.cpu(timed[module]), 1)
            except (WorkerError, UnequalError) as error:
                left_out[module] = str(error).strip().splitlines()[-1][:200]
    return {**rates, "peers_left_out": left_out}


def beside_the_shapes(plan: Plan) -> Figures:
    """What is asked of the decoder and of the command as a whole; a question that fails says why."""
    found: Figures = {}
    if plan.cliff_bytes:
        found["cliffs"] = {name: _answered(_cliff, plan, name) for name in cliffs.CLIFFS}
    if plan.whole_runs:
        found["start"] = _answered(runs.start, plan.whole_runs)
        orders = min(plan.items["orders"], 40_000)
        small, large = (inputs.ensure("orders", orders * times, 4, cache=plan.cache) for times in (1, 10))
        found["memory"] = _answered(runs.memory, small, large)
        both = inputs.ensure("orders", plan.settled_items or orders, 4, files=2, cache=plan.cache)
        found["scaling"] = _answered(runs.scaling, both, plan.whole_runs)
    return found


def _answered(question: Callable[..., Figures], *arguments: object) -> Figures:
    name = getattr(question, "__name__", "").strip("_")
    _tell(" ".join([name, *(one for one in arguments if isinstance(one, str))]))
    try:
        return question(*arguments)
    except (WorkerError, ValueError, OSError, subprocess.CalledProcessError) as error:
        return {"error": str(error).strip().splitlines()[-1][:300]}


def _cliff(plan: Plan, name: str) -> Figures:
    source = cliffs.inputs(name, plan.cliff_bytes, cache=plan.cache)
    with Worker("bench.cliffs:Cliff", core=plan.core) as worker:
        size = worker.call("load", name=name, source=as_arguments(source)).value
        timed = rounds.interleave({name: Case(worker, "kernel", {}, plan.repeat)}, plan.rounds, lambda _: None)
    return {
        "gzip_ratio": round(source.gzip_ratio, 2),
        "item_bytes": size // source.items,
        "kernel_mb_s": round(size / 1e6 / rounds.cpu(timed[name]), 1),
    }


def to_settled(plan: Plan) -> Figures:
    """Loading `orders` to a settled table, in seconds."""
    source = inputs.ensure("orders", plan.settled_items, plan.ratios[0], files=2, cache=plan.cache)
    taken = {"source": as_arguments(source)}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(f"bench.settled:{name}", taken))
            for name in ("Ours", "Null", "ReadyArrow", "SinglePass", "Guide")
        }

        def load(name: str, **arguments: str) -> Case:
            return Case(workers[name], "load", arguments, warm=True)

        cases = {
            "ours": load("Ours"),
            "null": load("Null"),
            **{f"insert {way}": load("ReadyArrow", way=way) for way in settled.INSERTS},
            **{f"single pass {way}": load("SinglePass", way=way) for way in SINGLE_PASS},
            "guide": load("Guide"),
        }
        _tell(f"{source.items:,} orders to a settled table: checking")
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            found = list(pool.map(lambda worker: _loaded(cases, worker), workers.values()))
        expected = found[0]["ours"]
        for name, sums in chain.from_iterable(one.items() for one in found):
            _same(source, name, expected, sums)
        timed = rounds.interleave(cases, plan.rounds, _tell)
        final = workers["Ours"].call("final").value
        for name, worker in workers.items():
            if name != "Null":
                worker.call("remove")
    keys = ("cpu_s", "wall_s", "load_cpu_s", "load_wall_s")
    every = {name: {key: round(rounds.middle(timed[name], key), 4) for key in keys} for name in cases}
    best_insert = min((f"insert {way}" for way in settled.INSERTS), key=lambda name: every[name]["wall_s"])
    best_single = min((f"single pass {way}" for way in SINGLE_PASS), key=lambda name: every[name]["cpu_s"])
    return {
        "settled_items": source.items,
        "settled_json_bytes": source.json_bytes,
        "settled_cpu_s": every["ours"]["cpu_s"],
        "settled_engine_cpu_s": round(every["ours"]["cpu_s"] - every["null"]["cpu_s"], 4),
        "wall_s": every["ours"]["wall_s"],
        "insert_only_wall_s": every[best_insert]["wall_s"],
        "insert_only_cpu_s": every[best_insert]["cpu_s"],
        "single_pass_cpu_s": every[best_single]["cpu_s"],
        "guide_cpu_s": every["guide"]["cpu_s"],
        "final_query": final,
        "settled_variants": every,
    }


def _loaded(cases: dict[str, Case], worker: Worker) -> dict[str, checks.Checksums]:
    """The checksums of the table after each case of a worker, by the name of the case."""
    found = {}
    for name, case in cases.items():
        if case.worker is worker:
            case.worker.call(case.method, **case.arguments)
            if name != "null":
                found[name] = case.worker.call("checksums").value
    return found


def _same(
    source: Input, who: str, expected: checks.Checksums, found: checks.Checksums, *, shared: bool = False
) -> None:
    """Raise UnequalError if they differ. shared: `who` cannot read every column and is compared in the others."""
    wrong = checks.differences(expected, found, shared=shared)
    if wrong:
        shown = "\n  ".join(wrong[:10])
        raise UnequalError(f"{source.shape} at ratio {source.ratio}: {who} differs in {len(wrong)} figures:\n  {shown}")


def _equal(source: Input, what: str, found: int, expected: int) -> None:
    if found != expected:
        raise UnequalError(f"{source.shape} at ratio {source.ratio}: {found:,} {what}, not {expected:,}")


def _tell(text: str) -> None:
    """To whoever watches."""
    print(text, file=sys.stderr, flush=True)
