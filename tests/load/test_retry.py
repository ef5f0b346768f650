"""What is tried again, what is not, and how long. Nothing here waits: the sleep is a list."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest

from transformer.errors import (
    ConflictError,
    Dynamo2chError,
    InternalError,
    PressureError,
    RetryError,
    SourceError,
    UsageError,
)
from transformer.load.address import Server
from transformer.load.faults import Action, translate
from transformer.load.retry import FIRST_WAIT, LONGEST_WAIT, Attempt, Retrier
from transformer.settings import Secret

ADDRESS = Server("h", 8123, "u", "d", secure=False, password=Secret(""))


class ServerSaid(Exception):
    """An error of the driver that carries a code of ClickHouse."""

    def __init__(self, code: int, text: str = "m") -> None:
        super().__init__(f"Code: {code}. DB::Exception: {text}")
        self.code = code
        self.name = "NAME"


class OperationalError(Exception):
    """The driver's name for what the network did."""


RETRYABLE = [3, 24, 32, 33, 40, 74, 75, 76, 95, 96, 159, 160, 198, 201, 202, 203, 204, 209, 210, 225, 236, 242, 243]
RETRYABLE += [244, 252, 254, 265, 279, 285, 286, 289, 319, 364, 394, 425, 439, 473, 499, 519, 574, 733, 735, 999]
RETRYABLE += [1000, 1001]


@pytest.mark.parametrize("code", RETRYABLE)
def test_codes_of_load_outages_and_unknown_outcomes_are_retryable(code: int) -> None:
    assert type(translate(ServerSaid(code), Action.INSERT, ADDRESS)) is RetryError


@pytest.mark.parametrize("code", [173, 241])
def test_codes_of_too_little_memory_are_retryable_with_less_at_a_time(code: int) -> None:
    assert type(translate(ServerSaid(code), Action.INSERT, ADDRESS)) is PressureError


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_statuses_of_proxies_that_may_pass(status: int) -> None:
    error = translate(Exception(f"HTTP status 0, HTTP status {status}".split(", ")[1]), Action.INSERT, ADDRESS)
    assert type(error) is RetryError


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("reset by peer"),
        BrokenPipeError("broken pipe"),
        ConnectionRefusedError("refused"),
        ConnectionAbortedError("aborted"),
        TimeoutError("timed out"),
        ssl.SSLEOFError("EOF"),
        OperationalError("Remote end closed connection without response"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_network_does_is_retryable(error: Exception) -> None:
    assert type(translate(error, Action.INSERT, ADDRESS)) is RetryError


@pytest.mark.parametrize("code", [81, 115, 164, 192, 193, 194, 195, 291, 452, 497, 516])
def test_access_and_configuration_end_at_once_and_say_what_to_do(code: int) -> None:
    error = translate(ServerSaid(code), Action.INSERT, ADDRESS)
    assert type(error) is UsageError
    assert error.remedy


@pytest.mark.parametrize("code", [8, 16, 20, 44, 53, 60, 218, 469])
def test_a_table_that_is_not_what_it_was_ends_at_once(code: int) -> None:
    error = translate(ServerSaid(code), Action.INSERT, ADDRESS)
    assert type(error) is ConflictError
    assert error.remedy


@pytest.mark.parametrize("code", [6, 36, 49, 62, 70, 117, 349, 691])
def test_what_the_client_should_never_have_sent_is_a_bug(code: int) -> None:
    assert type(translate(ServerSaid(code), Action.INSERT, ADDRESS)) is InternalError


@pytest.mark.parametrize("status", [401, 403, 404, 407, 413])
def test_statuses_that_will_not_pass(status: int) -> None:
    assert type(translate(Exception(f"HTTP status {status}"), Action.INSERT, ADDRESS)) is UsageError


# The retrier.


class Calls:
    """A function that fails as told, then succeeds; and a clock that only its sleep moves."""

    def __init__(self, *errors: Dynamo2chError, seconds: float = 600, given_up: Callable[[], bool] = bool) -> None:
        self.errors = list(errors)
        self.made = 0
        self.slept: list[float] = []
        self.told: list[Attempt] = []
        self.retry = Retrier(seconds, sleep=self.slept.append, given_up=given_up, tell=self.told.append)

    def __call__(self) -> str:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_a_call_that_succeeds_is_made_once() -> None:
    calls = Calls()
    assert calls.retry(calls) == "done"
    assert (calls.made, calls.slept) == (1, [])


def test_a_call_is_made_until_it_succeeds() -> None:
    errors = [RetryError("a"), PressureError("b"), RetryError("c")]
    calls = Calls(*errors)
    assert calls.retry(calls) == "done"
    assert calls.made == 4
    assert [attempt.error for attempt in calls.told] == errors
    assert [attempt.number for attempt in calls.told] == [1, 2, 3]
    assert [attempt.wait for attempt in calls.told] == calls.slept


@pytest.mark.parametrize("error", [UsageError("a"), ConflictError("b"), InternalError("c"), SourceError("d")])
def test_what_is_permanent_ends_at_once(error: Dynamo2chError) -> None:
    calls = Calls(error)
    with pytest.raises(type(error)):
        calls.retry(calls)
    assert (calls.made, calls.slept) == (1, [])


def test_waits_are_drawn_and_bounded() -> None:
    slept: set[float] = set()
    for _ in range(20):
        calls = Calls(*(RetryError("x") for _ in range(12)))
        calls.retry(calls)
        for n, wait in enumerate(calls.slept):
            assert 0 <= wait <= min(LONGEST_WAIT, FIRST_WAIT * 2**n)
        slept.update(calls.slept)
    assert len(slept) > 100


def test_without_time_nothing_is_tried_again() -> None:
    calls = Calls(RetryError("x"), seconds=0)
    with pytest.raises(RetryError):
        calls.retry(calls)
    assert calls.made == 1


def test_when_time_is_up_the_last_error_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    errors = [RetryError(str(n)) for n in range(1000)]
    calls = Calls(*errors, seconds=100)
    calls.retry = Retrier(100, sleep=lambda wait: now.__setitem__(0, now[0] + wait))
    with pytest.raises(RetryError) as caught:
        calls.retry(calls)
    assert caught.value is errors[calls.made - 1]
    assert 100 <= now[0] < 100 + LONGEST_WAIT


def test_a_run_that_is_given_up_waits_no_longer() -> None:
    given_up = [False, False, True]
    calls = Calls(*(RetryError("x") for _ in range(9)), given_up=lambda: given_up.pop(0))
    with pytest.raises(RetryError):
        calls.retry(calls)
    assert calls.made == 3
