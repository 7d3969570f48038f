"""`--kit`, `--from` and who is meant: what `archives`, `verify` and `restore` open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vaultd.cli.kit_option import kit_option
from vaultd.cli.output import remark
from vaultd.cli.place_option import naming_credentials, place_of, shown
from vaultd.errors import PlaceError, UsageError

if TYPE_CHECKING:
    from vaultd.backends.base import Backend
    from vaultd.keys import Kit
    from vaultd.restore.snapshot import Vault

KIT = kit_option(required=True, help="Kit file, or - to type the words.")
FROM = click.option(
    "--from",
    "place_text",
    metavar="PLACE",
    help="A folder, a URL, or a target's name. [default: the Place line of the kit]",
)
ACCOUNT = click.option("--account", metavar="USER", help="With the podmin's recovery words: whose.")
VAULT = click.option(
    "--vault", "vault_id", metavar="ID", help="Which one, where an account has several vaults."
)
POD_KEY = click.option(
    "--pod-key",
    multiple=True,
    metavar="pod1…",
    help="Trust this pod key too (the sheet has none, or the pod got a new one).",
)


def open_kit(
    kit_source: str,
    place_text: str | None,
    config_path: Path | None,
    *,
    account: str | None,
    pod_keys: tuple[str, ...],
    vault_id: str | None = None,
    when: str | None = None,
) -> tuple[Vault, Backend, str]:
    """Open the vault that somebody asks for; return it with its place and that place's name.

    What a person should know about it is said on standard error. Raises UsageError, WrongKeyError,
    DamageError, PlaceError.
    """
    from vaultd.cli.kit_option import read_kit
    from vaultd.keys import Secrets, parse_pod_key
    from vaultd.restore.opening.account_vault import open_account

    kit = read_kit(kit_source)
    pods = [parse_pod_key(text) for text in (*kit.pod_keys, *pod_keys)]
    secrets = Secrets.from_secret(kit.secret)
    problem: PlaceError | None = None
    for text in _places(kit, place_text):
        try:
            with naming_credentials(text):
                place, where = place_of(text, config_path), shown(text)
                vault = open_account(
                    place, secrets, pods, where, account=account, when=when, vault_id=vault_id
                )
        except PlaceError as error:
            if place_text is not None:
                raise
            remark(str(error))
            problem = problem or error
        else:
            if place_text is None:
                remark(f"the kit names the place {where}; it is looked into.")
            for sentence in vault.remarks:
                remark(sentence)
            return vault, place, where
    raise problem or UsageError("This kit names no place.", hint="Say --from PLACE.")


def _places(kit: Kit, place_text: str | None) -> tuple[str, ...]:
    if place_text is not None:
        return (place_text,)
    if not kit.places:
        raise UsageError(
            "This kit has no Place line, so nothing says where the vault lies.",
            hint="Say it: --from /srv/vaults, or --from URL.",
        )
    return kit.places
