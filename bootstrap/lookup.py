"""Names looked up in flags, environment and files, with every problem collected on the way."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bootstrap import app as apps
from bootstrap import options
from bootstrap.errors import SettingsError


class Lookup:
    """Finds the text of a setting and where it came from.

    `sources` holds what was found so far, `config_values` what files say, `app` whose names count.
    """

    def __init__(
        self, flags: Mapping[str, str], environ: Mapping[str, str], *, memory: bool = False
    ) -> None:
        self.flags = flags
        self.environ = environ
        self.memory = memory
        self.problems: list[str] = []
        self.sources: dict[str, str] = {}
        self.config_values: dict[str, tuple[str, str]] = {}
        self.aliases: Mapping[str, tuple[str, ...]] = {}
        self.app: apps.App | None = None
        # Declared, but so that it cannot be read; that has been said.
        self.broken: set[str] = set()

    def finish(self) -> None:
        """Raise all problems as one error."""
        # Some names are read twice, first to find the file and the app, then with all others.
        problems = list(dict.fromkeys(self.problems))
        if problems:
            noun = "problem" if len(problems) == 1 else "problems"
            lines = "".join(f"\n  {problem}" for problem in problems)
            raise SettingsError(f"settings: {len(problems)} {noun}{lines}", problems=problems)

    def environment(self, name: str) -> tuple[str, str] | None:
        """The value of NAME or of the file that NAME_FILE names; an empty one counts as unset."""
        plain = self.environ.get(name) or None
        path = self.environ.get(f"{name}_FILE") or None
        if plain is not None and path is not None:
            self.problems.append(f"{name} and {name}_FILE are both set; set one")
            return None
        if path is None:
            return None if plain is None else (plain, name)
        try:
            content = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self.problems.append(f"{name}_FILE: cannot read {path!r}: {reason}")
            return None
        if not content:
            self.problems.append(f"{name}_FILE: {path!r} is empty")
            return None
        return content, f"{name}_FILE"

    def find(self, name: str) -> tuple[str, str] | None:
        """The value of a setting and its source, by precedence; two names must agree."""
        spec = options.SPECS[name]
        flag = self.flags.get(name)
        if flag:
            return flag, spec.flag or "command line"
        found = [
            pair
            for alias in (name, *self.aliases.get(name, ()))
            if (pair := self._named(alias)) is not None
        ]
        for value, source in found[1:]:
            if not options.same(spec.read, value, found[0][0]):
                shown = "" if spec.secret else f": {found[0][0]!r} and {value!r}"
                self.problems.append(f"{found[0][1]} and {source} disagree{shown}; set one")
        if found:
            return found[0]
        return self.config_values.get(name)

    def _named(self, alias: str) -> tuple[str, str] | None:
        """The value under one name; `FOLDER/file` is a file in the folder that FOLDER names."""
        name, _, file = alias.partition("/")
        found = self.environment(name)
        if found is None:
            return None
        value, source = found
        accepted = self.app.accepts.get(name) if self.app else None
        if accepted and value not in accepted:
            self.problems.append(f"{source}: wanted {' or '.join(accepted)}, found {value!r}")
            return None
        return os.path.join(value, file) if file else value, source  # noqa: PTH118 - "./" stays

    def own(self, name: str, read: Callable[[str], Any]) -> Any:
        """The value of a setting that only an app knows; None where it is not set or wrong."""
        found = self.environment(name)
        if found is None:
            return None
        try:
            return read(found[0])
        except ValueError:
            self.problems.append(f"{found[1]}: wanted {read.__doc__}, found {found[0]!r}")
            return None
