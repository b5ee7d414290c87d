"""The settings: who wins, what is refused and in which words, and which database it comes to."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bootstrap import __version__, options, redact, settings
from bootstrap import app as declarations
from bootstrap.errors import SettingsError

SPECS = options.SPECS

Load = Callable[..., settings.Loaded]
Refused = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load() -> Load:
    """`load(NAME="value", ..., flags={...})`: the settings in an environment of nothing else."""

    def load(flags: Mapping[str, str] | None = None, **environ: str) -> settings.Loaded:
        return settings.load(flags, environ)

    return load


@pytest.fixture
def refused(load: Load) -> Refused:
    """Like `load`, for settings that are wrong: the lines of the one error."""

    def refused(flags: Mapping[str, str] | None = None, **environ: str) -> list[str]:
        with pytest.raises(SettingsError) as caught:
            load(flags, **environ)
        first, *problems = caught.value.message.split("\n  ")
        noun = "problem" if len(problems) == 1 else "problems"
        assert first == f"settings: {len(problems)} {noun}"
        assert caught.value.facts == {"problems": problems}
        return problems

    return refused


def config(text: str, name: str = "bootstrapd.toml") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def alembic_ini(name: str = "alembic.ini") -> None:
    config("[alembic]\nscript_location = migrations\n", name)


def source(loaded: settings.Loaded, name: str) -> str:
    return next(value.source for value in loaded.values if value.name == name)


def shown(loaded: settings.Loaded, name: str) -> str:
    return next(value.value for value in loaded.values if value.name == name)


# -- nothing is set -------------------------------------------------------------------------------


def test_with_nothing_set_it_is_godel_on_sqlite(load: Load, tmp_path: Path) -> None:
    loaded = load()
    assert loaded.app.name == "godel"
    assert loaded.target.path == tmp_path / "godel.db"
    assert (loaded.fallback, loaded.direct, loaded.path_given) == (None, None, False)
    assert (loaded.state_dir, loaded.deployment) == (tmp_path / ".bootstrapd", False)
    assert loaded.given == frozenset()
    assert {value.source for value in loaded.values} == {"default"}


# -- who wins -------------------------------------------------------------------------------------


def test_flag_beats_environment_beats_file_beats_default(load: Load) -> None:
    name = "BOOTSTRAPD_WAIT_TIMEOUT_S"
    loaded = load()
    assert (loaded.settings.wait_timeout_s, source(loaded, name)) == (60.0, "default")
    config("[settings]\nwait_timeout_s = 1\n")
    loaded = load()
    assert (loaded.settings.wait_timeout_s, source(loaded, name)) == (
        1.0,
        "bootstrapd.toml: wait_timeout_s",
    )
    loaded = load(BOOTSTRAPD_WAIT_TIMEOUT_S="2")
    assert (loaded.settings.wait_timeout_s, source(loaded, name)) == (2.0, name)
    loaded = load({name: "3"}, BOOTSTRAPD_WAIT_TIMEOUT_S="2")
    assert (loaded.settings.wait_timeout_s, source(loaded, name)) == (3.0, "--timeout")
    assert loaded.given == {name}


SAMPLES: Mapping[str, tuple[str, object]] = {
    "BOOTSTRAPD_BACKUP_DIR": ("backups", "backups"),
    "BOOTSTRAPD_REHEARSE_MAX_LOCK": ("share row exclusive", "ShareRowExclusiveLock"),
    "BOOTSTRAPD_REHEARSE_MAX_S": ("1.5", 1.5),
    "BOOTSTRAPD_REHEARSE_REFUSE_REWRITES": ("true", True),
    "DATABASE_URL": ("postgresql://db/x", "postgresql://db/x"),
    "BOOTSTRAPD_DIRECT_URL": ("postgresql://db/y", "postgresql://db/y"),
    "REDIS_URL": ("redis://cache", "redis://cache"),
    "BOOTSTRAPD_APP": ("godel", "godel"),
    "BOOTSTRAPD_CONFIG": ("other.toml", "other.toml"),
    "BOOTSTRAPD_PYTHON": ("python3.9", "python3.9"),
    "BOOTSTRAPD_STATE_DIR": ("/srv/state", "/srv/state"),
    "BOOTSTRAPD_LOG_FORMAT": ("json", "json"),
    "BOOTSTRAPD_WAIT_TIMEOUT_S": ("0", 0.0),
    "BOOTSTRAPD_REQUIRE_PRIMARY": ("true", True),
    "BOOTSTRAPD_ACCEPT_IDENTITY": ("new", "new"),
    "BOOTSTRAPD_ACCEPT_DRIFT": ("0123456789ab", "0123456789ab"),
    "BOOTSTRAPD_HEALTH_ADDRESS": ("0.0.0.0:80", "0.0.0.0:80"),
}


def test_there_is_a_sample_for_every_flag() -> None:
    assert set(SAMPLES) == {name for name, spec in SPECS.items() if spec.flag}


@pytest.mark.parametrize("name", declarations.SHIPPED)
def test_tests_have_a_database_apart(name: str, load: Load) -> None:
    flags = {"BOOTSTRAPD_APP": name}
    test = {"BOOTSTRAPD_ENVIRONMENT": "test"}
    folder = "data/" if name == "agentpane" else ""
    assert load(flags, **test).target.identity.endswith(f"/{folder}{name}_test.db")
    on_server = load(flags, **test, POSTGRES_HOST="db").target.identity
    assert on_server == f"db:5432/{name}_test"
    assert load(flags, POSTGRES_HOST="db").target.identity == f"db:5432/{name}"
    named = load(flags, **test, DATABASE_URL="postgresql://db/own").target.identity
    assert named == "db:5432/own"


@pytest.mark.parametrize("name", SAMPLES)
def test_every_flag_is_read_and_named_as_the_source(load: Load, name: str) -> None:
    config("", "other.toml")
    text, value = SAMPLES[name]
    loaded = load({name: text})
    assert getattr(loaded.settings, SPECS[name].name) == value
    assert source(loaded, name) == SPECS[name].flag


@pytest.mark.parametrize("name", SPECS)
def test_an_empty_variable_counts_as_unset(load: Load, name: str) -> None:
    loaded = load({name: ""}, **{name: "", f"{name}_FILE": ""})
    assert source(loaded, name) == "default"


# -- from files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "password"),
    [
        ("secret", "secret"),
        ("secret\n", "secret"),
        ("secret\r\n", "secret"),
        (" se cret \n", " se cret "),
    ],
)
def test_a_value_may_come_from_a_file(load: Load, content: str, password: str) -> None:
    path = config(content, "run/secrets/pg")
    loaded = load(POSTGRES_PASSWORD_FILE=str(path))
    assert loaded.target.params["password"] == password
    assert source(loaded, "POSTGRES_PASSWORD") == "POSTGRES_PASSWORD_FILE"


def test_an_alias_may_come_from_a_file_too(load: Load) -> None:
    path = config("postgresql://db/shop", "url")
    loaded = load(POSTGRES_URL_FILE=str(path))
    assert loaded.target.identity == "db:5432/shop"
    assert source(loaded, "DATABASE_URL") == "POSTGRES_URL_FILE"


def test_a_name_and_its_file_cannot_both_be_set(refused: Refused) -> None:
    assert refused(DATABASE_URL="sqlite:///a.db", DATABASE_URL_FILE="url") == [
        "DATABASE_URL and DATABASE_URL_FILE are both set; set one"
    ]
    # These two are read before all others as well, and yet complained of once.
    assert refused(
        BOOTSTRAPD_APP="godel",
        BOOTSTRAPD_APP_FILE="app",
        BOOTSTRAPD_CONFIG="a.toml",
        BOOTSTRAPD_CONFIG_FILE="b",
    ) == [
        "BOOTSTRAPD_CONFIG and BOOTSTRAPD_CONFIG_FILE are both set; set one",
        "BOOTSTRAPD_APP and BOOTSTRAPD_APP_FILE are both set; set one",
    ]


def test_a_file_that_cannot_be_read_is_named(refused: Refused) -> None:
    config("", "empty")
    Path("bytes").write_bytes(b"\xff")
    assert refused(
        DATABASE_URL_FILE="none", POSTGRES_USER_FILE="empty", POSTGRES_DB_FILE="bytes"
    ) == [
        "DATABASE_URL_FILE: cannot read 'none': No such file or directory",
        "POSTGRES_DB_FILE: cannot read 'bytes': it is not UTF-8 text",
        "POSTGRES_USER_FILE: 'empty' is empty",
    ]
    assert refused(REDIS_URL_FILE=".") == ["REDIS_URL_FILE: cannot read '.': Is a directory"]


# -- all problems at once -------------------------------------------------------------------------


def test_all_problems_are_told_at_once_each_with_the_name_that_was_read(refused: Refused) -> None:
    config("[settings]\nlock_wait_s = -1\nmigrate = 'perhaps'\nbackof_cap_s = 3\n")
    assert refused(
        {"BOOTSTRAPD_LOG_FORMAT": "xml", "BOOTSTRAPD_WAIT_TIMEOUT_S": "soon"},
        POSTGRES_PORT="abc",
        POSTGRES_SSL="maybe",
        DASH_STORAGE="mysql",
        BOOTSTRAPD_BACKOFF_FACTOR="0.5",
        BOOTSTRAPD_BACKOFF_JITTER="1.5",
        BOOTSTRAPD_BACKOFF_CAP_S="inf",
        BOOTSTRAPD_AUTO_TIMEOUT_S="nan",
        BOOTSTRAPD_WAIT_TRIES="3.5",
        BOOTSTRAPD_LOCK_TIMEOUT_MS="²",
        BOOTSTRAPD_ENVIRONMENT="staging",
        BOOTSTRAPD_VALIDATE="all",
        BOOTSTRAPD_HEALTH_ADDRESS="7374",
        DATABASE_URL="mysql://app:s3cret@db/shop",
    ) == [
        "bootstrapd.toml: unknown setting 'backof_cap_s' in [settings]",
        "DASH_STORAGE: wanted sqlite or postgres or auto, found 'mysql'",
        "POSTGRES_PORT: wanted a port number, found 'abc'",
        "POSTGRES_SSL: wanted true, false or one of libpq's modes, found 'maybe'",
        "BOOTSTRAPD_ENVIRONMENT: wanted development or test or production, found 'staging'",
        "--log-format: wanted text or json, found 'xml'",
        "--timeout: wanted a number of 0 or more, found 'soon'",
        "BOOTSTRAPD_AUTO_TIMEOUT_S: wanted a number of 0 or more, found 'nan'",
        "BOOTSTRAPD_BACKOFF_CAP_S: wanted a number of 0 or more, found 'inf'",
        "BOOTSTRAPD_WAIT_TRIES: wanted a whole number of 0 or more, found '3.5'",
        "bootstrapd.toml: lock_wait_s: wanted a number of 0 or more, found '-1'",
        "BOOTSTRAPD_LOCK_TIMEOUT_MS: wanted a whole number of 0 or more, found '²'",
        "bootstrapd.toml: migrate: wanted true or false, found 'perhaps'",
        "BOOTSTRAPD_VALIDATE: wanted auto or missing or changed or any or none, found 'all'",
        "BOOTSTRAPD_BACKOFF_FACTOR: wanted 1 or more, found 0.5",
        "BOOTSTRAPD_BACKOFF_JITTER: wanted 0 to 1, found 1.5",
        "BOOTSTRAPD_HEALTH_ADDRESS: wanted host:port, found '7374'",
        "DATABASE_URL: wanted one of sqlite:///path, postgresql://user@host/name (also "
        "postgres:// and postgresql+driver://); found the scheme 'mysql'",
    ]


def test_a_flag_is_named_as_it_was_written(refused: Refused) -> None:
    assert refused(
        {
            "DATABASE_URL": "postgresql://app:s3cret@db",
            "BOOTSTRAPD_DIRECT_URL": "postgresql://app:s3cret@db:x/shop",
            "BOOTSTRAPD_HEALTH_ADDRESS": "localhost",
        }
    ) == [
        "--health-address: wanted host:port, found 'localhost'",
        "--database-url: wanted a database name after the host (/name), found none",
        "--direct-url: wanted a port number from 1 to 65535 after the host",
    ]


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("127.0.0.1:7374", ("127.0.0.1", 7374)),
        ("localhost:0", ("localhost", 0)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
        ("[::1]:7374", ("::1", 7374)),
        ("[::]:80", ("::", 80)),
    ],
)
def test_an_address_has_host_and_port(address: str, parts: tuple[str, int]) -> None:
    assert settings.host_and_port(address) == parts


@pytest.mark.parametrize(
    "address",
    ["", ":7374", "7374", "host", "host:", "host:x", "host:65536", "host:²", "::1:7374", "[::1]",
     "http://host:80", "ho st:80", "[host:80"],
)  # fmt: skip
def test_what_is_no_address_is_refused(refused: Refused, address: str) -> None:
    with pytest.raises(ValueError, match="wanted host:port, found"):
        settings.host_and_port(address)
    if address:
        assert refused(BOOTSTRAPD_HEALTH_ADDRESS=address) == [
            f"BOOTSTRAPD_HEALTH_ADDRESS: wanted host:port, found {address!r}"
        ]


# -- other names for the same ---------------------------------------------------------------------


def test_an_app_has_names_of_its_own(load: Load, tmp_path: Path) -> None:
    loaded = load(DASH_STORAGE="sqlite", DASH_SQLITE_PATH="data/mine.db")
    assert loaded.target.path == tmp_path / "data/mine.db"
    assert loaded.path_given
    assert source(loaded, "BOOTSTRAPD_SQLITE_PATH") == "DASH_SQLITE_PATH"
    assert load(POSTGRES_URL="postgresql://db/shop").target.identity == "db:5432/shop"


def test_two_names_that_say_the_same_are_no_problem(load: Load) -> None:
    loaded = load(
        BOOTSTRAPD_STORAGE="postgres", DASH_STORAGE="PostgreSQL", DASH_STORAGE_TYPE="postgresql"
    )
    assert loaded.settings.storage == "postgres"
    url = "postgresql://db/shop"
    assert load(DATABASE_URL=url, POSTGRES_URL=url).target.identity == "db:5432/shop"


def test_two_names_that_disagree_are_an_error_and_secrets_are_not_shown(refused: Refused) -> None:
    assert refused(
        DATABASE_URL="postgresql://app:s3cret@one/shop",
        POSTGRES_URL="postgresql://app:s3cret@two/shop",
        DASH_STORAGE="postgres",
        DASH_STORAGE_TYPE="auto",
    ) == [
        "DATABASE_URL and POSTGRES_URL disagree; set one",
        "DASH_STORAGE and DASH_STORAGE_TYPE disagree: 'postgres' and 'auto'; set one",
    ]


def test_a_flag_needs_to_agree_with_nobody(load: Load) -> None:
    loaded = load(
        {"DATABASE_URL": "postgresql://flag/shop"},
        DATABASE_URL="postgresql://one/shop",
        POSTGRES_URL="postgresql://two/shop",
    )
    assert loaded.target.identity == "flag:5432/shop"


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (
            {"DATABASE_URL": "postgresql://db/shop", "DASH_STORAGE": "sqlite"},
            "DATABASE_URL and DASH_STORAGE disagree: 'postgresql' and 'sqlite'; set one",
        ),
        (
            {"DATABASE_URL": "sqlite:////srv/a.db", "BOOTSTRAPD_STORAGE": "postgres"},
            "DATABASE_URL and BOOTSTRAPD_STORAGE disagree: 'sqlite' and 'postgres'; set one",
        ),
        (
            {"DATABASE_URL": "sqlite:////srv/a.db", "DASH_SQLITE_PATH": "/srv/b.db"},
            "DATABASE_URL and DASH_SQLITE_PATH disagree: '/srv/a.db' and '/srv/b.db'; set one",
        ),
    ],
)
def test_a_url_and_a_choice_must_agree(
    refused: Refused, environ: dict[str, str], problem: str
) -> None:
    assert refused(**environ) == [problem]


# -- which database -------------------------------------------------------------------------------


def test_a_url_decides(load: Load) -> None:
    loaded = load(DATABASE_URL="postgresql://app@db/shop", POSTGRES_HOST="elsewhere")
    assert loaded.target.identity == "db:5432/shop"


@pytest.mark.parametrize(
    ("environ", "identity", "user"),
    [
        ({"POSTGRES_HOST": "db"}, "db:5432/godel", "godel"),
        ({"POSTGRES_PASSWORD": "secret"}, "localhost:5432/godel", "godel"),
        (
            {
                "POSTGRES_HOST": "db",
                "POSTGRES_PORT": "5433",
                "POSTGRES_DB": "shop",
                "POSTGRES_USER": "me",
            },
            "db:5433/shop",
            "me",
        ),
        ({"DASH_STORAGE": "postgres"}, "localhost:5432/godel", "godel"),
    ],
)
def test_without_a_url_the_parts_decide(
    load: Load, environ: dict[str, str], identity: str, user: str
) -> None:
    loaded = load(**environ)
    assert (loaded.target.identity, loaded.target.user) == (identity, user)
    # What is configured as PostgreSQL never becomes SQLite by itself.
    assert loaded.fallback is None


def test_tls_alone_configures_no_server(load: Load) -> None:
    assert load(POSTGRES_SSL="true").target.path is not None


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ("true", "require"),
        ("1", "require"),
        ("false", "prefer"),
        ("Verify-Full", "verify-full"),
        ("disable", "disable"),
    ],
)
def test_tls_to_the_server(load: Load, given: str, mode: str) -> None:
    assert load(POSTGRES_HOST="db", POSTGRES_SSL=given).target.query == {"sslmode": mode}


def test_sqlite_can_be_chosen_although_a_server_is_configured(load: Load, tmp_path: Path) -> None:
    loaded = load(DASH_STORAGE="sqlite", POSTGRES_HOST="db")
    assert loaded.target.path == tmp_path / "godel.db"


@pytest.mark.parametrize(
    "environ", [{}, {"POSTGRES_HOST": "db"}, {"DATABASE_URL": "postgresql://db/godel"}]
)
def test_auto_may_fall_back_to_sqlite(load: Load, tmp_path: Path, environ: dict[str, str]) -> None:
    loaded = load(DASH_STORAGE="auto", DASH_SQLITE_PATH="mine.db", **environ)
    assert loaded.target.is_postgres
    assert loaded.fallback is not None
    assert loaded.fallback.path == tmp_path / "mine.db"
    chosen = settings.choice(loaded, loaded.fallback)
    assert (chosen.target, chosen.fallback) == (loaded.fallback, None)


def test_auto_has_nothing_to_choose_where_the_url_is_of_a_file(load: Load) -> None:
    loaded = load(DASH_STORAGE="auto", DATABASE_URL="sqlite:///a.db")
    assert (loaded.target.dialect, loaded.fallback) == ("sqlite", None)


def test_auto_is_not_for_production(refused: Refused) -> None:
    assert refused(BOOTSTRAPD_ENVIRONMENT="production", DASH_STORAGE="auto") == [
        "DASH_STORAGE: auto may fall back to SQLite and is not allowed in production; wanted "
        "sqlite or postgres"
    ]


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("postgresql://db/shop", "verify-full"),
        ("postgresql://db/shop?sslmode=require", "verify-full"),
        ("postgresql+asyncpg://db/shop?ssl=true", "verify-full"),
        ("postgresql://db/shop?sslmode=verify-ca", "verify-ca"),
        ("postgresql://db/shop?sslmode=disable", "disable"),
        ("postgresql:///shop?host=/var/run/postgresql", None),
    ],
)
def test_production_verifies_certificates(load: Load, url: str, mode: str | None) -> None:
    loaded = load(BOOTSTRAPD_ENVIRONMENT="production", DATABASE_URL=url, BOOTSTRAPD_DIRECT_URL=url)
    assert loaded.direct is not None
    assert loaded.target.query.get("sslmode") == loaded.direct.query.get("sslmode") == mode


def test_memory_is_no_place_for_a_deployment(refused: Refused) -> None:
    problem = "an in-memory database ends with the process that made it; wanted a file"
    assert refused(POSTGRES_URL="sqlite://") == [f"POSTGRES_URL: {problem}"]
    assert refused(DASH_SQLITE_PATH=":memory:") == [f"DASH_SQLITE_PATH: {problem}"]


def test_the_road_past_a_pooler_leads_to_a_server(load: Load, refused: Refused) -> None:
    direct = load(
        DATABASE_URL="postgresql://pool:6432/shop",
        BOOTSTRAPD_DIRECT_URL="postgresql://db/shop",
    ).direct
    assert direct is not None
    assert direct.identity == "db:5432/shop"
    assert refused(BOOTSTRAPD_DIRECT_URL="sqlite:///a.db") == [
        "BOOTSTRAPD_DIRECT_URL: wanted a postgresql URL, found sqlite"
    ]


ODD = "p@:/%$#ä s"


def test_odd_passwords_on_every_road(load: Load) -> None:
    encoded = "p%40%3A%2F%25%24%23%C3%A4%20s"
    by_file = config(f"postgresql://godel:{ODD}@db/godel\n", "url")
    part = config(ODD, "password")
    for loaded in (
        load(DATABASE_URL=f"postgresql://godel:{ODD}@db/godel"),
        load(DATABASE_URL=f"postgresql://godel:{encoded}@db/godel"),
        load(DATABASE_URL_FILE=str(by_file)),
        load({"DATABASE_URL": f"postgres://godel:{encoded}@db/godel"}),
        load(POSTGRES_HOST="db", POSTGRES_PASSWORD=ODD),
        load(POSTGRES_HOST="db", POSTGRES_PASSWORD_FILE=str(part)),
    ):
        assert loaded.target.params["password"] == ODD
        assert loaded.target.identity == "db:5432/godel"
    config(f'[settings]\ndatabase_url = "postgresql://godel:{ODD}@db/godel"\n')
    assert load().target.params["password"] == ODD


# -- the state directory --------------------------------------------------------------------------


def test_naming_a_state_directory_makes_it_a_deployment(load: Load, tmp_path: Path) -> None:
    for loaded, path in (
        (load(BOOTSTRAPD_STATE_DIR="state"), tmp_path / "state"),
        (load({"BOOTSTRAPD_STATE_DIR": "/srv/state"}), Path("/srv/state")),
        (load(STATE_DIRECTORY="/var/lib/one:/var/lib/two"), Path("/var/lib/one")),
        (load(STATE_DIRECTORY="/var/lib/one", BOOTSTRAPD_STATE_DIR="/srv"), Path("/srv")),
    ):
        assert (loaded.state_dir, loaded.deployment) == (path, True)


# -- what may be shown ----------------------------------------------------------------------------


def test_every_setting_is_shown_with_its_source_and_without_its_secret(load: Load) -> None:
    loaded = load(
        {"BOOTSTRAPD_REQUIRE_PRIMARY": "true"},
        DATABASE_URL="postgresql://app:p'w @x@db/shop?sslmode=require",
        BOOTSTRAPD_DIRECT_URL="postgresql://app@db/shop?password=short",
        REDIS_URL="redis://:a b@cache:6379/0",
        POSTGRES_PASSWORD="pw",
    )
    assert [value.name for value in loaded.values] == list(SPECS)
    assert shown(loaded, "DATABASE_URL") == "postgresql://app:***@db/shop?sslmode=require"
    assert shown(loaded, "BOOTSTRAPD_DIRECT_URL") == "postgresql://app@db/shop?password=***"
    assert shown(loaded, "REDIS_URL") == "redis://:***@cache:6379/0"
    assert shown(loaded, "POSTGRES_PASSWORD") == "***"
    assert shown(loaded, "BOOTSTRAPD_REQUIRE_PRIMARY") == "true"
    assert shown(loaded, "BOOTSTRAPD_WAIT_TIMEOUT_S") == "60.0"
    assert shown(loaded, "POSTGRES_HOST") == ""
    assert "p'w" not in repr(loaded)
    assert redact.text("p'w @x is wrong") == "*** is wrong"


# -- bootstrapd.toml ------------------------------------------------------------------------------


def test_the_configuration_can_be_elsewhere(load: Load, tmp_path: Path) -> None:
    alembic_ini("conf/alembic.ini")
    path = config("[apps.shop]\nalembic = 'alembic.ini'\n", "conf/shop.toml")
    for loaded in (load(BOOTSTRAPD_CONFIG=str(path)), load({"BOOTSTRAPD_CONFIG": str(path)})):
        assert loaded.app.alembic == tmp_path / "conf/alembic.ini"
        assert loaded.app.declared_in == "conf/shop.toml"


def test_a_configuration_that_cannot_be_read(refused: Refused) -> None:
    assert refused(BOOTSTRAPD_CONFIG="none.toml") == [
        "BOOTSTRAPD_CONFIG: cannot read 'none.toml': No such file or directory"
    ]
    assert refused({"BOOTSTRAPD_CONFIG": "none.toml"}) == [
        "--config: cannot read 'none.toml': No such file or directory"
    ]
    config("[settings\n")
    assert refused() == [
        "bootstrapd.toml: not valid TOML: Expected ']' at the end of a table declaration (at line "
        "1, column 10)"
    ]


def test_what_the_configuration_does_not_know(refused: Refused) -> None:
    config(
        "[server]\nport = 1\n[settings]\nconfig = 'x'\nDATABASE_URL = 'x'\nwait_tries = [1]\n"
        "seed = {}\n"
    )
    assert refused() == [
        "bootstrapd.toml: unknown setting 'config' in [settings]",
        "bootstrapd.toml: unknown setting 'DATABASE_URL' in [settings]",
        "bootstrapd.toml: wait_tries: wanted one value, found a list",
        "bootstrapd.toml: seed: wanted one value, found a dict",
        "bootstrapd.toml: unknown key 'server'; known are 'settings' and 'apps'",
    ]
    config("settings = 1\napps = 2\n")
    assert refused() == [
        "bootstrapd.toml: wanted a table [settings], found 1",
        "bootstrapd.toml: wanted tables [apps.NAME], found 2",
    ]


def test_values_of_the_configuration_keep_their_meaning(load: Load) -> None:
    config(
        "[settings]\nmigrate = false\nwait_timeout_s = 1.5\nwait_tries = 7\n"
        "database_url = 'postgresql://db/shop'\n"
    )
    loaded = load()
    assert (
        loaded.settings.migrate,
        loaded.settings.wait_timeout_s,
        loaded.settings.wait_tries,
    ) == (
        False,
        1.5,
        7,
    )
    assert source(loaded, "DATABASE_URL") == "bootstrapd.toml: database_url"
    assert "DATABASE_URL" in loaded.given


# -- apps -----------------------------------------------------------------------------------------

SHOP = """
[apps.shop]
alembic = "alembic.ini"
title = "A shop"
metadata = "shop.models:Base.metadata"
seeds = "shop.seeds:SEEDS"
sqlite = "data/shop.db"
python = ".venv/bin/python"
redis = true
version_table = "shop_version"
release = "1.4.0"
aliases = { DATABASE_URL = "SHOP_URL", BOOTSTRAPD_STORAGE = ["SHOP_DB", "SHOP_STORAGE"] }
postgres = { host = "pg", port = 5433, db = "shopdb", user = "keeper" }
"""


def test_an_app_is_declared(load: Load, tmp_path: Path) -> None:
    alembic_ini()
    config(SHOP)
    loaded = load(SHOP_DB="postgres")
    assert loaded.app == declarations.App(
        name="shop",
        alembic=tmp_path / "alembic.ini",
        title="A shop",
        metadata="shop.models:Base.metadata",
        seeds="shop.seeds:SEEDS",
        sqlite="data/shop.db",
        aliases={
            "DATABASE_URL": ("SHOP_URL",),
            "BOOTSTRAPD_STORAGE": ("SHOP_DB", "SHOP_STORAGE"),
        },
        postgres={"host": "pg", "port": "5433", "db": "shopdb", "user": "keeper"},
        redis=True,
        python=str(tmp_path / ".venv/bin/python"),
        version_table="shop_version",
        release="1.4.0",
        declared_in="bootstrapd.toml",
    )
    assert (loaded.target.identity, loaded.target.user) == ("pg:5433/shopdb", "keeper")
    assert load().target.path == tmp_path / "data/shop.db"
    assert load(SHOP_URL="postgresql://db/x").target.identity == "db:5432/x"


def test_the_release_of_an_app(load: Load) -> None:
    assert load().release == __version__
    assert load(BOOTSTRAPD_RELEASE="1.4.0").release == "1.4.0"
    alembic_ini()
    config(SHOP)
    assert load().release == "1.4.0"
    assert load(BOOTSTRAPD_RELEASE="1.4.1").release == "1.4.1"
    config("[apps.shop]\nalembic = 'alembic.ini'\n")
    assert load().release == ""


def test_which_app(load: Load, refused: Refused) -> None:
    alembic_ini()
    config("[apps.one]\nalembic = 'alembic.ini'\n")
    assert load().app.name == "one"
    assert load(BOOTSTRAPD_APP="godel").app.name == "godel"
    config("[apps.one]\nalembic = 'alembic.ini'\n[apps.two]\nalembic = 'alembic.ini'\n")
    assert load({"BOOTSTRAPD_APP": "two"}).app.name == "two"
    assert refused() == ["2 apps are declared (one, two); choose one with --app"]
    known = ", ".join([*declarations.SHIPPED, "one", "two"])
    assert refused(BOOTSTRAPD_APP="three") == [
        f"BOOTSTRAPD_APP: there is no app 'three'; known are {known}"
    ]
    assert refused({"BOOTSTRAPD_APP": "three"}) == [
        f"--app: there is no app 'three'; known are {known}"
    ]
    assert list(settings.load_apps(environ={})) == [*declarations.SHIPPED, "one", "two"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("migrate = 'shop upgrade'", "migrate: wanted list, found 'shop upgrade'"),
        ("migrate = ['shop', 1]", "migrate: wanted a list of texts, found ['shop', 1]"),
        ("initialise = []", "initialise: wanted the words of a command, found none"),
        ("url_in = 1", "url_in: wanted str or list, found 1"),
        ("url_in = 'SHOP_URL'", "url_in: wanted env:NAME, x:NAME or file:PATH, found 'SHOP_URL'"),
        (
            "url_driver = 'asyncpg'",
            "url_driver: wanted the scheme of a URL, as postgresql+asyncpg or sqlite+aiosqlite, "
            "found 'asyncpg'",
        ),
        (
            "connection = 'pool'",
            "connection: wanted connection, engine, autocommit, found 'pool'",
        ),
    ],
)
def test_what_is_said_of_a_stranger_is_checked(refused: Refused, line: str, problem: str) -> None:
    config(f"[apps.shop]\nalembic = '.'\n{line}\n")
    assert refused() == [f"bootstrapd.toml: [apps.shop]: {problem}"]


def test_the_interpreter_of_the_command_line_goes_before_that_of_the_app(load: Load) -> None:
    config("[apps.shop]\nalembic = '.'\npython = '.venv/bin/python'\n")
    assert load().app.python == str(Path.cwd() / ".venv/bin/python")
    assert load({"BOOTSTRAPD_PYTHON": "old/bin/python"}).app.python == str(
        Path.cwd() / "old/bin/python"
    )
    assert load(BOOTSTRAPD_PYTHON="python3.9").app.python == "python3.9"


def test_the_child_finds_the_parts_of_the_url_under_the_apps_own_names(load: Load) -> None:
    config(
        "[apps.shop]\nalembic = '.'\nurl_in = 'env:SHOP_URI'\n"
        "url_driver = ['sqlite+aiosqlite', 'postgresql+asyncpg']\n"
        "[apps.shop.aliases]\nPOSTGRES_HOST = 'DB_HOST'\nPOSTGRES_PASSWORD = 'DB_PASSWORD'\n"
        "POSTGRES_DB = 'DB_NAME'\n"
    )
    url = "postgresql+psycopg://me:s%40cret@db:5433/shop?sslmode=require"
    loaded = load(DATABASE_URL=url)
    assert settings.for_worker(loaded, {"DB_PASSWORD_FILE": "/run/it", "A": "1"}) == {
        "A": "1",
        "DATABASE_URL": "postgresql+asyncpg://me:s%40cret@db:5433/shop?ssl=require",
        "SHOP_URI": "postgresql+asyncpg://me:s%40cret@db:5433/shop?ssl=require",
        "DB_HOST": "db",
        "DB_PASSWORD": "s@cret",
        "DB_NAME": "shop",
    }


def test_an_app_that_is_declared_wrongly_is_complained_of_once(refused: Refused) -> None:
    config("[apps.shop]\nalembik = 'x'\nredis = 'yes'\n")
    problems = [
        "bootstrapd.toml: [apps.shop]: unknown key 'alembik'; known are alembic, title, metadata, "
        "seeds, sqlite, aliases, postgres, redis, python, version_table, release, migrate, "
        "initialise, initialised_at, url_in, url_driver, x, connection, findings",
        "bootstrapd.toml: [apps.shop]: redis: wanted bool, found 'yes'",
        "bootstrapd.toml: [apps.shop]: alembic is missing; name the alembic.ini, pyproject.toml or "
        "script directory",
    ]
    assert refused() == problems
    assert refused(BOOTSTRAPD_APP="shop") == problems
    assert refused(BOOTSTRAPD_APP="godel") == problems


def test_the_parts_of_a_declaration_are_checked(refused: Refused) -> None:
    alembic_ini()
    config(
        """
[apps.shop]
alembic = "none.ini"
metadata = "shop.models"
seeds = "shop/seeds.py:SEEDS"
aliases = { DATABASE_URI = "X", DATABASE_URL = 5, REDIS_URL = ["A", 1] }
postgres = { name = "x" }
[apps."../shop"]
alembic = "alembic.ini"
[apps]
other = 3
"""
    )
    place = "bootstrapd.toml: [apps.shop]"
    assert refused(BOOTSTRAPD_APP="godel") == [
        f"{place}: alembic: there is no {str(Path('none.ini').absolute())!r}",
        f"{place}: metadata: wanted package.module:attribute, found 'shop.models'",
        f"{place}: seeds: wanted package.module:attribute, found 'shop/seeds.py:SEEDS'",
        f"{place}: postgres: unknown part 'name'; known are host, port, db, user, password",
        f"{place}: aliases: unknown setting 'DATABASE_URI'",
        f"{place}: aliases: DATABASE_URL: wanted a name or a list of names, found 5",
        f"{place}: aliases: REDIS_URL: wanted a name or a list of names, found ['A', 1]",
        "bootstrapd.toml: [apps.../shop]: wanted a name of letters, digits and . _ -",
        "bootstrapd.toml: [apps.other]: wanted a table, found 3",
    ]


# -- godel's own file -----------------------------------------------------------------------------

GODEL = """
storage:
  type: ${DASH_STORAGE:-sqlite}
  sqlite:
    path: ${DASH_SQLITE_PATH:-./data/godel.db}
  postgres:
    url: ${POSTGRES_URL:-postgresql://localhost:5432/godel}
"""


def test_godel_reads_its_own_file(load: Load, tmp_path: Path) -> None:
    config(GODEL, "config/godel.yaml")
    loaded = load()
    assert loaded.target.path == tmp_path / "data/godel.db"
    assert source(loaded, "BOOTSTRAPD_STORAGE") == "config/godel.yaml: storage.type"
    assert load(DASH_STORAGE="postgres").target.identity == "localhost:5432/godel"
    by_file = config("postgresql://db/shop", "url")
    assert (
        load(DASH_STORAGE="postgres", POSTGRES_URL_FILE=str(by_file)).target.identity
        == "db:5432/shop"
    )
    assert load(DATABASE_URL="sqlite:////srv/other.db", DASH_SQLITE_PATH="/srv/other.db")


def test_bootstrapds_file_beats_godels(load: Load) -> None:
    config(GODEL, "config/godel.yaml")
    config("[settings]\nsqlite_path = '/srv/mine.db'\n")
    assert load().target.path == Path("/srv/mine.db")


def test_a_broken_file_of_godels_is_named_with_the_line_and_not_quoted(refused: Refused) -> None:
    config("storage:\n  postgres:\n    password: 's3cret\n", "config/godel.yaml")
    assert refused() == [
        "config/godel.yaml, line 4: cannot be read as YAML: found unexpected end of stream"
    ]
    Path("config/godel.yaml").write_bytes(b"\xff")
    assert refused() == ["config/godel.yaml: cannot be read as YAML: not UTF-8 text"]
    config("- a list\n", "config/godel.yaml")
    assert settings.load(environ={}).target.path is not None


# -- the environments of others -------------------------------------------------------------------


def test_the_app_gets_its_environment_without_our_secrets(load: Load) -> None:
    environ = {
        "HOME": "/root",
        "DATABASE_URL": "postgresql://app:secret@pool/shop",
        "BOOTSTRAPD_DIRECT_URL_FILE": "direct",
        "BOOTSTRAPD_WAIT_TIMEOUT_S": "5",
    }
    config("postgresql://owner:secret@db/shop", "direct")
    handed = settings.handed_over(load(**environ), environ)
    assert handed == {
        "HOME": "/root",
        "DATABASE_URL": "postgresql://app:secret@pool/shop",
        "BOOTSTRAPD_WAIT_TIMEOUT_S": "5",
    }


def test_after_a_choice_the_app_is_told_by_every_name_that_is_set(
    load: Load, tmp_path: Path
) -> None:
    config("postgresql://db/godel", "url")
    environ = {
        "POSTGRES_URL_FILE": "url",
        "DASH_STORAGE": "auto",
        "DASH_SQLITE_PATH": "mine.db",
    }
    loaded = load(**environ)
    assert loaded.fallback is not None
    for chosen, kind, url in (
        (loaded.target, "postgres", "postgresql://db/godel"),
        (loaded.fallback, "sqlite", f"sqlite:///{tmp_path}/mine.db"),
    ):
        handed = settings.handed_over(settings.choice(loaded, chosen), environ)
        assert handed == {
            "DATABASE_URL": url,
            "POSTGRES_URL": url,
            "DASH_STORAGE": kind,
            "DASH_SQLITE_PATH": "mine.db",
        }
        # Read once more, as the app will, it is the same database and nothing is left to choose.
        again = load(**handed)
        assert (again.target, again.fallback) == (chosen, None)


def test_the_worker_finds_the_target_under_every_name(load: Load) -> None:
    config("postgresql://app:secret@db/godel", "url")
    environ = {"DATABASE_URL_FILE": "url", "PYTHONPATH": "/srv/lib"}
    child = settings.for_worker(load(**environ), environ)
    package, _, rest = child.pop("PYTHONPATH").partition(":")
    assert (Path(package), rest) == (Path(settings.__file__).parents[1], "/srv/lib")
    url = "postgresql://app:secret@db/godel"
    assert child == {"DATABASE_URL": url, "POSTGRES_URL": url}


def test_a_declared_app_keeps_its_python_path(load: Load) -> None:
    alembic_ini()
    config("[apps.shop]\nalembic = 'alembic.ini'\naliases = { DATABASE_URL = ['SHOP_URL'] }\n")
    loaded = load(SHOP_URL="sqlite:////srv/shop.db")
    assert settings.for_worker(loaded, {"A": "1"}) == {
        "A": "1",
        "DATABASE_URL": "sqlite:////srv/shop.db",
        "SHOP_URL": "sqlite:////srv/shop.db",
    }
