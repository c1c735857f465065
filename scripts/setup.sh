#!/bin/sh
# Makes the checkout ready to run: installs the locked packages when needed and makes sure of Node 24 or newer.
# Every npm script starts with it; when there is nothing to do it ends within milliseconds.
set -eu
cd "$(dirname "$0")/.."

is_installed() {
  # npm writes this file last, so a half-finished installation does not have it.
  [ -f node_modules/.package-lock.json ] && ! [ package-lock.json -nt node_modules/.package-lock.json ]
}

# Two scripts started at once in a fresh checkout must not install over each other.
lock=.cache/setup.lock
acquire_lock() {
  mkdir -p .cache
  until mkdir "$lock" 2>/dev/null; do
    owner=$(cat "$lock/pid" 2>/dev/null || true)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
      rm -rf "$lock"
    else
      sleep 1
    fi
  done
  echo $$ >"$lock/pid"
  trap 'rm -rf "$lock"' EXIT
  trap 'exit 130' INT TERM
}

install() {
  acquire_lock
  is_installed && return 0
  echo 'setup: installing the locked packages (npm ci --ignore-scripts) …' >&2
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  # The pinned Node is built for glibc. Where it cannot run, the machine's own Node has to do.
  if [ -e node_modules/.bin/node ] && ! node_modules/.bin/node --version >/dev/null 2>&1; then
    rm -f node_modules/.bin/node
  fi
}

is_installed || install

if ! [ -x node_modules/.bin/node ]; then
  major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
  if [ "$major" -lt 24 ]; then
    echo "setup: Understudy needs Node.js 24 or newer, and this machine has $(node --version 2>/dev/null || echo none)." >&2
    echo 'setup: the version that works is in .node-version; install it and run this again.' >&2
    exit 1
  fi
fi
