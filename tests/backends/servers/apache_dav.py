"""Apache with mod_dav: /dav with Basic and /digest with Digest login over the same folder."""

from __future__ import annotations

import base64
import hashlib
import os
import pwd
import shutil
from pathlib import Path

from tests.backends.servers.running import PASSWORD, USER, Running, free_port, new_folder, start
from tests.servers import unavailable

_MODULES = Path("/usr/lib/apache2/modules")
_NEEDED = [
    "mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic",
    "auth_digest", "dav", "dav_fs", "mime", "dir", "alias",
]  # fmt: skip


def start_apache() -> Running:
    """Start Apache as ourselves, or as www-data where we are root."""
    binary = shutil.which("apache2", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None or not (_MODULES / "mod_dav_fs.so").exists():
        unavailable("apache", "there is no apache2 with mod_dav")
    home, port = new_folder(), free_port()
    files = home / "files"
    for folder in (files, home / "locks"):
        folder.mkdir()
    identity = ""
    if os.geteuid() == 0:
        user = "www-data" if "www-data" in {u.pw_name for u in pwd.getpwall()} else "nobody"
        identity = f"User {user}\nGroup #{pwd.getpwnam(user).pw_gid}\n"
        for folder in (files, home / "locks"):
            shutil.chown(folder, user)
    sha = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()
    (home / "basic").write_text(f"{USER}:{{SHA}}{sha}\n")
    realm = hashlib.md5(f"{USER}:dav:{PASSWORD}".encode()).hexdigest()
    (home / "digest").write_text(f"{USER}:dav:{realm}\n")
    modules = "".join(
        f"LoadModule {name}_module {_MODULES}/mod_{name}.so\n"
        for name in _NEEDED
        if (_MODULES / f"mod_{name}.so").exists()
    )
    locations = "".join(
        f"""Alias /{kind} {files}
<Location /{kind}>
  Dav On
  AuthType {auth}
  AuthName dav
  Auth{auth}Provider file
  AuthUserFile {home}/{login}
  Require valid-user
</Location>
"""
        for kind, auth, login in [("dav", "Basic", "basic"), ("digest", "Digest", "digest")]
    )
    (home / "apache.conf").write_text(
        f"""{modules}{identity}
ServerRoot {home}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {home}/pid
ErrorLog {home}/error.log
DavLockDB {home}/locks/lock
DocumentRoot {files}
TypesConfig /dev/null
ThreadsPerChild 25
StartServers 1
{locations}"""
    )
    command = [binary, "-d", str(home), "-f", str(home / "apache.conf"), "-DFOREGROUND"]
    return start(command, f"http://127.0.0.1:{port}", port, home, files)
