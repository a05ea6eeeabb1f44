#!/usr/bin/env bash
# Make or refresh a virtual environment:  scripts/setup.sh VENV PIP-ARGUMENT...
#   scripts/setup.sh .venv -e '.[cpu,dev]'
#
# PYTHON       interpreter to build it with (default: the first fit one of python3.11 ... python3)
# TORCH_INDEX  package index with CPU builds of torch, asked only when there is no NVIDIA GPU and the
#              configured indexes have none (default: PyTorch's own; empty: never ask it)
#
# Versions come from constraints.txt. torch is installed first and alone: left to itself, pip brings the
# CUDA build with several gigabytes of libraries to machines that can't use them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
constraints=$here/constraints.txt
torch_index=${TORCH_INDEX-https://download.pytorch.org/whl/cpu}
venv=$1
shift

say() { printf '\033[2m-- %s\033[0m\n' "$*" >&2; }

fit() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
        if fit "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "error: no usable ${PYTHON:-Python 3.11 or newer} with venv and ensurepip found." >&2
    echo "       Install one (Debian: apt-get install python3-venv) or name it: make setup PYTHON=/path/to/python3" >&2
    exit 1
}

has_gpu() { command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; }

# Answers within six seconds, name look-up included.
reachable() {
    "$venv/bin/python" - "$1" <<'PYTHON' >/dev/null 2>&1
import signal, sys, urllib.request
signal.alarm(6)
urllib.request.urlopen(sys.argv[1].rstrip("/") + "/torch/", timeout=5).close()
PYTHON
}

install_torch() {
    local version
    version=$(sed -n 's/^torch==\([0-9.]*\).*/\1/p' "$constraints")
    if [ "$(uname -s)" = Linux ] && ! has_gpu; then
        say "torch $version, CPU build"
        pip "torch==$version+cpu" 2>/dev/null && return
        if [ -n "$torch_index" ] && reachable "$torch_index"; then
            pip "torch==$version+cpu" --extra-index-url "$torch_index" && return
        fi
        say "no CPU build of torch found (TORCH_INDEX=$torch_index): taking the default build, which is large"
    else
        say "torch $version"
    fi
    pip "torch==$version"
}

pip() { "$venv/bin/python" -m pip install -qq --disable-pip-version-check --constraint "$constraints" "$@"; }

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    say "$("$python" --version) in $venv"
    "$python" -m venv --clear "$venv"
fi
if ! "$venv/bin/python" -c 'import importlib.metadata as m; m.version("torch")' >/dev/null 2>&1; then
    install_torch
fi
say "packages: $*"
pip "$@"
