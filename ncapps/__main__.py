"""`python -m ncapps` is the `ncapps` command."""

import sys

from ncapps.cli import main

sys.exit(main())
