"""Trying again: with back-off and jitter, and only where the outcome of a call is retryable or unknown.

What is retryable is decided where errors are translated (`transformer.load.faults`): a RetryError says that the same
call may succeed later, or has succeeded without anybody being told. That is why every call that comes through here has
to be one that may be made twice: an insert with a token, a record of the ledger with a token, a read.

A chunk whose insert met the memory limit of the server is never made smaller: its token stands for exactly these rows,
and the server may have stored them. What is made smaller is the number of inserts that run at the same time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from transformer.errors import RetryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState

FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
"""Seconds: the n-th wait is drawn evenly from 0 to FIRST_WAIT * 2^n, and to LONGEST_WAIT at most. Drawn, so that the
inserts of many machines do not come back to a server that has just recovered all at the same moment."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call has failed and is going to be tried again.

    number: how often it was tried so far. wait: seconds until the next time. error: what happened.
    """

    number: int
    wait: float
    error: RetryError


class Retrier:
    """Calls functions until they succeed, fail for good, or time is up. Threads may share it."""

    def __init__(
        self,
        seconds: float,
        *,
        sleep: Callable[[float], object] = time.sleep,
        given_up: Callable[[], bool] = lambda: False,
        tell: Callable[[Attempt], None] = lambda _attempt: None,
    ) -> None:
        """
        seconds: for which a call is tried again, counted from its beginning; 0 for never.
        sleep: waits so many seconds; may return earlier when there is no more sense in waiting.
        given_up: whether nobody wants the result any more; asked before and after each wait.
        tell: is told of every attempt that failed and is going to be repeated, in the calling thread.
        """
        self._seconds = seconds
        self._sleep = sleep
        self._given_up = given_up
        self._tell = tell

    def __call__(self, call: Callable[[], Result], *, tell: Callable[[Attempt], None] | None = None) -> Result:
        """The result of `call`.

        tell: in place of the one given at the beginning.
        Raises the last RetryError when time is up or the run is given up, and any other error of `call` at once.
        """

        def before_sleep(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome is not None else None
            if isinstance(error, RetryError) and state.next_action is not None:
                (tell or self._tell)(Attempt(state.attempt_number, state.next_action.sleep, error))

        def sleep(seconds: float) -> None:
            self._sleep(seconds)

        if self._seconds <= 0:
            return call()
        time_is_up = stop_after_delay(self._seconds)
        retrying = Retrying(
            retry=retry_if_exception_type(RetryError),
            wait=wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
            stop=lambda state: time_is_up(state) or self._given_up(),
            sleep=sleep,
            before_sleep=before_sleep,
            reraise=True,
        )
        return retrying(call)
