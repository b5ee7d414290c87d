"""The last door: no secret leaves through a log line, an error or a report."""

import json
import re
from typing import Any
from urllib.parse import quote, unquote

MASK = "***"

# user:password@ in any URL. The password runs to the last "@" before white space or a quote, since
# people paste passwords that hold "@" and "/" as they are.
_IN_URL = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s:@/'\"]*:)[^\s'\"]*(?=@)", re.IGNORECASE
)
# The same in a text that is known to be one URL: here white space and quotes are of the password.
_OF_URL = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^:@/]*:).*(?=@)", re.IGNORECASE | re.DOTALL)
# password=... as an option of a URL.
_IN_QUERY = re.compile(r"(?P<before>[?&]\w*(?:password|passwd)=)[^\s&]*", re.IGNORECASE)
# password=... in libpq's key=value form, in environments and in reprs; quoted, or up to the next
# white space, which a backslash makes part of it.
_AS_KEY = re.compile(
    r"(?P<before>(?<![?&])\b\w*(?:password|passwd)\\?['\"]?\s*[=:]\s*)"
    r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|(?:\\.|[^\s\\])+)",
    re.IGNORECASE | re.DOTALL,
)
# CREATE ROLE app PASSWORD '...'
_IN_SQL = re.compile(r"(?P<before>\bpassword\s+)'(?:[^']|'')*'", re.IGNORECASE)
_SECRET_KEY = re.compile(r"\w*(?:password|passwd)", re.IGNORECASE)

_known: set[str] = set()


def remember(secret: str | None, *, public: tuple[str, ...] = ()) -> None:
    """Hide this value, and its form in URLs, wherever it turns up from now on.

    Not remembered is a value under six characters and one that is part of a `public` name, as where
    the password of user `godel` is `godel`: masking it would garble every other word.
    """
    if not secret:
        return
    escaped = (repr(secret)[1:-1], json.dumps(secret)[1:-1])
    for form in (secret, unquote(secret), quote(secret, safe=""), *escaped):
        if len(form) >= 6 and not any(form in name for name in public):
            _known.add(form)


def text(value: str) -> str:
    """`value` with every secret replaced by `***`."""
    for secret in sorted(_known, key=len, reverse=True):
        value = value.replace(secret, MASK)
    for pattern in (_IN_URL, _IN_QUERY, _AS_KEY, _IN_SQL):
        value = pattern.sub(rf"\g<before>{MASK}", value)
    return value


def url(value: str) -> str:
    """A URL without its password, however that is written."""
    return text(_OF_URL.sub(rf"\g<before>{MASK}", value))


def document(value: Any) -> Any:
    """A JSON document with the secrets in its texts replaced; what JSON does not know is a text."""
    if isinstance(value, dict):
        return {str(key): _entry(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [document(each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return text(str(value))


def _entry(key: str, value: Any) -> Any:
    if isinstance(value, str) and value and _SECRET_KEY.fullmatch(key):
        return MASK
    return document(value)
