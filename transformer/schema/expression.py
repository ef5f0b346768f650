"""SQL text read as tokens and written with quotes: enough to embed it safely and to compare it, not to run it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto


class ExpressionError(ValueError):
    """The text cannot stand as one SQL expression. The message says why."""


class Kind(Enum):
    """What a token is."""

    NAME = auto()
    NUMBER = auto()
    STRING = auto()
    MARK = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One token. The `text` of a NAME or STRING comes without quotes and escapes. `bare`: a name not in quotes."""

    kind: Kind
    text: str
    bare: bool = False


_TOKEN = re.compile(
    r"\s*(?:(?P<bare>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>[0-9][A-Za-z0-9_.]*|\.[0-9][A-Za-z0-9_]*)"
    r"|(?P<quoted>`(?:[^`\\]|\\.|``)*`|\"(?:[^\"\\]|\\.|\"\")*\")|(?P<string>'(?:[^'\\]|\\.|'')*')"
    r"|(?P<forbidden>--|/\*|\#|;|[^\x20-\x7e])|(?P<mark>->|::|[<>!=]=|<>|\|\||[-+*/%=<>()\[\],.?:]))",
    re.DOTALL,
)
_CLOSING = {")": "(", "]": "["}
_ESCAPE = re.compile(r"\\x([0-9A-Fa-f]{2})|\\(.)|(``|\"\"|'')", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "e": "\x1b"}


def unescape(body: str, quote: str) -> str:
    """What the inside of a ClickHouse literal or quoted name means. `quote` is the character around it."""

    def character(found: re.Match[str]) -> str:
        if found[1]:
            return chr(int(found[1], 16))
        if found[2]:
            # Like ClickHouse, which keeps the backslash before a character that needs none: '\\d' is two characters.
            return _ESCAPED.get(found[2]) or (found[2] if found[2] in "\\'\"`/=" else f"\\{found[2]}")
        return quote if found[3][0] == quote else found[3]

    return _ESCAPE.sub(character, body)


def quote_identifier(name: str) -> str:
    """`name` as a ClickHouse identifier, always in backquotes, so that no name can be read as SQL."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def quote_string(text: str) -> str:
    """`text` as a ClickHouse string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + re.sub(r"[\x00-\x1f]", lambda match: f"\\x{ord(match.group()):02x}", escaped) + "'"


def tokens(text: str) -> list[Token]:
    """The tokens of one SQL expression.

    Raises ExpressionError if the text could end or swallow the statement it is put into: a semicolon, a comment, a
    quote or bracket that does not close, or a character that SQL has no use for outside of quotes.
    """
    found: list[Token] = []
    open_brackets: list[str] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        matched = _TOKEN.match(text, position)
        if matched is None or matched.lastgroup is None:
            rest = text[position:].lstrip()
            raise ExpressionError("a quote is not closed" if rest[0] in "'`\"" else f"unexpected {rest[0]!r}")
        group, spelled = matched.lastgroup, matched[matched.lastgroup]
        if group == "forbidden":
            raise ExpressionError(f"{spelled!r} cannot stand in an expression")
        if group == "mark":
            if spelled in "([":
                open_brackets.append(spelled)
            elif spelled in _CLOSING and (not open_brackets or open_brackets.pop() != _CLOSING[spelled]):
                raise ExpressionError(f"{spelled!r} closes no bracket")
            found.append(Token(Kind.MARK, spelled))
        elif group == "number":
            found.append(Token(Kind.NUMBER, spelled))
        elif group == "bare":
            found.append(Token(Kind.NAME, spelled, bare=True))
        else:
            kind = Kind.STRING if group == "string" else Kind.NAME
            found.append(Token(kind, unescape(spelled[1:-1], spelled[0])))
        position = matched.end()
    if open_brackets:
        raise ExpressionError(f"{open_brackets[-1]!r} is not closed")
    return found


def arguments(found: list[Token]) -> list[list[Token]]:
    """A list of tokens cut at its commas, those inside of brackets left alone. No tokens: no arguments."""
    parts: list[list[Token]] = [[]] if found else []
    depth = 0
    for token in found:
        if token.kind is Kind.MARK:
            depth += (token.text in "([") - (token.text in ")]")
            if token.text == "," and depth == 0:
                parts.append([])
                continue
        parts[-1].append(token)
    return parts
