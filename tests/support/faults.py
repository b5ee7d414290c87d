"""Revisions with one fault each, and what does the same without harm to anybody."""

from dataclasses import dataclass

# What the others stand on. Without a downgrade nothing would be said of anything else.
BASE = """
op.create_table(
    "orders",
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("note", sa.String(50)),
    sa.Column("amount", sa.Numeric(8, 2)),
    sa.Column("customer", sa.BigInteger),
    sa.Column("state", sa.Text),
)
op.create_table("customers", sa.Column("id", sa.BigInteger, primary_key=True))
op.create_table("old_orders", sa.Column("id", sa.BigInteger), sa.Column("note", sa.Text))
op.create_index("orders_state", "orders", ["state"])
op.execute("CREATE VIEW open_orders AS SELECT id FROM orders WHERE state = 'open'")
op.execute("CREATE TYPE mood AS ENUM ('fine')")
"""


@dataclass(frozen=True)
class Fault:
    """`rule` finds `body`, a revision of PostgreSQL; `twin` are revisions that it does not find."""

    rule: str
    body: str
    twin: tuple[str, ...]


def _new(name: str) -> str:
    return f'op.create_table("{name}", sa.Column("id", sa.BigInteger), sa.Column("a", sa.Text))\n'


def _alone(body: str) -> str:
    return f"with op.get_context().autocommit_block():\n    {body}"


FAULTS = {
    "drop-table": Fault(
        "drop-table", 'op.drop_table("old_orders")', (_new("f1") + 'op.drop_table("f1")',)
    ),
    "drop-table, one of two new": Fault(
        "drop-table",
        _new("f2") + 'op.execute("DROP TABLE f2, old_orders")',
        (_new("f3") + _new("f4") + 'op.execute("DROP TABLE IF EXISTS f3, f4")',),
    ),
    "drop-table, before its like is made": Fault(
        "drop-table",
        'op.drop_table("old_orders")\n' + _new("old_orders"),
        (_new("f5") + 'op.drop_table("f5")\n' + _new("f5"),),
    ),
    "drop-column": Fault(
        "drop-column",
        'op.drop_column("orders", "note")',
        (_new("f6") + 'op.drop_column("f6", "a")',),
    ),
    "drop-column, in a batch": Fault(
        "drop-column",
        'with op.batch_alter_table("orders") as batch:\n    batch.drop_column("note")',
        (_new("f7") + 'with op.batch_alter_table("f7") as batch:\n    batch.drop_column("a")',),
    ),
    "drop-schema": Fault(
        "drop-schema",
        'op.execute("DROP SCHEMA archive CASCADE")',
        ('op.execute("CREATE SCHEMA archive")',),
    ),
    "delete-all-rows, truncate": Fault(
        "delete-all-rows",
        'op.execute("TRUNCATE old_orders")',
        (_new("f8") + 'op.execute("TRUNCATE TABLE f8")',),
    ),
    "delete-all-rows, truncate cascade": Fault(
        "delete-all-rows",
        'op.execute("TRUNCATE old_orders CASCADE")',
        (_new("f9") + 'op.execute("TRUNCATE f9 CASCADE")',),
    ),
    "delete-all-rows, delete": Fault(
        "delete-all-rows",
        'op.execute("DELETE FROM old_orders")',
        ("op.execute(\"DELETE FROM old_orders WHERE note = 'gone'\")",),
    ),
    "rename-table": Fault(
        "rename-table",
        'op.rename_table("orders", "purchases")',
        (
            'op.rename_table("customers", "clients")\n'
            'op.execute("CREATE VIEW customers AS SELECT * FROM clients")',
        ),
    ),
    "rename-table, to another schema": Fault(
        "rename-table",
        'op.execute("ALTER TABLE orders SET SCHEMA archive")',
        (_new("f10") + 'op.execute("ALTER TABLE f10 SET SCHEMA archive")',),
    ),
    "rename-column": Fault(
        "rename-column",
        'op.alter_column("orders", "note", new_column_name="remark")',
        (_new("f11") + 'op.alter_column("f11", "a", new_column_name="b")',),
    ),
    "rename-object": Fault(
        "rename-object",
        "op.execute(\"ALTER TYPE mood RENAME VALUE 'fine' TO 'good'\")",
        ('op.execute("ALTER INDEX orders_state RENAME TO orders_by_state")',),
    ),
    "drop-object": Fault(
        "drop-object",
        'op.execute("DROP VIEW open_orders")',
        (
            'op.execute("DROP VIEW open_orders")\n'
            'op.execute("CREATE VIEW open_orders AS SELECT id, state FROM orders")',
        ),
    ),
    "change-type, narrower": Fault(
        "change-type",
        'op.alter_column("orders", "note", existing_type=sa.String(50), type_=sa.String(20))',
        ('op.alter_column("orders", "note", existing_type=sa.String(50), type_=sa.String(80))',),
    ),
    "change-type, of another kind": Fault(
        "change-type",
        'op.alter_column("orders", "amount", existing_type=sa.Numeric(8, 2), type_=sa.Float)',
        ('op.alter_column("orders", "note", existing_type=sa.String(80), type_=sa.Text)',),
    ),
    "change-type, more digits after the point": Fault(
        "change-type",
        "op.alter_column("
        '"orders", "amount", existing_type=sa.Numeric(8, 2), type_=sa.Numeric(9, 3))',
        (
            "op.alter_column("
            '"orders", "amount", existing_type=sa.Numeric(8, 2), type_=sa.Numeric(9, 2))',
        ),
    ),
    "change-type, beside one that widens": Fault(
        "change-type",
        'op.alter_column("orders", "note", existing_type=sa.String(50), type_=sa.String(80))\n'
        'op.execute("ALTER TABLE orders ALTER COLUMN note TYPE varchar(5)")',
        (
            _new("Odd") + 'op.alter_column("Odd", "a", type_=sa.String(20))',
            'op.alter_column("Odd", "a", existing_type=sa.String(20), type_=sa.String())',
        ),
    ),
    "change-type, from what was not said": Fault(
        "change-type",
        'op.alter_column("orders", "note", type_=sa.String(80))',
        (_new("f12") + 'op.alter_column("f12", "a", type_=sa.String(80))',),
    ),
    "set-not-null": Fault(
        "set-not-null",
        'op.alter_column("orders", "customer", nullable=False)',
        (
            'op.execute("ALTER TABLE orders ADD CONSTRAINT known '
            'CHECK (customer IS NOT NULL) NOT VALID")',
            'op.execute("ALTER TABLE orders VALIDATE CONSTRAINT known")',
            'op.alter_column("orders", "customer", nullable=False)\n'
            'op.drop_constraint("known", "orders", type_="check")',
        ),
    ),
    "set-not-null, proven for another column": Fault(
        "set-not-null",
        'op.alter_column("orders", "state", nullable=False)',
        (_new("f13") + 'op.alter_column("f13", "a", nullable=False)',),
    ),
    "required-column": Fault(
        "required-column",
        'op.add_column("orders", sa.Column("currency", sa.Text, nullable=False))',
        (
            'op.add_column("orders", sa.Column("currency", sa.Text, nullable=False,'
            ' server_default="EUR"))',
        ),
    ),
    "rewrite-table, by a default": Fault(
        "rewrite-table",
        'op.add_column("orders", sa.Column("key", sa.Uuid,'
        ' server_default=sa.text("gen_random_uuid()")))',
        (
            'op.add_column("orders", sa.Column("made", sa.DateTime(timezone=True),'
            ' server_default=sa.text("now()")))',
        ),
    ),
    "rewrite-table, by an identity": Fault(
        "rewrite-table",
        'op.add_column("orders", sa.Column("n", sa.BigInteger, sa.Identity(), nullable=False))',
        (
            _new("f14")
            + 'op.add_column("f14", sa.Column("n", sa.BigInteger, sa.Identity(), nullable=False))',
        ),
    ),
    "rewrite-table, by a serial": Fault(
        "rewrite-table",
        'op.execute("ALTER TABLE orders ADD COLUMN n bigserial")',
        ('op.execute("ALTER TABLE orders ADD COLUMN n bigint")',),
    ),
    "rewrite-table, unlogged": Fault(
        "rewrite-table",
        'op.execute("ALTER TABLE old_orders SET UNLOGGED")',
        ('op.execute("ALTER TABLE old_orders SET (fillfactor = 70)")',),
    ),
    "rewrite-table, clustered": Fault(
        "rewrite-table",
        'op.execute("CLUSTER orders USING orders_pkey")',
        ('op.execute("ALTER TABLE orders CLUSTER ON orders_pkey")',),
    ),
    "create-index": Fault(
        "create-index",
        'op.create_index("orders_note", "orders", ["note"])',
        (
            _alone(
                'op.create_index("orders_note", "orders", ["note"], postgresql_concurrently=True)'
            ),
        ),
    ),
    "create-index, on a table that may be old": Fault(
        "create-index",
        'op.execute("CREATE TABLE IF NOT EXISTS orders (id bigint)")\n'
        'op.create_index("orders_amount", "orders", ["amount"])',
        (_new("f15") + 'op.create_index("f15_a", "f15", ["a"])',),
    ),
    "create-index, on a namesake": Fault(
        "create-index",
        'op.create_table("orders", sa.Column("id", sa.BigInteger), schema="archive")\n'
        'op.create_index("orders_amount", "orders", ["amount"])',
        (
            'op.create_table("Orders", sa.Column("id", sa.BigInteger), schema="archive")\n'
            'op.create_index("orders_id", "Orders", ["id"], schema="archive")',
        ),
    ),
    "drop-index": Fault(
        "drop-index",
        'op.drop_index("orders_by_state", "orders")',
        (
            _alone('op.drop_index("orders_by_state", "orders", postgresql_concurrently=True)'),
            _new("f16") + 'op.create_index("f16_a", "f16", ["a"])\nop.drop_index("f16_a", "f16")',
        ),
    ),
    "reindex": Fault(
        "reindex",
        'op.execute("REINDEX TABLE orders")',
        (_alone('op.execute("REINDEX TABLE CONCURRENTLY orders")'),),
    ),
    "add-foreign-key": Fault(
        "add-foreign-key",
        'op.create_foreign_key("fk", "orders", "customers", ["customer"], ["id"])',
        (
            'op.create_foreign_key("fk", "orders", "clients", ["customer"], ["id"],'
            " postgresql_not_valid=True)",
            'op.execute("ALTER TABLE orders VALIDATE CONSTRAINT fk")',
        ),
    ),
    "add-foreign-key, with its column": Fault(
        "add-foreign-key",
        'op.execute("ALTER TABLE orders ADD COLUMN payer bigint REFERENCES customers (id)")',
        ('op.create_table("f17", sa.Column("c", sa.BigInteger, sa.ForeignKey("clients.id")))',),
    ),
    "add-constraint": Fault(
        "add-constraint",
        'op.create_check_constraint("positive", "orders", "amount > 0")',
        (
            'op.create_check_constraint("positive", "orders", "amount > 0",'
            " postgresql_not_valid=True)",
        ),
    ),
    "add-constraint, exclusion": Fault(
        "add-constraint",
        'op.execute("ALTER TABLE orders ADD CONSTRAINT one EXCLUDE (id WITH =)")',
        (_new("f18") + 'op.execute("ALTER TABLE f18 ADD CONSTRAINT one EXCLUDE (id WITH =)")',),
    ),
    "validate-constraint": Fault(
        "validate-constraint",
        'op.execute("ALTER TABLE orders ADD CONSTRAINT small CHECK (amount < 9) NOT VALID")\n'
        'op.execute("ALTER TABLE orders VALIDATE CONSTRAINT small")',
        ('op.execute("ALTER TABLE orders VALIDATE CONSTRAINT positive")',),
    ),
    "add-unique": Fault(
        "add-unique",
        'op.create_unique_constraint("orders_unique", "orders", ["customer"])',
        (
            _alone(
                'op.create_index("orders_unique", "orders", ["customer"], unique=True,'
                " postgresql_concurrently=True)"
            ),
            'op.execute("ALTER TABLE orders ADD CONSTRAINT orders_unique'
            ' UNIQUE USING INDEX orders_unique")',
        ),
    ),
    "add-primary-key": Fault(
        "add-primary-key",
        'op.create_primary_key("old_orders_pkey", "old_orders", ["id"])',
        (_new("f19") + 'op.create_primary_key("f19_pkey", "f19", ["id"])',),
    ),
    "detach-partition": Fault(
        "detach-partition",
        'op.execute("ALTER TABLE parts DETACH PARTITION part_1")',
        (
            'op.execute("CREATE TABLE parts (id bigint) PARTITION BY LIST (id)")\n'
            'op.execute("CREATE TABLE part_1 PARTITION OF parts FOR VALUES IN (1)")',
            _alone('op.execute("ALTER TABLE parts DETACH PARTITION part_1 CONCURRENTLY")'),
        ),
    ),
    "data-with-ddl": Fault(
        "data-with-ddl",
        'op.add_column("orders", sa.Column("paid", sa.Boolean))\n'
        "op.execute(\"UPDATE orders SET paid = true WHERE state = 'done'\")",
        (
            'op.add_column("orders", sa.Column("paid", sa.Boolean))',
            "op.execute(\"UPDATE orders SET paid = true WHERE state = 'done'\")",
        ),
    ),
    "data-with-ddl, copied": Fault(
        "data-with-ddl",
        _new("f20")
        + 'op.execute("INSERT INTO f20 SELECT id, note FROM orders")\n'
        + 'op.add_column("orders", sa.Column("moved", sa.Boolean))',
        (
            _new("f20") + 'op.execute("INSERT INTO f20 SELECT id, note FROM orders")',
            'op.add_column("orders", sa.Column("moved", sa.Boolean))\n'
            'op.bulk_insert(sa.table("f20", sa.column("id", sa.BigInteger)), [{"id": 1}])',
        ),
    ),
    "needs-autocommit, an index": Fault(
        "needs-autocommit",
        'op.create_index("orders_n", "orders", ["n"], postgresql_concurrently=True)',
        (_alone('op.create_index("orders_n", "orders", ["n"], postgresql_concurrently=True)'),),
    ),
    "needs-autocommit, a vacuum": Fault(
        "needs-autocommit",
        'op.execute("VACUUM (ANALYZE) orders")',
        (_alone('op.execute("VACUUM (ANALYZE) orders")'), 'op.execute("ANALYZE orders")'),
    ),
    "mixed-autocommit": Fault(
        "mixed-autocommit",
        'op.add_column("orders", sa.Column("extra", sa.Text))\n'
        + _alone('op.create_index("orders_x", "orders", ["extra"], postgresql_concurrently=True)'),
        (
            "op.execute(\"SET LOCAL work_mem = '64MB'\")\n"
            + _alone('op.create_index("m", "orders", ["moved"], postgresql_concurrently=True)'),
        ),
    ),
    "not-checked, it asks the database": Fault(
        "not-checked",
        'rows = op.get_bind().execute(sa.text("SELECT id FROM orders")).fetchall()',
        ('op.execute("SELECT id FROM orders")',),
    ),
    "not-checked, it asks whether it is real": Fault(
        "not-checked",
        'if not op.get_context().as_sql:\n    op.drop_table("orders")',
        ('if op.get_context().dialect.name == "sqlite":\n    op.drop_table("orders")',),
    ),
    "not-checked, a block of code": Fault(
        "not-checked",
        'op.execute("DO $$ BEGIN ALTER TABLE orders DROP COLUMN note; END $$")',
        (
            "op.execute(\"DO $$ BEGIN CREATE TYPE size AS ENUM ('s', 'm');"
            ' EXCEPTION WHEN duplicate_object THEN NULL; END $$")',
        ),
    ),
    "not-checked, no SQL at all": Fault(
        "not-checked",
        'op.execute("ALTRE TABLE orders DORP COLUMN note")',
        ("op.execute(\"COMMENT ON TABLE orders IS 'ALTRE TABLE; DROP TABLE x;'\")",),
    ),
}
