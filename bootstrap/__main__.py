"""`python -m bootstrap` and the command `bootstrapd`."""

import gc


def main() -> None:
    """Run the command. `serve` collects garbage again."""
    # A start makes many objects and hardly any garbage, most of them while it imports.
    gc.disable()
    from bootstrap import cli

    cli.main()


if __name__ == "__main__":
    main()
