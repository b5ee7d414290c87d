"""`python -m bootstrap` is the command `bootstrapd`."""

from bootstrap.cli import main

if __name__ == "__main__":
    main()
