"""The text of config.example.toml; `vaultd init` fills it in."""

from __future__ import annotations

from typing import Final

DEFAULT_TEXT: Final = """\
# vaultd: encrypted off-site backup for a diaspora* pod.
# Every key can also be set as VAULTD_SECTION_KEY, such as VAULTD_POD_DATABASE.

[pod]
# The public address, exactly as environment.url of the pod.
url = "https://pod.example"
# The pod's database; a user that may only SELECT is enough. mysql:// and sqlite:/// too.
database = "postgresql://reader@localhost/diaspora"
# Its password, if it has one: { file = "/etc/vaultd/database" } or { credential = "database" }.
# Without, ~/.pgpass of vaultd's user (or PGPASSFILE) is looked into, and sockets need none.
# database_password = { file = "/etc/vaultd/database" }
# The pod's public/uploads folder, for the pictures.
uploads = "/srv/diaspora/public/uploads"

[state]
# Where vaultd keeps its own notes and the pod key. Losing state.sqlite3 loses nothing.
path = "/var/lib/vaultd"

# Where the vaults go. Any number of targets, each complete by itself; have two at two places.
# s3://bucket/prefix webdavs://user@host/folder nextcloud://user@host/folder owncloud://
# ftps:// sftp:// dropbox:///folder: docs/operations.md has their keys. A secret is a text,
# { file = "/etc/vaultd/secret" } or { credential = "name" } (systemd's LoadCredential=).
[targets.main]
url = "file:///srv/vaults"
# With less free than this (10GiB, or 5%) no new vault is begun there; what is there goes on.
# Unset, it is 5% and at most 1GiB.
# reserve = "5%"

[enroll]
# "all": each run enrols whoever signed up since, with the podmin's recovery key as escrow (users
# may claim a kit later). "opt-in": only `vaultd enroll` does; `status` and `check` count the rest.
policy = "all"

[schedule]
# Each account is backed up once in this time; accounts are spread over it (s, m, h, d).
every = "24h"

[retention]
# Which points in time stay restorable; the newest always does. false keeps everything.
enabled = true
keep_last = 3
keep_daily = 7
keep_weekly = 4
keep_monthly = 3
keep_yearly = 0
# Nothing younger is ever deleted (for targets that lock objects: their lock period).
min_age = "0d"

[backup]
# false: text only, without picture files.
photos = true
# Larger pictures are left out and reported; 0 is no limit (bytes).
photo_bytes = 0
# An account that would store more in one run fails and is reported; 0 is no limit (bytes).
account_bytes = 0

[scrub]
# The daemon reads this share of every target again, oldest check first, and heals what is bad.
every = "7d"
share = "5%"

[user_targets]
# Whether an account may have a target of its own (`vaultd target set`), sealed with this key:
# { file = "/etc/vaultd/targets.key" } (0600) or { credential = "targets-key" }.
enabled = false
# key = { file = "/etc/vaultd/targets.key" }
# Such a target may lie at public addresses only, and in these networks, as ["10.0.0.0/8"].
permit = []
# What one account's own target may cost a run (s, m, h).
time = "15m"

[metrics]
# Figures for Prometheus' node_exporter, written after each run, such as
# "/var/lib/node_exporter/textfile/vaultd.prom".
# textfile = ""

[limits]
# Accounts read together in one read-only transaction.
batch_accounts = 200
# Processes that read and pack; 0 is one a core.
workers = 0
# Uploads at once, archives and pictures; S3 and WebDAV take as many, all others at most 8.
uploads = 16
# Uploads (bytes) and reads of the database (rows) in a second; 0 is no limit.
bytes_per_second = 0
rows_per_second = 0
# A run waits between batches while the load average is higher; 0 is no limit.
max_load = 0.0
# No statement and no wait for a lock in the pod's database takes longer (s, m, h; 0s is no limit).
statement_timeout = "5m"
lock_timeout = "10s"

[log]
# debug, info, warning, error
level = "info"
# text or json
format = "text"
"""
