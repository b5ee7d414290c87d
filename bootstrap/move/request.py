"""What a move is asked to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from bootstrap import settings
from bootstrap import target as targets
from bootstrap.errors import SettingsError
from bootstrap.move import problems

TimeForm = Literal["epoch_s", "epoch_ms", "epoch_us"]
TIME_FORMS: tuple[TimeForm, ...] = get_args(TimeForm)


@dataclass(frozen=True)
class Request:
    """What is asked for on the command line.

    `times` gives the form of numbers in a column, "table.column", that is a time in the target.
    """

    source: targets.Target
    policy: Mapping[problems.Class, problems.Action]
    times: Mapping[str, TimeForm]
    dry_run: bool = False
    resume: bool = False
    fence: bool = False
    report: Path | None = None
    rejects: Path | None = None

    @property
    def path(self) -> Path:
        """The file that is moved."""
        assert self.source.path is not None
        return self.source.path


def read(
    loaded: settings.Loaded,
    *,
    source: str | None,
    policies: Sequence[str] = (),
    times: Sequence[str] = (),
    dry_run: bool = False,
    resume: bool = False,
    fence: bool = False,
    report: Path | None = None,
    rejects: Path | None = None,
) -> Request:
    """The request that these options make; SettingsError where they make none."""
    if not loaded.target.is_postgres:
        raise SettingsError(
            f"rows are moved to PostgreSQL, and the settings lead to SQLite at "
            f"{loaded.target.identity}; name the target: --to postgresql://USER@HOST/NAME"
        )
    origin = file(loaded, source)
    _check_outputs(origin, {"--report": report, "--rejects": rejects})
    return Request(
        source=origin,
        policy=problems.policies(policies),
        times=_times(times),
        dry_run=dry_run,
        resume=resume,
        fence=fence,
        report=report,
        rejects=rejects,
    )


def file(loaded: settings.Loaded, url: str | None) -> targets.Target:
    """The SQLite file that `url` names, or the app's own; SettingsError where there is none."""
    try:
        found = targets.parse(url) if url else targets.sqlite(_default(loaded))
    except targets.InvalidURLError as error:
        raise SettingsError(f"--from: {error}") from error
    if found.path is None:
        raise SettingsError(
            f"--from: wanted the URL of a SQLite file (sqlite:///FILE), found {found.identity}"
        )
    if not found.path.is_file():
        raise SettingsError(
            f"there is no file {found.path} to move; name the one that holds the rows: "
            "--from sqlite:///FILE"
        )
    return found


def unwritable(option: str, path: Path, error: OSError) -> SettingsError:
    """What to say of an output that cannot be written."""
    return SettingsError(f"{option} {path}: it cannot be written: {error.strerror}")


def _check_outputs(origin: targets.Target, outputs: Mapping[str, Path | None]) -> None:
    """What a move writes is not the file that it reads, and it can be written, said at once."""
    assert origin.path is not None
    for option, path in outputs.items():
        if path is None:
            continue
        if path.resolve() == origin.path.resolve():
            raise SettingsError(f"{option} {path}: this is the file that is moved; name another")
        is_new = not path.exists()
        try:
            path.open("a").close()
        except OSError as error:
            raise unwritable(option, path, error) from error
        if is_new:
            path.unlink()


def _default(loaded: settings.Loaded) -> str:
    return loaded.settings.sqlite_path or loaded.app.sqlite_path


def _times(texts: Sequence[str]) -> dict[str, TimeForm]:
    chosen: dict[str, TimeForm] = {}
    for text in texts:
        column, _, form = text.rpartition("=")
        known = next((each for each in TIME_FORMS if each == form), None)
        if known is None or "." not in column:
            raise SettingsError(
                f"--time {text}: wanted TABLE.COLUMN=FORM with one of {', '.join(TIME_FORMS)}"
            )
        chosen[column] = known
    return chosen
