"""`doctor` on files: what it says, with which exit code, and what it cannot read."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import docs
from tests.support.cli import Result
from tests.support.doctor import FAULTS, GOOD, plant

Run = Callable[..., Result]

README = docs.README.read_text(encoding="utf-8")


def test_a_sound_file_is_exit_0(run: Run, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(GOOD)
    result = run("doctor compose.yaml", cwd=tmp_path).expect(0)
    assert result.stdout == "compose.yaml: 0 errors, 0 warnings, 0 allowed\n"
    assert result.stderr == ""


def test_the_report_names_the_lines_to_change(run: Run, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(plant(GOOD, FAULTS["a password"]))
    result = run("doctor compose.yaml", cwd=tmp_path).expect(5)
    assert result.stdout == (
        "compose.yaml:11: error: password-in-environment (db): POSTGRES_PASSWORD: ***\n"
        "    `docker inspect` and every child process show it, and crash reports carry it away\n"
        "    instead: give it as a file:\n"
        "      line 11:\n"
        "              POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password\n"
        "      after line 13:\n"
        "              - postgres_password\n"
        "      after line 96:\n"
        "          postgres_password:\n"
        "            file: ./secrets/postgres_password\n"
        "compose.yaml: 1 error, 0 warnings, 0 allowed\n"
    )
    assert result.stderr.endswith(
        " error   settings: doctor found 1 error in compose.yaml (runbook: drift)\n"
    )


def test_warnings_alone_are_exit_0(run: Run, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(plant(GOOD, FAULTS["no shm_size"]))
    result = run("doctor compose.yaml", cwd=tmp_path).expect(0)
    assert result.stdout.endswith("compose.yaml: 0 errors, 1 warning, 0 allowed\n")


def test_as_json(run: Run, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(plant(GOOD, FAULTS["an open port"]))
    answer = run("doctor --json compose.yaml", cwd=tmp_path).expect(5).json()
    del answer["status"]
    assert answer == {
        "ok": False,
        "verb": "doctor",
        "exit_code": 5,
        "changed": False,
        "error": {
            "message": "doctor found 1 error in compose.yaml",
            "runbook": "drift",
            "looked_at": ["compose.yaml"],
            "notes": [],
            "findings": [
                {
                    "rule": "published-port",
                    "severity": "error",
                    "place": "compose.yaml",
                    "line": 15,
                    "subject": "db",
                    "found": "ports: 5432:5432",
                    "why": "the port is published on all addresses, and the engine's rules go past "
                    "the host's firewall",
                    "instead": "bind it to 127.0.0.1",
                    "edits": [
                        {
                            "file": "compose.yaml",
                            "first": 15,
                            "last": 15,
                            "lines": ['      - "127.0.0.1:5432:5432"'],
                        }
                    ],
                    "commands": [],
                }
            ],
            "allowed": [],
        },
    }
    (tmp_path / "compose.yaml").write_text(GOOD)
    assert run("doctor --json compose.yaml", cwd=tmp_path).expect(0).json() == {
        "ok": True,
        "verb": "doctor",
        "exit_code": 0,
        "changed": False,
        "looked_at": ["compose.yaml"],
        "notes": [],
        "findings": [],
        "allowed": [],
    }


@pytest.mark.parametrize(
    ("before", "note"),
    [
        ('      - "5432:5432"', "      # bootstrapd: allow published-port, because of a firewall"),
        ("  db:", "  # bootstrapd: allow published-port, because of a firewall"),
        ("services:", "# bootstrapd: allow published-port, because of a firewall"),
        ("name: shop", "# bootstrapd: allow published-port, because of a firewall"),
    ],
)
def test_a_consent_holds_for_what_it_stands_above(
    before: str, note: str, run: Run, tmp_path: Path
) -> None:
    text = plant(GOOD, FAULTS["an open port"]).replace(f"{before}\n", f"{note}\n{before}\n", 1)
    (tmp_path / "compose.yaml").write_text(text)
    result = run("doctor compose.yaml", cwd=tmp_path).expect(0)
    assert result.stdout == (
        "compose.yaml:16: allowed: published-port (db): ports: 5432:5432\n"
        "    because of a firewall\n"
        "compose.yaml: 0 errors, 0 warnings, 1 allowed\n"
    )


@pytest.mark.parametrize(
    ("note", "why"),
    [
        ("allow published-port", "it gives no reason, so nothing is allowed by it"),
        ("allow ports, because I may", "ports is no rule of doctor"),
        ("let it be", "it cannot be read, so nothing is allowed by it"),
        ("allow trust, because I may", "nothing is found by trust where it holds"),
    ],
)
def test_a_consent_that_allows_nothing_is_told(
    note: str, why: str, run: Run, tmp_path: Path
) -> None:
    text = plant(GOOD, FAULTS["an open port"]).replace(
        "  db:\n", f"  # bootstrapd: {note}\n  db:\n", 1
    )
    (tmp_path / "compose.yaml").write_text(text)
    found = run("doctor --json compose.yaml", cwd=tmp_path).expect(5).json()["error"]["findings"]
    assert [(each["rule"], each["why"]) for each in found if each["rule"] == "consent"] == [
        ("consent", why)
    ]
    assert [each["rule"] for each in found if each["severity"] == "error"] == ["published-port"]


def test_a_consent_elsewhere_does_not_hold(run: Run, tmp_path: Path) -> None:
    note = "# bootstrapd: allow published-port, because of a firewall"
    text = plant(GOOD, FAULTS["an open port"]).replace("  cache:\n", f"  {note}\n  cache:\n", 1)
    (tmp_path / "compose.yaml").write_text(text)
    found = run("doctor --json compose.yaml", cwd=tmp_path).expect(5).json()["error"]["findings"]
    assert [each["rule"] for each in found] == ["published-port", "consent"]


def test_the_session_of_the_readme(run: Run, tmp_path: Path) -> None:
    lines = docs.block(README, "doctor").text.splitlines()
    (tmp_path / "compose.yaml").write_text(
        "services:\n  db:\n    ports:\n      - 5432:5432\n    image: postgres:18.6-trixie\n"
        "    volumes: [db:/var/lib/postgresql]\n    shm_size: 256mb\n    stop_grace_period: 60s\n"
        "    healthcheck:\n      test: pg_isready -U shop\nvolumes: {db: }\n"
    )
    result = run("doctor compose.yaml", cwd=tmp_path).expect(5)
    log = re.sub(r"^\S+ ", "", result.stderr)
    assert result.stdout.splitlines() == lines[1:-3]
    assert log == lines[-3].partition(" ")[2] + "\n"
    assert lines[-2:] == ["$ echo $?", "5"]


# -- what cannot be read --------------------------------------------------------------------------


def problems(result: Result) -> list[str]:
    assert "Traceback" not in result.stderr
    message = result.expect(2).json()["error"]["message"]
    head, *lines = message.splitlines()
    assert head == f"doctor: {len(lines)} problem{'s' * (len(lines) != 1)}"
    return [line.removeprefix("  ") for line in lines]


UNREADABLE = {
    "": "compose.yaml: is empty",
    "services: [": "compose.yaml:1: expected the node content, but found '<stream end>'",
    "- a\n- b\n": "compose.yaml: is no compose file, it is no mapping",
    "volumes: {db: }\n": "compose.yaml: is no compose file, it has no services",
    "services: shop\n": "compose.yaml:1: services: wanted a mapping, found a text",
    "services:\n  db: postgres\n": "compose.yaml:2: services.db: wanted a mapping, found a text",
    "services:\n  db:\n": "compose.yaml:2: services.db: wanted a mapping, found nothing",
    "services:\n  db:\n    image: a\n    image: b\n": (
        "compose.yaml:4: the key 'image' is there twice"
    ),
    "services:\n  db:\n    image: a\n    ports: 5432\n": (
        "compose.yaml:4: services.db.ports: wanted a list, found a text"
    ),
    "services:\n  db:\n    image: ${TAG\n": "compose.yaml:3: a brace is not closed in '${TAG'",
    "services:\n  db:\n    image: $-x\n": (
        "compose.yaml:3: a $ in '$-x' names no variable; write $$ for a dollar"
    ),
    "services:\n  db: &a\n    image: x\n    labels: *b\n": (
        "compose.yaml:4: found undefined alias 'b'"
    ),
    "services:\n  db: &a\n    image: x\n    labels: [*a]\n": (
        "compose.yaml:2: an alias stands within what it stands for"
    ),
    "services:\n  db:\n    extends: other\n": (
        "compose.yaml:3: extends 'other', which compose.yaml has not"
    ),
    "services:\n  db:\n    extends: {service: db, file: gone.yaml}\n": (
        "gone.yaml: cannot be read: No such file or directory"
    ),
    "services:\n  a: {extends: b}\n  b: {extends: a}\n": "compose.yaml:3: 'a' extends itself",
    "include: [gone.yaml]\nservices: {db: {image: x}}\n": (
        "gone.yaml: cannot be read: No such file or directory"
    ),
    "services:\n  \t- x\n": ("compose.yaml:2: found character '\\t' that cannot start any token"),
    "services:\n  db: {<<: 5}\n": "compose.yaml:2: << wants a mapping",
    "services: " + "[" * 3000: "compose.yaml: it is nested too deeply",
}


@pytest.mark.parametrize("text", UNREADABLE, ids=range(len(UNREADABLE)))
def test_what_compose_would_not_read_either(text: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(text)
    found = problems(run("doctor --json compose.yaml", cwd=tmp_path))
    assert UNREADABLE[text] in found


def test_files_that_are_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "image.yaml").write_bytes(b"\x89PNG\r\n\xff")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "notes.service").write_text("hello\n")
    (tmp_path / "mount.service").write_text("[Unit]\nDescription=x\n")
    names = "image.yaml folder.yaml gone.yaml notes.service mount.service"
    assert problems(run(f"doctor --json {names}", cwd=tmp_path)) == [
        "notes.service:1: wanted KEY=VALUE in a section, found 'hello'",
        "mount.service: is no unit of a service, it has no [Service]",
        "image.yaml: is no UTF-8 text",
        "folder.yaml: cannot be read: Is a directory",
        "gone.yaml: cannot be read: No such file or directory",
    ]


def test_a_folder_without_a_file(run: Run, tmp_path: Path) -> None:
    result = run("doctor", cwd=tmp_path).expect(2)
    assert result.stderr.endswith(
        "error   settings: doctor: no compose file is here (looked for compose.yaml, compose.yml, "
        "docker-compose.yml, docker-compose.yaml); name one (runbook: settings)\n"
    )


def test_a_broken_dotenv(run: Run, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(GOOD)
    (tmp_path / ".env").write_text("A=1\nno equals\n")
    assert problems(run("doctor --json", cwd=tmp_path)) == [".env: line 2: wanted NAME=VALUE"]


# -- which files ----------------------------------------------------------------------------------

NO_ENGINE = {"DOCKER_HOST": "tcp://127.0.0.1:1"}


def looked_at(run: Run, folder: Path, args: str = "", **env: str) -> list[str]:
    found: list[str] = run(f"doctor --json {args}", cwd=folder, env={**NO_ENGINE, **env}).json()[
        "looked_at"
    ]
    return found


def test_without_files_they_are_those_that_compose_takes(run: Run, tmp_path: Path) -> None:
    for name in ("docker-compose.yml", "docker-compose.override.yml", "other.yml"):
        (tmp_path / name).write_text(GOOD)
    assert looked_at(run, tmp_path) == ["docker-compose.yml", "docker-compose.override.yml"]
    (tmp_path / "compose.yaml").write_text(GOOD)
    assert looked_at(run, tmp_path) == ["compose.yaml"]
    assert looked_at(run, tmp_path, COMPOSE_FILE="compose.yaml:other.yml") == [
        "compose.yaml",
        "other.yml",
    ]
    (tmp_path / ".env").write_text("COMPOSE_FILE=other.yml\n")
    assert looked_at(run, tmp_path) == ["other.yml"]


def test_without_an_engine_files_are_looked_at_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(GOOD)
    result = run("doctor", cwd=tmp_path, env=NO_ENGINE).expect(0)
    note, end = result.stdout.splitlines()
    assert note.startswith("no container engine answers, so only files were looked at: ")
    assert end == "compose.yaml: 0 errors, 0 warnings, 0 allowed"
    assert result.stderr == ""
