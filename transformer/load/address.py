"""Where rows go, as said on the command line: the grammar of destination URLs, and the secret that one may hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from transformer.errors import UsageError
from transformer.settings import Secret

if TYPE_CHECKING:
    from transformer.settings import Settings

DEFAULT_FOLDER = Path(".dynamo2ch/chdb")
"""The embedded database of `chdb://`, below the current directory."""

DEFAULT_DATABASE = "default"

_FORMS = (
    "Write chdb:///absolute/folder, chdb:// for ./.dynamo2ch/chdb, http://user@host:8123/database, "
    "https://user@host:8443/database, parquet:/folder, or null:. Special characters in names are percent-encoded; the "
    "password comes from CLICKHOUSE_PASSWORD, CLICKHOUSE_PASSWORD_FILE or --ask-password."
)


@dataclass(frozen=True, slots=True)
class Embedded:
    """A database in a local folder, served by an engine inside this process. `folder` is absolute, links resolved."""

    folder: Path
    database: str = DEFAULT_DATABASE

    @property
    def url(self) -> str:
        """The URL that means this address from every directory."""
        suffix = "" if self.database == DEFAULT_DATABASE else f"?database={quote(self.database, safe='')}"
        return f"chdb://{quote(str(self.folder))}{suffix}"


@dataclass(frozen=True, slots=True)
class Server:
    """A ClickHouse server's HTTP interface."""

    host: str
    port: int
    user: str
    database: str
    secure: bool
    password: Secret

    @property
    def url(self) -> str:
        """The URL without the password: fit for logs and reports."""
        scheme = "https" if self.secure else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{quote(self.user, safe='')}@{host}:{self.port}/{quote(self.database, safe='')}"


@dataclass(frozen=True, slots=True)
class Nowhere:
    """Rows are counted and forgotten."""

    @property
    def url(self) -> str:
        """`null:`."""
        return "null:"


@dataclass(frozen=True, slots=True)
class ParquetFolder:
    """A folder of Parquet files. folder: absolute path or fsspec URL. binary: columns whose strings stay bytes."""

    folder: str
    binary: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The URL that means this address from every directory."""
        names = ",".join(quote(name, safe="") for name in self.binary)
        return f"parquet:{self.folder}{f'?binary={names}' if names else ''}"


Address = Embedded | Server | Nowhere | ParquetFolder


def parse_address(text: str, settings: Settings) -> Address:
    """The address that `text` spells.

    settings: gives the password when the URL has none.
    Raises UsageError for anything else, without repeating `text`: a misspelled URL may have its password anywhere.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise UsageError("the destination is not a URL", remedy=_FORMS) from None
    match parts.scheme:
        case "null":
            if text not in {"null:", "null://"}:
                raise UsageError("null: takes nothing after the colon")
            return Nowhere()
        case "parquet":
            return _parquet(text)
        case "chdb":
            return _embedded(parts)
        case "http" | "https":
            return _server(parts, port, settings)
        case _:
            raise UsageError("the destination is of no known kind", remedy=_FORMS)


def _embedded(parts: SplitResult) -> Embedded:
    if parts.netloc or parts.fragment:
        raise UsageError(
            "an embedded database is named by an absolute folder",
            remedy=f"Three slashes: chdb:///absolute/folder. {_FORMS}",
        )
    options = _options(parts)
    database = options.pop("database", DEFAULT_DATABASE)
    if options or not database:
        raise UsageError("chdb:// takes no option but database", remedy=_FORMS)
    path = unquote(parts.path)
    if path == "/":
        raise UsageError("an embedded database cannot be the root folder", remedy=_FORMS)
    # One folder, one name: the engine compares names, and the lock must be the same file for every spelling.
    return Embedded(Path(path or DEFAULT_FOLDER).resolve(), database)


def _parquet(text: str) -> ParquetFolder:
    inner, _, options = text.removeprefix("parquet:").partition("?binary=")
    protocol, separator, rest = inner.partition("://")
    if not inner or "?" in inner:
        raise UsageError(
            "parquet: is followed by a folder, which may be followed by ?binary=column,column",
            remedy="As in parquet:/data/lake, parquet:s3://bucket/lake or parquet:/data/lake?binary=picture.",
        )
    if separator and "@" in rest.partition("/")[0]:
        raise UsageError("the destination holds a user or a password", remedy="Give those in the environment.")
    folder = inner if separator else str(Path(inner).resolve())
    if protocol == "file" and separator:
        folder = str(Path(unquote(rest)).resolve())
    return ParquetFolder(folder, tuple(unquote(name) for name in options.split(",") if name))


def _server(parts: SplitResult, port: int | None, settings: Settings) -> Server:
    secure = parts.scheme == "https"
    name = parts.path.strip("/")
    if not parts.hostname or parts.query or parts.fragment or "/" in name:
        raise UsageError(f"the destination is not of the form {parts.scheme}://user@host:port/database", remedy=_FORMS)
    if parts.password is not None:
        password = Secret(unquote(parts.password))
    else:
        password = settings.clickhouse_password or Secret("")
    return Server(
        host=parts.hostname,
        port=port or (8443 if secure else 8123),
        user=unquote(parts.username or "") or "default",
        database=unquote(name) or DEFAULT_DATABASE,
        secure=secure,
        password=password,
    )


def _options(parts: SplitResult) -> dict[str, str]:
    try:
        return dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise UsageError("the options of the destination cannot be read", remedy=_FORMS) from None
