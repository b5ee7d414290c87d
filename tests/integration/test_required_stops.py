"""A release that must have come to its end before later revisions are applied."""

from collections.abc import Callable

import pytest

from tests.integration.test_ahead import declare, error_of
from tests.support import look
from tests.support.cli import Result
from tests.support.projects import Project

Run = Callable[..., Result]
MakeProject = Callable[..., Project]

KILLS = "import os, time\nos.kill(os.getppid(), 9); time.sleep(60)"


class Shop:
    """A shop whose release 1.4.0 brings revision 0002, a required stop, and 1.6.0 what follows."""

    def __init__(self, project: Project, url: str, run: Run) -> None:
        self.project = project
        self.url = url
        self._run = run
        self.where = look.identity(url)

    def stop(self) -> None:
        declare(self.project.revision("0002"), required_stop="1.4.0")

    def go_on(self) -> None:
        self.project.revision("0003")
        self.project.revision("0004")

    def run(self, args: str, release: str, **env: str) -> Result:
        env = {"DATABASE_URL": self.url, "BOOTSTRAPD_RELEASE": release, **env}
        return self._run(args, env=env, cwd=self.project.path)


@pytest.fixture
def shop(project: MakeProject, run: Run, either_url: str) -> Shop:
    """A shop at revision 0001."""
    return Shop(project(revisions=1, models=False), either_url, run)


def test_a_stop_cannot_be_skipped(shop: Shop) -> None:
    shop.run("run", "1.3.0").expect(0)
    shop.stop()
    shop.go_on()
    before = look.tables(shop.url)
    for args in ("run", "migrate", "migrate 0003", "plan"):
        ended = shop.run(f"{args} --json", "1.6.0").expect(8)
        assert error_of(ended) == (
            f"{shop.where} is at 0001 and would go on to 0003, past revision 0002 (step 0002), at "
            "which release 1.4.0 has to come to its end: it is not applied yet; nothing was "
            "changed. Install release 1.4.0 first, run it, then this one; or, if what it is to do "
            "is done: BOOTSTRAPD_SKIP_STOPS=0002"
        )
        assert ended.json()["error"]["needs"] == "1.4.0"
        assert ended.json()["error"]["runbook"] == "ahead"
    assert (look.tables(shop.url), look.revisions(shop.url)) == (before, ["0001"])


@pytest.mark.parametrize("verb", ["run", "migrate"])
def test_step_by_step_it_is_passed(shop: Shop, verb: str) -> None:
    shop.run(verb, "1.3.0").expect(0)
    shop.stop()
    shop.run(verb, "1.4.0").expect(0)
    shop.go_on()
    shop.run(verb, "1.6.0").expect(0)
    assert look.revisions(shop.url) == ["0004"]


def test_to_apply_the_stop_alone_is_not_to_come_to_its_end(shop: Shop) -> None:
    shop.run("run", "1.3.0").expect(0)
    shop.stop()
    shop.go_on()
    shop.run("migrate 0002", "1.6.0").expect(0)
    ended = shop.run("run --json", "1.6.0").expect(8)
    assert error_of(ended) == (
        f"{shop.where} is at 0002 and would go on to 0003, past revision 0002 (step 0002), at "
        "which release 1.4.0 has to come to its end: it is applied, but that release did not end; "
        "nothing was changed. Install release 1.4.0 first, run it, then this one; or, if what it "
        "is to do is done: BOOTSTRAPD_SKIP_STOPS=0002"
    )
    assert look.revisions(shop.url) == ["0002"]
    shop.run("run", "1.6.0", BOOTSTRAPD_SKIP_STOPS="0002").expect(0)
    assert look.revisions(shop.url) == ["0004"]


def test_a_new_database_stops_nowhere(shop: Shop) -> None:
    shop.stop()
    shop.go_on()
    shop.run("run", "1.6.0").expect(0)
    assert look.revisions(shop.url) == ["0004"]


def test_a_first_run_that_was_killed_is_taken_up(shop: Shop) -> None:
    shop.stop()
    third = shop.project.revision("0003", upgrade=KILLS)
    assert shop.run("run", "1.6.0").exit_code == -9
    look.until(lambda: look.revisions(shop.url) == ["0002"])
    third.write_text(third.read_text().replace(KILLS.splitlines()[1], "pass"))
    shop.run("run", "1.6.0").expect(0)
    assert look.revisions(shop.url) == ["0003"]


def test_what_was_there_before_bootstrapd_was_is_past_its_stops(shop: Shop) -> None:
    shop.stop()
    shop.run("run", "1.4.0").expect(0)
    look.forget(shop.url)
    shop.go_on()
    shop.run("run", "1.6.0").expect(0)
    assert look.revisions(shop.url) == ["0004"]
