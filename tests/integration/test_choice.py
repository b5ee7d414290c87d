"""Which database: configured PostgreSQL never becomes SQLite, except by storage `auto` (G3, S1)."""

from collections.abc import Callable
from pathlib import Path

from bootstrap import target
from tests.support import processes
from tests.support.cli import Result

Run = Callable[..., Result]


def nowhere() -> str:
    return f"postgresql://godel:secret-word@127.0.0.1:{processes.free_port()}/godel"


def state(result: Result) -> dict[str, object]:
    found = result.json()["status"]
    assert isinstance(found, dict)
    return found


def test_nothing_configured_is_sqlite_in_the_current_folder(run: Run, tmp_path: Path) -> None:
    run("run", cwd=tmp_path).expect(0)
    assert (tmp_path / "godel.db").is_file()


def test_configured_postgres_that_is_away_is_a_timeout_and_no_sqlite(
    run: Run, tmp_path: Path
) -> None:
    run("run --timeout 0.3", cwd=tmp_path, env={"DATABASE_URL": nowhere()}).expect(124)
    run("run --timeout 0.3", cwd=tmp_path, env={"DASH_STORAGE": "postgres", "POSTGRES_PORT": "1"})
    assert not (tmp_path / "godel.db").exists()


def test_auto_uses_postgres_where_it_answers(run: Run, tmp_path: Path, database18: str) -> None:
    env = {"DASH_STORAGE": "auto", "POSTGRES_URL": database18}
    result = run("run --json", cwd=tmp_path, env=env).expect(0)
    assert state(result)["target"] == target.parse(database18).identity
    assert state(result)["fallback"] is False
    assert not (tmp_path / "godel.db").exists()


def test_auto_falls_back_to_sqlite_and_says_so(run: Run, tmp_path: Path) -> None:
    url = nowhere()
    env = {"DASH_STORAGE": "auto", "POSTGRES_URL": url, "BOOTSTRAPD_AUTO_TIMEOUT_S": "0.3"}
    result = run("run --json -- env", cwd=tmp_path, env=env).expect(0)
    document, _, app_environment = result.stdout.partition("\n")
    assert '"fallback": true' in document
    assert (
        f"{target.parse(url).identity} did not answer within 0.3 s; storage auto falls back to "
        f"SQLite at {tmp_path}/godel.db"
    ) in result.stderr
    # The app must not choose once more, perhaps otherwise.
    assert f"DATABASE_URL=sqlite:///{tmp_path}/godel.db" in app_environment
    assert "secret-word" not in result.stderr


def test_auto_does_not_fall_back_once_it_has_been_on_postgres(
    run: Run, tmp_path: Path, database18: str
) -> None:
    env = {"DASH_STORAGE": "auto", "POSTGRES_URL": database18}
    run("run", cwd=tmp_path, env=env).expect(0)
    env |= {"POSTGRES_URL": nowhere(), "BOOTSTRAPD_WAIT_TIMEOUT_S": "0.3"}
    result = run("run", cwd=tmp_path, env=env).expect(124)
    assert (
        "storage auto does not fall back to SQLite, since this deployment has been on "
        f"{target.parse(database18).identity}: its data would be split in two"
    ) in result.stderr
    assert not (tmp_path / "godel.db").exists()


def test_auto_never_falls_back_in_production(run: Run, tmp_path: Path) -> None:
    env = {
        "DASH_STORAGE": "auto",
        "POSTGRES_URL": nowhere(),
        "BOOTSTRAPD_ENVIRONMENT": "production",
    }
    result = run("run", cwd=tmp_path, env=env).expect(2)
    assert (
        "DASH_STORAGE: auto may fall back to SQLite and is not allowed in production; wanted "
        "sqlite or postgres"
    ) in result.stderr


def test_auto_does_not_take_a_refusal_for_an_absence(
    run: Run, tmp_path: Path, database18: str
) -> None:
    place = target.parse(database18).identity.rpartition("/")[0]
    env = {"DASH_STORAGE": "auto", "POSTGRES_URL": f"postgresql://nobody:wrong-word@{place}/godel"}
    run("run", cwd=tmp_path, env=env).expect(3)
    assert not (tmp_path / "godel.db").exists()


def test_the_apps_own_file_chooses_with_its_defaults(
    run: Run, tmp_path: Path, database18: str
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "godel.yaml").write_text(
        "storage:\n"
        "  type: ${DASH_STORAGE:-sqlite}\n"
        "  sqlite:\n"
        "    path: ${DASH_SQLITE_PATH:-./from-file.db}\n"
        "  postgres:\n"
        "    url: ${POSTGRES_URL:-postgresql://localhost:5432/godel}\n"
    )
    run("run", cwd=tmp_path).expect(0)
    assert (tmp_path / "from-file.db").is_file()
    # Naming PostgreSQL in the environment is enough: the file's default is only a default.
    for env in (
        {"DASH_STORAGE": "postgres", "POSTGRES_URL": database18},
        {"POSTGRES_URL": database18},
        {"DATABASE_URL": database18},
    ):
        result = run("run --json", cwd=tmp_path, env=env).expect(0)
        assert state(result)["target"] == target.parse(database18).identity
    run("run --timeout 0", cwd=tmp_path, env={"POSTGRES_PORT": "1"}).expect(124)
