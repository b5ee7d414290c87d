"""How a verb is declared: the options that all verbs have, those of its settings, and its end."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import click

from bootstrap.call import Call, perform
from bootstrap.options import SPECS


def _metavar(flag: str) -> str:
    words = {
        "--timeout": "S",
        "--config": "FILE",
        "--python": "FILE",
        "--state-dir": "DIR",
        "--backup": "DIR",
        "--max-lock": "MODE",
        "--max-seconds": "S",
        "--app": "NAME",
    }
    if flag == "--log-format":
        return "text|json"
    return words.get(flag, "URL" if flag.endswith("-url") else "VALUE")


class Verb(click.Command):
    """A command whose common options are made when it is called: of all verbs, one is."""

    def __init__(self, *arguments: Any, common: Sequence[str] = (), **words: Any) -> None:
        super().__init__(*arguments, **words)
        self._common = common
        self._made: list[click.Parameter] | None = None

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """All options and arguments: those that every verb has, then its own, then --help."""
        if self._made is None:
            self._made = [*_common_options(self._common), *super().get_params(ctx)]
        return self._made


def _common_options(names: Sequence[str]) -> list[click.Option]:
    def switch(*declarations: str, text: str) -> click.Option:
        return click.Option(declarations, is_flag=True, help=text)

    return [
        switch("-q", "--quiet", text="say only warnings and errors"),
        switch("-v", "--verbose", text="say more; a traceback on errors"),
        switch("--json", "as_json", text="one JSON document on stdout"),
        *map(_setting_option, names),
    ]


def _setting_option(name: str) -> click.Option:
    spec = SPECS[name]
    return click.Option(
        [spec.flag, name],
        is_flag=spec.is_switch,
        flag_value="true" if spec.is_switch else None,
        default=None,
        metavar=None if spec.is_switch else _metavar(spec.flag),
        help=f"{spec.what} [env: {name}]",
    )


def verb(work: Callable[..., Any]) -> Callable[..., Any]:
    """Turn `work(call, **arguments)` into a callback that reports and exits as all verbs do."""

    @functools.wraps(work)
    def callback(as_json: bool, verbose: bool, quiet: bool, **values: Any) -> None:
        flags = {name: values.pop(name) for name in list(values) if name in SPECS}
        call = Call(
            work.__name__.rstrip("_"),
            {name: value for name, value in flags.items() if value is not None},
            as_json=as_json,
            level="debug" if verbose else "warning" if quiet else "info",
        )
        perform(call, lambda: work(call, **values))

    return callback
