"""No password leaves, in whatever form somebody wrote it down."""

import json
import string
from urllib.parse import quote

import psycopg.conninfo
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bootstrap import redact

# Each password begins and ends with a mark that nothing else in a text holds, so that a rest of it
# is found wherever the masking stopped early.
HEAD, TAIL = "Pq7", "zX9"


def passwords(alphabet: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.text(alphabet, max_size=20).map(lambda middle: f"{HEAD}{middle}{TAIL}")


printable = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"))
odd = st.sampled_from("@:/%$#?&=+;,~!()[]{}<>|\\äß😀漢" + string.ascii_letters)
anything = passwords(printable | odd)
# In a text, white space and quotes end a URL.
unquoted = passwords((printable | odd).filter(lambda letter: letter not in "'\""))

schemes = st.sampled_from(
    ["postgres", "postgresql", "postgresql+psycopg", "postgresql+asyncpg", "redis", "rediss"]
)
around = st.sampled_from(["", " ", "'", '"', "(", "connection to ", "url: "])


def assert_hidden(text: str) -> None:
    shown = redact.text(text)
    assert HEAD not in shown, shown
    assert TAIL not in shown, shown
    assert redact.MASK in shown


@given(schemes, unquoted, around)
@example("postgres", f"{HEAD}@:/%$#é{TAIL}", " ")
def test_a_password_pasted_into_a_url_is_hidden(scheme: str, password: str, before: str) -> None:
    assert_hidden(f"{before}{scheme}://app:{password}@db.example:5432/app?sslmode=require failed")


@given(schemes, anything, around)
def test_a_password_encoded_in_a_url_is_hidden(scheme: str, password: str, before: str) -> None:
    assert_hidden(f"{before}{scheme}://app:{quote(password, safe='')}@db:5432/app is away")


@given(anything)
def test_a_password_without_a_user_is_hidden(password: str) -> None:
    assert_hidden(f"redis://:{quote(password, safe='')}@cache:6379/0")


@given(anything)
def test_a_password_among_the_options_of_a_url_is_hidden(password: str) -> None:
    assert_hidden(f"postgresql://db/app?user=app&password={quote(password, safe='')}&sslmode=allow")


@given(passwords(printable | odd | st.sampled_from(" \t")))
def test_a_password_in_a_dsn_of_keys_is_hidden(password: str) -> None:
    assert_hidden(psycopg.conninfo.make_conninfo(host="db", password=password, dbname="app"))


@given(passwords(printable | odd | st.sampled_from(" '\"")))
def test_a_password_that_is_always_quoted_is_hidden(password: str) -> None:
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    assert_hidden(f"host=db password = '{escaped}' dbname=app")


@given(passwords(printable | odd | st.sampled_from(" '\"")))
def test_a_password_in_the_repr_of_a_dict_and_in_json_is_hidden(password: str) -> None:
    assert_hidden(f"cannot connect with { ({'host': 'db', 'password': password, 'port': 1})!r}")
    assert_hidden(json.dumps({"host": "db", "password": password, "port": 1}))


@given(passwords(printable | odd | st.just(" ")))
def test_a_password_in_sql_is_hidden(password: str) -> None:
    escaped = password.replace("'", "''")
    assert_hidden(f"syntax error in: ALTER ROLE app WITH LOGIN PASSWORD '{escaped}' NOINHERIT")


@pytest.mark.parametrize(
    "name", ["PGPASSWORD", "POSTGRES_PASSWORD", "DB_PASSWD", "sslpassword", "Password"]
)
def test_a_password_in_an_environment_is_hidden(name: str) -> None:
    assert redact.text(f"HOME=/root {name}=hunter2,x SHELL=sh") == f"HOME=/root {name}=*** SHELL=sh"


@given(anything)
def test_what_is_remembered_is_hidden_in_each_form(password: str) -> None:
    redact.remember(password)
    for form in (password, quote(password, safe=""), repr(password), json.dumps(password)):
        assert_hidden(f"said {form} aloud")


@given(passwords(printable | odd | st.sampled_from(" '\"")))
def test_a_url_on_its_own_needs_no_quoting(password: str) -> None:
    shown = redact.url(f"postgresql://app:{password}@db:5432/app?sslmode=require")
    assert shown == "postgresql://app:***@db:5432/app?sslmode=require"


def test_the_whole_of_what_is_left() -> None:
    assert redact.text("postgresql://app:p@ss/w#rd@db:5432/app refused, see redis://:x@c/0") == (
        "postgresql://app:***@db:5432/app refused, see redis://:***@c/0"
    )
    assert redact.text("host=db password='it\\'s' user=app") == "host=db password=*** user=app"


@pytest.mark.parametrize(
    "plain",
    [
        "postgres at db:5432/app answers but refuses user 'app': password authentication failed",
        "POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are both set; set one",
        "POSTGRES_PASSWORD_FILE: cannot read '/run/secrets/pg': Permission denied",
        "see http://127.0.0.1:7374/readyz and postgresql://app@db:5432/app",
        "revision 0003 (mail the owner@example.org) applied",
    ],
)
def test_what_holds_no_secret_is_left_as_it_is(plain: str) -> None:
    assert redact.text(plain) == plain


def test_a_word_that_everybody_knows_is_not_remembered() -> None:
    redact.remember("godel", public=("db", "godel", "godel"))
    redact.remember("production", public=("db.production.example",))
    redact.remember("short")
    # Encoded it is long enough, but what it stands for is in every sentence.
    redact.remember("%2C%20")
    redact.remember(None)
    assert redact.text("production, godel, short") == "production, godel, short"


def test_a_document_is_hidden_in_every_corner() -> None:
    redact.remember("hunter22")
    assert redact.document(
        {
            "url": "postgres://app:x@db/app",
            "PGPASSWORD": "x",
            "list": ["hunter22", ("hunter22", 1, None, True, 0.5)],
            "password": "",
            3: {"attempts": {"password": 4}},
        }
    ) == {
        "url": "postgres://app:***@db/app",
        "PGPASSWORD": "***",
        "list": ["***", ["***", 1, None, True, 0.5]],
        "password": "",
        "3": {"attempts": {"password": 4}},
    }
