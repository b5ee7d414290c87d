"""What is made from the argument specs of the roles: their defaults, and tables of their pages.

`python -m tests.support.roles` writes both.
"""

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support import docs

ROLES = docs.ROOT / "roles"
ROOMS = ("main", "precheck", "config", "deploy", "check", "stop")
_TABLE = re.compile(r"(?<=<!-- table: variables -->\n).*?(?=<!-- end -->)", re.DOTALL)

_STYLE: Mapping[str, Any] = {"width": 1000, "sort_keys": False}

Options = Mapping[str, Mapping[str, Any]]


class _Indented(yaml.SafeDumper):
    """Lists are indented below their names, and texts that need quotes have double ones."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def write_single_quoted(self, text: str, split: bool = True) -> None:
        self.write_double_quoted(text, split)


def names() -> list[str]:
    """The roles that there are."""
    return sorted(path.name for path in ROLES.iterdir() if (path / "meta").is_dir())


def options(role: str) -> Options:
    """The public variables of a role by name, as its argument spec has them."""
    text = (ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    found: Options = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return found


def defaults(role: str) -> str:
    """The text of `defaults/main.yml`: each variable that has a default, below what it means."""
    parts = ["---\n# Made from meta/argument_specs.yml: python -m tests.support.roles\n"]
    for name, option in options(role).items():
        comment = textwrap.fill(
            _sentence(option),
            width=100,
            initial_indent="# ",
            subsequent_indent="# ",
            break_on_hyphens=False,
        )
        if "default" in option:
            value = yaml.dump({name: option["default"]}, Dumper=_Indented, **_STYLE)
            parts.append(f"{comment}\n{value}")
        else:
            parts.append(f"{comment}\n# {name}: must be set\n")
    return "\n".join(parts)


def table(role: str) -> str:
    """The table of a role's variables for its README."""
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, option in options(role).items():
        lines.append(f"| `{name}` | {_shown(option)} | {_sentence(option)} |")
    return "".join(f"{line}\n" for line in lines)


def readme(role: str) -> Path:
    """The page of a role."""
    return ROLES / role / "README.md"


def tables(role: str) -> list[str]:
    """The tables of variables that a role's page has."""
    return _TABLE.findall(readme(role).read_text(encoding="utf-8"))


def _sentence(option: Mapping[str, Any]) -> str:
    choices = option.get("choices")
    said = " ".join(str(option["description"]).split())
    if not choices:
        return said
    return f"{said} One of: {', '.join(str(each) or 'empty' for each in choices)}."


def _shown(option: Mapping[str, Any]) -> str:
    if "default" not in option:
        return "(must be set)"
    default = option["default"]
    if default == "":
        return ""
    text = yaml.safe_dump(default, default_flow_style=True, width=1000).strip()
    return f"`{default if isinstance(default, str) else text.removesuffix('...').strip()}`".replace(
        "|", "\\|"
    )


def main() -> None:
    """Write the defaults of each role, and the table of its README."""
    for role in names():
        (ROLES / role / "defaults" / "main.yml").write_text(defaults(role), encoding="utf-8")
        page = readme(role).read_text(encoding="utf-8")
        parts = _TABLE.split(page)
        readme(role).write_text(table(role).join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
