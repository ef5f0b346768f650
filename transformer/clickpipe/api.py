"""The ClickHouse Cloud API, as far as ClickPipes need it: Basic auth, its rate limit, its answers as our errors.

Source: the ClickHouse Cloud OpenAPI; waiting times as ClickHouse's own Terraform provider has them.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from transformer.errors import ConflictError, Dynamo2chError, RetryError, UsageError
from transformer.settings import hide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from transformer.settings import Secret

API_URL = "https://api.clickhouse.cloud"
"""Where the API is; other environments have others."""

_PATIENCE = 61.0
"""Seconds of waiting for an API that fails (5xx) or does not answer."""

_LONGEST_RESET = 120.0
"""Seconds of waiting for a rate limit; it is 10 requests in 10 seconds, so a longer wait is a mistake."""

_LONGEST_LIMIT = 600.0
"""Seconds of waiting in all for a rate limit that others, with the same key, use up again and again."""

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class IdleServiceError(ConflictError):
    """The service sleeps (424): it must be woken before pipes can be changed."""


class UnknownOutcomeError(RetryError):
    """The API failed while it was changing something, and may have changed it."""


class CloudApi:
    """One service of one organization.

    transport: for tests. sleep: how to wait. Raises UsageError for ids and keys that cannot be.
    """

    def __init__(
        self,
        organization: str,
        service: str,
        key_id: str,
        key_secret: Secret | None,
        *,
        url: str = API_URL,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import httpx

        for what, value in (("organization", organization), ("service", service)):
            if not _ID.fullmatch(value):
                raise UsageError(f"{value!r} is not the id of a {what}", remedy="It is a UUID; the console shows it.")
        if not key_id or key_secret is None or not key_secret.reveal():
            raise UsageError(
                "the Cloud API needs a key",
                remedy="Set CLICKHOUSE_CLOUD_KEY_ID and CLICKHOUSE_CLOUD_KEY_SECRET (or ..._SECRET_FILE).",
            )
        if not re.match(r"https://|http://(127\.0\.0\.1|localhost)[:/]", url):
            raise UsageError(f"{url} is not safe for a key", remedy="Give an https:// address.")
        self._service = f"/v1/organizations/{organization}/services/{service}"
        self._sleep = sleep
        self._client = httpx.Client(
            base_url=url,
            auth=httpx.BasicAuth(key_id, key_secret.reveal()),
            timeout=httpx.Timeout(60.0, connect=10.0),
            transport=transport,
            follow_redirects=False,  # a redirect would take the key along
        )

    def close(self) -> None:
        """Give up connections."""
        self._client.close()

    def service(self) -> dict[str, Any]:
        """The service: `state`, `iamRole` (the principal of its pipes) and more."""
        return self._record(self._call("GET", ""))

    def wake(self) -> None:
        """Ask an idle service to wake up."""
        self._call("PATCH", "/state", {"command": "awake"})

    def pipes(self) -> list[dict[str, Any]]:
        """All pipes of the service."""
        found = self._call("GET", "/clickpipes")
        if not isinstance(found, list):
            raise RetryError("the Cloud API answered with no list of pipes")
        return found

    def pipe(self, pipe_id: str) -> dict[str, Any] | None:
        """One pipe, or None if there is none with this id."""
        found = self._call("GET", f"/clickpipes/{pipe_id}", missing_ok=True)
        return None if found is None else self._record(found)

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a pipe. Raises UnknownOutcomeError when it may have been created."""
        return self._record(self._call("POST", "/clickpipes", body, repeat=False))

    def delete(self, pipe_id: str) -> None:
        """Delete a pipe; one that is gone is no error."""
        self._call("DELETE", f"/clickpipes/{pipe_id}", missing_ok=True)

    def start(self, pipe_id: str) -> None:
        """Start a stopped or failed pipe."""
        self._call("PATCH", f"/clickpipes/{pipe_id}/state", {"command": "start"})

    def discover(self, source: Mapping[str, Any]) -> list[str]:
        """The names of the fields that the pipe would see in a live source. Creates nothing."""
        found = self._record(self._call("POST", "/clickpipes/schemaDiscovery", {"source": source}))
        return [str(field["name"]) for field in found.get("fields", [])]

    def _record(self, result: object) -> dict[str, Any]:
        if not isinstance(result, dict):
            raise RetryError("the Cloud API answered without a result")
        return result

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        repeat: bool = True,
        missing_ok: bool = False,
    ) -> Any:
        """The result of one call. repeat: whether a call whose outcome is not known may be made again."""
        import httpx

        waited, pause, limited = 0.0, 1.0, 0.0
        while True:
            try:
                answer = self._client.request(method, self._service + path, json=body)
            except httpx.TransportError as error:
                what = f"the Cloud API does not answer: {type(error).__name__}"
                refused = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if not repeat and not refused:
                    raise UnknownOutcomeError(what, remedy="Run the same command again.") from None
            else:
                if answer.status_code == 429:
                    reset = self._reset(answer.headers)
                    limited += reset
                    if limited > _LONGEST_LIMIT:
                        raise RetryError("the Cloud API allows no request", remedy="Others use this key: try later.")
                    self._sleep(reset)
                    continue
                if answer.status_code < 500:
                    return self._result(answer, method, path, missing_ok=missing_ok)
                what = f"the Cloud API fails with {answer.status_code} at {method} {path or '/'}"
                if not repeat:
                    raise UnknownOutcomeError(what, remedy="Run the same command again.")
            if waited >= _PATIENCE:
                raise RetryError(what, remedy="Try again later; status.clickhouse.com tells about outages.") from None
            self._sleep(pause)
            waited += pause
            pause = min(2 * pause, 16.0)

    def _reset(self, headers: Mapping[str, str]) -> float:
        """Seconds to wait until the rate limit is over."""
        try:
            seconds = float(headers.get("X-RateLimit-Reset", "10"))
        except ValueError:
            seconds = 10.0
        if not 0 <= seconds <= _LONGEST_RESET:
            raise RetryError(
                f"the Cloud API allows no request for {seconds:.0f} s", remedy="Try again then, or use another key."
            )
        return seconds + 1

    def _result(self, answer: httpx.Response, method: str, path: str, *, missing_ok: bool) -> Any:
        """What an answer below 500 means."""
        status = answer.status_code
        try:
            content = answer.json()
        except ValueError:
            content = {}
        content = content if isinstance(content, dict) else {}
        if status < 300:
            return content.get("result")
        if status == 404 and missing_ok:
            return None
        said = hide(str(content.get("error", "no reason given")))
        raise _error(status, f"the Cloud API refuses {method} {path or '/'} ({status}): {said}", said)


_RUNTIME = (
    "does not exist",
    "unable to access",
    "is not authorized",
    "failed permissions validation",
    "failed to establish connection",
    "assumerole",
)


def _error(status: int, what: str, said: str) -> Dynamo2chError:
    """The error that a refusal is."""
    match status:
        case 401:
            return UsageError(what, remedy="Check CLICKHOUSE_CLOUD_KEY_ID and its secret.")
        case 403:
            return UsageError(what, remedy="The key needs the role admin; developer only reads.")
        case 404:
            return UsageError(what, remedy="Check --organization and --service.")
        case 409:
            return ConflictError(what, remedy="Somebody else is changing the pipe. Look with `clickpipe doctor`.")
        case 424:
            return IdleServiceError(what, remedy="The service sleeps: run the same command with --wake.")
        case _ if any(text in said.lower() for text in _RUNTIME):
            remedy = "Stream, role or its policies are not ready: compare them with what `clickpipe render` writes. "
            return ConflictError(what, remedy=remedy + "A role that was just made needs about ten seconds.")
        case _:
            return UsageError(what, remedy="Compare with pipe.json of `clickpipe render`.")
