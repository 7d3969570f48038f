"""Do `pod.url` and `pod.uploads` belong to the pod whose database is read?"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from vaultd.config import Config
from vaultd.sizes import plural
from vaultd.sources.diaspora import DiasporaSource
from vaultd.sources.diaspora.signs import Signs

_FEW: Final = 3
_PORTS: Final = {"http": 80, "https": 443}


def doubts(config: Config, source: DiasporaSource) -> list[str]:
    """Return what says that `pod.url` or `pod.uploads` are another pod's; raises DatabaseError."""
    signs, images = source.signs(), Path(config.pod.uploads) / "images"
    missing = missing_pictures(images, signs) if images.is_dir() else no_folder(images)
    return [each for each in (wrong_url(config.pod.url, signs), missing) if each]


def no_folder(images: Path) -> str:
    """Say that the folder of pictures is none."""
    return (
        f"{images} is not a folder; photos would be missing. Set pod.uploads to the pod's "
        "public/uploads."
    )


def wrong_url(url: str, signs: Signs) -> str:
    """Return what is wrong with `pod.url`, empty where handles of the pod's accounts fit it."""
    if not signs.hosts:
        return ""
    (host, count), expected = signs.hosts.most_common(1)[0], host_of(url)
    if host == expected:
        return ""
    return (
        f"{url} makes handles that end with @{expected}, and {count} of "
        f"{plural(signs.hosts.total(), 'handle')} looked at end with @{host[:255]}. Set pod.url to "
        "environment.url of this pod: archives and kits name it."
    )


def host_of(url: str) -> str:
    """Return the host part of handles, as diaspora* makes it of environment.url: its authority
    without `www.`, with a port that is not the usual one."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port and parts.port != _PORTS.get(parts.scheme) else ""
    return f"{parts.hostname or ''}{port}".replace("www.", "")


def missing_pictures(images: Path, signs: Signs) -> str:
    """Return how many of the newest pictures are not there, empty where no more than a few."""
    bare = [name for name in signs.pictures if name == Path(name).name]
    lacking = sum(1 for name in bare if not (images / name).is_file())
    if not lacking or lacking <= min(_FEW, len(bare) - 1):
        return ""
    return (
        f"{lacking} of the {plural(len(bare), 'newest picture')} of the pod's accounts are not in "
        f"{images}. Set pod.uploads to the public/uploads of this pod."
    )
