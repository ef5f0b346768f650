"""`dynamo2ch synth --changes`: a full export, and incremental exports of what happened around it and after it."""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import TYPE_CHECKING

from transformer.cli.render import show

if TYPE_CHECKING:
    from pathlib import Path

    from transformer.synth.history import History

_HOURS = 4
"""How long the history is. The full export is of its first hour's end."""


def story(*, shape: str, items: int, seed: int, changes: int) -> History:
    """The history that the command writes exports of."""
    from transformer.synth.history import make_history

    return make_history(shape=shape, keys=items, writes=changes, seed=seed, seconds=_HOURS * 3600)


def write(directory: Path, *, shape: str, items: int, files: int, seed: int, changes: int, as_json: bool) -> None:
    """Write the exports: full after an hour, then windows that touch: the first one, an hour, and the rest."""
    from transformer.source.window import Window, first_window
    from transformer.synth.increments import write_full, write_increment
    from transformer.synth.manifests import FIRST_EXPORT

    past = story(shape=shape, items=items, seed=seed, changes=changes)
    at = FIRST_EXPORT + timedelta(hours=1)
    first = first_window(at)
    middle = first.until + timedelta(hours=1)
    end = first.until + timedelta(hours=_HOURS)
    full = write_full(directory, past, at=at, files=files)
    windows = [first, Window(first.until, middle), Window(middle, end)]
    increments = [
        write_increment(directory, past, since=window.since, until=window.until, files=files) for window in windows
    ]
    record = {
        "export": str(full.path),
        "increments": [str(increment.path) for increment in increments],
        "table": full.table,
        "items": full.item_count,
        "changes": [increment.item_count for increment in increments],
        "items_at_the_end": len(past.state()),
    }
    lines = [f"{full.path}: {full.item_count:,} items of table {full.table}"]
    lines += [
        f"{increment.path}: {increment.item_count:,} changes, {window}"
        for increment, window in zip(increments, windows, strict=True)
    ]
    lines.append(f"next: {shlex.join(['dynamo2ch', 'snapshot', str(full.path)])}")
    show(record, lambda: "\n".join(lines), as_json=as_json)
