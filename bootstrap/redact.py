"""The last door: no secret leaves through a log line, an error or a report."""

import json
import re
from typing import Any
from urllib.parse import quote, unquote

MASK = "***"

# Compiled when a text first needs them, which in most runs is never.
# user:password@ in any URL. The password runs to the last "@" before white space or a quote, since
# people paste passwords that hold "@" and "/" as they are.
_IN_URL = r"(?i)(?P<before>\b[a-z][a-z0-9+.-]*://[^\s:@/'\"]*:)[^\s'\"]*(?=@)"
# The same in a text that is known to be one URL: here white space and quotes are of the password.
_OF_URL = r"(?is)(?P<before>[a-z][a-z0-9+.-]*://[^:@/]*:).*(?=@)"
_AFTER_NAME = (
    # password=... as an option of a URL.
    r"(?i)(?P<before>[?&]\w*(?:password|passwd)=)[^\s&]*",
    # password=... in libpq's key=value form, in environments and in reprs; quoted, or up to the
    # next white space, which a backslash makes part of it.
    r"(?is)(?P<before>(?<![?&])\b\w*(?:password|passwd)\\?['\"]?\s*[=:]\s*)"
    r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|(?:\\.|[^\s\\])+)",
    # CREATE ROLE app PASSWORD '...'
    r"(?i)(?P<before>\bpassword\s+)'(?:[^']|'')*'",
)
_NAMES = ("password", "passwd")

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
    if "://" in value:
        value = re.sub(_IN_URL, rf"\g<before>{MASK}", value)
    lowered = value.lower()
    if any(name in lowered for name in _NAMES):
        for pattern in _AFTER_NAME:
            value = re.sub(pattern, rf"\g<before>{MASK}", value)
    return value


def url(value: str) -> str:
    """A URL without its password, however that is written."""
    return text(re.sub(_OF_URL, rf"\g<before>{MASK}", value))


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
    if isinstance(value, str) and value and key.lower().endswith(_NAMES):
        return MASK
    return document(value)
