#!/usr/bin/env bash
# See that there is a Chromium for the browser tests; install Debian's where that is possible.
# CHROMIUM names another one.
set -euo pipefail

for name in ${CHROMIUM:-chromium chromium-browser google-chrome-stable google-chrome}; do
    if command -v "$name" >/dev/null 2>&1; then
        exit 0
    fi
done
if [ -z "${CHROMIUM:-}" ] && command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "-- chromium, from the system's packages" >&2
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
    exit 0
fi
echo "error: the browser tests need Chromium. Install it (Debian: sudo apt-get install chromium;" >&2
echo "       macOS: brew install chromium), or name one: make test-browser CHROMIUM=/path/to/chrome" >&2
exit 1
