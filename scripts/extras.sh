#!/usr/bin/env bash
# Does each extra install and import on its own, and does the wheel live beside packages with similar names?
#   scripts/extras.sh [EXTRA...]        (default: all but `gpu`, `dev` and `browser`)
#
# Builds one wheel from the working tree. The libraries that every extra needs (torch is large) are installed
# once; an environment for an extra sees them, and has a folder of its own for the wheel and the rest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
extras=("$@")
[ ${#extras[@]} -gt 0 ] || extras=(server langchain mcp ocr postgres heif train)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
constraints=$PWD/constraints.txt
check=$PWD/scripts/check_environment.py
export PYTHONDONTWRITEBYTECODE=1

say() { printf '== %s (%s s)\n' "$*" "$SECONDS"; }
into() { local venv=$1; shift; "$venv/bin/python" -m pip install -qq --disable-pip-version-check --constraint "$constraints" "$@"; }

say "the wheel"
mkdir "$scratch/source"
git ls-files -z | xargs -0 cp --parents -t "$scratch/source"
.venv/bin/python -m build --wheel --outdir "$scratch/dist" "$scratch/source" >"$scratch/build.log" 2>&1 ||
    { cat "$scratch/build.log"; exit 1; }
wheel=$(echo "$scratch"/dist/*.whl)

say "what it needs everywhere"
scripts/setup.sh "$scratch/base" "$wheel[cpu]"
"$scratch/base/bin/python" -m pip uninstall -qq -y hydra-rag
shared=$("$scratch/base/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

fresh() {
    "$scratch/base/bin/python" -m venv "$scratch/$1"
    local site
    site=$("$scratch/$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "$shared" >"$site/shared.pth"
}

for extra in "${extras[@]}"; do
    say "$extra"
    fresh "$extra"
    into "$scratch/$extra" "$wheel[$extra]"
    (cd "$scratch" && "$scratch/$extra/bin/python" -I "$check" extra "$extra")
    "$scratch/$extra/bin/hydra-rag" --help >/dev/null
    rm -rf "${scratch:?}/$extra"
done

say "beside openai-agents, langchain-openai and langgraph"
fresh beside
into "$scratch/beside" openai-agents langchain-openai langgraph langchain
(cd "$scratch" && "$scratch/beside/bin/python" -I "$check" record "$scratch/before.json")
into "$scratch/beside" "$wheel[langchain]"
(cd "$scratch" && "$scratch/beside/bin/python" -I "$check" compare "$scratch/before.json")
"$scratch/beside/bin/python" -m pip check
"$scratch/beside/bin/python" -m pip uninstall -qq -y hydra-rag
(cd "$scratch" && "$scratch/beside/bin/python" -I "$check" intact "$scratch/before.json")
say "done"
