"""What `settings` and `status` print for people."""

from collections.abc import Sequence

import click

from bootstrap import redact, settings
from bootstrap.call import Document


def print_settings(values: Sequence[settings.Value]) -> None:
    """Name, value and source of each."""
    for value in values:
        click.echo(f"{value.name:<32} {value.value or '-':<32} {value.source}")


def print_status(found: Document) -> None:
    """Where the database is, what is pending, and the last attempts."""
    click.echo(f"app       {found['app']}")
    click.echo(f"target    {found['target']} ({found['server']})")
    click.echo(f"identity  {found['identity'] or '-'}")
    if found["release"]:
        click.echo(f"release   {found['release']}")
    click.echo(f"state     {found['state']}")
    click.echo(f"at        {', '.join(found['current']) or 'base'}")
    click.echo(f"wanted    {', '.join(found['heads']) or 'base'}")
    if found["needs"]:
        click.echo(f"needs     release {found['needs']} or newer")
    for kind in ("edited", "reworded"):
        for each in found[kind]:
            by = f" by release {each['release']}" if each["release"] else ""
            how = f"{each['origin']} {each['at']}{by}"
            click.echo(f"{kind:<9} {each['revision']} in {each['files']}, {how}")
    for each in found["pending"]:
        click.echo(f"pending   {each['revision']} {each['title']}")
    for each in found["attempts"]:
        release = f" with {each['release']}" if each["release"] else ""
        why = f": {redact.text(each['error'])}" if each["error"] else ""
        click.echo(
            f"attempt   {each['id']} {each['direction']} {each['revision']} {each['result']}"
            f" {each['started_at']} by {each['actor']}@{each['host']}{release}{why}"
        )
