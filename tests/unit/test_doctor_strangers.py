"""Whatever a file holds, `doctor` looks at it or says why it cannot, and never fails otherwise."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bootstrap.doctor import examine
from bootstrap.doctor.report import Report
from bootstrap.errors import SettingsError
from tests.support.doctor import GOOD

CASES = sorted((Path(__file__).parents[1] / "data" / "compose").rglob("*.yaml"))
# An overlay is no project by itself.
WHOLE = [path for path in CASES if path.name not in ("over.yaml", "more.over.yaml", "block.yaml")]
TEXTS = [GOOD, *(path.read_text(encoding="utf-8") for path in CASES)]
KEYS = (
    "image",
    "command",
    "entrypoint",
    "environment",
    "env_file",
    "ports",
    "volumes",
    "depends_on",
    "healthcheck",
    "profiles",
    "secrets",
    "restart",
    "extends",
    "labels",
    "tmpfs",
    "build",
    "configs",
    "stop_grace_period",
    "shm_size",
    "privileged",
    "networks",
)
QUICK = hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def look(text: str, folder: Path) -> Report | None:
    """The report; None where the file is refused."""
    file = folder / "compose.yaml"
    file.write_text(text, encoding="utf-8")
    report = Report()
    try:
        examine.files([file], {}, report)
    except SettingsError:
        return None
    return report


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_files_of_others_are_looked_at(path: Path) -> None:
    report = Report()
    examine.files([path], {}, report)
    assert report.looked[0].endswith(path.name)


@QUICK
@given(data=st.data())
def test_a_file_with_lines_out_of_place(data: Any, tmp_path: Path) -> None:
    lines = data.draw(st.sampled_from(TEXTS)).splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(lines) - 1))
        action = data.draw(st.sampled_from(["drop", "double", "move", "cut", "deeper", "odd"]))
        line = lines[place]
        if action == "drop" and len(lines) > 1:
            del lines[place]
        elif action == "double":
            lines.insert(place, line)
        elif action == "move":
            lines.insert(data.draw(st.integers(0, len(lines) - 1)), lines.pop(place))
        elif action == "cut":
            lines[place] = line[: data.draw(st.integers(0, len(line)))]
        elif action == "deeper":
            lines[place] = " " * data.draw(st.integers(1, 4)) + line
        else:
            odd = data.draw(
                st.sampled_from(["${", "$", "&a", "*a", "!x", "{", "[", "\t", "\x00", "é"])
            )
            cut = data.draw(st.integers(0, len(line)))
            lines[place] = line[:cut] + odd + line[cut:]
    look("\n".join(lines), tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99999) | st.text("ab:/-=${}. 0", max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*KEYS, "test", "source", "target", "a"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@QUICK
@given(
    services=st.dictionaries(
        st.sampled_from(["db", "cache", "app", "pool"]),
        st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5),
        min_size=1,
        max_size=3,
    ),
    image=st.sampled_from(["postgres:17", "redis", "pgbouncer:1.24", "bootstrapd:1", "a@sha256:1"]),
)
def test_values_that_nobody_expects(services: Any, image: str, tmp_path: Path) -> None:
    for service in services.values():
        service.setdefault("image", image)
    look(yaml.safe_dump({"services": services}), tmp_path)


@pytest.mark.parametrize(
    "service",
    [
        {"extends": {"service": "a", "file": "\0"}},
        {"env_file": "\0"},
        {"env_file": "~nobody-of-this-name/x"},
        {"volumes": ["~nobody-of-this-name/x:/x", "\0:/y"]},
        {"command": "'"},
        {"healthcheck": {"test": "pg_isready '"}},
        {"healthcheck": {"interval": "1.2.3s", "test": "redis-cli ping"}},
        {"stop_grace_period": "soon"},
    ],
    ids=str,
)
def test_paths_and_texts_that_cannot_be_meant(service: Any, tmp_path: Path) -> None:
    for image in ("postgres:18.6-trixie", "redis:8.0.2"):
        look(yaml.safe_dump({"services": {"db": {"image": image, **service}}}), tmp_path)
