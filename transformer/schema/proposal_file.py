"""A proposal as the text of a schema file, with the evidence of every choice as a comment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from transformer.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformer.schema.propose import Proposal, Proposed

NOT_PROVEN = "# not proven"
"""Marks a key that fits the data but of which the data cannot prove that it is the whole key."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_YAML_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"})
_MARKED = re.compile(rf'^key: \[(?:[^\]"\n]|"(?:[^"\\\n]|\\.)*")*\]\s*{NOT_PROVEN}', re.MULTILINE)


def key_is_unproven(text: str) -> bool:
    """Whether the text of a schema file says of its key that it is not proven."""
    return _MARKED.search(text) is not None


def require_proven_key(path: str | Path) -> None:
    """Raise SchemaError if a schema file says that its key is not proven: changes by a wrong key would merge items."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return  # reading the schema itself says what is wrong with the file
    if key_is_unproven(text):
        raise SchemaError(
            f"{path}: the key is not proven, and changes that are applied by a wrong key merge different items",
            remedy="Compare it with the table's (aws dynamodb describe-table), then remove the remark behind `key:`, or "
            "make the file again with `dynamo2ch schema infer EXPORT --key ...`.",
        )


def render(
    table: str,
    key: Sequence[str],
    proposal: Proposal,
    *,
    heading: Sequence[str],
    key_evidence: str,
    proven: bool,
) -> str:
    """The text of the schema file. heading: lines for the top, without their `# `."""
    lines = [f"# {_comment(line)}".rstrip() for line in (*heading, *proposal.notes)]
    lines.append(f"table: {quoted(table)}")
    lines.append(
        f"key: [{', '.join(map(quoted, key))}]  {'#' if proven else f'{NOT_PROVEN}:'} {_comment(key_evidence)}"
    )
    lines.append("columns:")
    lines += [_column(column) for column in proposal.columns]
    return "\n".join(lines) + "\n"


def _column(column: Proposed) -> str:
    parts = [f"name: {quoted(column.name)}"]
    if column.path != (column.name,):
        dotted = len(column.path) > 1 and all(_PLAIN.fullmatch(step) for step in column.path)
        shown = ".".join(column.path) if dotted else f"[{', '.join(map(quoted, column.path))}]"
        parts.append(f"path: {shown}")
    parts.append(f"type: {quoted(column.type.sql)}")
    if column.convert is not None:
        parts.append(f"convert: {column.convert.value}")
    return f"  - {{{', '.join(parts)}}}  # {_comment(column.evidence)}"


def quoted(text: str) -> str:
    """`text` as a YAML scalar: bare where that can only be this text, else in double quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable() and character != "\ufeff":
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
