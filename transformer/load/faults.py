"""What the driver and the server say when something fails, as errors of ours: try again, mend the call, or a bug.

Numbers are ClickHouse's error codes, as in the table function `errorCodeToName`.
"""

from __future__ import annotations

import re
import socket
import ssl
from enum import Enum
from typing import TYPE_CHECKING

from transformer.errors import (
    ConflictError,
    Dynamo2chError,
    InternalError,
    PressureError,
    RetryError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformer.load.address import Address


class Action(Enum):
    """Whose SQL failed, which decides who is to blame for an error that says nothing more."""

    CONNECT = "connecting"
    PREPARE = "preparing the table"
    INSERT = "inserting"
    RECORD = "writing to the ledger"
    QUERY = "the query"


# Nothing is wrong with the call: load, outages, limits that others use up, or an outcome that nobody knows.
_RETRY = {
    3,  # UNEXPECTED_END_OF_FILE
    24,  # CANNOT_WRITE_TO_OSTREAM
    32,  # ATTEMPT_TO_READ_AFTER_EOF, as when a proxy cuts a request off
    33,  # CANNOT_READ_ALL_DATA
    40,  # CHECKSUM_DOESNT_MATCH
    74,  # CANNOT_READ_FROM_FILE_DESCRIPTOR
    75,  # CANNOT_WRITE_TO_FILE_DESCRIPTOR, as when the disk is full
    76,  # CANNOT_OPEN_FILE
    95,  # CANNOT_READ_FROM_SOCKET
    96,  # CANNOT_WRITE_TO_SOCKET
    159,  # TIMEOUT_EXCEEDED
    160,  # TOO_SLOW
    198,  # DNS_ERROR
    201,  # QUOTA_EXCEEDED
    202,  # TOO_MANY_SIMULTANEOUS_QUERIES
    203,  # NO_FREE_CONNECTION
    204,  # CANNOT_FSYNC
    209,  # SOCKET_TIMEOUT
    210,  # NETWORK_ERROR
    225,  # NO_ZOOKEEPER
    236,  # ABORTED
    242,  # TABLE_IS_READ_ONLY
    243,  # NOT_ENOUGH_SPACE
    244,  # UNEXPECTED_ZOOKEEPER_ERROR
    252,  # TOO_MANY_PARTS
    254,  # NO_ACTIVE_REPLICAS
    265,  # NO_AVAILABLE_REPLICA
    279,  # ALL_CONNECTION_TRIES_FAILED
    285,  # TOO_FEW_LIVE_REPLICAS
    286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
    289,  # REPLICA_IS_NOT_IN_QUORUM
    319,  # UNKNOWN_STATUS_OF_INSERT
    364,  # RECEIVED_ERROR_TOO_MANY_REQUESTS
    394,  # QUERY_WAS_CANCELLED
    425,  # SYSTEM_ERROR
    439,  # CANNOT_SCHEDULE_TASK
    473,  # DEADLOCK_AVOIDED
    499,  # S3_ERROR
    519,  # NO_REMOTE_SHARD_AVAILABLE
    574,  # DISTRIBUTED_TOO_MANY_PENDING_BYTES
    733,  # TABLE_IS_BEING_RESTARTED
    735,  # QUERY_WAS_CANCELLED_BY_CLIENT
    999,  # KEEPER_EXCEPTION
    1000,  # POCO_EXCEPTION: of the library for sockets and files
    1001,  # STD_EXCEPTION: of the standard library, as when memory or a disk has run out
}

_PRESSURE = {
    173,  # CANNOT_ALLOCATE_MEMORY
    241,  # MEMORY_LIMIT_EXCEEDED
}

_UNREACHED = (
    "Check host and port (the HTTP interface: 8123, or 8443 with https) and that the server is up, then run the same "
    "command again."
)
_ACCESS = "Check the user in the URL and CLICKHOUSE_PASSWORD or CLICKHOUSE_PASSWORD_FILE."
_GRANTS = (
    "Loading needs SELECT and INSERT on the table, CREATE TABLE where it does not exist yet, SELECT on system.tables, "
    "system.columns and system.settings, and leave to change settings (readonly = 0)."
)
_REMEDY = {
    81: "Create the database first, or name another one at the end of the URL.",  # UNKNOWN_DATABASE
    164: _GRANTS,  # READONLY
    192: _ACCESS,  # UNKNOWN_USER
    193: _ACCESS,  # WRONG_PASSWORD
    194: _ACCESS,  # REQUIRED_PASSWORD
    195: "The server does not let this address in.",  # IP_ADDRESS_NOT_ALLOWED
    291: _GRANTS,  # DATABASE_ACCESS_DENIED
    452: _GRANTS,  # SETTING_CONSTRAINT_VIOLATION
    497: _GRANTS,  # ACCESS_DENIED
    516: _ACCESS,  # AUTHENTICATION_FAILED
    115: "The server is older than 24.8, the oldest that is supported.",  # UNKNOWN_SETTING
}

# An insert that meets these met a table that is not the one that was checked at the start.
_CHANGED = {
    8,  # THERE_IS_NO_COLUMN
    16,  # NO_SUCH_COLUMN_IN_TABLE
    20,  # NUMBER_OF_COLUMNS_DOESNT_MATCH
    44,  # ILLEGAL_COLUMN
    53,  # TYPE_MISMATCH
    60,  # UNKNOWN_TABLE
    218,  # TABLE_IS_DROPPED
}

_CONSTRAINT = 469  # VIOLATED_CONSTRAINT

_LONGEST = 2000  # characters of a server's message that are shown; a type error may print half the table
_STATUS = re.compile(r"HTTP status (\d{3})")
_TRY_LATER = {408, 425, 429, 500, 502, 503, 504}


def translate(error: Exception, action: Action, address: Address) -> Dynamo2chError:
    """The error to raise for `error`, which came up while `action` was done at `address`.

    Of an insert, texts in single quotes are left out of the message: they may be values of items.
    """
    if isinstance(error, Dynamo2chError):
        return error
    code = getattr(error, "code", None)
    if isinstance(code, int) and code > 0:
        return _server_said(error, code, action, address)
    status = _STATUS.search(str(error))
    if status:
        return _http_said(int(status[1]), action, address)
    network = next((cause for cause in _causes(error) if isinstance(cause, OSError)), None)
    if isinstance(network, ssl.SSLCertVerificationError):
        return UsageError(
            f"{address.url}: the certificate of the server is not trusted: {network.verify_message}",
            remedy="Name the file of its authority with --ca-cert, and the host as the certificate names it.",
        )
    if isinstance(network, ssl.SSLError) and "CERTIFICATE" in (getattr(network, "reason", "") or ""):
        return UsageError(
            f"{address.url}: the server does not accept this side's certificate: {network.reason}",
            remedy="Name one that it trusts: dynamo2ch --client-cert cert.pem --client-key key.pem ...",
        )
    if network is not None or type(error).__name__ == "OperationalError":
        reason = _reason(network) if network is not None else "the connection broke off"
        return RetryError(f"{address.url}: {reason}, {action.value}", remedy=_UNREACHED)
    if type(error).__name__ == "ProgrammingError":
        return UsageError(f"{address.url}: {_excerpt(str(error), action)}, {action.value}")
    return InternalError(f"{address.url}: {type(error).__name__}, {action.value}: {_excerpt(str(error), action)}")


def _server_said(error: Exception, code: int, action: Action, address: Address) -> Dynamo2chError:
    name = getattr(error, "name", None) or "error"
    message = f"{address.url}: {name} ({code}), {action.value}: {_excerpt(str(error), action)}"
    if code in _RETRY:
        return RetryError(message)
    if code in _PRESSURE:
        return PressureError(message)
    if code in _REMEDY:
        return UsageError(message, remedy=_REMEDY[code])
    if action is Action.QUERY:
        return UsageError(message)
    if action is Action.INSERT and code in _CHANGED:
        return ConflictError(
            message, remedy="The table was changed or dropped after the load had begun: run the same command again."
        )
    if action is Action.INSERT and code == _CONSTRAINT:
        return ConflictError(message, remedy="Drop the constraint from the table, or load into another one.")
    return InternalError(message)


def _http_said(status: int, action: Action, address: Address) -> Dynamo2chError:
    """Something between here and ClickHouse answered: ClickHouse's own refusals carry a code."""
    message = f"{address.url} answers with HTTP status {status}, {action.value}"
    if status in _TRY_LATER:
        return RetryError(message)
    if status in {401, 403, 407}:
        return UsageError(message, remedy=_ACCESS)
    return UsageError(message, remedy="Check that host and port are those of ClickHouse's HTTP interface (8123, 8443).")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Every exception behind `error`, the innermost first."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop()
        if not isinstance(cause, BaseException) or cause in seen:
            continue
        seen.append(cause)
        # urllib3 keeps what happened in `reason` or among the arguments.
        waiting += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    return iter(reversed(seen))


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "the name of the host is not known"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror or str(error) or type(error).__name__).lower()


def _excerpt(text: str, action: Action) -> str:
    """What the server says, without the driver's and the server's wrapping, and not endless."""
    text = re.sub(r"\s*\(for url [^)]*\)$", "", text)
    text = re.sub(r"^.*?(Code: \d+\. DB::Exception: )+", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"\s*\(version (?:[^()]|\([^()]*\))*\)\.?\s*$", "", text)
    text = re.sub(r"\s*\([A-Z][A-Z0-9_]+\)\s*$", "", text)
    text = re.sub(r":? ?\(in file/uri [^)]*\)", "", text).strip()
    if action is Action.INSERT:
        text = re.sub(r"'[^']*'", "'…'", text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
