"""The hand over: this process becomes the app, which so gets its signals at first hand."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from bootstrap.errors import SettingsError


def check(command: Sequence[str]) -> None:
    """Find out before the bring-up whether the command can be started at all."""
    name = command[0]
    folders = ["."] if "/" in name else os.get_exec_path()
    if not any(os.access(Path(folder, name), os.X_OK) for folder in folders):
        raise SettingsError(
            f"cannot start the app: there is no executable {name!r}; check the words after --"
        )


def become(command: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Replace this process by `command`. Does not return."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(command[0], list(command), dict(environ))  # noqa: S606 - becoming it is the point
    except OSError as error:
        raise SettingsError(f"cannot start the app {command[0]!r}: {error.strerror}") from error
