"""`python -m api` is the `lishang` command."""

from api.cli import main

main()
