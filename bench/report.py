"""Figures for people, and where they are kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.inputs import ROOT

RESULTS = ROOT / "bench" / "results"

_RATES = (
    ("inflate", "inflate"),
    ("md5", "MD5 of gz"),
    ("kernel", "kernel"),
    ("arrow", "gz→Arrow"),
    ("clickhouse_column", "CH column"),
    ("clickhouse_extract", "CH extract"),
    ("pyarrow", "pyarrow"),
    ("duckdb", "DuckDB"),
    ("polars", "polars"),
    ("orjson", "orjson"),
    ("boto3", "boto3"),
)


def keep(record: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Write `<name>.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record['name']}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path


def text(record: dict[str, Any]) -> str:
    """Tables of the figures and of the gates."""
    where = record["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items() if version)
    loads = f"load {where['load_before'][0]} before and {where['load_after'][0]} after"
    lines = [
        f"{where['cpu']}, {where['cores']} cores, {loads}; one-core work on core {where['pinned_core']}",
        f"Python {where['python']}, {versions}",
        f"commit {where['commit']}, seed {where['seed']}, medians of {record['rounds']} interleaved rounds",
        "",
        "MB of JSON for each CPU second, one core",
        f"{'input':<18}" + "".join(f"{title:>12}" for _, title in _RATES),
    ]
    for shape, figures in record["shapes"].items():
        for one in (figures, *(more for name, more in figures.items() if name.startswith("ratio_"))):
            rates = "".join(_rate(one.get(f"{name}_mb_s")) for name, _ in _RATES)
            lines.append(f"{shape + ', gzip ' + format(one['gzip_ratio'], '.1f'):<18}{rates}")
    for shape, figures in record["shapes"].items():
        if "settled_variants" in figures:
            title = f"{figures['settled_items']:,} {shape} to a settled table, seconds"
            lines += ["", f"{title} (in brackets: until loaded)"]
            for name, one in figures["settled_variants"].items():
                cpu, wall = (f"{one[f'{kind}_s']:7.3f} ({one[f'load_{kind}_s']:.3f})" for kind in ("cpu", "wall"))
                lines.append(f"{name:<22} CPU {cpu}   wall {wall}")
            lines.append(f"{'engine part of ours':<22} CPU {figures['settled_engine_cpu_s']:7.3f}")
            final = figures.get("final_query", {})
            if final:
                lines.append(f"query with FINAL {final['final_s']:.3f} s, without {final['plain_s']:.3f} s (wall)")
    if "cliffs" in record:
        lines += ["", "decoding, MB/s of JSON, one core"]
        for name, one in record["cliffs"].items():
            told = f"{one['kernel_mb_s']:,.0f}" if "kernel_mb_s" in one else one["error"]
            lines.append(f"{name:<22}{told:>8}")
    for part in ("start", "memory", "scaling"):
        if part in record:
            lines += ["", f"{part}: " + ", ".join(f"{name} {value}" for name, value in record[part].items())]
    lines += ["", f"{'ratio':<70}{'found':>8}{'gate':>9}{'target':>9}"]
    for one in record["gates"]:
        sign = "≥" if one["least"] else "≤"
        mark = "target" if one["reached"] else "pass" if one["passed"] else "MISS"
        lines.append(
            f"{one['where'] + ': ' + one['what']:<70}{one['ratio']:>8.2f}"
            f"{sign + ' ' + format(one['gate'], 'g'):>9}{sign + ' ' + format(one['target'], 'g'):>9}  {mark}"
        )
    missed = sum(not one["passed"] for one in record["gates"])
    lines += ["", f"{len(record['gates']) - missed} of {len(record['gates'])} gates hold, {record['seconds']} s"]
    return "\n".join(lines)


def _rate(figure: float | None) -> str:
    return f"{'-':>12}" if figure is None else f"{figure:>12,.0f}"


def show(record: dict[str, Any], *, as_json: bool) -> None:
    """Print a record as JSON or as tables."""
    sys.stdout.write((json.dumps(record, indent=1) if as_json else text(record)) + "\n")
