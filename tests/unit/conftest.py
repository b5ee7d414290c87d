"""What all unit tests have in common."""

import pytest

from bootstrap import redact


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test had to hide is no secret in another."""
    monkeypatch.setattr(redact, "_known", set())
