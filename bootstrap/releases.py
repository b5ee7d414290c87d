"""Releases are compared as versions: 1.10 is newer than 1.9, and 2.0rc1 older than 2.0."""

from packaging import version


def is_version(text: str) -> bool:
    """Whether this can be compared with another: PEP 440, which plain 1.2.3 is, too."""
    try:
        version.Version(text)
    except version.InvalidVersion:
        return False
    return True


def at_least(release: str, floor: str) -> bool:
    """Whether `release` is `floor` or newer; ValueError where one of them is no version."""
    return version.Version(release) >= version.Version(floor)


def newest(releases: list[str]) -> str:
    """The newest of them; ValueError where one of them is no version."""
    return max(releases, key=version.Version)
