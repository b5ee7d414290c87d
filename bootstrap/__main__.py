"""`python -m bootstrap` and the command `bootstrapd`."""

import gc
import os
import sys


def main() -> None:
    """Run the command. `serve` collects garbage again."""
    # A start makes many objects and hardly any garbage, most of them while it imports.
    gc.disable()
    _open_streams()
    try:
        try:
            _call(sys.argv[1:])
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError as error:
        # Whoever read the output has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        ended = error.__context__
        code = ended.code if isinstance(ended, SystemExit) else 0
        _leave(code if isinstance(code, int) and code else 1)


def _call(words: list[str]) -> None:
    from bootstrap import call, quick

    read = quick.read(words)
    if read is None:
        from bootstrap import cli

        cli.main()
        return
    this, command = read
    if this.verb == "run":
        call.perform(this, lambda: call.run(this, command))
    else:
        call.perform(this, lambda: call.work(this, this.verb))
    _leave(0)


def _open_streams() -> None:
    """Where a shell closed one of the three, the next file to be opened would take its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def _leave(code: int) -> None:
    """End at once: to take the interpreter down would cost a tenth of a start."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
