"""Python environments other than the one that the tests run in."""

import site
import sysconfig
import venv
from pathlib import Path


def beside(home: Path) -> Path:
    """The interpreter of a new environment that has our packages, but none of our commands."""
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    (packages / "ours.pth").write_text("".join(f"{path}\n" for path in site.getsitepackages()))
    return python
