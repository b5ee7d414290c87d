"""A deadline for calls that know none, such as a question to the resolver."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def within(timeout_s: float, call: Callable[[], T]) -> T:
    """The result of `call`, made in a thread of its own.

    Raises TimeoutError after `timeout_s` seconds; the call is left behind then, and holds up
    neither this process nor its end.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name=f"within {timeout_s:g} s", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]
