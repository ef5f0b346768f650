"""A schema for an export, from all of its items: profile, key, proposal, file."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import pairwise, repeat
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformer.errors import InternalError, RetryError, SourceError, UsageError
from transformer.job.request import default_workers
from transformer.schema.names import table_name
from transformer.schema.profile import Profile
from transformer.schema.proposal_file import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from transformer.schema.propose import Proposal
    from transformer.schema.table import Table
    from transformer.source.export import DataFile, Export

_BLOCK_BYTES = 4 << 20

_WORTH_PROCESSES = 8 << 20
"""Stored bytes below which one process is done before others have started."""


@dataclass(frozen=True, slots=True)
class Inferred:
    """A proposed schema.

    text: of the schema file. table: what it says. profile: what it was made from. key: the key attributes; proven:
    whether the data proves that they are the whole key; key_evidence: why.
    """

    text: str
    table: Table
    profile: Profile
    proposal: Proposal
    key: tuple[str, ...]
    proven: bool
    key_evidence: str

    def to_dict(self) -> dict[str, Any]:
        """The record of `--json`."""
        return {
            "table": self.table.name,
            "items": self.profile.items,
            "invalid": self.profile.invalid,
            "key": list(self.key),
            "key_proven": self.proven,
            "key_evidence": self.key_evidence,
            "columns": [
                {
                    "name": column.name,
                    "path": list(column.path),
                    "type": column.type.sql,
                    "convert": None if column.convert is None else column.convert.value,
                    "evidence": column.evidence,
                }
                for column in self.proposal.columns
            ],
            "notes": list(self.proposal.notes),
            "profile": self.profile.to_dict(),
        }


def infer(
    export: Export,
    *,
    key: Sequence[str] = (),
    table: str | None = None,
    tight: bool = False,
    sample: int | None = None,
    workers: int | None = None,
    storage_options: Mapping[str, object] | None = None,
) -> Inferred:
    """Propose a schema for an export from every one of its items, or from the first `sample` of them.

    key: the key attributes, where the caller knows them; else they are taken from the order of attributes (full
    exports write the key first) and from what repeats. table: name of the destination table, by default the export's.
    tight: number types without head-room. workers: processes that read files, None for one a core.

    Raises UsageError when the key is not what the items have or cannot be told, SourceError when there is no item or
    the export cannot be read.
    """
    from transformer.schema.file import parse_schema
    from transformer.schema.propose import propose

    options = dict(storage_options or {})
    profile = _profile(export.files, options, sample, _workers(export.files, workers, sample))
    if not profile.items:
        raise SourceError(
            f"{export.shown} holds no item, so there is nothing to make a schema from",
            remedy="Write a schema file by hand (README, `The schema file`).",
        )
    chosen, proven, evidence = _key(export, profile, tuple(key), options, sampled=sample is not None)
    proposal = propose(profile, chosen, tight=tight, sampled=sample is not None)
    name = table or table_name(export.table_name or "items")
    text = render(
        name, chosen, proposal, heading=_heading(export, profile, sample, tight=tight), key_evidence=evidence,
        proven=proven,
    )  # fmt: skip
    resolved = parse_schema(text, "the proposed schema").table
    return Inferred(text, resolved, profile, proposal, chosen, proven, evidence)


def provide_schema_file(
    schema: Table | str | Path | None,
    export: Export,
    storage_options: Mapping[str, object],
    *,
    name: str | None,
    warn: Callable[[str], object],
) -> None:
    """See to it that a load has a schema: make schemas/<table>.yaml where none is named and none is there.

    schema: a table, the path of a schema file, or None. name: the table asked for, or None for that of the export.
    warn: takes sentences for the user. Raises as `infer` and `schema_path` do.
    """
    from transformer.schema.lookup import schema_path
    from transformer.schema.resolve import table_name_faults
    from transformer.schema.table import Table as Resolved

    if isinstance(schema, Resolved):
        return
    path = Path(schema) if schema is not None else schema_path(name or export.table_name, export.shown)
    if schema is None and not path.is_file():
        for what, remedy in table_name_faults(name) if name is not None else ():
            raise UsageError(f"--table: {what}", remedy=remedy)
        write(infer(export, table=name, storage_options=storage_options).text, path)
        warn(f"there was no schema file, so {path} was made from all items; look at it, and keep it for later loads")
    if (unproven := key_warning(path)) is not None:
        warn(unproven)


def require_settled_key(schema: Table | str | Path | None, export: Export, *, name: str | None) -> None:
    """Raise SchemaError when the schema file of an incremental load says that its key is not proven."""
    from transformer.schema.lookup import schema_path
    from transformer.schema.proposal_file import require_proven_key
    from transformer.schema.table import Table as Resolved

    if not isinstance(schema, Resolved):
        require_proven_key(schema if schema is not None else schema_path(name or export.table_name, export.shown))


def key_warning(path: Path) -> str | None:
    """A sentence for the user if a schema file says that its key is not proven."""
    from transformer.schema.proposal_file import key_is_unproven

    try:
        unproven = key_is_unproven(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None  # reading the schema itself says what is wrong with the file
    if not unproven:
        return None
    return f"{path}: the key is not proven; compare it with the table's, then remove the remark"


def write(text: str, path: Path) -> None:
    """Write a schema file whole or not at all, over nothing that is there. Raises UsageError."""
    if path.exists():
        raise UsageError(f"{path} is there already", remedy="Name another file with -o, or remove this one.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise UsageError(
            f"the schema file {path} cannot be written: {error.strerror or error}",
            remedy="Name another place with `dynamo2ch schema infer EXPORT -o FILE`.",
        ) from error


def _profile(files: Sequence[DataFile], options: dict[str, object], sample: int | None, workers: int) -> Profile:
    """The profiles of all files, added up in the order of the files, however many `workers` there are."""
    counts: list[int | None] = [None] * len(files)
    if sample is not None:
        cuts = [sample * number // len(files) for number in range(len(files) + 1)]
        counts = [end - begin for begin, end in pairwise(cuts)]
    profile = Profile()
    if workers == 1:
        for file, count in zip(files, counts, strict=True):
            profile.merge(_of_file(file, options, count))
        return profile
    # Processes, because plain Python holds the interpreter's lock; spawned, because forked ones inherit locked locks.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            for part in pool.map(_of_file, files, repeat(options), counts):
                profile.merge(part)
        except BrokenProcessPool as error:
            raise RetryError(
                "a process that was reading the export has ended without a word, perhaps for want of memory",
                remedy="Run it again with --workers 1.",
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return profile


def _of_file(file: DataFile, options: dict[str, object], most: int | None) -> Profile:
    """The profile of one file, or of its first `most` items."""
    from transformer.decode.profile_reference import add_line

    profile = Profile()
    if most == 0:
        return profile
    for line in _lines(file, options):
        add_line(profile, line)
        if profile.items == most:
            break
    return profile


def _workers(files: Sequence[DataFile], asked: int | None, sample: int | None) -> int:
    """How many processes read: as many as asked for, else one for each core if there is enough to do."""
    if asked is not None:
        return min(asked, max(1, len(files)))
    if sample is not None or sum(file.size or 0 for file in files) < _WORTH_PROCESSES:
        return 1
    return min(default_workers(), max(1, len(files)))


def _lines(file: DataFile, options: dict[str, object]) -> Iterator[bytes]:
    """The lines of a file, without their line feeds."""
    from transformer.source.blocks import open_blocks

    with open_blocks(file, block_bytes=_BLOCK_BYTES, slack=0, storage_options=options) as blocks:
        for block in blocks:
            data = block.buffer[: block.size].tobytes()
            yield from data.removesuffix(b"\n").split(b"\n")
            blocks.recycle(block)


def _heading(export: Export, profile: Profile, sample: int | None, *, tight: bool) -> list[str]:
    what = f"{profile.items:,} items of {export.shown}"
    lines = [f"Proposed from every one of the {what}."]
    if sample is not None:
        lines = [
            f"SAMPLE: proposed from the first {what} only. Rare attributes and",
            "larger values may be missing here; their items go into _unmapped or are rejected.",
        ]
    lines.append(
        "Numbers have the narrowest type that holds all that was seen, without head-room (--tight)."
        if tight
        else "Number types are one step wider than needed, since live data goes on growing (--tight leaves that out)."
    )
    if profile.invalid:
        lines.append(f"{profile.invalid:,} lines are no items: a load rejects them, whatever the schema.")
    return lines


def _is_key_attribute(profile: Profile, name: str) -> bool:
    """Whether every item has the attribute, always as the same one of S, N and B."""
    values = profile.attributes.get(name)
    if values is None or len(values.tags) != 1:
        return False
    return next(iter(values.tags)) in ("S", "N", "B") and values.count == profile.items


def _key(
    export: Export, profile: Profile, given: tuple[str, ...], options: dict[str, object], *, sampled: bool
) -> tuple[tuple[str, ...], bool, str]:
    """The key, whether it is proven, and the evidence."""
    from transformer.job.key_proof import key_facts

    if given:
        for name in given:
            if not _is_key_attribute(profile, name):
                seen = profile.attributes.get(name)
                found = (
                    "none has it" if seen is None else ", ".join(f"{t} in {n:,}" for t, n in sorted(seen.tags.items()))
                )
                raise UsageError(
                    f"--key: {name!r} is not the same scalar (S, N or B) in each of {profile.items:,} items: {found}",
                    remedy="Name the partition key, and after a comma the sort key, as DynamoDB has them.",
                )
        (facts,) = key_facts(export.files, [given], storage_options=options)
        if not facts.unique:
            raise UsageError(
                f"--key: several items have the key {facts.example!r}",
                remedy="Name the table's whole key: partition key, and after a comma the sort key.",
            )
        return given, True, f"as given with --key; present and unique in {facts.items:,} items"
    firsts = {first for first, _ in profile.orders}
    seconds = {second for _, second in profile.orders}
    first = firsts.pop() if len(firsts) == 1 and not profile.orders_left_out else ""
    if not first or not _is_key_attribute(profile, first):
        raise UsageError(
            f"the key of {export.shown} cannot be told from its items: they do not all begin with the same scalar",
            remedy="Say what it is with --key PARTITION_KEY or --key PARTITION_KEY,SORT_KEY.",
        )
    second = seconds.pop() if len(seconds) == 1 else ""
    if second and not _is_key_attribute(profile, second):
        second = ""
    candidates = [(first,), (first, second)] if second else [(first,)]
    facts_list = key_facts(export.files, candidates, storage_options=options)
    for facts in facts_list:
        if not sampled and facts.items != profile.items:
            raise InternalError(f"{profile.items} items were profiled, {facts.items} have the key")
    alone = facts_list[0]
    if alone.unique and second:
        return (
            (first,),
            False,
            (
                f"{first} is present and unique in {alone.items:,} items, but {second} always follows it and may be "
                "the sort key; settle it with --key"
            ),
        )
    if alone.unique:
        return (first,), not sampled, f"{first} comes first, present and unique in {alone.items:,} items"
    if second and facts_list[1].unique:
        return (
            (first, second),
            not sampled,
            (
                f"{first} and {second} come first, present in {alone.items:,} items; {first} alone repeats, together "
                "they are unique"
            ),
        )
    raise UsageError(
        f"the key of {export.shown} cannot be told from its items: several begin with {facts_list[-1].example!r}",
        remedy="Say what it is with --key PARTITION_KEY or --key PARTITION_KEY,SORT_KEY.",
    )
