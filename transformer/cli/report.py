"""The report of a run: one HTML page that needs nothing else, made from the record that `--json` prints.

It holds no value of an item: names of files, attributes and columns, counts, sizes, times.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transformer.errors import UsageError
from transformer.settings import hide

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NEEDED = ("status", "job", "export", "files_total", "items_read", "rows_inserted", "items_rejected", "seconds")
"""Without these a file is no record of a run."""

_STYLE = """
:root { color-scheme: light dark; --fg: #1c2024; --bg: #fff; --dim: #5b6470; --line: #dde1e6; --bar: #2f6fde;
  --soft: #f3f5f8; --good: #1b7f4b; --bad: #b3261e; --warn: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --fg: #e6e8eb; --bg: #14171a; --dim: #9aa4b0; --line: #2c323a;
  --bar: #6ea0ff; --soft: #1d2228; --good: #5fd39a; --bad: #ff8a80; --warn: #f0b95a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--fg); background: var(--bg);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: .5rem 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.status { font-weight: 600; } .complete { color: var(--good); } .failed, .interrupted { color: var(--bad); }
.complete_with_rejects { color: var(--warn); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .5rem; padding: 0;
  list-style: none; }
.cards li { background: var(--soft); border-radius: .5rem; padding: .6rem .8rem; }
.cards b { display: block; font-size: 1.2rem; }
.dim, .cards span { color: var(--dim); font-size: .85rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { display: block; height: .5rem; min-width: 2px; border-radius: .25rem; background: var(--bar); }
.error { border-left: .25rem solid var(--bad); padding: .5rem 1rem; background: var(--soft); }
"""


def page(record: Mapping[str, Any]) -> str:
    """The page for one record. Raises UsageError when it is none."""
    missing = [name for name in NEEDED if name not in record]
    if missing:
        raise UsageError(
            f"this is no result of a run: it has no {missing[0]!r}",
            remedy="Give what `dynamo2ch snapshot … --json` printed.",
        )
    status = str(record["status"])
    parts = [
        (
            f"<h1>{_text(record.get('table') or 'no table')} "
            f"<span class='status {_text(status)}'>{_text(status.replace('_', ' '))}</span></h1>"
        ),
        (
            f"<p class='dim'>{_text(record['export'])} → {_text(record.get('destination') or '–')}<br>"
            f"job {_text(record['job'])}, attempt {_text(record.get('attempt', 1))}"
            f"{', part ' + _text(record['shard']) if record.get('shard') else ''}</p>"
        ),
        _error(record.get("error")),
        _cards(record),
        "<h2>Totals</h2>",
        _reconciled(record),
        _stages(record),
        _slowest(record.get("slowest_files") or ()),
        _rejects(record),
        _not_loaded(record.get("files_not_loaded") or ()),
        _list("Warnings", record.get("warnings") or ()),
    ]
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        # Nothing is loaded and nothing runs, whatever the names in it say.
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{_text(record.get('table') or 'run')}: {_text(status.replace('_', ' '))}</title>"
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(part for part in parts if part) + "\n</body></html>\n"
    )


def _text(value: object) -> str:
    return html.escape(hide(str(value)))


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "unknown" if value is None else _text(value)


def _size(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def _cards(record: Mapping[str, Any]) -> str:
    seconds = max(float(record["seconds"]), 1e-9)
    json_bytes = int(record.get("json_bytes") or 0)
    cards = [
        (_count(record["rows_inserted"]), "rows"),
        (_count(record["items_rejected"]), "rejects"),
        (f"{_count(record.get('files_loaded', 0))} / {_count(record['files_total'])}", "files loaded"),
        (f"{seconds:,.1f} s", "time"),
        (f"{_size(json_bytes / seconds)}/s", "JSON"),
        (_size(int(record.get("peak_rss_bytes") or 0)), "memory at the peak"),
    ]
    return (
        "<ul class='cards'>" + "".join(f"<li><b>{big}</b><span>{small}</span></li>" for big, small in cards) + "</ul>"
    )


def _reconciled(record: Mapping[str, Any]) -> str:
    """The books: manifest = items = rows + rejects."""
    manifest, items = record.get("items_in_manifest"), record["items_read"]
    rows, rejects = record["rows_inserted"], record["items_rejected"]
    skipped = record.get("files_skipped") or 0
    differs = manifest is not None and manifest != items
    unbalanced = rows + rejects != items
    checks = [
        ("items in the manifest", manifest, "differs from the items read" if differs else ""),
        ("items read", items, ""),
        ("rows", rows, ""),
        ("rejects", rejects, f"rows and rejects are {rows + rejects:,}, not {items:,}" if unbalanced else ""),
        ("keys in the table", record.get("keys_in_table"), ""),
        ("files loaded by earlier runs", skipped, ""),
    ]
    rows_html = [
        f"<tr><td>{label}</td><td class='n'>{_count(value)}</td><td class='failed'>{_text(fault)}</td></tr>"
        for label, value, fault in checks
    ]
    return "<div class='scroll'><table>" + "".join(rows_html) + "</table></div>"


def _stages(record: Mapping[str, Any]) -> str:
    stages: Mapping[str, float] = record.get("stages") or {}
    if not stages:
        return ""
    json_bytes, most = int(record.get("json_bytes") or 0), max(max(stages.values()), 1e-9)
    lines = [
        f"<tr><td>{_text(name)}<i class='bar' style='width:{100 * spent / most:.1f}%'></i></td>"
        f"<td class='n'>{spent:,.1f} s</td><td class='n'>{_size(json_bytes / spent) + '/s' if spent else '–'}</td></tr>"
        for name, spent in sorted(stages.items(), key=lambda pair: -pair[1])
    ]
    head = "<tr><th>stage</th><th class='n'>thread time</th><th class='n'>JSON, a thread</th></tr>"
    return f"<h2>Stages</h2><div class='scroll'><table>{head}{''.join(lines)}</table></div>"


def _slowest(files: Sequence[Mapping[str, Any]]) -> str:
    if not files:
        return ""
    most = max(max(float(file["seconds"]) for file in files), 1e-9)
    lines = [
        f"<tr><td>{_text(file['file'])}<i class='bar' style='width:{100 * file['seconds'] / most:.1f}%'></i></td>"
        f"<td class='n'>{file['seconds']:,.1f} s</td><td class='n'>{_count(file['items_read'])}</td>"
        f"<td class='n'>{_size(file['json_bytes'])}</td></tr>"
        for file in files
    ]
    head = "<tr><th>file</th><th class='n'>time</th><th class='n'>items</th><th class='n'>JSON</th></tr>"
    return f"<h2>Slowest files</h2><div class='scroll'><table>{head}{''.join(lines)}</table></div>"


def _rejects(record: Mapping[str, Any]) -> str:
    codes: Mapping[str, int] = record.get("rejects_by_code") or {}
    if not codes:
        return ""
    most = max(codes.values())
    lines = [
        f"<tr><td>{_text(code)}<i class='bar' style='width:{100 * count / most:.1f}%'></i></td>"
        f"<td class='n'>{_count(count)}</td></tr>"
        for code, count in sorted(codes.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    where = f"<p class='dim'>kept in {_text(record['rejects'])}</p>" if record.get("rejects") else ""
    first = [
        f"<tr><td>{_text(item['file'])}</td><td class='n'>{_count(item['line'])}</td><td>{_text(item['path'])}</td>"
        f"<td>{_text(item['code'])}: {_text(item['reason'])}</td></tr>"
        for item in record.get("first_rejects") or ()
    ]
    head = "<tr><th>file</th><th class='n'>line</th><th>attribute</th><th>reason</th></tr>"
    table = f"<h2>First rejects</h2><div class='scroll'><table>{head}{''.join(first)}</table></div>" if first else ""
    return f"<h2>Rejects</h2><div class='scroll'><table>{''.join(lines)}</table></div>{where}{table}"


def _not_loaded(files: Sequence[Mapping[str, Any]]) -> str:
    return _list("Files not loaded", [f"{file['file']}: {file['state']}" for file in files])


def _error(error: Mapping[str, Any] | None) -> str:
    if not error:
        return ""
    file = f"<br>in {_text(error['file'])}" if error.get("file") else ""
    remedy = f"<br>{_text(error['remedy'])}" if error.get("remedy") else ""
    return f"<p class='error'>{_text(error.get('message', ''))}{file}{remedy}</p>"


def _list(title: str, lines: Sequence[object]) -> str:
    if not lines:
        return ""
    return f"<h2>{title}</h2><ul>{''.join(f'<li>{_text(line)}</li>' for line in lines)}</ul>"


def write(record: Mapping[str, Any], path: Path) -> None:
    """Write the page for `record` to `path`. Raises UsageError when that is not possible."""
    content = page(record)
    try:
        path.write_text(content, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(
            f"the report cannot be written to {path}: {error.strerror}", remedy="Give another file."
        ) from error


def report(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="What `snapshot --json` printed, in a file.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The page to write. Default: report.html.")
    ] = Path("report.html"),
) -> None:
    """Make an HTML page of the result of a run, with nothing outside of it."""
    try:
        record = json.loads(result.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{result} cannot be read: {error.strerror}", remedy="Give what `snapshot … --json` printed."
        ) from error
    except ValueError as error:
        raise UsageError(f"{result} is no JSON: {error}", remedy="Give what `snapshot … --json` printed.") from error
    if not isinstance(record, dict):
        raise UsageError(f"{result} is no JSON object", remedy="Give what `snapshot … --json` printed.")
    write(record, out)
    typer.echo(f"{out}: the report of job {record['job']}")


def register(app: typer.Typer) -> None:
    """Add the command to the tool."""
    app.command()(report)
