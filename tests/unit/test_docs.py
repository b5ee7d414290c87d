"""The documents and the code say the same: codes, runbooks, settings, names, commands, links."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from bootstrap import cli, errors, journal, metrics, options, settings
from bootstrap import declared as declarations
from tests.support import docs

PAGES = [docs.README, *sorted(docs.RUNBOOKS.glob("*.md"))]
README = docs.README.read_text(encoding="utf-8")
# What ends a command in a line of shell.
_END = re.compile(r"\s(?:\||&&|;|>|2>|#)|;|$")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


# -- runbooks -------------------------------------------------------------------------------------


def test_each_error_has_a_runbook_and_each_runbook_an_error() -> None:
    pages = {path.stem for path in docs.RUNBOOKS.iterdir()}
    # One is for a day that somebody chooses.
    assert pages == {*(error.slug for error in errors.ALL), "move"}


@pytest.mark.parametrize("error", errors.ALL, ids=lambda error: error.slug)
def test_a_runbook_has_its_five_parts_in_order(error: type[errors.BootstrapdError]) -> None:
    parts = docs.sections(_text(docs.RUNBOOKS / f"{error.slug}.md"))
    head = parts.pop("")
    title = f"# {error.slug}: {_sentence(error)} (exit {error.exit_code})\n"
    assert head.startswith(title)
    assert tuple(parts) == docs.SECTIONS
    assert all(part.strip() for part in parts.values())
    assert docs.scripts(parts["Diagnosis"]) != []
    assert docs.scripts(parts["Verify"]) != []


def _sentence(error: type[errors.BootstrapdError]) -> str:
    """The error's docstring as the middle of a sentence; lists of examples are left out."""
    sentence = str(error.__doc__).strip().rstrip(".").partition(":")[0]
    return sentence[0].lower() + sentence[1:]


# -- the tables of the README ---------------------------------------------------------------------


@pytest.mark.parametrize("name", docs.GENERATED)
def test_the_readmes_tables_are_those_of_the_code(name: str) -> None:
    assert docs.tables(README)[name] == docs.GENERATED[name](), (
        "write it anew: python -m tests.support.docs"
    )


def test_help_and_code_have_the_same_exit_codes() -> None:
    told = re.findall(r"^ +(\d+)  .*?(?:\(runbook: (\w+)\))?$", cli.EXIT_CODES, re.MULTILINE)
    assert told == [
        ("0", ""),
        *((str(error.exit_code), error.slug) for error in errors.ALL),
    ]


def test_the_readme_lists_each_command() -> None:
    table = docs.sections(README)["Commands"]
    told = re.findall(r"^\| `bootstrapd (\w+)", table, re.MULTILINE)
    assert len(told) == len(set(told))
    assert set(told) == set(cli.cli.commands)


def test_the_readme_lists_each_metric_with_its_labels() -> None:
    told = {
        name: tuple(filter(None, labels.strip("{}").split(",")))
        for name, labels in re.findall(r"^\| `(bootstrapd_\w+)(\{.*?\})?`", README, re.MULTILINE)
    }
    record = journal.Journal()
    record.set(pending=1, last_success_at=1.0, durations_s={"wait": 1.0})
    record.attempt("dns")
    families = metrics.registry(record).collect()
    assert told == {
        sample.name: tuple(sample.labels) for family in families for sample in family.samples
    }


def test_the_names_in_the_configuration_file_are_those_of_the_variables() -> None:
    # The README says so where it speaks of [settings].
    for spec in options.SPECS.values():
        assert spec.name == spec.env.removeprefix("BOOTSTRAPD_").lower()


# -- examples -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["first", "all"])
def test_the_examples_of_a_declaration_can_be_read(name: str, tmp_path: Path) -> None:
    example = docs.block(README, name).text
    (tmp_path / "bootstrapd.toml").write_text(example)
    (tmp_path / "alembic.ini").touch()
    environ = {"BOOTSTRAPD_CONFIG": str(tmp_path / "bootstrapd.toml")}
    loaded = settings.load(environ=environ)
    declared = tomllib.loads(example)["apps"]["shop"]
    assert loaded.app.name == "shop"
    assert loaded.app.metadata == declared["metadata"]
    if name == "all":
        assert set(declared) == set(declarations.APP_KEYS)
        assert loaded.settings.wait_timeout_s == 120
        assert loaded.app.python == str(tmp_path / ".venv/bin/python")
        shop = settings.load(environ={**environ, "SHOP_DB": "postgresql://shop@db/shop"})
        assert shop.target.identity == "db:5432/shop"


def test_each_example_is_in_the_form_that_it_says() -> None:
    pod = yaml.safe_load(docs.block(README, "kubernetes").text)
    (sidecar,) = pod["spec"]["initContainers"]
    probes = {name: sidecar[f"{name}Probe"] for name in ("startup", "readiness", "liveness")}
    paths = {name: probe["httpGet"]["path"] for name, probe in probes.items()}
    assert paths == {"startup": "/startupz", "readiness": "/readyz", "liveness": "/livez"}
    languages = {block.language for block in docs.blocks(README)}
    assert languages == {"console", "sh", "toml", "python", "ini", "dockerfile", "yaml", "sql"}
    for block in docs.blocks(README):
        if block.language == "python":
            compile(block.text, "README.md", "exec")


# -- commands -------------------------------------------------------------------------------------


def _commands(path: Path) -> Iterator[str]:
    """Every call of bootstrapd that a page shows, as it would be typed."""
    page = _text(path)
    for block in docs.blocks(page):
        if block.language in ("yaml", "dockerfile"):
            for listed in re.findall(r'\["bootstrapd", [^\]]*\]', block.text):
                yield shlex.join(re.findall(r'"([^"]*)"', listed))
        else:
            yield from _calls(block.text)
    for span in docs.spans(page):
        yield from _calls(span)
    # The messages above the first section are shown indented.
    yield from re.findall(r"run: (bootstrapd .*?)(?:$|[;)?])", docs.prose(page), re.MULTILINE)


def _calls(text: str) -> Iterator[str]:
    for found in re.finditer(
        r"(?:^|[\s/=])(bootstrapd (?=[a-z]+\b(?! at\b)).*)$", text, re.MULTILINE
    ):
        yield found[1][: _END.search(found[1]).start()]  # type: ignore[union-attr]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_command_shown_can_be_called(path: Path) -> None:
    commands = list(_commands(path))
    assert commands != []
    assert [problem for command in commands if (problem := _refused(command))] == []


def _refused(command: str) -> str | None:
    """Why click would not take this call; None where it would."""
    # Brackets mark what may be left out; without them it must do as well as with them.
    for form in {re.sub(r" \[.*?\]", "", command), re.sub(r"[\[\]]|\.\.\.", "", command)}:
        _, verb, *arguments = shlex.split(form)
        found = cli.cli.commands.get(verb)
        if found is None:
            return f"{command}: there is no {verb!r}"
        try:
            found.make_context(verb, arguments)
        except click.exceptions.Exit:
            pass
        except click.UsageError as error:
            return f"{command}: {error.message}"
    return None


def test_a_command_that_is_wrong_would_be_found() -> None:
    assert _refused("bootstrapd run -- true") is None
    assert _refused("bootstrapd travel") == "bootstrapd travel: there is no 'travel'"
    assert _refused("bootstrapd wait --revison head") is not None
    assert _refused("bootstrapd rollback") is not None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_variable_named_is_a_setting(path: Path) -> None:
    known = set(options.SPECS)
    named = set(re.findall(r"\bBOOTSTRAPD_\w+\b", _text(path)))
    assert {name.removesuffix("_FILE") for name in named} - known <= {"BOOTSTRAPD_"}


# -- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, docs.ROOT / "CHANGELOG.md"], ids=lambda path: path.stem)
def test_no_relative_link_is_broken(path: Path) -> None:
    targets = re.findall(r"\]\(([^)]+)\)", docs.prose(_text(path)))
    relative = [target for target in targets if "://" not in target]
    assert [
        target for target in relative if not (path.parent / target.partition("#")[0]).exists()
    ] == []
