"""What one service of a compose project is: image, ports, mounts, health, variables, words."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal

from bootstrap.doctor.nodes import Node

Kind = Literal["postgres", "redis", "pooler", "other"]

_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("postgres", "postgis", "pgvector", "timescaledb", "postgresql"), "postgres"),
    **dict.fromkeys(("redis", "valkey", "redis-stack", "redis-stack-server", "keydb"), "redis"),
    **dict.fromkeys(("pgbouncer", "pgcat", "odyssey", "pgpool", "supavisor"), "pooler"),
}
# What an image without a version is at least.
_NEWEST = re.compile(r"|latest|alpine.*|trixie|bookworm")
_NEWEST_MAJOR = 18
_SHELLS = ("sh", "bash", "ash", "dash", "zsh")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
# bootstrapd's verbs that come to an end.
_ENDING = ("wait", "migrate", "seed", "validate", "plan", "lint", "move", "snapshot", "rollback")
VERBS = ("run", "serve", *_ENDING)
# Commands of others that migrate or prepare something and end.
_ONE_SHOTS = re.compile(
    r"\b(?:alembic\b.*\bupgrade|manage\.py (?:migrate|collectstatic|loaddata)|flask db upgrade"
    r"|flyway\b.*\bmigrate|liquibase\b.*\bupdate|prisma (?:migrate|db push)|(?:rails|rake) db:"
    r"|knex migrate|sequelize.* db:migrate|typeorm.* migration:run|dbmate (?:up|migrate)"
    r"|goose .*up|sqitch deploy|mc (?:alias|mb)|drizzle-kit (?:push|migrate)"
    r"|(?:npm|pnpm|yarn)(?: run)? (?:db:)?(?:migrate|seed)|artisan (?:migrate|db:seed)"
    r"|dotnet ef database update|mix ecto\.migrate|pg_restore\b|psql\b.* -f"
    r"|\bmigrate\b.* up\b|^migrate$)"
)
_ONE_SHOT_NAME = re.compile(
    r"(?:^|[-_])(?:init|migrate|migrations?|migrator|seed|setup|bootstrap|fixtures|provision"
    r"|prepare|create-?\w+)(?:$|[-_])"
)


@dataclass(frozen=True)
class Image:
    """A reference to an image. `tag` is empty where none is given."""

    text: str
    repository: str
    tag: str
    digest: str

    @property
    def base(self) -> str:
        """The last part of its name."""
        return self.repository.rpartition("/")[2]

    @property
    def kind(self) -> Kind:
        """What runs in it, by its name."""
        return _KINDS.get(self.base, "other")

    @property
    def official(self) -> bool:
        """Whether it is Docker's own PostgreSQL, or made from that."""
        names = ("postgres", "library/postgres", "docker.io/library/postgres", "docker.io/postgres")
        made = ("postgis/postgis", "pgvector/pgvector", "timescale/timescaledb")
        return self.repository in names or self.repository.removeprefix("docker.io/") in made

    @property
    def major(self) -> int | None:
        """PostgreSQL's major version, where the tag tells it."""
        match = re.search(r"pg(\d+)", self.tag)
        if match is None and self.base in ("postgres", "postgis"):
            match = re.match(r"(\d+)", self.tag)
        newest = self.base == "postgres" and not self.digest and _NEWEST.fullmatch(self.tag)
        if match is None and newest:
            return _NEWEST_MAJOR
        return int(match[1]) if match else None


def image(text: str) -> Image:
    """The parts of a reference."""
    named, _, digest = text.partition("@")
    repository, colon, tag = named.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = named, ""
    return Image(text, repository, tag, digest)


@dataclass(frozen=True)
class Port:
    """A published port. `ip` is empty where all addresses are meant."""

    node: Node
    ip: str
    published: str
    target: str
    protocol: str


@dataclass(frozen=True)
class Mount:
    """What is mounted where. `source` is empty for a volume without a name."""

    node: Node
    type: Literal["volume", "bind", "tmpfs", "other"]
    source: str
    target: str
    options: str


@dataclass(frozen=True)
class Health:
    """A health check: its command, and how long it may fail, in seconds."""

    node: Node
    test: Node
    argv: tuple[str, ...]
    shell: str | None
    start_period_s: float
    interval_s: float
    retries: int

    @property
    def words(self) -> str:
        """The command on one line."""
        return self.shell if self.shell is not None else shlex.join(self.argv)

    @property
    def budget_s(self) -> float:
        """How long the service may take to become healthy."""
        return self.start_period_s + self.interval_s * self.retries


@dataclass(frozen=True)
class Daemon:
    """How a service runs bootstrapd; `verb` is unknown where the image says it."""

    verb: str | None
    command: bool
    flags: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Service:
    """One service with its short and long forms read."""

    name: str
    node: Node
    environment: Mapping[str, Node]

    @cached_property
    def image(self) -> Image | None:
        """Its image; None where only a build is given."""
        text = self.node.said("image")
        return image(text) if text else None

    @cached_property
    def argv(self) -> tuple[str, ...]:
        """Entrypoint and command, as far as the file says them."""
        return (*words(self.node.get("entrypoint")), *words(self.node.get("command")))

    @cached_property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """The simple commands that it runs, those within `sh -c` one by one."""
        return tuple(simple_commands(self.argv))

    @cached_property
    def kind(self) -> Kind:
        """The server that it is, if it is one of those that are known."""
        found = self.image.kind if self.image else "other"
        programs = {"postgres": ("postgres",), "redis": ("redis-server", "valkey-server")}
        if found not in programs or not self.argv:
            return found
        names = [PurePosixPath(word).name for word in self.flat]
        serves = any(name in programs[found] for name in names)
        # A script may hand these on to the server.
        options = found == "redis" and self.argv[-1].startswith("--") and "redis-cli" not in names
        if not (serves or options or self.argv[0].startswith("-") or _is_config(self.argv[0])):
            return "other"
        return found

    @cached_property
    def flat(self) -> tuple[str, ...]:
        """All words of all commands."""
        return tuple(word for each in self.commands for word in each)

    @cached_property
    def ports(self) -> tuple[Port, ...]:
        """The published ports."""
        node = self.node.get("ports")
        return tuple(filter(None, (_port(each) for each in (node.items if node else ()))))

    @cached_property
    def mounts(self) -> tuple[Mount, ...]:
        """Volumes, folders and tmpfs."""
        found = [_mount(each) for each in _items(self.node.get("volumes"))]
        memory = _items(self.node.get("tmpfs"))
        return (
            *found,
            *(Mount(each, "tmpfs", "", (each.text or "").partition(":")[0], "") for each in memory),
        )

    @cached_property
    def health(self) -> Health | None:
        """Its own health check, where it has one and it is not switched off."""
        return _health(self.node.get("healthcheck"))

    @property
    def conditions(self) -> Mapping[str, str]:
        """The services that it waits for, each with the condition."""
        node = self.node.get("depends_on")
        found = node.entries if node else {}
        return {name: each.said("condition") or "service_started" for name, each in found.items()}

    @property
    def profiles(self) -> frozenset[str]:
        """Those of which one must be chosen for it to start; none: it always does."""
        return frozenset(each.text for each in _items(self.node.get("profiles")) if each.text)

    @cached_property
    def daemon(self) -> Daemon | None:
        """How it runs bootstrapd, if it does."""
        for command in self.commands:
            for place, word in enumerate(command):
                name = PurePosixPath(word).name
                module = word == "bootstrap" and place and command[place - 1] == "-m"
                if name == "bootstrapd" or module:
                    return daemon(command[place + 1 :])
        named = self.image is not None and "bootstrapd" in self.image.base
        if named and (not self.argv or self.argv[0] in VERBS):
            return daemon(self.argv)
        own = any(name.startswith("BOOTSTRAPD_") for name in self.environment)
        asked = self.health is not None and "bootstrapd" in self.health.words
        return Daemon(None, True, {}) if own or asked else None

    def value(self, name: str) -> str | None:
        """One of its variables."""
        node = self.environment.get(name)
        return node.text if node is not None else None

    @property
    def is_one_shot(self) -> bool:
        """Whether its command comes to an end, as far as one can see from here."""
        if self.daemon is not None and self.daemon.verb is not None:
            return self.daemon.verb != "serve" and not self.daemon.command
        if self.commands and _ONE_SHOTS.search(shlex.join(self.commands[-1])):
            return True
        restart = self.node.said("restart") or "no"
        quiet = self.health is None and not self.ports
        once = restart == "no" or restart.startswith("on-failure")
        return bool(_ONE_SHOT_NAME.search(self.name)) and once and quiet


def words(node: Node | None) -> tuple[str, ...]:
    """A command's words; a text is split as compose does."""
    if node is None:
        return ()
    if node.text is None:
        return tuple(each.text or "" for each in node.items)
    try:
        return tuple(shlex.split(node.text))
    except ValueError:
        return tuple(node.text.split())


def simple_commands(argv: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The commands that a shell would run one after the other; else the one that is given."""
    for place, word in enumerate(argv[:-1]):
        shell = PurePosixPath(argv[place - 1]).name in _SHELLS if place else False
        if shell and re.fullmatch(r"-\w*c", word):
            found = list(script(argv[place + 1]))
            if found and "$@" in found[-1]:
                # What is behind the script, without the name that it gets, is handed on.
                found[-1] = (*found[-1], *argv[place + 3 :])
            yield from found
            return
    if argv:
        yield tuple(argv)


def script(text: str) -> Iterator[tuple[str, ...]]:
    """The commands of a line of shell."""
    lexer = shlex.shlex(text.replace("\n", " ; "), posix=True, punctuation_chars=";&|()")
    lexer.whitespace_split = True
    command: list[str] = []
    try:
        found = list(lexer)
    except ValueError:
        found = text.split()
    for word in found:
        if word and set(word) <= set(";&|()"):
            if command:
                yield tuple(command)
            command = []
        else:
            command.append(word)
    if command:
        yield tuple(command)


def seconds(text: str | None, default: float) -> float:
    """A duration as compose and systemd write it (1m30s, 500ms, 90)."""
    if not text:
        return default
    found = re.findall(r"([0-9.]+)\s*(us|ms|s|m|h)?[a-z]*\s*", text)
    try:
        return (
            sum(float(number) * _UNITS[unit or "s"] for number, unit in found) if found else default
        )
    except ValueError:
        return default


def _items(node: Node | None) -> Sequence[Node]:
    return node.items if node is not None else ()


def _is_config(word: str) -> bool:
    return word.endswith(".conf")


def _port(node: Node) -> Port | None:
    if node.entries:
        target = node.said("target") or ""
        ip, published = node.said("host_ip") or "", node.said("published") or ""
        return Port(node, ip, published, target, node.said("protocol") or "tcp")
    text, _, protocol = (node.text or "").partition("/")
    match = re.fullmatch(r"(?:(\[[^\]]*\]|[^:]*):)??(?:([0-9-]*):)?([0-9-]+)", text)
    if match is None:
        return None
    return Port(node, (match[1] or "").strip("[]"), match[2] or "", match[3], protocol or "tcp")


def _mount(node: Node) -> Mount:
    if node.entries:
        kind = node.said("type") or "volume"
        source, target = node.said("source") or "", node.said("target") or ""
        known = {"volume": "volume", "bind": "bind", "tmpfs": "tmpfs"}
        read_only = "ro" if node.said("read_only") == "true" else ""
        return Mount(node, known.get(kind, "other"), source, _tidy(target), read_only)  # type: ignore[arg-type]
    parts = (node.text or "").split(":")
    if len(parts) == 1:
        return Mount(node, "volume", "", _tidy(parts[0]), "")
    bind = parts[0].startswith((".", "/", "~"))
    return Mount(node, "bind" if bind else "volume", parts[0], _tidy(parts[1]), ":".join(parts[2:]))


def _tidy(path: str) -> str:
    return path.rstrip("/") or "/"


def _health(node: Node | None) -> Health | None:
    test = node.get("test") if node is not None else None
    if node is None or test is None or node.said("disable") == "true":
        return None
    argv: tuple[str, ...]
    shell: str | None = None
    if test.text is not None:
        shell = test.text
        argv = ("sh", "-c", test.text)
    else:
        argv = words(test)
        if not argv or argv[0] == "NONE":
            return None
        if argv[0] == "CMD-SHELL":
            shell = " ".join(argv[1:])
            argv = ("sh", "-c", shell)
        elif argv[0] == "CMD":
            argv = argv[1:]
    retries = node.said("retries") or "3"
    return Health(
        node,
        test,
        argv,
        shell,
        seconds(node.said("start_period"), 0.0),
        seconds(node.said("interval"), 30.0),
        int(retries) if retries.isdigit() and int(retries) else 3,
    )


def daemon(rest: Sequence[str]) -> Daemon:
    before = list(rest[: rest.index("--")]) if "--" in rest else list(rest)
    verb = next((word for word in before if word in VERBS), None)
    flags = {}
    for place, word in enumerate(before):
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            after = before[place + 1] if place + 1 < len(before) else ""
            flags[name] = value if equals else after
    return Daemon(verb, "--" in rest and rest[-1] != "--", flags)
