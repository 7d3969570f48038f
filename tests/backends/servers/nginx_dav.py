"""nginx with dav-ext: PUT into a missing folder is 500, names with a dot first are not listed."""

from __future__ import annotations

import base64
import hashlib
import os
import pwd
import shutil
from pathlib import Path

from tests.backends.servers.running import PASSWORD, USER, Running, free_port, new_folder, start
from tests.servers import unavailable

_MODULE = Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so")


def start_nginx() -> Running:
    """Start nginx as ourselves; where we are root its worker is root, too."""
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None or not _MODULE.exists():
        unavailable("nginx", "there is no nginx with dav-ext (libnginx-mod-http-dav-ext)")
    home, port = new_folder(), free_port()
    files = home / "files"
    for folder in (files, home / "bodies"):
        folder.mkdir()
    user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
    sha = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()
    (home / "login").write_text(f"{USER}:{{SHA}}{sha}\n")
    (home / "nginx.conf").write_text(
        f"""{user}
daemon off; worker_processes 2; pid {home}/pid; error_log {home}/error.log;
load_module {_MODULE};
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {home}/bodies; client_max_body_size 0;
  proxy_temp_path {home}/t1; fastcgi_temp_path {home}/t2; uwsgi_temp_path {home}/t3;
  scgi_temp_path {home}/t4;
  server {{
    listen 127.0.0.1:{port}; root {files};
    location / {{
      auth_basic dav; auth_basic_user_file {home}/login;
      dav_methods PUT DELETE MKCOL COPY MOVE; dav_ext_methods PROPFIND OPTIONS;
    }}
  }}
}}
"""
    )
    command = [binary, "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")]
    return start(command, f"http://127.0.0.1:{port}", port, home, files)
