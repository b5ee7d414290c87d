"""What a schema consists of, and what may be different between two of them."""

import hashlib
import json
import operator
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

Dialect = Literal["postgresql", "sqlite"]

# In the order in which they can be made.
ObjectKind = Literal[
    "schema",
    "extension",
    "enum",
    "domain",
    "composite",
    "sequence",
    "function",
    "aggregate",
    "table",
    "column",
    "constraint",
    "index",
    "view",
    "rule",
    "trigger",
    "policy",
    "statistics",
]
OBJECT_KINDS: tuple[ObjectKind, ...] = get_args(ObjectKind)

# The classes of differences that compare() finds, which users may raise or lower one by one.
Kind = Literal[
    "missing-table",
    "missing-column",
    "table",
    "options",
    "type",
    "nullability",
    "default",
    "key",
    "check",
    "index",
    "view",
    "function",
    "trigger",
    "policy",
    "enum",
    "domain",
    "composite",
    "sequence",
    "extension",
    "schema",
    "comment",
    "extra-table",
    "extra-column",
    "extra-key",
    "extra-check",
    "extra-index",
    "extra-view",
    "extra-function",
    "extra-trigger",
    "extra-policy",
    "extra-type",
    "extra-sequence",
    "extra-extension",
    "extra-schema",
    # What flaws() finds.
    "invalid-index",
    "not-validated",
    "disabled-trigger",
    "sequence-behind",
    "collation-version",
    "ddl-role",
    "owner",
    "broken-row",
    "damaged-file",
    "not-checked",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
# What an app would not find.
MISSING: tuple[Kind, ...] = ("missing-table", "missing-column")


@dataclass(frozen=True)
class Object:
    """One thing of a schema.

    `name` is written as SQL wants it: quoted where need be, without the default schema, functions
    with the types of their arguments. `table` is what the object belongs to, "" where it stands by
    itself. `properties` hold what is compared; what is left out has its usual value. `aside` is
    what fixing needs to know and nobody compares, `position` the place among a table's columns.
    """

    kind: ObjectKind
    table: str
    name: str
    properties: Mapping[str, str]
    position: int = field(default=0, compare=False)
    aside: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from all others of its catalog."""
        return self.kind, self.table, self.name

    @property
    def full_name(self) -> str:
        """Its name for people, after that of its table."""
        return f"{self.table}.{self.name}" if self.table else self.name

    @property
    def definition(self) -> str:
        """The statement or clause that makes it, where the database has one."""
        return self.properties.get("definition", "")


_KEY = operator.attrgetter("kind", "table", "name")


@dataclass(frozen=True)
class Catalog:
    """All that a schema consists of; equal to another whatever the server and the column order.

    `objects` are sorted by kind, table and name. `server` is the version of the server that was
    read, `schema` the name of the default schema, which no object's name has.
    """

    dialect: Dialect
    objects: tuple[Object, ...]
    server: str = field(default="", compare=False)
    schema: str = field(default="", compare=False)

    @property
    def major(self) -> int:
        """The server's major version."""
        digits = self.server.split(".")[0]
        return int(digits) if digits.isdigit() else 0


@dataclass(frozen=True)
class Finding:
    """One difference between a wanted and a found schema, or one flaw of a database.

    `fix` are the statements that mend it, to be run outside of a transaction, one by one; where
    there are none, or where they need a word, `note` says why. `destructive` marks a fix by which
    data are lost for good.
    """

    kind: Kind
    object: str
    wanted: str
    found: str
    fix: tuple[str, ...] = ()
    destructive: bool = False
    note: str = ""

    def __str__(self) -> str:
        return f"{self.object}: wanted {self.wanted}, found {self.found}"

    @property
    def missing(self) -> bool:
        """Whether it is a table or column that an app would not find."""
        return self.kind in MISSING

    def document(self) -> dict[str, Any]:
        """The finding as JSON shows it."""
        return {**asdict(self), "fix": list(self.fix), "missing": self.missing}


def catalog(
    dialect: Dialect, objects: Iterable[Object], *, server: str = "", schema: str = ""
) -> Catalog:
    """A catalog of these objects, in its order."""
    return Catalog(dialect, tuple(sorted(objects, key=_KEY)), server, schema)


def fingerprint(of: Catalog) -> str:
    """A digest that is the same for equal catalogs, and for no others: 64 hexadecimal digits."""
    content = [(*each.key, sorted(each.properties.items())) for each in of.objects]
    text = json.dumps([of.dialect, content], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
