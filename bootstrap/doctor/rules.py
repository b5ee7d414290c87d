"""The rules: what is looked for, why it is a fault, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
Where = Literal["files", "engine", "host"]


@dataclass(frozen=True)
class Rule:
    """One rule: what it is about, and where it is looked for.

    A finding may say severity, `why` and `instead` more exactly.
    """

    name: str
    severity: Severity
    why: str
    instead: str
    where: tuple[Where, ...] = ("files",)


ALL = (
    # Health.
    Rule(
        "socket-check",
        "error",
        "without -h it asks the Unix socket, which the image's temporary server of the first start "
        "answers too: healthy while the init scripts still run, then gone",
        "ask over TCP",
    ),
    Rule(
        "ping-check",
        "error",
        "redis-cli exits 0 on NOAUTH and LOADING too: healthy while Redis refuses every command",
        "look at its answer",
    ),
    Rule(
        "no-health-check",
        "error",
        "another service waits until it is healthy, and neither the file nor its image says when "
        "that is: `up` fails",
        "give it a health check",
    ),
    Rule(
        "health-budget",
        "error",
        "start_period + interval * retries is less than bootstrapd waits: compose gives the "
        "service up while bootstrapd is still within its deadline",
        "let the health check wait as long",
    ),
    Rule(
        "liveness",
        "error",
        "what restarts the process asks for readiness: an outage or a long migration gets it "
        "killed",
        "ask /livez, which never looks at the database",
    ),
    # What starts before what.
    Rule(
        "one-shot-alone",
        "error",
        "it ends, and nothing that starts with it waits for that: `docker compose up --wait` "
        "counts its end as a failure",
        "let a service that stays depend on it with service_completed_successfully",
    ),
    Rule(
        "one-shot-restart",
        "error",
        "it is meant to end, and is started again each time it does; what waits for its end never "
        "starts",
        'restart: "no", or on-failure',
    ),
    Rule(
        "app-before-bootstrap",
        "error",
        "nothing keeps it from starting on a database that is not migrated yet",
        "let it wait for the end of bootstrapd",
    ),
    Rule(
        "dependency-condition",
        "warning",
        "without a condition it starts as soon as the other's container has: before that is ready",
        "say what it waits for",
    ),
    Rule(
        "pooler",
        "error",
        "in transaction mode a pooler hands the migration lock to others: two migrations may run "
        "at once",
        "give bootstrapd the road past it",
    ),
    # Data.
    Rule(
        "data-path",
        "error",
        "the data directory is not within what is mounted: the data goes to an anonymous volume "
        "and is gone with the container, or the server refuses to start",
        "mount the volume where this version keeps its data",
    ),
    Rule(
        "data-volume",
        "error",
        "the data is in a volume without a name, or in none: a new container starts empty",
        "name a volume for it",
    ),
    Rule(
        "shm-size",
        "warning",
        "its /dev/shm has 64 MB: parallel queries fail with `could not resize shared memory "
        "segment`",
        "give it more",
    ),
    Rule(
        "stop-grace",
        "warning",
        "it gets less time to end than it may need, then SIGKILL",
        "give it the time",
    ),
    Rule(
        "redis-durability",
        "warning",
        "without an append-only file a crash loses what was written since the last snapshot",
        "switch it on, or say --appendonly no",
    ),
    Rule(
        "redis-memory",
        "warning",
        "without maxmemory it grows until the kernel kills it, or its neighbours",
        "set maxmemory and a policy",
    ),
    # Images and ports.
    Rule(
        "floating-tag",
        "error",
        "the next pull brings another version, without anybody having decided so",
        "name minor version and distribution, or a digest",
    ),
    Rule(
        "published-port",
        "error",
        "the port is published on all addresses, and the engine's rules go past the host's "
        "firewall",
        "bind it to 127.0.0.1",
        ("files", "engine"),
    ),
    # Secrets and rights.
    Rule(
        "password-in-environment",
        "error",
        "`docker inspect` and every child process show it, and crash reports carry it away",
        "give it as a file",
        ("files", "engine"),
    ),
    Rule(
        "password-in-command",
        "error",
        "everybody on the host can read it in the list of processes",
        "give it as a file",
        ("files", "engine"),
    ),
    Rule(
        "trust",
        "error",
        "everybody who reaches the port is let in, as any role, without a password",
        "a password from a file, and scram-sha-256",
    ),
    Rule(
        "privileged",
        "warning",
        "whoever breaks into it has the host",
        "name the capabilities that it needs under cap_add",
    ),
    Rule(
        "engine-socket",
        "warning",
        "whoever can write to the engine's socket has the host, and :ro does not prevent that",
        "do without it, or put a proxy before it that lets only reading through",
    ),
    # The file.
    Rule(
        "version-key",
        "warning",
        "compose ignores it since 2020 and says so at each call",
        "remove it",
    ),
    Rule(
        "container-name",
        "warning",
        "a second stack on this engine clashes with it, and the service cannot be scaled",
        "remove it; compose makes the name",
    ),
    Rule(
        "unset-variable",
        "warning",
        "it is not set here and has no default: compose puts in nothing",
        "set it in .env, or give it a default: ${NAME:-value}",
    ),
    Rule(
        "missing-file",
        "error",
        "it is not there: compose does not start",
        "make it, or say required: false",
    ),
    Rule(
        "consent",
        "warning",
        "a consent that allows nothing hides what it was meant for",
        "# bootstrapd: allow RULE, because REASON",
    ),
    # systemd.
    Rule(
        "unit-type",
        "error",
        "systemd takes it as started when its process is there: what comes after it starts on a "
        "database that is not ready",
        "Type=notify; Type=oneshot for a bootstrapd that ends",
    ),
    Rule(
        "unit-timeout",
        "error",
        "systemd kills it before bootstrapd's own deadline",
        "at least the deadline; infinity while migrations may be long",
    ),
    Rule(
        "unit-order",
        "error",
        "nothing keeps the app from starting before bootstrapd, or without it",
        "After= and Requires= of the unit that runs bootstrapd",
    ),
    Rule(
        "unit-kill",
        "error",
        "only the first process is ended, and one that migrates lives on beside the next start",
        "KillMode=mixed, or leave it out",
    ),
    # What runs.
    Rule(
        "data-version",
        "error",
        "this version of PostgreSQL does not read that data directory: the server does not start",
        "keep the old version, or move the data with pg_upgrade or a dump",
        ("engine",),
    ),
    Rule(
        "old-data",
        "error",
        "the server would not look there: it refuses to start, or makes a new, empty database",
        "move the data to where this version keeps it, before `up`",
        ("engine",),
    ),
    Rule(
        "not-running",
        "error",
        "it is not healthy",
        "see its log",
        ("engine",),
    ),
    # The host.
    Rule("host-engine", "error", "containers cannot be run", "install it and start it", ("host",)),
    Rule("host-compose", "error", "stacks cannot be brought up", "install it", ("host",)),
    Rule(
        "host-ansible", "warning", "the playbooks cannot be run from here", "install it", ("host",)
    ),
    Rule(
        "host-cpus",
        "warning",
        "the database, the app and the engine wait for each other",
        "use a larger host",
        ("host",),
    ),
    Rule(
        "host-memory",
        "error",
        "where memory ends, the kernel kills the database",
        "use a larger host",
        ("host",),
    ),
    Rule(
        "host-disk",
        "error",
        "a full disk stops the database, and images need room beside it",
        "free or add space",
        ("host",),
    ),
    Rule(
        "host-clock",
        "warning",
        "certificates, logs and backups go by it",
        "switch on time synchronisation",
        ("host",),
    ),
)
BY_NAME = {rule.name: rule for rule in ALL}
