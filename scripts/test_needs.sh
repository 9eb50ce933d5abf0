#!/usr/bin/env bash
# Installs the Debian packages that tests need, if they are missing and we may.
set -euo pipefail
needed=()
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || needed+=(postgresql)
command -v bwrap >/dev/null || needed+=(bubblewrap)
[ ${#needed[@]} -eq 0 ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "error: tests need ${needed[*]} (test_needs_missing)" >&2
  echo "hint: as root: apt-get install ${needed[*]}" >&2
  exit 2
fi
echo "installing ${needed[*]}"
apt-get update -qq
# The tests start clusters of their own; a cluster of Debian's would only be in the way.
mkdir -p /etc/postgresql-common/createcluster.d
echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.d/galerne-tests.conf
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${needed[@]}" >/dev/null
