"""`python -m skiptrace`: the command, where its script is not on the path."""

import sys

from skiptrace.cli import main

sys.exit(main())
