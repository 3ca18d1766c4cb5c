"""``python -m pareja``: the command line."""

from pareja.cli import main

main()
