#!/bin/sh
# system-packages.sh NAME… — installs the Debian packages that are missing, or says what to install.
# A test that needs a tool which is still missing fails by itself, so this script never stops a run.
set -eu

missing=
for name in "$@"; do
  command -v "$name" >/dev/null 2>&1 || dpkg -s "$name" >/dev/null 2>&1 || missing="$missing $name"
done
[ -n "$missing" ] || exit 0

say() { echo "system-packages: $*" >&2; }

if ! command -v apt-get >/dev/null 2>&1; then
  say "please install:$missing"
  exit 0
fi

if [ "$(id -u)" -eq 0 ]; then
  root=
elif sudo -n true 2>/dev/null; then
  root='sudo -n'
else
  say "please run: sudo apt-get install$missing"
  exit 0
fi

# $root and $missing are lists of words on purpose.
apt_install() { $root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >&2; }
say "installing$missing …"
apt_install || { $root apt-get update >&2 && apt_install; } || say "could not install:$missing"
