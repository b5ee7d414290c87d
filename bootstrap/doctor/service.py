"""What one service of a compose project is: image, ports, mounts, health, variables, words."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from bootstrap.doctor import daemon, image, parts, shell
from bootstrap.doctor.daemon import Daemon
from bootstrap.doctor.image import Image, Kind
from bootstrap.doctor.nodes import Node
from bootstrap.doctor.parts import Health, Mount, Port

# Commands of others that migrate or prepare something and end.
_ONE_SHOTS = re.compile(
    r"\b(?:alembic\b.*\bupgrade|manage\.py (?:migrate|collectstatic|loaddata)|flask db upgrade"
    r"|flyway\b.*\bmigrate|liquibase\b.*\bupdate|prisma (?:migrate|db push)|(?:rails|rake) db:"
    r"|knex migrate|sequelize.* db:migrate|typeorm.* migration:run|dbmate (?:up|migrate)"
    r"|goose .*up|sqitch deploy|mc (?:alias|mb)|drizzle-kit (?:push|migrate)"
    r"|(?:npm|pnpm|yarn)(?: run)? (?:db:)?(?:migrate|seed)|artisan (?:migrate|db:seed)"
    r"|dotnet ef database update|mix ecto\.migrate|pg_restore\b|psql\b.* -f"
    r"|\bmigrate\b.* up\b|^migrate$|^exit\b|^true$)"
)
_ONE_SHOT_NAME = re.compile(
    r"(?:^|[-_])(?:init|migrate|migrations?|migrator|seed|setup|bootstrap|fixtures|provision"
    r"|prepare|create-?\w+)(?:$|[-_])"
)


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
        return image.read(text) if text else None

    @cached_property
    def argv(self) -> tuple[str, ...]:
        """Entrypoint and command, as far as the file says them."""
        return (*shell.words(self.node.get("entrypoint")), *shell.words(self.node.get("command")))

    @cached_property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """The simple commands that it runs, those within `sh -c` one by one."""
        return tuple(shell.simple_commands(self.argv))

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
        return tuple(filter(None, (parts.port(each) for each in (node.items if node else ()))))

    @cached_property
    def mounts(self) -> tuple[Mount, ...]:
        """Volumes, folders and tmpfs."""
        found = [parts.mount(each) for each in _items(self.node.get("volumes"))]
        memory = _items(self.node.get("tmpfs"))
        return (
            *found,
            *(Mount(each, "tmpfs", "", (each.text or "").partition(":")[0], "") for each in memory),
        )

    @cached_property
    def health(self) -> Health | None:
        """Its own health check, where it has one and it is not switched off."""
        return parts.health(self.node.get("healthcheck"))

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
        found = next(filter(None, map(daemon.within, self.commands)), None)
        if found is not None:
            return found
        named = self.image is not None and "bootstrapd" in self.image.base
        if named and (not self.argv or self.argv[0] in daemon.VERBS):
            return daemon.read(self.argv)
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
            return self.daemon.ends
        if self.commands and _ONE_SHOTS.search(shlex.join(self.commands[-1])):
            return True
        restart = self.node.said("restart") or "no"
        quiet = self.health is None and not self.ports
        once = restart == "no" or restart.startswith("on-failure")
        return bool(_ONE_SHOT_NAME.search(self.name)) and once and quiet


def _items(node: Node | None) -> Sequence[Node]:
    return node.items if node is not None else ()


def _is_config(word: str) -> bool:
    return word.endswith(".conf")
