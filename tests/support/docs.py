"""What the README and the runbooks hold: their parts, and the tables that are made from the code.

`python -m tests.support.docs` writes these tables into the README, and env.example's settings.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from bootstrap import app, catalog, errors, findings, options
from bootstrap.lint import rules
from bootstrap.move import problems

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
RUNBOOKS = ROOT / "playbooks" / "runbooks"
COMPOSE = ROOT / "compose" / "compose.yml"
ENV_EXAMPLE = ROOT / "compose" / "env.example"
ENV_SETTINGS = "# -- settings of bootstrapd, which reach its containers by their own names\n\n"
SECTIONS = ("Meaning", "Impact", "Diagnosis", "Mitigation", "Verify")

_FENCE = re.compile(
    r"^(?:<!-- [a-z]+: (?P<name>[^\n]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_TABLE = re.compile(
    r"(?P<begin><!-- table: (?P<name>.+?) -->\n)(?P<table>.*?)(?P<end><!-- end -->)", re.DOTALL
)
_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block; a comment above it may give it a name: `<!-- session: sqlite -->`."""

    language: str
    text: str
    name: str | None


def blocks(markdown: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(found["language"], found["text"], found["name"])
        for found in _FENCE.finditer(markdown)
    ]


def block(markdown: str, name: str) -> Block:
    """The one block of this name."""
    (found,) = (each for each in blocks(markdown) if each.name == name)
    return found


def prose(markdown: str) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", markdown)


def spans(markdown: str) -> list[str]:
    """The pieces of code within the prose."""
    return _SPAN.findall(prose(markdown))


def sections(markdown: str) -> dict[str, str]:
    """The parts under `## ` headings, in order; what stands above the first is under ""."""
    parts = re.split(r"^## (.+)$", markdown, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def scripts(section: str) -> list[str]:
    """The shell blocks of a section, each to be pasted as a whole."""
    return [each.text for each in blocks(section) if each.language == "sh"]


def tables(markdown: str) -> dict[str, str]:
    """The tables that are made from the code, by name, as the page has them."""
    return {found["name"]: found["table"] for found in _TABLE.finditer(markdown)}


def settings_table() -> str:
    """Every setting: its variable, flag, default and meaning."""
    return _table(
        ("variable", "flag", "default", "meaning"),
        (
            (
                f"`{spec.env}`",
                f"`{spec.flag}`" if spec.flag else "",
                _default(spec.default),
                spec.what,
            )
            for spec in options.SPECS.values()
        ),
    )


def findings_table() -> str:
    """The classes of findings, by what they do to a start."""
    by: dict[tuple[str, str], list[str]] = {}
    for kind in catalog.KINDS:
        severities = (
            findings.by_mode("auto", "snapshot", kind),
            findings.by_mode("auto", "models", kind),
        )
        by.setdefault(severities, []).append(f"`{kind}`")
    return _table(
        ("with a snapshot", "with the models alone", "classes"),
        ((*severities, ", ".join(kinds)) for severities, kinds in by.items()),
    )


def problems_table() -> str:
    """The classes of what cannot be moved as it is, and what may be done about each."""
    return _table(
        ("class", "what it is", "instead of stopping"),
        (
            (
                f"`{kind}`",
                problems.WHAT[kind],
                ", ".join(f"`{action}`" for action in problems.ALLOWED[kind][1:]),
            )
            for kind in problems.CLASSES
        ),
    )


def apps_table() -> str:
    """The shipped apps and what they take where nothing is configured."""
    return _table(
        ("app", "what it keeps", "SQLite file", "PostgreSQL"),
        (
            (
                name,
                declared.title,
                f"`{declared.sqlite_path}`",
                " ".join(f"`{part}={value}`" for part, value in declared.postgres.items() if value),
            )
            for name in app.SHIPPED
            for declared in (app.shipped(name),)
        ),
    )


def aliases_table() -> str:
    """Every shipped app's own names for settings."""
    return _table(
        ("app", "setting", "the app's own names"),
        (
            (name, f"`{setting}`", ", ".join(f"`{alias}`" for alias in aliases))
            for name in app.SHIPPED
            for setting, aliases in app.shipped(name).aliases.items()
        ),
    )


def own_settings_table() -> str:
    """Every setting that only an app's own library reads."""
    from bootstrap.apps.agentpane import storage as agentpane
    from bootstrap.apps.business_os import database as business_os
    from bootstrap.apps.dash import storage as dash
    from bootstrap.apps.tarsy import history as tarsy

    declared: Mapping[str, Any] = {
        "agentpane": agentpane.Own,
        "tarsy": tarsy.Settings,
        "business_os": business_os.Settings,
        "dash": dash.PoolSettings,
    }
    return _table(
        ("app", "variable", "default", "meaning"),
        (
            (name, f"`{spec.metadata['env']}`", _default(spec.default), spec.metadata["what"])
            for name, own in declared.items()
            for spec in fields(own)
        ),
    )


def lint_table() -> str:
    """Every rule of lint: where it holds, and what it finds done to others."""
    return _table(
        ("rule", "", "on SQLite", "what happens"),
        (
            (f"`{rule.name}`", rule.severity, "too" if rule.everywhere else "", rule.effect)
            for rule in rules.ALL
        ),
    )


def doctor_table() -> str:
    """Every rule of doctor: where it is looked for, and why what it finds is a fault."""
    from bootstrap.doctor import rules as doctors

    return _table(
        ("rule", "", "looked for in", "why"),
        (
            (f"`{rule.name}`", rule.severity, ", ".join(rule.where), rule.why)
            for rule in doctors.ALL
        ),
    )


def exit_codes_table() -> str:
    """Every exit code: its meaning and its runbook."""
    failures = (
        (str(error.exit_code), str(error.__doc__).strip().rstrip("."), _link(error.slug))
        for error in errors.ALL
    )
    return _table(("exit", "meaning", "runbook"), (("0", "Done, or nothing to do", ""), *failures))


GENERATED: Mapping[str, Callable[[], str]] = {
    "exit codes": exit_codes_table,
    "settings": settings_table,
    "findings": findings_table,
    "problems": problems_table,
    "lint": lint_table,
    "doctor": doctor_table,
    "apps": apps_table,
    "aliases": aliases_table,
    "own settings": own_settings_table,
}


def env_example() -> str:
    """The part of `compose/env.example` that lists the settings which compose passes on."""
    passed = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["x-settings"]
    return "".join(
        f"# {spec.what}\n#{spec.env}={_default(spec.default).strip('`')}\n"
        for spec in options.SPECS.values()
        if spec.env in passed and passed[spec.env] is None
    )


def _link(slug: str) -> str:
    return f"[{slug}](playbooks/runbooks/{slug}.md)"


def _default(value: object) -> str:
    if value in (None, ""):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def main() -> None:
    """Write the generated tables into the README, and the settings into env.example."""
    page = README.read_text(encoding="utf-8")

    def made(found: re.Match[str]) -> str:
        return found["begin"] + GENERATED[found["name"]]() + found["end"]

    README.write_text(_TABLE.sub(made, page), encoding="utf-8")
    by_hand = ENV_EXAMPLE.read_text(encoding="utf-8").partition(ENV_SETTINGS)[0]
    ENV_EXAMPLE.write_text(by_hand + ENV_SETTINGS + env_example(), encoding="utf-8")


if __name__ == "__main__":
    main()
