"""The record of a full run as charts (SVG) and as `docs/benchmarks.md`, written by nobody's hand."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from bench import report
from bench.inputs import ROOT

Bars = list[tuple[str, float, bool]]
"""Label, value, and whether it is ours."""

_OURS, _OTHERS = "#2f6f4f", "#9aa5b1"
_WIDTH, _LEFT, _ROW, _TOP = 720, 190, 24, 44

_PEERS = (
    ("boto3", "boto3 TypeDeserializer"),
    ("orjson", "orjson and a loop"),
    ("polars", "polars.read_ndjson"),
    ("pyarrow", "pyarrow.json"),
    ("duckdb", "DuckDB"),
    ("clickhouse_extract", "ClickHouse, per column"),
    ("typed_clickhouse", "ClickHouse, single pass"),
    ("arrow", "dynamo2ch, gzip to Arrow"),
    ("kernel", "dynamo2ch, decoding only"),
    ("inflate", "(inflating alone)"),
)


def chart(title: str, unit: str, bars: Bars) -> str:
    """A horizontal bar chart as SVG, readable on light and dark pages, with the value behind each bar."""
    height = _TOP + _ROW * len(bars) + 12
    most = max((value for _, value, _ in bars), default=1.0) or 1.0
    size = f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title, quote=True)}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff" rx="6"/>',
        f'<text x="12" y="26" font-size="15" font-weight="bold" fill="#1f2933">{escape(title)}</text>',
    ]
    for number, (label, value, ours) in enumerate(bars):
        y = _TOP + _ROW * number
        length = max(1.0, (_WIDTH - _LEFT - 110) * value / most)
        place = f'x="{_LEFT}" y="{y + 2}" width="{length:.1f}" height="{_ROW - 6}"'
        lines += [
            f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end" fill="#1f2933">{escape(label)}</text>',
            f'<rect {place} rx="2" fill="{_OURS if ours else _OTHERS}"/>',
            f'<text x="{_LEFT + length + 6:.1f}" y="{y + 15}" fill="#1f2933">{_shown(value)} {escape(unit)}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 20 else f"{value:.2f}"


def charts(record: dict[str, Any]) -> dict[str, str]:
    """All charts of a record, by file name."""
    found = {}
    for shape, figures in record["shapes"].items():
        bars: Bars = [
            (label, figures[f"{name}_mb_s"], label.startswith("dynamo2ch"))
            for name, label in _PEERS
            if f"{name}_mb_s" in figures
        ]
        title = f"{shape}, gzip ratio {figures['gzip_ratio']:.0f}: JSON read in each CPU second, one core"
        found[f"{shape}.svg"] = chart(title, "MB/s", bars)
        if "settled_cpu_s" in figures:
            settled: Bars = [
                ("ClickHouse's guide", figures["guide_cpu_s"], False),
                ("ClickHouse, single pass", figures["single_pass_cpu_s"], False),
                ("dynamo2ch, everything", figures["settled_cpu_s"], True),
                ("dynamo2ch, engine's part", figures["settled_engine_cpu_s"], True),
                ("(inserting ready Arrow)", figures["insert_only_cpu_s"], False),
            ]
            title = f"{figures['settled_items']:,} {shape} to a settled table: CPU seconds, less is better"
            found["settled.svg"] = chart(title, "s", settled)
    cliffs: Bars = [
        (name, one["kernel_mb_s"], True) for name, one in record.get("cliffs", {}).items() if "kernel_mb_s" in one
    ]
    if cliffs:
        found["cliffs.svg"] = chart("Decoding, by what is unusual about the items, one core", "MB/s", cliffs)
    return found


def page(record: dict[str, Any], names: list[str]) -> str:
    """The text of `docs/benchmarks.md`."""
    missed = [one for one in record["gates"] if not one["passed"]]
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`, on one machine; run it on yours. What counts are ratios of figures of one",
        "run. Before anything is timed, every reader's result is compared with everybody else's, column by column.",
        "Shipped defaults are what is timed: MD5, validation of every byte, `_unmapped` on.",
        "",
        *[f"![{name.removesuffix('.svg')}](charts/{name})\n" for name in names],
        "## All figures",
        "",
        "```",
        report.text(record),
        "```",
        "",
        "## Where it falls short",
        "",
    ]
    lines += [
        f"- {one['where']}: {one['what']} is {one['ratio']:.2f}; {'at least' if one['least'] else 'at most'} "
        f"{one['gate']:g} is wanted."
        for one in missed
    ] or ["Every gate holds."]
    return "\n".join([*lines, ""])


def write(record: dict[str, Any], root: Path = ROOT) -> list[Path]:
    """Write charts, page and `bench/results/reference.json` below `root`; the paths written."""
    made = charts(record)
    folder = root / "docs" / "charts"
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in made.items():
        (folder / name).write_text(text)
        paths.append(folder / name)
    document = root / "docs" / "benchmarks.md"
    document.write_text(page(record, list(made)))
    kept = report.keep({**record, "name": "reference"}, root / "bench" / "results")
    return [*paths, document, kept]
