"""What this release of an app consists of, as one digest: revisions, models, seeds, and the rules.

A proof in the ledger holds for as long as the digest is the same. It is made from contents, not
from file times, so that every machine of a deployment comes to the same one.
"""

import os
from pathlib import Path

from bootstrap import __version__, digests, revisions, settings


def digest(loaded: settings.Loaded, known: revisions.Graph) -> str | None:
    """The digest, or None where sources cannot be found: then nothing is ever taken as proven."""
    parts = [
        __version__,
        known.digest,
        loaded.app.metadata or "",
        loaded.app.seeds or "",
        loaded.settings.validate,
        loaded.settings.findings,
        str(sorted(loaded.app.findings.items())),
        str(loaded.settings.replay),
        loaded.settings.app_role or "",
        _snapshot(loaded, known),
        str(loaded.settings.seed),
    ]
    for declared in dict.fromkeys((loaded.app.metadata, loaded.app.seeds)):
        if declared is not None:
            source = _source(loaded, declared.partition(":")[0])
            if source is None:
                return None
            parts.append(source)
    return digests.new("\0".join(parts).encode()).hexdigest()


def _snapshot(loaded: settings.Loaded, known: revisions.Graph) -> str:
    """A digest of the target's snapshot; nothing where there is none."""
    place = known.snapshot(loaded.target.dialect)
    try:
        return digests.new(place.read_bytes()).hexdigest() if place else ""
    except OSError:
        return ""


def _source(loaded: settings.Loaded, module: str) -> str | None:
    """A digest of the Python files around `module`: its package, or the file itself."""
    package = module.split(".")
    if loaded.app.declared_in == "shipped":
        # The engine's own files are covered by the version; the app is the folder of the module.
        package = package[:-1]
        roots: tuple[Path, ...] = (Path(__file__).parent.parent,)
    else:
        package = package[:1]
        roots = loaded.app.roots
    for root in roots:
        place = root.joinpath(*package)
        if place.is_dir():
            return _files(place)
        file = place.with_suffix(".py")
        if file.is_file():
            return digests.new(file.read_bytes()).hexdigest()
    return None


def _files(folder: Path) -> str:
    found = digests.new()
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - {"__pycache__"})
        for name in sorted(names):
            if name.endswith(".py"):
                path = Path(parent, name)
                found.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return found.hexdigest()
