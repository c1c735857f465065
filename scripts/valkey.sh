#!/bin/sh
# valkey.sh — unpacks Valkey into .cache/valkey for the tests where the machine has none. Debian 12 has it among its backports only, and
# these are asked without touching the machine's own sources. Without it the tests run on Redis alone, and say so.
set -eu

cache=.cache/valkey
[ "${UNDERSTUDY_SKIP_REDIS:-}" = 1 ] && exit 0
command -v valkey-server >/dev/null 2>&1 && exit 0
[ -x "$cache/usr/bin/valkey-server" ] && exit 0

give_up() {
  echo "valkey: $*; Valkey is NOT tested in this run" >&2
  exit 0
}
for tool in apt-get dpkg-deb; do command -v "$tool" >/dev/null 2>&1 || give_up 'install valkey-server to have it tested'; done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Where this machine gets its release from: "http://… bookworm".
# shellcheck disable=SC2016
source=$(apt-get indextargets --format '$(CREATED_BY) $(COMPONENT) $(REPO_URI) $(RELEASE)' |
  sed -n 's/^Packages main \([^ ]* [a-z]*\)$/\1/p' | head -n 1)
[ -n "$source" ] || give_up 'this machine names no Debian release to get it from'
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
for suite in "$source" "$source-backports"; do
  echo "deb [signed-by=$keyring] $suite main" >>"$work/sources.list"
done
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/root"
apt() {
  apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$work/lists" \
    -o Dir::Cache="$work" -o APT::Sandbox::User="$(id -un)" "$@" >&2
}

echo 'valkey: unpacking it into .cache/valkey …' >&2
apt update || give_up 'the backports of this release cannot be read'
(cd "$work" && apt download valkey-server valkey-tools) || give_up 'this release has no valkey-server'
for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root"; done
"$work/root/usr/bin/valkey-server" --version >&2 || give_up 'it does not start here'
rm -rf "$cache"
mkdir -p .cache
mv "$work/root" "$cache"
