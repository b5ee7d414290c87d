"""The last door: no secret leaves through a log line, an error or a report."""

import re
from urllib.parse import quote, unquote

MASK = "***"

# user:password@ in any URL. The password runs to the last "@" before white space or a quote, since
# people paste passwords that hold "@" and "/" as they are.
_IN_URL = re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s:@/'\"]*:)[^\s'\"]*(?=@)", re.IGNORECASE)
# password=... in libpq's key=value form and in URL queries, quoted or not.
_AS_KEY = re.compile(
    r"(?P<before>\b(?:password|passwd|sslpassword|pgpassword)\s*[=:]\s*)"
    r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s&'\",;]+)",
    re.IGNORECASE,
)

_known: set[str] = set()


def remember(secret: str | None, *, public: tuple[str, ...] = ()) -> None:
    """Hide this value, and its form in URLs, wherever it turns up from now on.

    Not remembered is a value under six characters and one that is part of a `public` name, as where
    the password of user `godel` is `godel`: masking it would garble every other word.
    """
    if secret and len(secret) >= 6 and not any(secret in name for name in public):
        _known.update({secret, unquote(secret), quote(secret, safe=""), repr(secret)[1:-1]})


def text(value: str) -> str:
    """`value` with every secret replaced by `***`."""
    for secret in sorted(_known, key=len, reverse=True):
        value = value.replace(secret, MASK)
    value = _IN_URL.sub(rf"\g<before>{MASK}", value)
    return _AS_KEY.sub(rf"\g<before>{MASK}", value)
