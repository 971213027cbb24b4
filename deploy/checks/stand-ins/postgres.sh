#!/bin/sh
# What the postgres image does with its variables, as far as deploy/compose uses them.
set -eu
PATH=/usr/lib/postgresql/15/bin:$PATH
data=/var/lib/postgresql/data
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$data" /var/run/postgresql
    chown postgres "$data" /var/run/postgresql
    chmod 0700 "$data"
    install -o postgres -m 0400 "$POSTGRES_PASSWORD_FILE" /var/run/postgresql/password
    exec setpriv --reuid postgres --regid postgres --init-groups "$0"
fi
if [ ! -s "$data/PG_VERSION" ]; then
    # Words of their own, as the image takes them.
    # shellcheck disable=SC2086
    initdb --username "$POSTGRES_USER" --pwfile /var/run/postgresql/password \
        --auth-local trust --auth-host scram-sha-256 ${POSTGRES_INITDB_ARGS:-} "$data"
    echo "host all all all scram-sha-256" >> "$data/pg_hba.conf"
    postgres --single -D "$data" postgres <<EOF
CREATE DATABASE "$POSTGRES_DB";
EOF
fi
exec postgres -D "$data" -c listen_addresses='*'
