"""AWS without AWS: stubbed clients, which check every request against AWS's own model, and a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_double import FakeClock
from botocore.stub import Stubber

from transformer.aws.api import Api
from transformer.aws.arn import TableArn

TABLE = TableArn("aws", "eu-west-1", "123456789012", "orders")
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@dataclass
class Stubbed:
    """An Api whose answers are given beforehand, in order."""

    api: Api
    _stubbers: dict[str, Stubber] = field(default_factory=dict)

    def _stubber(self, service: str) -> Stubber:
        if service not in self._stubbers:
            self._stubbers[service] = Stubber(self.api.client(service))
            self._stubbers[service].activate()
        return self._stubbers[service]

    def answer(self, service: str, operation: str, answer: dict[str, Any], **expected: Any) -> None:
        self._stubber(service).add_response(operation, answer, expected)

    def refuse(self, service: str, operation: str, code: str, message: str = "no", **expected: Any) -> None:
        self._stubber(service).add_client_error(operation, code, message, expected_params=expected or None)

    def done(self) -> None:
        """Every answer was asked for."""
        for stubber in self._stubbers.values():
            stubber.assert_no_pending_responses()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/nowhere"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere"),
    ):
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def stubbed() -> Iterator[Stubbed]:
    made = Stubbed(Api(region=TABLE.region, clock=FakeClock(NOW)))
    yield made
    made.done()
