#!/bin/sh
# Finds a Python that is new enough, and goes on with it: sh infrastructure/local/setup.sh [--tests] [--without-servers]
# PYTHON=/path/to/python3 chooses one.
set -u
cd "$(dirname "$0")/../.." || exit 1

seen=""
for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    command -v "$python" >/dev/null 2>&1 || continue
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        exec "$python" -m infrastructure.local.bootstrap "$@"
    fi
    seen="$seen $python ($("$python" --version 2>&1))"
done

echo "Holdfast needs Python 3.11 or later. Found:${seen:- none}." >&2
echo "Debian 12 or later, Ubuntu 24.04 or later:  sudo apt-get install python3 python3-venv" >&2
echo "Ubuntu 22.04:                               sudo apt-get install python3.11 python3.11-venv" >&2
echo "A Python in another place:                  make setup PYTHON=/path/to/python3" >&2
exit 1
