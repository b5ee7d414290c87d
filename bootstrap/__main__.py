"""`python -m bootstrap` and the command `bootstrapd`."""

import gc
import sys


def main() -> None:
    """Run the command. `serve` collects garbage again."""
    # A start makes many objects and hardly any garbage, most of them while it imports.
    gc.disable()
    try:
        from bootstrap import call, quick

        read = quick.read(sys.argv[1:])
        if read is not None:
            this, command = read
            if this.verb == "run":
                call.perform(this, lambda: call.run(this, command))
            else:
                call.perform(this, lambda: call.work(this, this.verb))
            return
        from bootstrap import cli

        cli.main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
