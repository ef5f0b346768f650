"""Just enough of ClickHouse's grammar to know whether a statement names its output format."""

from __future__ import annotations

import re

# Strings, quoted names and comments, none of which can hold a clause.
_OPAQUE = re.compile(
    r"""'(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`\\]|\\.|``)*` | --[^\n]* | \#[\ !][^\n]* | /\*.*?\*/""",
    re.DOTALL | re.VERBOSE,
)
_FORMAT = re.compile(r"\bFORMAT\s+(?!ASC\b|DESC\b|SETTINGS\b)[A-Za-z]\w*(\s+SETTINGS\b.*)?\s*;?\s*$", re.I | re.DOTALL)
_WITH_RESULT = re.compile(r"[\s(]*(SELECT|WITH|FROM|SHOW|DESC|DESCRIBE|EXPLAIN|EXISTS|CHECK|VALUES)\b", re.I)


def with_format(sql: str, default: str) -> str:
    """`sql`, with `FORMAT default` at its end if it returns rows and does not say in which format."""
    bare = _OPAQUE.sub(lambda opaque: " " if opaque[0][0] in "-#/" else "''", sql)
    if _FORMAT.search(bare) or not _WITH_RESULT.match(bare):
        return sql
    # On a line of its own: the statement may end in a comment.
    return f"{_without_semicolon(sql)}\nFORMAT {default}"


def _without_semicolon(sql: str) -> str:
    """`sql` without a semicolon at its end, also where only comments follow it."""
    end = 0
    semicolon = None
    position = 0
    while position < len(sql):
        opaque = _OPAQUE.match(sql, position)
        if opaque is not None:
            position = opaque.end()
            if opaque[0][0] not in "-#/":
                end, semicolon = position, None
            continue
        if sql[position] == ";":
            semicolon = position if semicolon is None else semicolon
        elif not sql[position].isspace():
            end, semicolon = position + 1, None
        position += 1
    return sql if semicolon is None else sql[:end]
