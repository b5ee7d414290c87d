"""What the tests stand on: real servers, a proxy that makes outages, and the command itself."""

import os
import shutil
import subprocess

import pytest

_SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def need(program: str) -> str:
    """The path of a program that a test cannot do without; where it is missing the test skips.

    `docker` is there only when its engine answers too. With REQUIRE_ALL=1 every skip is a failure
    (see conftest).
    """
    path = shutil.which(program, path=_SYSTEM_PATH)
    if path is None:
        pytest.skip(f"{program} is not installed")
    if program == "docker" and subprocess.run([path, "info"], capture_output=True).returncode:
        pytest.skip("no container engine answers")
    return path
