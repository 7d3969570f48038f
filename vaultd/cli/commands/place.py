"""Commands about places themselves: copying vaults between them, and being let in."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from urllib.parse import quote

import click

from vaultd.backends.place_url import PlaceUrl, parse_place
from vaultd.backup.copying import CopyReport, copy_place
from vaultd.cli.json_option import AS_JSON
from vaultd.cli.output import emit_json, is_live, line, plural, remark, say, size
from vaultd.cli.place_option import PLACE, place_of
from vaultd.cli.workplace import CONFIG
from vaultd.errors import PlaceBusy, PlaceError, PlaceRefused, UsageError


@click.command("copy")
@PLACE
@click.option("--to", "target_url", required=True, metavar="PLACE", help="Where they go.")
@CONFIG
@AS_JSON
def copy_command(place_url: str, target_url: str, config_path: Path | None, as_json: bool) -> int:
    """Copy all vaults of a place to another, without any key; what is there is left alone."""
    source = place_of(place_url, config_path)
    target = place_of(target_url, config_path, create=True, role="TO")
    shown = is_live(sys.stderr) and not as_json

    def progress(report: CopyReport) -> None:
        if shown:
            text = f"{plural(report.vaults, 'vault')}, {size(report.bytes)} copied"
            click.echo(f"\r\033[K{text}", nl=False, err=True)

    report = copy_place(source, target, on_vault=progress)
    if shown:
        click.echo("\r\033[K", nl=False, err=True)
    if as_json:
        emit_json(
            {
                "vaults": report.vaults,
                "objects": report.objects,
                "bytes": report.bytes,
                "problems": report.problems,
            }
        )
    else:
        for problem in report.problems:
            line("✗", problem, ok=False)
        line(
            "✗" if report.problems else "✓",
            f"{plural(report.vaults, 'vault')}: {plural(report.objects, 'object')}, "
            f"{size(report.bytes)} copied",
            ok=not report.problems,
        )
    return PlaceError.exit_code if report.problems else 0


@click.command()
@click.argument("place")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="File for the secret (0600)."
)
@click.option("--app-key", default="", help="Dropbox: the key of the app.")
@click.option(
    "--base-path", default="", metavar="PATH",
    help="Nextcloud, ownCloud: where the cloud lies on its host, such as /cloud.",
)  # fmt: skip
@click.option("--insecure", is_flag=True, help="Nextcloud, ownCloud: http, not https.")
def connect(place: str, out: Path, app_key: str, base_path: str, insecure: bool) -> None:
    """Have a cloud let vaultd in by a click in the browser; write the secret it gives to a file."""
    url = parse_place(place)
    if url.scheme in ("nextcloud", "owncloud"):
        lines = _connect_cloud(url, out, base_path.strip("/"), insecure=insecure)
    elif url.scheme == "dropbox":
        lines = _connect_dropbox(out, app_key)
    else:
        raise UsageError(
            f"{url.scheme}:// knows no login by a click.",
            hint="There is nextcloud://, owncloud:// and dropbox://.",
        )
    line("✓", f"the secret is in {out}; the target's section of the config:")
    click.echo("\n".join(["", "[targets.NAME]", f'url = "{place}"', *lines, ""]))


def _connect_cloud(url: PlaceUrl, out: Path, base_path: str, *, insecure: bool) -> list[str]:
    from vaultd.backends.nextcloud.login import begin_login

    scheme = "http" if insecure else "https"
    try:
        login = begin_login(f"{scheme}://{url.authority}/{quote(base_path)}")
    except PlaceError as error:
        if base_path or isinstance(error, PlaceRefused | PlaceBusy):
            raise
        error.hint += " One that lies in a folder of its host needs --base-path /FOLDER."
        raise
    remark("open this address in a browser, log in, and allow vaultd:")
    say(login.url)
    granted = login.wait()
    _write_secret(out, granted.password)
    lines = [f'username = "{granted.username}"', f'password = {{ file = "{out.absolute()}" }}']
    if base_path:
        lines.append(f"base_path = {json.dumps(base_path)}")
    return [*lines, "insecure = true"] if insecure else lines


def _connect_dropbox(out: Path, app_key: str) -> list[str]:
    from vaultd.backends.dropbox.auth import authorize_url, exchange_code, new_verifier
    from vaultd.backends.dropbox.http import DropboxHttp
    from vaultd.backends.dropbox.settings import DropboxSettings

    if not app_key:
        raise UsageError("Dropbox needs --app-key.", hint="https://www.dropbox.com/developers")
    verifier = new_verifier()
    remark("open this address in a browser, allow vaultd, and type the code that it shows:")
    click.echo(authorize_url(app_key, verifier))
    code = click.prompt("Code", err=True)
    token = exchange_code(DropboxHttp(DropboxSettings(app_key)), code, verifier)
    _write_secret(out, token)
    return [f'app_key = "{app_key}"', f'refresh_token = {{ file = "{out.absolute()}" }}']


def _write_secret(out: Path, secret: str) -> None:
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{secret}\n")
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written ({error.strerror}).", hint="Name a file that is not there."
        ) from error


COMMANDS = (copy_command, connect)
