#!/bin/sh
# Everything a change must pass, each check run even when an earlier one failed. `npm run check` calls it.
set -u
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"
failed=

run() {
  name=$1
  shift
  echo "── $name"
  "$@" || failed="$failed $name"
}

run format oxfmt --check .
run lint oxlint
run types tsc -b
run unused knip
run test npm test --silent

if [ -n "$failed" ]; then
  echo "check: failed:$failed" >&2
  exit 1
fi
echo 'check: all passed'
