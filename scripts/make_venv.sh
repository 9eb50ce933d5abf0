#!/usr/bin/env bash
# Makes the virtual environment. Debian ships Python without `venv`: installs that if it may.
set -euo pipefail
python=$1
venv=$2

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "error: Python 3.11 or newer is needed, and '$python' is not (python_too_old)" >&2
  echo "hint: install it, or say which: make PYTHON=/path/to/python3.11 …" >&2
  exit 2
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing python3-venv, which Debian leaves out"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
  else
    echo "error: this Python has no 'venv' module (venv_missing)" >&2
    echo "hint: as root: apt-get install python3-venv" >&2
    exit 2
  fi
fi
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=24' 'setuptools>=77' wheel
