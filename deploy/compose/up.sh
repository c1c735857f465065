#!/bin/sh
# Starts everything in compose.yaml; the first time it makes the secrets on the way. May be run again at any time.
set -eu
cd "$(dirname "$0")"

image=${UNDERSTUDY_IMAGE:-understudy:0.1.0}
docker image inspect "$image" >/dev/null 2>&1 || docker build -f ../Dockerfile -t "$image" ../..

# The users in the containers read the files; on this machine only the owner gets into the folder.
umask 022
mkdir -p secrets
chmod 700 secrets

if ! [ -s secrets/postgres-password ]; then
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >secrets/postgres-password
fi

if ! [ -s secrets/gateway-token ]; then
  docker compose up --detach --wait control-1 control-2
  if ! [ -s secrets/admin-token ]; then
    # The control plane that was first shows it, once.
    docker compose logs --no-log-prefix control-1 control-2 |
      sed -n '/^admin token, shown this once:/{n;s/^ *//;p;}' | tail -n 1 >secrets/admin-token
    chmod 600 secrets/admin-token
  fi
  if ! [ -s secrets/admin-token ]; then
    echo 'up.sh: the log has no admin token. Write one with the scope admin to secrets/admin-token and run this again;' >&2
    echo '       docs/how-to/deploy.md says how to make another.' >&2
    exit 1
  fi
  # Into another file first: one that is there counts as made.
  docker compose exec -T control-1 understudy token create gateway --scope gateway \
    --url http://127.0.0.1:7070 --token-file - <secrets/admin-token >secrets/gateway-token.new
  mv secrets/gateway-token.new secrets/gateway-token
fi

docker compose up --detach --wait
echo 'control plane  http://127.0.0.1:7070   (the admin token is in secrets/admin-token)'
echo 'gateways       http://127.0.0.1:7071'
