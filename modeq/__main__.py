"""What ``python -m modeq`` runs."""

import sys

from modeq.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
