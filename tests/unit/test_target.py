"""The target: every form of a URL, every odd password, and a name that is safe to print."""

from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import conninfo

from bootstrap import target

HERE = Path("/srv/app")

texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20
)
odd = st.text(st.sampled_from("@:/%$#?&=+ ,;'\"\\äß😀漢aB1"), min_size=1, max_size=20)
names = texts | odd
hosts = st.from_regex(r"[a-z][a-z0-9.-]{0,15}", fullmatch=True) | st.sampled_from(
    ["127.0.0.1", "::1", "fe80::1:2", "/var/run/postgresql", "one,two", "one,::1,three"]
)
ports = st.integers(1, 65535).map(str)
queries = st.dictionaries(st.from_regex(r"[a-z_]{3,12}", fullmatch=True), names, max_size=3).map(
    lambda query: {
        key: value
        for key, value in query.items()
        if key not in (*target.POOL_OPTIONS, "host", "port", "user", "password", "dbname", "ssl")
    }
)


# -- PostgreSQL, as it should be ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "identity", "params"),
    [
        (
            "postgresql://app:secret@db:5433/shop",
            "db:5433/shop",
            {"host": "db", "port": "5433", "dbname": "shop", "user": "app", "password": "secret"},
        ),
        ("postgres://app@db/shop", "db:5432/shop", {"host": "db", "dbname": "shop", "user": "app"}),
        ("postgresql+asyncpg://db/shop", "db:5432/shop", {"host": "db", "dbname": "shop"}),
        ("POSTGRESQL://db/shop", "db:5432/shop", {"host": "db", "dbname": "shop"}),
        ("postgresql:///shop", "localhost:5432/shop", {"dbname": "shop"}),
        ("postgresql://db?dbname=shop", "db:5432/shop", {"host": "db", "dbname": "shop"}),
        ("postgresql://db/caf%C3%A9", "db:5432/café", {"host": "db", "dbname": "café"}),
        (
            "postgresql://app@[::1]:5433/shop",
            "::1:5433/shop",
            {"host": "::1", "port": "5433", "dbname": "shop", "user": "app"},
        ),
        (
            "postgresql://%2Fvar%2Frun%2Fpostgresql/shop",
            "/var/run/postgresql:5432/shop",
            {"host": "/var/run/postgresql", "dbname": "shop"},
        ),
        (
            "postgresql:///shop?host=/var/run/postgresql&user=app&password=secret",
            "/var/run/postgresql:5432/shop",
            {
                "host": "/var/run/postgresql",
                "dbname": "shop",
                "user": "app",
                "password": "secret",
            },
        ),
        (
            "postgresql://one:5433,two/shop",
            "one:5433,two:5432/shop",
            {"host": "one,two", "port": "5433,", "dbname": "shop"},
        ),
        (
            "postgresql:///shop?host=one,two&port=5433",
            "one:5433,two:5433/shop",
            {"host": "one,two", "port": "5433", "dbname": "shop"},
        ),
        (
            "postgresql+psycopg:///shop?host=one:5433&host=two:5434",
            "one:5433,two:5434/shop",
            {"host": "one,two", "port": "5433,5434", "dbname": "shop"},
        ),
    ],
)
def test_a_url_names_a_server(url: str, identity: str, params: dict[str, str]) -> None:
    found = target.parse(url)
    assert (found.dialect, found.is_postgres, found.path) == ("postgresql", True, None)
    assert (found.identity, found.params) == (identity, params)
    assert found.user == params.get("user", "")


@given(hosts, ports, names, names, st.none() | names, queries)
@example("db", "5432", "app", "app", "@:/%$#?&=+ é", {"options": "-c search_path=a,b"})
@example("::1", "1", "/", "@", "%41", {})
def test_what_is_made_of_parts_is_read_back_from_its_url(
    host: str, port: str, name: str, user: str, password: str | None, query: dict[str, str]
) -> None:
    made = target.postgres(
        host=host, port=port, name=name, user=user, password=password, query=query
    )
    found = target.parse(made.url())
    assert found == made
    assert found.conninfo() == made.conninfo()


@given(ports, names, names, names)
@example("5432", "app", "app", "@:/%$#?&=+ é")
def test_sqlalchemy_and_libpq_read_the_same_from_that_url(
    port: str, name: str, user: str, password: str
) -> None:
    made = target.postgres(
        host="db",
        port=port,
        name=name,
        user=user,
        password=password,
        query={"options": "-c search_path=a,b", "sslmode": "require"},
    )
    url = sa.make_url(made.url("psycopg"))
    assert (url.drivername, url.host, str(url.port)) == ("postgresql+psycopg", "db", port)
    assert (url.database, url.username, url.password) == (name, user, password)
    assert dict(url.query) == made.query
    assert conninfo.conninfo_to_dict(made.url()) == made.conninfo()


def test_the_driver_is_kept_and_can_be_another() -> None:
    found = target.parse("postgresql+psycopg2://app@db/shop")
    assert found.driver == "psycopg2"
    assert found.url() == "postgresql+psycopg2://app@db/shop"
    assert found.url("asyncpg") == "postgresql+asyncpg://app@db/shop"
    assert target.parse("postgres://app@db/shop").url() == "postgresql://app@db/shop"


def test_pool_options_are_not_for_the_server() -> None:
    found = target.parse(
        "postgresql://db/shop?pool_size=10&sslmode=require&max_overflow=20&pool_timeout=30"
        "&pool_recycle=1800&pool_pre_ping=true"
    )
    assert found.query == {"sslmode": "require"}
    assert found.pool == {
        "pool_size": "10",
        "max_overflow": "20",
        "pool_timeout": "30",
        "pool_recycle": "1800",
        "pool_pre_ping": "true",
    }
    assert found.conninfo() == {"host": "db", "dbname": "shop", "sslmode": "require"}
    assert found.url() == "postgresql://db/shop?sslmode=require"


@pytest.mark.parametrize(
    ("given", "mode"), [("require", "require"), ("true", "require"), ("verify-full", "verify-full")]
)
def test_asyncpg_has_a_word_of_its_own_for_tls(given: str, mode: str) -> None:
    found = target.parse(f"postgresql+asyncpg://db/shop?ssl={given}")
    assert found.conninfo() == {"host": "db", "dbname": "shop", "sslmode": mode}
    assert found.url() == f"postgresql+asyncpg://db/shop?ssl={mode}"
    assert found.url("psycopg") == f"postgresql+psycopg://db/shop?sslmode={mode}"


def test_only_the_identity_is_shown() -> None:
    found = target.parse("postgresql://app:secret@db/shop?sslpassword=hidden")
    assert "secret" not in repr(found)
    assert "hidden" not in repr(found)
    assert "db:5432/shop" in repr(found)


# -- PostgreSQL, as people paste it ---------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [
        "p@ss",
        "p:a:s:s",
        "pa/ss",
        "p?ss",
        "p#ss",
        "100%",
        "50%off",
        "$HOME",
        "12/34",
        "5432/x@1",
        "p@12/3",
        "@/:?#",
        "@@",
        "Käse😀",
        "it's",
        'say "a b"',
    ],
)
def test_a_password_need_not_be_encoded(password: str) -> None:
    for rest in ("db/shop", "db:5432/shop", "db:5432/shop?sslmode=require&application_name=a@b"):
        found = target.parse(f"postgresql://app:{password}@{rest}")
        assert found.params["password"] == password
        assert (found.user, found.identity) == ("app", "db:5432/shop")


# "=" can make the rest of a password look like an option, and "%" like an encoded letter.
@given(st.text(st.sampled_from("@:/$#?&+ ,;'[]äß😀漢aB1"), min_size=1, max_size=20))
def test_a_pasted_password_never_gets_into_the_identity(password: str) -> None:
    found = target.parse(f"postgresql://app:{password}@db:5432/shop")
    assert found.params["password"] == password
    assert (found.user, found.identity) == ("app", "db:5432/shop")


@given(names)
def test_an_encoded_password_is_decoded(password: str) -> None:
    found = target.parse(f"postgresql://app:{quote(password, safe='')}@db/shop")
    assert found.params["password"] == password


def test_an_at_sign_in_an_option_is_no_password() -> None:
    found = target.parse("postgresql://db:5432/shop?application_name=me@home")
    assert (found.identity, found.user) == ("db:5432/shop", "")
    assert found.query == {"application_name": "me@home"}


# -- what cannot be read --------------------------------------------------------------------------

NO_NAME = "wanted a database name after the host (/name), found none"
NO_PORT = "wanted a port number from 1 to 65535 after the host"
SCHEMES = "sqlite:///path, postgresql://user@host/name (also postgres:// and postgresql+driver://)"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", f"wanted a URL ({SCHEMES}), found a value without a scheme"),
        ("host=db password=s3cret", f"wanted a URL ({SCHEMES}), found a value without a scheme"),
        ("mysql://app:s3cret@db/shop", f"wanted one of {SCHEMES}; found the scheme 'mysql'"),
        ("postgresql+://db", NO_NAME),
        ("postgresql://", NO_NAME),
        ("postgresql://app:s3cret@db", NO_NAME),
        ("postgresql://app:s3cret@db:5432/", NO_NAME),
        ("postgresql://app:s3cret@db:0/shop", NO_PORT),
        ("postgresql://app:s3cret@db:65536/shop", NO_PORT),
        ("postgresql://app:s3cret@db:port/shop", NO_PORT),
        ("postgresql://app:s3cret@db:²/shop", NO_PORT),
        # The host was forgotten, and what stands in its place is a secret.
        ("postgresql://app:s3cret/shop", NO_PORT),
        (
            "postgresql://app:s3cret@[::1/shop",
            "wanted host or host:port after the password, found neither",
        ),
        (
            "postgresql://#s3cret",
            "wanted postgresql://user:password@host:port/name, found no such form",
        ),
        (
            "sqlite://file.db",
            "wanted three slashes before a SQLite path (sqlite:///file.db, or four for an absolute "
            "path), found two",
        ),
    ],
)
def test_what_cannot_be_read_says_what_was_wanted_and_no_secret(url: str, message: str) -> None:
    with pytest.raises(target.InvalidURLError) as caught:
        target.parse(url)
    assert str(caught.value) == message


@given(
    st.sampled_from(["", "postgresql://", "postgresql://app:", "sqlite://", "sqlite:///"]),
    st.text(max_size=30) | st.text(st.sampled_from("@:/?#[],=&%.a1²"), max_size=30),
)
def test_whatever_it_is_it_is_read_or_refused(start: str, rest: str) -> None:
    try:
        found = target.parse(start + rest, cwd=HERE)
    except target.InvalidURLError:
        return
    assert target.parse(found.url(), cwd=HERE).identity == found.identity


# -- SQLite ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        ("sqlite:///app.db", "/srv/app/app.db", {}),
        ("sqlite:///./data/app.db", "/srv/app/data/app.db", {}),
        ("sqlite:////var/lib/app.db", "/var/lib/app.db", {}),
        ("sqlite+aiosqlite:///app.db?timeout=5", "/srv/app/app.db", {"timeout": "5"}),
        ("sqlite:///a%20b.db", "/srv/app/a b.db", {}),
        ("sqlite:///a b.db", "/srv/app/a b.db", {}),
        ("sqlite:///file:app.db?mode=ro&uri=true&timeout=5", "/srv/app/app.db", {"timeout": "5"}),
        ("sqlite:///app.db?pool_size=5", "/srv/app/app.db", {}),
    ],
)
def test_a_url_names_a_file(url: str, path: str, query: dict[str, str]) -> None:
    found = target.parse(url, cwd=HERE)
    assert (found.dialect, found.is_postgres, found.user) == ("sqlite", False, "")
    assert (found.path, found.identity, found.query) == (Path(path), path, query)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:shared?mode=memory&cache=shared&uri=true",
    ],
)
def test_a_url_names_memory(url: str) -> None:
    found = target.parse(url)
    assert (found.path, found.identity) == (None, ":memory:")


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert target.sqlite("~/app.db").path == Path("/home/me/app.db")
    assert target.sqlite("~nobody-has-this-name/app.db", cwd=HERE).path == (
        HERE / "~nobody-has-this-name/app.db"
    )
    assert target.sqlite("app.db", cwd=HERE).path == Path("/srv/app/app.db")
    assert target.sqlite(":memory:").path is None


@given(st.lists(names, min_size=1, max_size=3).map("/".join))
@example("100%25 what?#.db")
def test_a_file_is_read_back_from_its_url(name: str) -> None:
    made = target.sqlite("/srv/" + name)
    found = target.parse(made.url())
    assert found == made
    assert sa.make_url(made.url()).database == str(made.path)
