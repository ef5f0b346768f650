"""The result of a run as text: what was loaded, what was not, where the rejects are, and what to type next."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from transformer.job.budget import format_size
from transformer.job.result import FileState, Status

if TYPE_CHECKING:
    from transformer.job.result import SnapshotResult

_SHOWN = 5  # files and rejects named one by one
_HEADLINES = {
    Status.COMPLETE: "complete",
    Status.COMPLETE_WITH_REJECTS: "complete, with rejects",
    Status.FAILED: "FAILED",
    Status.INTERRUPTED: "INTERRUPTED",
}


def summarise(result: SnapshotResult, *, to: str | None) -> str:
    """A few lines for people; `to` is the destination as it was given on the command line, if it was."""
    verb = "dry run, nothing inserted" if result.dry_run else f"table {result.table} in {result.destination}"
    headline = _HEADLINES[result.status]
    if result.files and result.files_skipped == len(result.files):
        headline += ", nothing was left to load"
    lines = [f"{headline}: {result.export} ({verb})"]
    lines += _counts(result)
    lines += _rejects(result)
    lines += _not_loaded(result)
    if result.exact_until:
        lines.append(f"  exact     the table is as the source was at {result.exact_until}")
    lines += [f"  warning   {warning}" for warning in result.warnings]
    lines += _speed(result)
    follow_up = _next(result, to)
    if follow_up:
        lines.append(f"next: {follow_up}")
    return "\n".join(lines)


def _counts(result: SnapshotResult) -> list[str]:
    expected = result.items_in_manifest
    if expected is not None:
        expected -= sum(file.items for file in result.files if file.state is FileState.SKIPPED)
    if expected is None:
        beside = "no manifest to compare with"
    elif expected == result.items_read:
        beside = "as the manifest says"
    else:
        beside = f"the manifest says {expected:,}"
    rows = "would be inserted" if result.dry_run else "inserted"
    part = f" (part {result.shard})" if result.shard else ""
    files = f"  files     {result.files_loaded:,} of {len(result.files):,}{part}"
    if result.files_skipped:
        files += f", {result.files_skipped:,} skipped: an earlier run of job {result.job} has loaded them"
    lines = [
        files,
        f"  items     {result.items_read:,} read ({beside})",
        f"  rows      {result.rows_inserted:,} {rows}",
    ]
    if result.files_skipped:
        lines.append(f"  in all    {result.rows_in_job:,} rows of {sum(file.items for file in result.files):,} items")
    return lines


def _rejects(result: SnapshotResult) -> list[str]:
    if not result.items_rejected:
        if not result.rejects_open:
            return ["  rejects   0"]
        return [
            f"  rejects   0 now, {result.rejects_open:,} from earlier runs",
            f"            written to {result.rejects}",
        ]
    by_code = ", ".join(
        f"{code} {count:,}" for code, count in sorted(result.rejects_by_code.items(), key=lambda pair: (-pair[1], pair))
    )
    lines = [f"  rejects   {result.items_rejected:,} ({by_code})"]
    lines.append(f"            written to {result.rejects}" if result.rejects else "            not written anywhere")
    for item in result.first_rejects[:_SHOWN]:
        path = f" {item.path}:" if item.path else ""
        lines.append(f"            {item.file} line {item.line} byte {item.offset}:{path} {item.code}, {item.reason}")
    return lines


def _not_loaded(result: SnapshotResult) -> list[str]:
    lines = []
    for state, words in (
        (FileState.PARTLY, "some of its rows are in the table, or may be"),
        (FileState.UNTOUCHED, "this run has inserted none of its rows"),
    ):
        files = [file for file in result.files if file.state is state]
        lines += [f"  not done  {file.name}: {words}" for file in files[:_SHOWN]]
        if len(files) > _SHOWN:
            lines.append(f"  not done  and {len(files) - _SHOWN:,} more: {words}")
    return lines


def _speed(result: SnapshotResult) -> list[str]:
    seconds = max(result.seconds, 1e-9)
    items, json_bytes = result.items_read / seconds, format_size(round(result.json_bytes / seconds))
    lines = [f"  time      {result.seconds:.1f} s, {items:,.0f} items/s, {json_bytes}/s of JSON"]
    if result.stages:
        stages = ", ".join(f"{name} {spent:.1f}" for name, spent in result.stages.items())
        lines.append(f"  stages    {stages} (seconds, summed over threads)")
    lines.append(f"  memory    {format_size(result.peak_rss_bytes)} at most")
    return lines


def _next(result: SnapshotResult, to: str | None) -> str:
    if result.status in (Status.FAILED, Status.INTERRUPTED):
        return "run the same command again: it skips the files that are loaded and goes on with the others"
    if result.dry_run:
        return "the same command without --dry-run"
    if not result.rows_inserted or result.destination == "null:":
        return ""
    name = result.table
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        name = "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
    command = ["dynamo2ch", "query", f"SELECT * FROM {name} FINAL LIMIT 5"]  # noqa: S608 - quoted, and only shown
    return shlex.join(command if to is None else [*command, "--to", to])
