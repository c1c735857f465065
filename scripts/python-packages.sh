#!/bin/sh
# Makes .cache/python: the Python SDKs that the examples and their tests use, as pinned in examples/python/requirements.txt.
# When there is nothing to do it ends within milliseconds. What stands in the way is said here and by the tests that need
# it, so this script never stops a run.
set -eu
cd "$(dirname "$0")/.."

home=.cache/python
stamp=$home/requirements.sha256
problem=.cache/python-problem.txt
lock=.cache/python.lock
pip_log=.cache/python-pip.log
wanted=$(sha256sum <examples/python/requirements.txt)

if [ "${UNDERSTUDY_SKIP_PYTHON:-}" = 1 ]; then
  echo 'python-packages: UNDERSTUDY_SKIP_PYTHON=1, so the tests of the Python SDKs are SKIPPED' >&2
  exit 0
fi

is_ready() {
  # The stamp is written last; a Python that was upgraded under the environment leaves a link that leads nowhere.
  [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$home/bin/python" -c '' 2>/dev/null
}

give_up() {
  echo "$*" >"$problem"
  echo "python-packages: $*" >&2
  exit 0
}

# Two runs started at once must not install over each other.
acquire_lock() {
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

is_ready && exit 0
mkdir -p .cache
acquire_lock
is_ready && exit 0
rm -rf "$home" "$problem"

# Debian splits venv off from Python.
python3 -c 'import ensurepip, venv' 2>/dev/null || sh scripts/system-packages.sh python3 python3-venv
python3 -c 'import ensurepip, venv' 2>/dev/null ||
  give_up 'Python 3 with venv is missing. Install it (Debian: apt-get install python3 python3-venv) and run this again.'
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  give_up "Python 3.11 or newer is needed, and python3 here is $(python3 --version 2>&1). Put a newer python3 first on the PATH."

echo 'python-packages: installing examples/python/requirements.txt into .cache/python …' >&2
# Every package is listed, so nothing is left to be resolved; only wheels, because building from source takes compilers.
if python3 -m venv "$home" >"$pip_log" 2>&1 &&
  "$home/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --requirement examples/python/requirements.txt >>"$pip_log" 2>&1 &&
  "$home/bin/python" -m pip check --disable-pip-version-check >>"$pip_log" 2>&1; then
  echo "$wanted" >"$stamp"
else
  tail -n 3 "$pip_log" >&2
  give_up "the packages in examples/python/requirements.txt could not be installed; $pip_log says why. Offline? Run this
again with a package index in reach, or set UNDERSTUDY_SKIP_PYTHON=1 to go without the tests of the Python SDKs."
fi
