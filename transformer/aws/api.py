"""Calls to AWS: made, or only told (`--dry-run`); and what AWS answers when it does not do them.

boto3 is imported when the first call is made, because `--help` and a dry run must not wait for it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from transformer.errors import ConflictError, Dynamo2chError, RetryError, SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

POLL_SECONDS = 20.0
"""Between two looks at something that takes minutes. DescribeExport throttles after some twenty calls in a row."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call. operation: as AWS names it (`DescribeTable`); parameters: as boto3 takes them."""

    service: str
    operation: str
    parameters: Mapping[str, Any]

    def to_dict(self) -> dict[str, object]:
        """The call as JSON values."""
        return {
            "service": self.service,
            "operation": self.operation,
            "parameters": json.loads(json.dumps(self.parameters, default=_jsonable)),
        }

    def __str__(self) -> str:
        record = self.to_dict()
        return f"{self.service}:{self.operation} {json.dumps(record['parameters'], ensure_ascii=False)}"


def _jsonable(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


class Clock(Protocol):
    """Time as commands that wait see it."""

    def now(self) -> datetime:
        """The moment, UTC."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """See `Clock`."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        time.sleep(seconds)


@dataclass
class Api:
    """AWS in one region.

    region: its name. profile: of the AWS configuration, or None for the usual search. endpoint_url: another place than
    AWS's own, for all services. dry_run: make no call at all; every answer is then the one that is assumed.
    calls: what was called, or would have been, in order.
    """

    region: str
    profile: str | None = None
    endpoint_url: str | None = None
    dry_run: bool = False
    clock: Clock = field(default_factory=SystemClock)
    calls: list[Call] = field(default_factory=list)
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """The boto3 client of a service. Raises UsageError for a profile or region that does not exist."""
        if service not in self._clients:
            import boto3
            from botocore.config import Config

            with _Told(service, "configuration"):
                session = boto3.Session(region_name=self.region, profile_name=self.profile)
                self._clients[service] = session.client(
                    service, endpoint_url=self.endpoint_url, config=Config(retries={"mode": "adaptive"})
                )
        return self._clients[service]

    def call(self, service: str, operation: str, assume: Mapping[str, Any], **parameters: Any) -> Mapping[str, Any]:
        """Make a call and return its answer; in a dry run note it and return `assume`.

        Raises UsageError (credentials, permissions, what does not exist), ConflictError (the state of the table forbids
        it), RetryError (network, throttling), with AWS's own words.
        """
        self.calls.append(Call(service, operation, parameters))
        if self.dry_run:
            return assume
        from botocore import xform_name

        client = self.client(service)
        with _Told(service, operation):
            answer: Mapping[str, Any] = getattr(client, xform_name(operation))(**parameters)
        return answer

    def until(self, look: Callable[[], bool], *, seconds: float, what: str, limit: float) -> None:
        """Call `look` every `seconds` until it says yes. Raises RetryError when it has not after `limit` seconds."""
        begun = self.clock.now()
        while not look():
            if self.dry_run:
                return
            if (self.clock.now() - begun).total_seconds() > limit:
                raise RetryError(
                    f"{what} takes longer than {limit:,.0f} s", remedy="Run the same command again: it goes on waiting."
                )
            self.clock.sleep(seconds)


class MissingError(UsageError):
    """AWS says that what was named does not exist."""


class _Told:
    """Turn what botocore raises into the errors of this tool; a context manager."""

    def __init__(self, service: str, operation: str) -> None:
        self._what = f"{service}:{operation}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, Dynamo2chError):
            return
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            details = error.response.get("Error", {})
            raise explain(self._what, str(details.get("Code", "")), str(details.get("Message", ""))) from error
        if isinstance(error, BotoCoreError):
            name = type(error).__name__
            if name in _NETWORK:
                raise RetryError(f"{self._what}: AWS cannot be reached ({name})", remedy=_AGAIN) from error
            if name in _CREDENTIALS:
                raise UsageError(f"{self._what}: {error}", remedy=_WHO) from error
            if name == "ParamValidationError":
                raise UsageError(f"{self._what}: {error}", remedy="Check the names and values given.") from error
            raise UsageError(f"{self._what}: {error}") from error


_AGAIN = "Run the same command again; if it keeps failing, check the network and the endpoint."
_WHO = "Check AWS_PROFILE, AWS_ACCESS_KEY_ID or the role of this machine (`aws sts get-caller-identity`)."
_NETWORK = frozenset(
    ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError", "SSLError")
)
_CREDENTIALS = frozenset(
    ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "TokenRetrievalError", "SSOTokenLoadError")
)
_RETRY_CODES = frozenset(
    (
        "ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded", "InternalServerError",
        "ServiceUnavailable", "LimitExceededException", "InternalFailure", "Throttling",
    )
)  # fmt: skip
_DENIED_CODES = frozenset(("AccessDeniedException", "AccessDenied", "UnauthorizedOperation"))
_IDENTITY_CODES = frozenset(
    ("UnrecognizedClientException", "InvalidClientTokenId", "ExpiredTokenException", "InvalidSignatureException",
     "MissingAuthenticationToken", "IncompleteSignature", "ExpiredToken")
)  # fmt: skip
_MISSING_CODES = frozenset(("ResourceNotFoundException", "TableNotFoundException", "ExportNotFoundException"))
_CONFLICT_CODES: Mapping[str, str] = {
    "ExportConflictException": "An export with this client token was requested with other parameters, or one of this "
    "table is being requested right now. Give another --client-token, or run the same command again.",
    "ResourceInUseException": "Something is being changed already. Run the same command again in a minute.",
    "PointInTimeRecoveryUnavailableException": "Exports need point-in-time recovery: give --enable-pitr.",
    "InvalidExportTimeException": "A window lies within the recovery period, in the past, is 15 minutes to 24 hours "
    "long, and of two whole seconds. `dynamo2ch export list` shows those that there are.",
}


def explain(what: str, code: str, message: str) -> Dynamo2chError:
    """The error for an answer of AWS. what: `service:operation`; code, message: as AWS gave them."""
    text = f"{what}: {code}: {message:.500}"
    if code in _RETRY_CODES:
        return RetryError(text, remedy=_AGAIN)
    if code in _DENIED_CODES:
        return UsageError(text, remedy="`dynamo2ch iam COMMAND` prints the policy that the command needs.")
    if code in _IDENTITY_CODES:
        return UsageError(text, remedy=_WHO)
    if code in _MISSING_CODES:
        return MissingError(text, remedy="Check the name, the account and the region.")
    if code in _CONFLICT_CODES:
        return ConflictError(text, remedy=_CONFLICT_CODES[code])
    return UsageError(text)


# Why an export that was accepted failed later: FailureCode of DescribeExport.
_FAILURES: Mapping[str, str] = {
    "S3NoSuchBucket": "The bucket does not exist. Make it, in whatever region, and start the export again.",
    "S3AccessDenied": "The exporting identity may not write there: it needs s3:PutObject, s3:PutObjectAcl and "
    "s3:AbortMultipartUpload for as long as the export runs (`dynamo2ch iam 'export start'`). A bucket of another "
    "account needs --bucket-owner and a bucket policy as well.",
    "KmsNotFoundException": "The KMS key does not exist, or is in another region than the bucket.",
    "KmsAccessDenied": "The exporting identity needs kms:GenerateDataKey on the key.",
    "KmsDisabledException": "The KMS key is disabled.",
    "KmsInvalidStateException": "The KMS key cannot be used: it is pending deletion or import.",
}


def export_failure(arn: str, code: str, message: str) -> SourceError:
    """The error for an export with status FAILED."""
    remedy = _FAILURES.get(code, "Start another export; if it fails too, ask AWS with the export's ARN.")
    return SourceError(f"export {arn} failed: {code or 'no reason given'}: {message:.500}", remedy=remedy)


def pages(api: Api, service: str, operation: str, member: str, **parameters: Any) -> Iterator[Mapping[str, Any]]:
    """The entries of `member` of all pages of a call that continues with NextToken."""
    token: str | None = None
    while True:
        more = {} if token is None else {"NextToken": token}
        answer = api.call(service, operation, {member: []}, **parameters, **more)
        yield from answer.get(member, ())
        token = answer.get("NextToken")
        if not token:
            return
