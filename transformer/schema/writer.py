"""A proposal as the text of a schema file: readable YAML, every choice with its evidence."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from transformer.schema.naming import column_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformer.schema.infer import Proposed

BOOKKEEPING = ("version", "is_deleted", "_unmapped", "_raw")

NOT_PROVEN = "# not proven"
"""Stands behind `key:` where the data fit another key as well."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_YAML_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])


def schema_text(
    table: str, key: Sequence[str], columns: Sequence[Proposed], *, header: Sequence[str], key_note: str, proven: bool
) -> str:
    """The schema file. header: comment lines. key_note: how the key was found. proven: whether no other key fits."""
    names = column_names([column.path for column in columns], BOOKKEEPING)
    lines = [f"# {_comment(line)}" for line in header]
    lines.append(f"table: {scalar(table)}")
    lines.append(f"# key: {_comment(key_note)}")
    lines.append(f"key: [{', '.join(map(scalar, key))}]{'' if proven else '  ' + NOT_PROVEN}")
    lines.append("columns:")
    for name, column in zip(names, columns, strict=True):
        shown = ""
        if column.path != (name,):
            if all(_PLAIN.fullmatch(step) and step.lower() not in _YAML_WORDS for step in column.path):
                shown = f", path: {'.'.join(column.path)}"
            else:
                shown = f", path: [{', '.join(map(scalar, column.path))}]"
        lines.append(f"  # {_comment(column.why)}")
        lines.append(f"  - {{name: {scalar(name)}{shown}, type: {scalar(column.type.sql)}}}")
    return "\n".join(lines) + "\n"


def scalar(text: str) -> str:
    """A text as a YAML scalar: as it is where that is read as the same text, else in double quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    return '"' + "".join(_character(character) for character in text) + '"'


def _character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable() and character != "\ufeff":
        return character
    return f"\\U{ord(character):08x}"


def _comment(text: str) -> str:
    """A text that stays one comment line."""
    return text if text.isprintable() else json.dumps(text)
