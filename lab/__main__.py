"""`python -m lab` is `lab`."""

from lab.app.cli import main

main()
