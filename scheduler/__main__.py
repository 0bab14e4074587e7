"""``python -m scheduler`` is the command ``warmbench``."""

import sys

from scheduler.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
