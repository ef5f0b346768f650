"""Everything that can go wrong, by family: exit codes, exceptions, and the codes under which an item is rejected.

This module imports nothing of the project, so every room may use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process ends with; schedulers act on these numbers."""

    DONE = 0
    BUG = 1
    USAGE = 2
    INPUT = 3
    MISMATCH = 4
    CONFLICT = 5
    RETRY = 75
    INTERRUPTED = 130
    TERMINATED = 143


class Dynamo2chError(Exception):
    """Base of every error that the tool raises on purpose.

    `message` says what happened and where; `remedy` is the next thing to do, or empty.
    """

    exit_code = ExitCode.BUG

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class InternalError(Dynamo2chError):
    """An invariant of ours does not hold: a bug, whatever the input was."""

    exit_code = ExitCode.BUG


class UsageError(Dynamo2chError):
    """The command line, a setting or a URL cannot be understood."""

    exit_code = ExitCode.USAGE


class SchemaError(UsageError):
    """A schema file is wrong. The message names file and line."""


class SourceError(Dynamo2chError):
    """An export cannot be read exactly: missing, damaged, inconsistent, or of a kind that is not loaded here."""

    exit_code = ExitCode.INPUT


class RejectsError(Dynamo2chError):
    """More items were rejected than the run allows."""

    exit_code = ExitCode.INPUT


class MismatchError(Dynamo2chError):
    """The destination does not hold what the export holds."""

    exit_code = ExitCode.MISMATCH


class ConflictError(Dynamo2chError):
    """The state of a destination contradicts what is asked: another schema or job, a table that differs."""

    exit_code = ExitCode.CONFLICT


class RetryError(Dynamo2chError):
    """Network or destination are not available now; the same command may succeed later."""

    exit_code = ExitCode.RETRY


class PressureError(RetryError):
    """The destination has too little memory for what it does at the same time; less at a time may succeed."""


class VerdictClass(IntEnum):
    """The order in which a line is judged. The verdict is the first failing class, at its lowest byte offset.

    In class COLUMN the columns are judged in schema order, and one column at its lowest byte offset. KEYS concerns
    incremental exports only.
    """

    UTF8 = 1
    JSON = 2
    TYPES = 3
    VALUES = 4
    COLUMN = 5
    KEYS = 6


class RejectCode(IntEnum):
    """Why an item is rejected. The tens digit is its `VerdictClass`; zero is acceptance."""

    OK = 0
    INVALID_UTF8 = 10
    JSON_SYNTAX = 20
    JSON_TRUNCATED = 21
    JSON_TRAILING = 22
    LONE_SURROGATE = 23
    NOT_AN_ITEM = 30
    NOT_TYPED = 31
    UNKNOWN_TAG = 32
    TWO_TAGS = 33
    WRONG_JSON_TYPE = 34
    DUPLICATE_NAME = 35
    TOO_DEEP = 36
    BAD_NUMBER = 40
    BAD_BASE64 = 41
    MISSING = 50
    NULL_VALUE = 51
    WRONG_TAG = 52
    NOT_PLAIN = 53
    INEXACT = 54
    OUT_OF_RANGE = 55
    BAD_CONVERT = 56
    UNKNOWN_ENUM = 57
    NOT_A_MAP = 58
    UNMAPPED = 59
    KEYS_DIFFER = 60

    @property
    def verdict_class(self) -> VerdictClass:
        """The class of this code. Undefined (ValueError) for OK."""
        return VerdictClass(self.value // 10)

    @property
    def reason(self) -> str:
        """One sentence, without any value of the item (values may be private)."""
        return _REASONS[self]


_REASONS: dict[RejectCode, str] = {
    RejectCode.OK: "accepted",
    RejectCode.INVALID_UTF8: "the bytes are not valid UTF-8",
    RejectCode.JSON_SYNTAX: "no JSON text can continue with this byte",
    RejectCode.JSON_TRUNCATED: "the line ends before the JSON text does",
    RejectCode.JSON_TRAILING: "something follows the end of the JSON text",
    RejectCode.LONE_SURROGATE: "an escaped surrogate has no partner, so it is no character",
    RejectCode.NOT_AN_ITEM: "the line is not an object with exactly the members of an export line",
    RejectCode.NOT_TYPED: "an attribute value must be an object holding one type tag",
    RejectCode.UNKNOWN_TAG: "the type tag is none of S, N, B, BOOL, NULL, M, L, SS, NS, BS",
    RejectCode.TWO_TAGS: "an attribute value has more than one type tag",
    RejectCode.WRONG_JSON_TYPE: "the JSON value does not fit its type tag",
    RejectCode.DUPLICATE_NAME: "the name stands twice in one map",
    RejectCode.TOO_DEEP: "maps and lists are nested deeper than DynamoDB's 32 levels",
    RejectCode.BAD_NUMBER: "the text is not a number",
    RejectCode.BAD_BASE64: "the text is not canonical, padded base64",
    RejectCode.MISSING: "the attribute is missing and the column takes no NULL",
    RejectCode.NULL_VALUE: "the attribute is NULL and the column takes no NULL",
    RejectCode.WRONG_TAG: "a value of this type tag cannot go into the column",
    RejectCode.NOT_PLAIN: "the string is not a number in plain notation",
    RejectCode.INEXACT: "the column would cut digits off the number",
    RejectCode.OUT_OF_RANGE: "the value is outside the range of the column",
    RejectCode.BAD_CONVERT: "the text does not match the grammar of the conversion",
    RejectCode.UNKNOWN_ENUM: "the string is no name of the Enum",
    RejectCode.NOT_A_MAP: "the path of a column runs through a value that is not a map",
    RejectCode.UNMAPPED: "an attribute has no column and the schema says to reject those",
    RejectCode.KEYS_DIFFER: "Keys does not hold exactly the key of the schema, with the values that NewImage has",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why one line was rejected.

    code: the reject code.
    offset: bytes from the start of the line to the fault (see ARCHITECTURE.md, "Where a fault is").
    path: the attribute it concerns, as text (`orders[2].qty`), or empty for the whole line.
    column: the name of the column that could not take the value, in class COLUMN; else empty.
    """

    code: RejectCode
    offset: int
    path: str = ""
    column: str = ""

    @property
    def reason(self) -> str:
        """The sentence of the code, with the column where there is one. Holds no value of the item."""
        return f"{self.code.reason} (column {self.column})" if self.column else self.code.reason
