"""JSON."""

from collections.abc import Sequence
from typing import Any

from bootstrap.move.forms import jsonshapes, jsontext, texts
from bootstrap.move.forms.form import BadValueError, Kinds


class Json:
    """json keeps its text, jsonb does not."""

    def __init__(self, *, binary: bool) -> None:
        self._binary = binary
        self._shapes = jsonshapes.Shapes()

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {str}:
            return None
        found = self._shapes.many(values) if self._binary else jsontext.checked(values)
        if found is None:
            return None
        joined = "\0".join(found)
        return texts.escaped_all(found, joined) if texts.encodable(joined) else None

    def one(self, value: Any) -> str:
        if isinstance(value, bytes):
            return self.one(texts.text_of(value))
        # A JSON column of SQLite turns a text that is a number into one.
        text = value if isinstance(value, str) else texts.number_text(value)
        if not texts.encodable(text):
            clean = text.encode("utf-8", "ignore").decode()
            raise BadValueError("utf8", "JSON in UTF-8", {"strip": clean})
        if "\0" in text:
            raise BadValueError("nul", "JSON without NUL", {"strip": text.replace("\0", "")})
        try:
            normal = jsontext.one(text)
        except jsontext.NulError:
            if self._binary:
                raise BadValueError(
                    "nul", "JSON without \\u0000", {"strip": jsontext.without_nul(text)}
                ) from None
            return texts.escaped(text)
        except ValueError as error:
            raise BadValueError("json", f"JSON ({error})") from None
        return texts.escaped(normal if self._binary else text)
