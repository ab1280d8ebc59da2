#!/usr/bin/env bash
# Makes the secrets of compose.yaml in secrets/ beside this file. What is there already is kept.
set -euo pipefail
cd "$(dirname "$0")"

random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

# The folder is closed to everybody else on this machine; the files are readable because the containers, whose users
# are others, get the files alone.
mkdir -p secrets
chmod 700 secrets
umask 022
if [[ ! -e secrets/postgres_password ]]; then random >secrets/postgres_password; fi
if [[ ! -e secrets/master_secret ]]; then random >secrets/master_secret; fi
# The owner of the schema, for `migrate` alone, which makes the other login: API and worker own nothing.
if [[ ! -e secrets/migrate_database_url ]]; then
    printf 'postgresql+asyncpg://tidemark:%s@postgres/tidemark' "$(cat secrets/postgres_password)" \
        >secrets/migrate_database_url
    printf 'postgresql+asyncpg://tidemark_login:%s@postgres/tidemark' "$(random)" >secrets/database_url
fi
# Write the mail server into it: smtp://user:password@host:587. While it is empty, letters wait.
if [[ ! -e secrets/smtp_url ]]; then : >secrets/smtp_url; fi
echo "secrets/ is complete. Keep a copy of secrets/master_secret apart from the backups of the database."
