"""The fixtures of all tests; what they stand on is in `tests/support`, grouped by subject."""

import os
import ssl
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import cli, pgbouncer, postgres, processes, projects, redis, tls
from tests.support.postgres import Server, Servers
from tests.support.proxy import Proxy

# libpq reads these in this process too, and the tests say themselves where they connect to.
for _name in [name for name in os.environ if name.startswith("PG")]:
    del os.environ[_name]

REQUIRE_ALL = os.environ.get("REQUIRE_ALL") == "1"


# -- where everything must be there, a skip is a failure ------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # An expected failure is reported as a skip too.
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_ALL=1 and yet a skip: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if REQUIRE_ALL and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_ALL=1 and yet a skip: {_reason(report)}"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)


# -- PostgreSQL -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _session_servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.close()


@pytest.fixture(autouse=True)
def _servers_run(_session_servers: Servers) -> None:
    """A test that stopped a server may have failed before it started it again."""
    _session_servers.start()


@pytest.fixture(scope="session")
def server15(_session_servers: Servers) -> Server | None:
    """PostgreSQL 15 where the system has it, as Debian 12 does; None elsewhere."""
    return _session_servers.new(15) if postgres.system_binaries(15) else None


@pytest.fixture(scope="session")
def server16(_session_servers: Servers) -> Server:
    """PostgreSQL 16."""
    return _session_servers.new(16)


@pytest.fixture(scope="session")
def server18(_session_servers: Servers) -> Server:
    """PostgreSQL 18."""
    return _session_servers.new(18)


@pytest.fixture(params=postgres.MAJORS, ids="postgres{}".format)
def server(request: pytest.FixtureRequest) -> Server:
    """PostgreSQL 16 and 18."""
    server: Server = request.getfixturevalue(f"server{request.param}")
    return server


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Makes servers of one test: `servers.new(18, max_connections=5)`, `servers.standby(it)`."""
    servers = Servers()
    yield servers
    servers.close()


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """The URL of an empty database on `server`, owned by a role of its own with an odd password."""
    yield from _database(server)


@pytest.fixture
def database18(server18: Server) -> Iterator[str]:
    """Like `database`, on 18 alone."""
    yield from _database(server18)


@pytest.fixture(params=("sqlite", *(f"postgres{major}" for major in postgres.MAJORS)))
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database: a SQLite file, and one on each PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'fresh.db'}"
    else:
        yield from _database(request.getfixturevalue(request.param.replace("postgres", "server")))


def _database(server: Server) -> Iterator[str]:
    url = server.create_database()
    yield url
    server.start()
    server.drop_database(url)


# -- outages --------------------------------------------------------------------------------------


@pytest.fixture
def proxy() -> Iterator[Callable[..., Proxy]]:
    """`proxy(server)` or `proxy(port)`: a proxy before it.

    With `tls=authority.context(host)` it is a PostgreSQL server that speaks TLS.
    """
    with ExitStack() as stack:

        def make(upstream: Server | int, tls: ssl.SSLContext | None = None) -> Proxy:
            port = upstream if isinstance(upstream, int) else upstream.port
            made = Proxy(port, tls)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture(scope="session")
def authority() -> Iterator[tls.Authority]:
    """An authority that no machine knows: `.ca_file`, `.files(host)`, `.context(host)`."""
    with processes.folder("tls") as folder:
        yield tls.Authority(folder)


# -- other servers --------------------------------------------------------------------------------


@pytest.fixture
def redis_server(authority: tls.Authority) -> Iterator[Callable[..., redis.RedisServer]]:
    """`redis_server(password=None, tls=False, loading_s=0)`: a running Redis server.

    With TLS its certificate is by `authority`, for 127.0.0.1 and localhost. With `loading_s` it
    answers LOADING for about so long.
    """
    with ExitStack() as stack:

        def make(
            password: str | None = None, *, tls: bool = False, loading_s: float = 0
        ) -> redis.RedisServer:
            home = stack.enter_context(processes.folder("redis"))
            made = redis.RedisServer(home, password, authority if tls else None)
            stack.callback(made.stop)
            made.start()
            if loading_s:
                made.load_slowly(loading_s)
            return made

        yield make


@pytest.fixture
def bouncer() -> Iterator[Callable[..., pgbouncer.PgBouncer]]:
    """`bouncer(url, mode="transaction")`: PgBouncer before a database, `.url` by way of it."""
    with ExitStack() as stack:

        def make(url: str, mode: pgbouncer.PoolMode = "transaction") -> pgbouncer.PgBouncer:
            home = stack.enter_context(processes.folder("pgbouncer"))
            made = pgbouncer.PgBouncer(home, url, mode)
            stack.callback(made.stop)
            made.start()
            return made

        yield make


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cli.Command]:
    """The command in a clean environment: its folder, `run` and `start`."""
    command = cli.Command(tmp_path_factory.mktemp("command"))
    yield command
    command.close()


@pytest.fixture
def run(command: cli.Command) -> Callable[..., cli.Result]:
    """`run("migrate --json", env={...}, cwd=path)`: the command's result."""
    return command.run


@pytest.fixture
def start(command: cli.Command) -> Callable[..., cli.Running]:
    """`start("serve", env={...})`: the running command."""
    return command.start


# -- other people's projects ----------------------------------------------------------------------


@pytest.fixture(scope="session")
def _initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("initialised")


@pytest.fixture
def project(
    tmp_path_factory: pytest.TempPathFactory, _initialised: Path
) -> Callable[..., projects.Project]:
    """`project(kind="ini", env="plain", revisions=3)`: somebody's Alembic project, in `.path`."""
    return projects.Projects(tmp_path_factory.mktemp("projects"), _initialised).new
