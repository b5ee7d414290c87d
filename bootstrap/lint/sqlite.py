"""What cannot be had back on SQLite, or is missed by a release that still runs."""

from collections.abc import Iterator

from bootstrap.lint import tables
from bootstrap.lint.finding import Finding, Revision
from bootstrap.lint.statements import Name, name

_IN_BATCHES = ("drop-column", "rename-column")


def findings(seen: Revision) -> Iterator[Finding]:
    """What the statements, and the batches that make a table anew, give to say."""
    rebuilt = set(_rebuilt(seen))
    new = tables.on_new_ones(seen.statements)
    for each, is_new in zip(seen.statements, new, strict=True):
        if is_new:
            continue
        if each.starts("drop", "table"):
            if name(each.tokens, 2) not in rebuilt:
                yield seen.find("drop-table", each)
        elif each.starts("delete") and "where" not in each.tokens:
            yield seen.find("delete-all-rows", each, effect="all rows are gone for good")
        elif each.starts("alter", "table"):
            if each.has("rename", "to"):
                yield seen.find("rename-table", each)
            elif each.has("rename"):
                yield seen.find("rename-column", each)
            elif each.has("drop"):
                yield seen.find("drop-column", each)
    made = {named for each in seen.statements if (named := tables.made_name(each)) is not None}
    for change in seen.changes:
        table = (change["schema"] or "public", change["table"])
        if change["batch"] and table not in made and change["kind"] in _IN_BATCHES:
            what = f"{change['kind'].replace('-', ' ')} {change['table']}.{change['column']}"
            yield seen.find(change["kind"], line=change["line"], shown=f"{what} (in a batch)")


def _rebuilt(seen: Revision) -> Iterator[Name]:
    """The tables whose place another one takes, with their rows."""
    for each in seen.statements:
        to = each.after("rename", "to") if each.starts("alter", "table") else None
        if to is not None and (named := name(each.tokens, to)) is not None:
            yield named
