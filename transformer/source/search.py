"""Look for export folders below a folder, with a bounded number of listings."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from transformer.errors import UsageError
from transformer.source import manifest

if TYPE_CHECKING:
    from transformer.source.storage import Entry, Location

MAX_LISTINGS: Final = 300
"""Folders that are listed in one search. A bucket with more folders than this needs a longer prefix."""

MAX_DEPTH: Final = 8
"""Levels below the folder given."""


def exports_below(location: Location, entries: list[Entry]) -> list[Location]:
    """Return the export folders below `location` (never itself), newest first by their ids.

    entries: the listing of `location`. Where it holds data files itself, only its own AWSDynamoDB folder is looked
    into: such a folder is given for its files, whatever large tree may lie below it.
    A folder counts as an export if it has manifest-summary.json or `_started`, or lies in an AWSDynamoDB folder and is
    named like an export id: those are not listed one by one. An unfinished export counts too, because it may be the one
    that is meant. Raises UsageError when there are too many folders, and for storage errors; see `Location.entries`.
    """
    found: list[Location] = []
    has_data = any(not entry.is_folder and entry.name.endswith((".json", ".json.gz")) for entry in entries)
    waiting: deque[tuple[Location, list[Entry], int]] = deque([(location, entries, 0)])
    listings = 0
    while waiting:
        folder, listing, depth = waiting.popleft()
        for entry in listing:
            if not entry.is_folder or not entry.name:
                continue
            if depth == 0 and has_data and entry.name != manifest.ROOT_FOLDER:
                continue
            below = folder.child(entry.name)
            if folder.name == manifest.ROOT_FOLDER:
                if entry.name == manifest.DATA_FOLDER:
                    continue
                if manifest.EXPORT_ID.fullmatch(entry.name):
                    found.append(below)
                    continue
            listings += 1
            if listings > MAX_LISTINGS or depth >= MAX_DEPTH:
                raise UsageError(
                    f"{location.shown} has too many folders below it to look for exports in all of them",
                    remedy="Give the folder of the export itself: …/AWSDynamoDB/EXPORT-ID.",
                )
            inside = below.entries() or []
            names = {inner.name for inner in inside if not inner.is_folder}
            if manifest.SUMMARY_NAME in names or manifest.STARTED_NAME in names:
                found.append(below)
            else:
                waiting.append((below, inside, depth + 1))
    return sorted(found, key=lambda folder: (folder.name, folder.path), reverse=True)
