"""The verbs that are called most, read without click, which is a fifth of what a start costs."""

from collections.abc import Sequence

from bootstrap.call import BRINGING_UP, COMMON, Call
from bootstrap.journal import Level
from bootstrap.options import SPECS

_SWITCHES = {"-q": "quiet", "--quiet": "quiet", "-v": "verbose", "--verbose": "verbose"}
_SETTINGS = {"run": (*COMMON, *BRINGING_UP), "validate": (*COMMON, "BOOTSTRAPD_DIRECT_URL")}


def read(words: Sequence[str]) -> tuple[Call, tuple[str, ...]] | None:
    """The call that these words make, and the command after `--`.

    None where it takes click to tell: for another verb, for help, for anything unusual, and for
    every mistake, whose message is click's.
    """
    verb = words[0] if words else ""
    if verb not in _SETTINGS or (verb != "run" and "--" in words):
        return None
    known = {SPECS[name].flag: SPECS[name] for name in _SETTINGS[verb]}
    cut = words.index("--") if "--" in words else len(words)
    said = iter(words[1:cut])
    flags: dict[str, str] = {}
    switches: set[str] = set()
    for word in said:
        name, equals, value = word.partition("=")
        spec = known.get(name)
        if word == "--json" or word in _SWITCHES:
            switches.add(_SWITCHES.get(word, word))
        elif spec is None:
            return None
        elif spec.is_switch:
            if equals:
                return None
            flags[spec.env] = "true"
        else:
            value = value if equals else next(said, "-")
            if value.startswith("-"):
                return None
            flags[spec.env] = value
    level: Level = (
        "debug" if "verbose" in switches else "warning" if "quiet" in switches else "info"
    )
    call = Call(verb, flags, as_json="--json" in switches, level=level)
    return call, tuple(words[cut + 1 :])
