"""The ratios that must hold, and those that are aimed at: figures of one run, divided by each other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Judged:
    """One ratio. least: whether it must be at least `gate` (else at most). passed, reached: gate and target."""

    where: str
    what: str
    ratio: float
    least: bool
    gate: float
    target: float
    passed: bool
    reached: bool


def judge(shapes: dict[str, dict[str, Any]], cores: int) -> list[dict[str, Any]]:
    """Every ratio that the figures allow."""
    found: list[Judged] = []
    for shape, figures in shapes.items():
        inner = {f"{shape}, gzip {figures['gzip_ratio']:.1f}": figures}
        inner |= {
            f"{shape}, gzip {more['gzip_ratio']:.1f}": more
            for name, more in figures.items()
            if name.startswith("ratio_")
        }
        for number, (where, rates) in enumerate(inner.items()):
            found += _one_core(where, rates, kernel_gate=number == 0)
        if "settled_cpu_s" in figures:
            found += _settled(shape, figures, cores)
        if "fetch_ratio" in figures:
            found.append(_at_least(shape, "from S3 / from a disk", figures["fetch_ratio"], 0.8, 0.95))
    return [asdict(one) for one in found]


def judge_rest(shapes: dict[str, dict[str, Any]], beside: dict[str, Any], cores: int) -> list[dict[str, Any]]:
    """The ratios of what is asked beside the shapes, as far as it was answered."""
    found: list[Judged] = []

    def figure(part: str, name: str) -> float | None:
        value = beside.get(part, {}).get(name)
        return None if value is None else float(value)

    shuffled = beside.get("cliffs", {}).get("shuffled", {}).get("kernel_mb_s")
    if shuffled and "orders" in shapes:
        ratio = shuffled / shapes["orders"]["kernel_mb_s"]
        found.append(_at_least("orders", "kernel, attributes shuffled / in order", ratio, 0.75, 0.75))
    if (ratio_ := figure("memory", "growth")) is not None:
        found.append(_at_most("orders", "peak memory at 10 x input / at 1 x", ratio_, 1.1, 1.1))
    if (ratio_ := figure("start", "help_ratio")) is not None:
        found.append(_at_most("start", "--help / empty application", ratio_, 1.3, 1.1))
    if (ratio_ := figure("start", "first_batch_ratio")) is not None:
        found.append(_at_most("start", "first batch / its imports", ratio_, 2, 1.5))
    if cores > 1 and (ratio_ := figure("scaling", "ratio")) is not None:
        found.append(_at_least("orders", "speed-up by 2 workers / by 2 processes", ratio_, 0.9, 1))
    return [asdict(one) for one in found]


def _one_core(where: str, rates: dict[str, Any], *, kernel_gate: bool) -> list[Judged]:
    inflate, kernel, arrow = (rates[f"{name}_mb_s"] for name in ("inflate", "kernel", "arrow"))
    both = 1 / (1 / inflate + 1 / kernel)
    found = [
        _at_least(where, "gz to Arrow / (inflate, then kernel)", arrow / both, 0.85, 0.95),
        _at_least(where, "gz to Arrow / ClickHouse single pass", arrow / rates["typed_clickhouse_mb_s"], 4, 8),
        _at_least(where, "gz to Arrow / pyarrow.json", arrow / rates["pyarrow_mb_s"], 3, 8),
        _at_least(where, "gz to Arrow / boto3", arrow / rates["boto3_mb_s"], 20, 60),
    ]
    # Inflating is so much faster at high ratios that only the first one says something about the kernel.
    return [_at_least(where, "kernel / inflate", kernel / inflate, 0.7, 1.2), *found] if kernel_gate else found


def _settled(where: str, seconds: dict[str, Any], cores: int) -> list[Judged]:
    cpu, engine = seconds["settled_cpu_s"], seconds["settled_engine_cpu_s"]
    single, guide = seconds["single_pass_cpu_s"], seconds["guide_cpu_s"]
    wall = max(seconds["insert_only_wall_s"], cpu / cores)
    return [
        _at_most(where, "settled: engine's CPU / single pass", engine / single, 0.35, 0.2),
        _at_most(where, "settled: engine's CPU / guide", engine / guide, 0.25, 0.12),
        _at_most(where, "settled: all CPU / single pass", cpu / single, 0.5, 0.35),
        _at_most(where, "settled: all CPU / guide", cpu / guide, 0.3, 0.2),
        _at_most(where, "settled: wall / max(insert only, CPU / cores)", seconds["wall_s"] / wall, 1.25, 1.1),
    ]


def _at_least(where: str, what: str, ratio: float, gate: float, target: float) -> Judged:
    return Judged(where, what, round(ratio, 3), True, gate, target, ratio >= gate, ratio >= target)


def _at_most(where: str, what: str, ratio: float, gate: float, target: float) -> Judged:
    return Judged(where, what, round(ratio, 3), False, gate, target, ratio <= gate, ratio <= target)
