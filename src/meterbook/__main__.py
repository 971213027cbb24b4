"""`python -m meterbook` is `meterbook`."""

from meterbook.cli import main

main()
