"""``python -m dgconsole.client``: what the fleet starts."""

import sys

from dgconsole.client.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
