"""What storage libraries raise, told in the words of this tool.

fsspec back ends raise whatever their client library raises. `storage_errors` maps that to three families: `UsageError`
for credentials, permissions, regions and unknown protocols, `RetryError` for networks and busy services, `SourceError`
for what is not there or cannot be read. Libraries are recognised by the modules of their exceptions: none is imported.

No message holds a secret: URLs lose user, password and query, values of secret options and variables are blanked.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from transformer.errors import Dynamo2chError, RetryError, SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_SECRET_NAME: Final = re.compile(r"key|secret|token|passw|credential|signature|sas|auth", re.IGNORECASE)
_SECRET_VARIABLES: Final = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ACCESS_KEY_ID")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>\\]+")
_SIGNED: Final = re.compile(r"(?i)\b([a-z-]*(?:signature|credential|security-token|sig))=[^&\s'\"]+")
_LONGEST_DETAIL: Final = 300

_CREDENTIALS: Final = (
    "Check the AWS credentials: AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of this machine "
    "(`aws sts get-caller-identity` shows who you are)."
)
_PERMISSIONS: Final = (
    "Reading needs s3:GetObject and s3:ListBucket on the bucket, and kms:Decrypt if it is encrypted with KMS. "
    "For a public bucket, use the storage option anon=true."
)
_LOCAL_PERMISSIONS: Final = "Give this user permission to read it."
_OPTIONS: Final = (
    "Give a path, or a URL of a protocol that fsspec knows (file, s3, gs, abfs, https …), and only its options."
)
_REGION: Final = "Set AWS_DEFAULT_REGION (or AWS_ENDPOINT_URL_S3) to the region of the bucket."
_CHECK_SETTINGS: Final = "Check the credentials for this storage, in its environment variables or the storage options."
_AGAIN: Final = "Run the same command again; if it keeps failing, check the network and AWS_ENDPOINT_URL_S3."
OVERWRITTEN: Final = "Nothing may write into an export folder. Run again when it is complete."
_RESTORE: Final = "The object is archived (Glacier): restore it first (`aws s3api restore-object`)."

_RETRY_CODES: Final = frozenset(
    [
        "SlowDown",
        "InternalError",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "RequestTimeout",
        "RequestTimeoutException",
        "OperationAborted",
        "500",
        "502",
        "503",
        "504",
    ]
)
_CREDENTIAL_CODES: Final = frozenset(
    [
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidToken",
        "InvalidClientTokenId",
        "TokenRefreshRequired",
        "RequestTimeTooSkewed",
        "RequestExpired",
        "AuthorizationHeaderMalformed",
        "UnrecognizedClientException",
        "CredentialsNotSupported",
        "InvalidSecurity",
        "NotSignedUp",
        "UnsupportedAlgorithm",
        "InvalidIdentityToken",
    ]
)
_REGION_CODES: Final = frozenset(
    [
        "PermanentRedirect",
        "301",
        "307",
        "TemporaryRedirect",
        "IllegalLocationConstraintException",
        "InvalidLocationConstraint",
    ]
)
_MISSING_CODES: Final = frozenset(["NoSuchBucket", "NoSuchKey", "NoSuchVersion", "404", "NotFound"])
_CHANGED_CODES: Final = frozenset(["PreconditionFailed", "412", "InvalidRange", "416"])
_DENIED_CODES: Final = frozenset(
    ["AccessDenied", "AccessDeniedException", "AllAccessDisabled", "401", "403", "Forbidden"]
)

# botocore and aiohttp families whose instances say "not now"; every other BotoCoreError is one of configuration.
_RETRY_CLASSES: Final = frozenset(
    [
        "ConnectionError",
        "EndpointConnectionError",
        "ConnectionClosedError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "HTTPClientError",
        "ProxyConnectionError",
        "SSLError",
        "IncompleteReadError",
        "ResponseStreamingError",
        "ClientConnectionError",
        "ClientPayloadError",
        "ClientOSError",
        "ServerTimeoutError",
        "ServerDisconnectedError",
        "ResponseParserError",
        "MetadataRetrievalError",
    ]
)
# The same by name, for the libraries behind other protocols (Google, Azure, SFTP, http.client …).
_AUTHORISATION: Final = re.compile(r"(?i)auth|credential|forbidden|permission|denied")
_NOT_FOUND: Final = re.compile(r"(?i)not_?found|no_?such")
_CONNECTION: Final = re.compile(r"(?i)timeout|timed_?out|connect|unavailable|incomplete|service|transport|ssh|http")
_RETRY_ERRNOS: Final = frozenset(
    {
        errno.EBUSY,
        errno.EAGAIN,
        errno.ETIMEDOUT,
        errno.ECONNRESET,
        errno.ECONNREFUSED,
        errno.ECONNABORTED,
        errno.EPIPE,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.ESTALE,
    }
)


def public_url(url: str) -> str:
    """Return `url` without user, password, query and fragment: what may be shown and stored.

    A chained URL (`simplecache::s3://…`) keeps its shape. Text that is no URL comes back as it is.
    """
    return "::".join(_public_part(part) for part in url.split("::"))


def _public_part(part: str) -> str:
    if "://" not in part:
        return part
    try:
        split = urlsplit(part)
    except ValueError:  # such as an unbalanced bracket in the host: show the protocol only
        return part.partition("://")[0] + "://…"
    if split.scheme in ("http", "https"):
        return urlunsplit((split.scheme, split.netloc.rpartition("@")[2], split.path, "", ""))
    # Elsewhere ? and # are ordinary characters of a key. User and password stand before the @ of the first segment.
    protocol, _, rest = part.partition("://")
    host, slash, path = rest.partition("/")
    return f"{protocol}://{host.rpartition('@')[2]}{slash}{path}"


def scrub(text: str, storage_options: Mapping[str, Any] | None = None) -> str:
    """Return `text` without secrets: URLs as `public_url` shows them, values of secret options and variables as `***`.

    Secret options are found by their names, at any depth of `storage_options`.
    """
    secrets = {os.environ.get(name, "") for name in _SECRET_VARIABLES}
    secrets.update(_secret_values(storage_options or {}, named=False))
    for secret in sorted((secret for secret in secrets if len(secret) >= 4), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _URL.sub(lambda match: public_url(match[0]), text)
    return _SIGNED.sub(r"\1=***", text)


def _secret_values(value: object, *, named: bool) -> Iterator[str]:
    """Yield the strings in `value` that stand under a secret name; `named` says that `value` itself does."""
    if isinstance(value, str):
        if named:
            yield value
    elif isinstance(value, bytes):
        if named:
            yield value.decode("utf-8", "replace")
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _secret_values(inner, named=named or bool(_SECRET_NAME.search(str(name))))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _secret_values(inner, named=named)


@contextmanager
def storage_errors(doing: str, storage_options: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Run a block of storage calls; what they raise leaves as an error of ours.

    doing: what is being done, for the message: "reading s3://bucket/key". It must already be fit to be shown.
    storage_options: the options in use, for `scrub`.

    Errors of ours pass unchanged. So do errors that are no matter of storage (MemoryError, AttributeError …): bugs.
    """
    try:
        yield
    except Dynamo2chError:
        raise
    except Exception as error:
        told = _tell(error, doing, storage_options)
        if told is None:
            raise
        # Without the chain: the original may carry a signed URL in its text, and tracebacks are printed and logged.
        raise told from None


def _tell(error: Exception, doing: str, storage_options: Mapping[str, Any] | None) -> Dynamo2chError | None:
    """Return the error of ours that says what `error` says, or None if it is not for this module to judge."""

    def message(what: str) -> str:
        text = " ".join(str(error).split())
        detail = scrub(text, storage_options)[:_LONGEST_DETAIL]
        return f"{doing}: {what} ({type(error).__name__}{': ' if detail else ''}{detail})"

    code = service_code(error)
    if code:
        return _tell_service(code, message)
    if isinstance(error, ImportError):
        return UsageError(message("the library for this protocol is not installed"), remedy="Install what it names.")
    library = {cls.__module__.split(".")[0] for cls in type(error).__mro__}
    names = {cls.__name__ for cls in type(error).__mro__}
    if library & {"botocore", "aiobotocore", "aiohttp", "boto3"}:
        if names & _RETRY_CLASSES or isinstance(error, (TimeoutError, asyncio.TimeoutError)):
            return RetryError(message("the storage service cannot be reached"), remedy=_AGAIN)
        if "aiohttp" in library:
            return _tell_http(getattr(error, "status", None), message)
        return UsageError(message("the storage settings or credentials do not work"), remedy=_CREDENTIALS)
    return _tell_builtin(error, message, storage_options) or _tell_foreign(error, names, message)


def _tell_builtin(
    error: Exception, message: Callable[[str], str], storage_options: Mapping[str, Any] | None
) -> Dynamo2chError | None:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return SourceError(message("not found"), remedy="Check the URL and that the copy is complete.")
    if isinstance(error, IsADirectoryError):
        return SourceError(message("a folder where a file should be"), remedy="Check that the copy is complete.")
    if isinstance(error, PermissionError):
        remedy = _LOCAL_PERMISSIONS if error.filename is not None else _PERMISSIONS
        return UsageError(message("permission denied"), remedy=remedy)
    if isinstance(error, (TimeoutError, asyncio.TimeoutError, ConnectionError)):
        return RetryError(message("the connection failed"), remedy=_AGAIN)
    if isinstance(error, ValueError) or (isinstance(error, TypeError) and storage_options):
        return UsageError(message("the URL or the storage options are not understood"), remedy=_OPTIONS)
    if isinstance(error, OSError):
        if error.errno in _RETRY_ERRNOS or type(error).__name__ == "gaierror":
            return RetryError(message("the storage is not available now"), remedy=_AGAIN)
        if error.errno == errno.ENAMETOOLONG:
            return UsageError(message("the name is too long"), remedy="Check the URL.")
        return SourceError(message("cannot be read"), remedy="Check the URL and the storage behind it.")
    return None


def _tell_foreign(error: Exception, names: set[str], message: Callable[[str], str]) -> Dynamo2chError | None:
    """Judge an exception of some other storage library by an HTTP status or by how its class is called."""
    if type(error).__module__ == "builtins":
        return None
    for attribute in ("status", "status_code", "code"):
        status = getattr(error, attribute, None)
        if isinstance(status, int) and 400 <= status < 600:
            return _tell_http(status, message)
    called = " ".join(sorted(names))
    if _AUTHORISATION.search(called):
        return UsageError(message("the storage settings or credentials do not work"), remedy=_CHECK_SETTINGS)
    if _NOT_FOUND.search(called):
        return SourceError(message("not found"), remedy="Check the URL and that the copy is complete.")
    if _CONNECTION.search(called):
        return RetryError(message("the storage service cannot be reached"), remedy=_AGAIN)
    if _AUTHORISATION.search(type(error).__module__):
        return UsageError(message("the storage settings or credentials do not work"), remedy=_CHECK_SETTINGS)
    return SourceError(message("cannot be read"), remedy="Check the URL and the storage behind it.")


def service_code(error: Exception) -> str:
    """Return the error code an AWS service answered with, or "". s3fs hides it in the cause of a built-in exception."""
    for candidate in (error, error.__cause__):
        response = getattr(candidate, "response", None)
        if isinstance(response, dict):
            code = response.get("Error", {}).get("Code")
            if code:
                return str(code)
            return str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")) or "unknown"
    return ""


def _tell_service(code: str, message: Callable[[str], str]) -> Dynamo2chError:
    if code in _RETRY_CODES:
        return RetryError(message(f"the storage service answered {code}"), remedy=_AGAIN)
    if code in _CREDENTIAL_CODES:
        return UsageError(message(f"the storage service refused the credentials: {code}"), remedy=_CREDENTIALS)
    if code in _REGION_CODES:
        return UsageError(message(f"the bucket is in another region: {code}"), remedy=_REGION)
    if code in _DENIED_CODES:
        return UsageError(message("permission denied"), remedy=_PERMISSIONS)
    if code in _MISSING_CODES:
        return SourceError(message("not found"), remedy="Check bucket and key, and that the copy is complete.")
    if code in _CHANGED_CODES:
        return SourceError(
            message("the object was overwritten while it was read"),
            remedy=OVERWRITTEN,
        )
    if code == "InvalidObjectState":
        return SourceError(message("the object cannot be read now"), remedy=_RESTORE)
    if code == "InvalidBucketName":
        return UsageError(message("this is no name of a bucket"), remedy="Check the URL: s3://BUCKET/PREFIX.")
    return SourceError(message(f"the storage service answered {code}"), remedy="Check the URL and the bucket.")


def _tell_http(status: int | None, message: Callable[[str], str]) -> Dynamo2chError:
    if status is None:
        return UsageError(message("this URL cannot be requested"), remedy="Check the URL.")
    if status in (401, 403):
        return UsageError(message("permission denied"), remedy=_CHECK_SETTINGS)
    if status in (404, 410):
        return SourceError(message("not found"), remedy="Check the URL and that the copy is complete.")
    if status in (408, 425, 429) or status >= 500:
        return RetryError(message(f"the server answered {status}"), remedy=_AGAIN)
    return SourceError(message(f"the server answered {status}"), remedy="Check the URL.")
