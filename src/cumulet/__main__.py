"""`python -m cumulet` is `cumulet`."""

from cumulet.cli.main import main

main()
