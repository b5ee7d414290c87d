"""References to images: what they name, and which PostgreSQL is in them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["postgres", "redis", "pooler", "other"]

_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("postgres", "postgis", "pgvector", "timescaledb", "postgresql"), "postgres"),
    **dict.fromkeys(("redis", "valkey", "redis-stack", "redis-stack-server", "keydb"), "redis"),
    **dict.fromkeys(("pgbouncer", "pgcat", "odyssey", "pgpool", "supavisor"), "pooler"),
}
# What an image without a version is at least.
_NEWEST = re.compile(r"|latest|alpine.*|trixie|bookworm")
_NEWEST_MAJOR = 18


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


def read(text: str) -> Image:
    """The parts of a reference."""
    named, _, digest = text.partition("@")
    repository, colon, tag = named.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = named, ""
    return Image(text, repository, tag, digest)
