"""`python -m qcore.cli`."""

import sys

from qcore.cli import main

sys.exit(main())
