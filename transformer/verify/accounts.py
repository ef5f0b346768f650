"""The books against the manifest: every file loaded, read as AWS wrote it, and every line of it a row or a reject.

Costs: the manifests and one read of the ledger; no data file is opened and the table is not touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transformer.verify.result import SHOWN, Check, Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformer.load.ledger import FinishedFile, Job
    from transformer.source.export import Export


def check_accounts(export: Export, job: Job, files: Mapping[str, FinishedFile]) -> Check:
    """Compare the ledger's records of `job` with the manifests of `export`."""
    faults = [fault for file in export.files for fault in _faults(file.name, file.item_count, file.md5, files)]
    names = {file.name for file in export.files}
    faults += [f"{name} is in the ledger, but not in the manifest" for name in sorted(files.keys() - names)]
    for what, then, now in (
        ("manifest-summary.json", job.summary_md5, export.summary_md5),
        ("manifest-files.json", job.files_md5, export.files_md5),
    ):
        if then and now and then != now:
            faults.append(f"{what} has MD5 {now}, it had {then} when it was loaded")
    items = sum(file.items for file in files.values())
    rows = sum(file.rows for file in files.values())
    rejects = sum(file.rejects for file in files.values())
    if faults:
        return Check("accounts", Finding.MISMATCH, f"{len(faults):,} things do not agree", faults[:SHOWN])
    counted = "" if export.item_count is None else ", as the manifest says,"
    return Check(
        "accounts",
        Finding.PROVED,
        f"{len(files):,} files with {items:,} items{counted} became {rows:,} rows and {rejects:,} rejects; "
        "the MD5 of every file read is the manifest's",
    )


def _faults(name: str, items: int | None, md5: str | None, files: Mapping[str, FinishedFile]) -> list[str]:
    """What is wrong with the record of one file."""
    loaded = files.get(name)
    if loaded is None:
        return [f"{name} is not loaded"]
    faults = []
    if items is not None and loaded.items != items:
        faults.append(f"{name} has {items:,} items in the manifest, {loaded.items:,} in the ledger")
    if md5 is not None and loaded.md5 != md5:
        faults.append(f"{name} has MD5 {md5} in the manifest, {loaded.md5} in the ledger")
    if loaded.rows + loaded.rejects != loaded.items:
        faults.append(f"{name}: {loaded.items:,} items, but {loaded.rows:,} rows and {loaded.rejects:,} rejects")
    if loaded.keys.count != loaded.rows:
        faults.append(f"{name}: {loaded.rows:,} rows, but {loaded.keys.count:,} keys")
    return faults
