"""The rules: what each statement does to those who use the database, and what to do instead."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]

IN_AUTOCOMMIT = "in a revision of its own, within op.get_context().autocommit_block()"


@dataclass(frozen=True)
class Rule:
    """One rule. `squawk` are the rules of squawk that report it on PostgreSQL.

    `everywhere` tells that it holds on SQLite too.
    """

    name: str
    severity: Severity
    effect: str
    instead: str
    squawk: tuple[str, ...] = ()
    everywhere: bool = False


ALL = (
    # What cannot be had back, or is missed by a release that still runs.
    Rule(
        "drop-table",
        "error",
        "the table and its rows are gone for good; every release that still uses it fails at once",
        "first release what no longer uses it; drop it in a later release, after a backup",
        ("ban-drop-table",),
        everywhere=True,
    ),
    Rule(
        "drop-column",
        "error",
        "the column's values are gone for good; every release that still names it fails at once, "
        "as an ORM does in each of its queries",
        "first release what no longer names it; drop it in a later release, after a backup",
        ("ban-drop-column",),
        everywhere=True,
    ),
    Rule(
        "drop-schema",
        "error",
        "all that is in it is gone for good; every release that still uses it fails at once",
        "move or drop its tables one by one, when no release uses them any more",
        ("ban-drop-schema", "ban-drop-database"),
    ),
    Rule(
        "delete-all-rows",
        "error",
        "all rows are gone for good; TRUNCATE keeps readers and writers out (ACCESS EXCLUSIVE) "
        "until the commit",
        "delete what is not needed, in batches and outside the revision, after a backup",
        ("ban-truncate-cascade",),
        everywhere=True,
    ),
    Rule(
        "rename-table",
        "error",
        "every release that still uses the old name fails at once",
        "keep the name; or make a view of the old name in the same revision, and drop it in a "
        "later release",
        ("renaming-table", "ban-set-schema"),
        everywhere=True,
    ),
    Rule(
        "rename-column",
        "error",
        "every release that still uses the old name fails at once",
        "keep the name, and map it in the model: Column('old_name', key='new_name'); or add a "
        "column, write both, and drop the old one in a later release",
        ("renaming-column",),
        everywhere=True,
    ),
    Rule(
        "rename-object",
        "warning",
        "every release that still uses the old name fails at once",
        "keep the name, or rename it when no release uses it any more",
        ("renaming-object",),
    ),
    Rule(
        "drop-object",
        "warning",
        "every release that still uses it fails at once",
        "drop it when no release uses it any more",
        (
            "ban-drop-view",
            "ban-drop-function",
            "ban-drop-type",
            "ban-drop-sequence",
            "ban-drop-domain",
            "ban-drop-extension",
        ),
    ),
    # What keeps others waiting for longer the more rows there are.
    Rule(
        "change-type",
        "error",
        "readers and writers wait (ACCESS EXCLUSIVE) while every row and index is written anew; a "
        "narrower type fails on the first value that does not fit",
        "add a column of the new type, write both, fill it in batches, then change over; if the "
        "change only widens, say so with existing_type",
        ("changing-column-type",),
    ),
    Rule(
        "set-not-null",
        "error",
        "readers and writers wait (ACCESS EXCLUSIVE) while every row is read; the first null makes "
        "it fail, and a release that still writes nulls fails from then on",
        "add CHECK (column IS NOT NULL) NOT VALID in one revision, VALIDATE CONSTRAINT in the "
        "next, then SET NOT NULL, which reads nothing any more",
        ("adding-not-nullable-field",),
    ),
    Rule(
        "required-column",
        "error",
        "it fails where the table has rows; a release that does not know the column can insert "
        "nothing from then on",
        "add it with a server_default, or nullable; make it NOT NULL when all rows are filled",
        ("adding-required-field",),
    ),
    Rule(
        "rewrite-table",
        "error",
        "readers and writers wait (ACCESS EXCLUSIVE) while every row is written anew",
        "add a plain nullable column and fill it in batches; to compact a table, use a tool that "
        "does it beside the running database",
        ("adding-field-with-default", "prefer-repack"),
    ),
    Rule(
        "create-index",
        "error",
        "writers wait (SHARE) while every row is read and the index is built",
        f"build it with postgresql_concurrently=True, {IN_AUTOCOMMIT}",
        ("require-concurrent-index-creation",),
    ),
    Rule(
        "drop-index",
        "warning",
        "readers and writers wait (ACCESS EXCLUSIVE) until the longest transaction that uses the "
        "table has ended",
        f"drop it with postgresql_concurrently=True, {IN_AUTOCOMMIT}",
        ("require-concurrent-index-deletion",),
    ),
    Rule(
        "reindex",
        "error",
        "writers wait (SHARE), and readers of the index too (ACCESS EXCLUSIVE), while it is built",
        f"REINDEX ... CONCURRENTLY, {IN_AUTOCOMMIT}",
        ("require-concurrent-reindex",),
    ),
    Rule(
        "add-foreign-key",
        "error",
        "writers of both tables wait (SHARE ROW EXCLUSIVE) while every row is looked up",
        "create it with postgresql_not_valid=True; VALIDATE CONSTRAINT in the next revision, which "
        "lets others write",
        ("adding-foreign-key-constraint",),
    ),
    Rule(
        "add-constraint",
        "error",
        "readers and writers wait (ACCESS EXCLUSIVE) while every row is checked",
        "create it with postgresql_not_valid=True; VALIDATE CONSTRAINT in the next revision, which "
        "lets others read and write",
        ("constraint-missing-not-valid",),
    ),
    Rule(
        "validate-constraint",
        "error",
        "the lock of ADD CONSTRAINT in the same transaction is kept while every row is checked: "
        "writers wait, after a CHECK readers too",
        "validate it in a revision of its own",
    ),
    Rule(
        "add-unique",
        "error",
        "readers and writers wait (ACCESS EXCLUSIVE) while the index is built; the first duplicate "
        "makes it fail",
        f"build a unique index with postgresql_concurrently=True, {IN_AUTOCOMMIT}; then ADD "
        "CONSTRAINT ... UNIQUE USING INDEX",
        ("disallowed-unique-constraint",),
    ),
    Rule(
        "add-primary-key",
        "error",
        "readers and writers wait (ACCESS EXCLUSIVE) while the index is built and every row is "
        "read for nulls",
        f"build a unique index with postgresql_concurrently=True, {IN_AUTOCOMMIT}, on a column "
        "that is NOT NULL; then ADD CONSTRAINT ... PRIMARY KEY USING INDEX",
        ("adding-serial-primary-key-field",),
    ),
    Rule(
        "detach-partition",
        "error",
        "readers and writers of the whole table wait (ACCESS EXCLUSIVE)",
        f"DETACH PARTITION ... CONCURRENTLY, {IN_AUTOCOMMIT}",
        ("require-concurrent-partition-detach",),
    ),
    # What only the whole revision shows.
    Rule(
        "data-with-ddl",
        "error",
        "what the change of the table has locked stays locked until the commit, while rows are "
        "changed",
        "change the schema in one revision and the data in another",
        everywhere=True,
    ),
    Rule(
        "needs-autocommit",
        "error",
        "PostgreSQL refuses it inside a transaction, so the revision fails",
        f"run it {IN_AUTOCOMMIT}",
    ),
    Rule(
        "mixed-autocommit",
        "error",
        "the block commits what came before it; if the revision fails or is killed half-way, it "
        "can neither be rolled back nor run again, and somebody must finish it by hand",
        "leave the autocommit block alone in its revision",
    ),
    Rule(
        "missing-downgrade",
        "warning",
        "a rollback fails, or only takes back the record of it and leaves the schema as it is",
        'undo in downgrade() what upgrade() does; where nothing can, raise RuntimeError("why")',
        everywhere=True,
    ),
    Rule(
        "several-heads",
        "error",
        "nothing is migrated, for it is not known which of them is wanted",
        "join them: alembic merge -m join HEAD HEAD",
        everywhere=True,
    ),
    Rule(
        "not-checked",
        "error",
        "nobody can tell beforehand what it does",
        "write it with op.* and SQL that is the same for every database; or review it by hand and "
        "say so in a consent",
        everywhere=True,
    ),
    Rule(
        "consent",
        "warning",
        "nobody has consented to anything",
        "write: # bootstrapd: allow RULE, because REASON",
        everywhere=True,
    ),
)
BY_NAME: Mapping[str, Rule] = {rule.name: rule for rule in ALL}
BY_SQUAWK: Mapping[str, Rule] = {name: rule for rule in ALL for name in rule.squawk}

# Rules of squawk that are off unless the project's .squawk.toml includes them: matters of taste,
# what bootstrapd sees to itself (timeouts, transactions), and what the rules above know better.
OFF = (
    "ban-alter-identity",
    "ban-char-field",
    "ban-concurrent-index-creation-in-transaction",
    "ban-drop-constraint",
    "ban-drop-not-null",
    "ban-uncommitted-transaction",
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-robust-stmts",
    "prefer-text-field",
    "prefer-timestamp-tz",
    "require-enum-value-ordering",
    "require-lock-timeout",
    "require-statement-timeout",
    "require-timeout-settings",
    "transaction-nesting",
)
