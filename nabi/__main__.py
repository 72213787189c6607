"""`python -m nabi` is the command `nabi`."""

from nabi.cli import main

if __name__ == "__main__":
    main()
