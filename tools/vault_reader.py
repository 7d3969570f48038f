#!/usr/bin/env python3
"""An independent reader of vaultd vaults (format v1), from docs/format.md alone.

    python vault_reader.py FOLDER KIT [--sequence N] [--blobs DIR]

Prints one JSON line per record, `{"kind", "id", "body"}`, of the newest point in time (or of
archive N). Needs only pynacl, zstandard, msgpack, mnemonic (the BIP39 word list) and the format's
dictionary file `records-v1.zdict` (`--dictionary FILE`, by default where the project has it). It
imports nothing of vaultd. Damage ends it with status 4 and names the object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import mmap
import re
import struct
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    import mnemonic
    import msgpack
    import nacl.bindings as sodium
    import nacl.exceptions
    import nacl.public
    import nacl.signing
    import zstandard
except ImportError as error:  # --help works without
    LACKING = str(error.name)
else:
    LACKING = ""

ARCHIVE_MAGIC = b"vaultd-archive\x00\x01"
BLOB_MAGIC = b"vaultd-blob\x00\x00\x00\x00\x01"
FRAME = 256 * 1024
MAX_MANIFEST = 1024 * 1024
MAX_RECORD = 16 * 1024 * 1024
MAX_VALUES = 1_000_000  # in one record
FREE, RATIO = 64 * 1024 * 1024, 300  # what may be unpacked: this, and so much per byte stored
NAME = re.compile(r"[0-9a-f]{32}/([0-9]{10}|blob)-[0-9a-f]{64}")
DICTIONARY_SHA256 = "e4f9bceb50df57320c24ba0d013e5665a45fd7820a84e4de7ebe7078c0e4d195"


class Damage(Exception):
    """An object is not what was written."""


class WrongWords(Exception):
    """The words are not valid, or open nothing here."""


def secret_from_words(text: str) -> bytes:
    """Twelve BIP39 words (English list) are 128 bits and a 4-bit checksum."""
    bip39 = mnemonic.Mnemonic("english")
    known = set(bip39.wordlist)
    typed = [w for w in unicodedata.normalize("NFKD", text).lower().split() if w in known]
    if len(typed) != 12 or not bip39.check(" ".join(typed)):
        raise WrongWords(f"these are not twelve words with a right checksum ({len(typed)} known)")
    return bytes(bip39.to_entropy(typed))


def kit_words(text: str) -> str:
    """Return the text of a kit's words: the numbered lines `1. word  2. word …`."""
    numbered: dict[int, str] = {}
    fields = text.split()
    for number, word in zip(fields, fields[1:], strict=False):
        if number.rstrip(".").isdigit() and number.endswith(".") and word.isalpha():
            numbered.setdefault(int(number.rstrip(".")), word)
    if all(n in numbered for n in range(1, 13)):
        return " ".join(numbered[n] for n in range(1, 13))
    return text


def derive(secret: bytes, purpose: bytes, size: int = 32) -> bytes:
    """Keyed BLAKE2b with the purpose as personalisation."""
    person = purpose.ljust(16, b"\0")
    return hashlib.blake2b(b"", digest_size=size, key=secret, person=person).digest()


def blake(data: bytes | memoryview) -> bytes:
    """BLAKE2b-256 as the format uses it for objects."""
    return hashlib.blake2b(data, digest_size=32, person=b"vaultd-v1-object").digest()


class Vault:
    """A folder, the keys from the words, and the id of the vault they belong to."""

    def __init__(self, folder: Path, secret: bytes, dictionary: bytes) -> None:
        self.box = nacl.public.PrivateKey(derive(secret, b"vaultd-v1-box"))
        sign = nacl.signing.SigningKey(derive(secret, b"vaultd-v1-sign"))
        recipient = bytes(self.box.public_key) + bytes(sign.verify_key)
        self.id = hashlib.blake2b(recipient, digest_size=16, person=b"vaultd-v1-id").hexdigest()
        self.folder = folder
        self.stored = self.unpacked = 0
        self.zstd = zstandard.ZstdDecompressor(
            dict_data=zstandard.ZstdCompressionDict(dictionary), max_window_size=1 << 20
        )
        names = sorted(p.name for p in (folder / self.id).glob("??????????-*"))
        if not names:
            raise WrongWords(f"no vault {self.id} in {folder}")
        self.names = [f"{self.id}/{name}" for name in names]
        self.pod = self.open(self.names[-1], ARCHIVE_MAGIC)[0]["pod"]
        for name in self.names[:-1]:  # one signer only: bare words cannot tell which is yours
            self.open(name, ARCHIVE_MAGIC)

    def open(self, name: str, magic: bytes) -> tuple[dict[str, Any], bytes, bytes, memoryview]:
        """Check an object's hash and both signatures; return header, clear part, key, rest."""
        path = self.folder / name
        if not NAME.fullmatch(name) or not path.is_file():
            raise Damage(f"{name[:120]!r} is missing, or no object's name")
        if path.stat().st_size < 20 + 128:
            raise Damage(f"{name} is cut")
        with path.open("rb") as file:  # mapped, not read: an object may be larger than memory
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        if data[:16] != magic:
            raise Damage(f"{name} does not start as an object of format 1")
        (length,) = struct.unpack_from("<I", data, 16)
        end = 20 + length
        if length > 65536 or len(data) < end + 128:
            raise Damage(f"{name} is cut")
        try:
            header = msgpack.unpackb(data[20:end], raw=False)
            pod = nacl.signing.VerifyKey(header["pod"])
            pod.verify(b"vaultd-v1-header" + bytes(data[:end]), bytes(data[end : end + 64]))
            pod.verify(b"vaultd-v1-whole\0" + blake(data[:-64]), bytes(data[-64:]))
        except (nacl.exceptions.BadSignatureError, ValueError, KeyError, TypeError) as error:
            raise Damage(f"{name} is not what its pod signed") from error
        if magic == ARCHIVE_MAGIC:
            own = f"{header['vault'].hex()}/{header['sequence']:010d}-{blake(data).hex()}"
        else:
            own = f"{header['vault'].hex()}/blob-{header['blob'].hex()}"
        if own != name:
            raise Damage(f"{name} stands under another object's name")
        if getattr(self, "pod", header["pod"]) != header["pod"]:
            raise Damage(f"{name} is signed by another pod than the vault's first archive")
        self.stored += len(data)
        for wrapped in header["recipients"][:16]:
            try:
                key = nacl.public.SealedBox(self.box).decrypt(wrapped["box"])
            except nacl.exceptions.CryptoError:
                continue
            return header, bytes(data[: end + 64]), key, data[end + 64 : -64]
        raise WrongWords(f"{name} is not sealed to these words")

    def chunks(
        self, name: str, place: bytes, clear: bytes, key: bytes, rest: memoryview
    ) -> Iterator[tuple[bytes, int]]:
        """Yield (plain chunk, offset after it) of the section that starts `rest`."""
        state = sodium.crypto_secretstream_xchacha20poly1305_state()
        sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, bytes(rest[:24]), key)
        ad: bytes = place + blake(clear)
        offset, tag = 24, 0
        while tag != 3:
            if len(rest) < offset + 4:
                raise Damage(f"{name} is cut")
            (length,) = struct.unpack_from("<I", rest, offset)
            if length > (MAX_MANIFEST if place == b"manifest" else FRAME + 8192):
                raise Damage(f"{name} claims a chunk of {length} bytes")
            cipher = bytes(rest[offset + 4 : offset + 4 + length])
            try:
                plain, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(state, cipher, ad)
            except (nacl.exceptions.CryptoError, ValueError) as error:
                raise Damage(f"{name} is damaged") from error
            ad = b""
            offset += 4 + length
            yield plain, offset

    def unpack(self, data: bytes, limit: int) -> bytes:
        """Decompress at most `limit` bytes."""
        try:
            plain: bytes = self.zstd.stream_reader(data).read(limit + 1)
        except zstandard.ZstdError as error:
            raise Damage(f"a frame cannot be decompressed: {error}") from error
        self.unpacked += len(plain)
        if len(plain) > limit or self.unpacked > FREE + RATIO * self.stored:
            raise Damage("what is stored unpacks to far more than an account holds")
        return plain

    def archive(self, name: str) -> tuple[dict[str, Any], Iterator[list[Any]]]:
        """Return an archive's manifest and its records `[kind, id, body]`."""
        _, clear, key, rest = self.open(name, ARCHIVE_MAGIC)
        packed, offset = next(self.chunks(name, b"manifest", clear, key, rest))
        manifest = msgpack.unpackb(self.unpack(packed, MAX_MANIFEST), raw=False)
        return manifest, self.records(name, clear, key, rest[offset:])

    def records(self, name: str, clear: bytes, key: bytes, rest: memoryview) -> Iterator[list[Any]]:
        """Records are one msgpack stream, cut into frames."""
        held = 0

        def count(value: Any) -> Any:
            nonlocal held
            held += len(value) + 1
            if held > MAX_VALUES:
                raise Damage(f"{name} holds a record of too many values")
            return value

        unpacker = msgpack.Unpacker(
            raw=False, max_buffer_size=MAX_RECORD, list_hook=count, object_hook=count
        )
        for plain, _ in self.chunks(name, b"records", clear, key, rest):
            if plain[0] == 1:
                unpacker.feed(self.unpack(plain[1:], FRAME))
                for record in unpacker:
                    held = 0
                    self.unpacked += 64  # its place in memory
                    yield record
            elif plain[0] != 0:
                raise Damage(f"{name} holds a chunk of an unknown type")

    def snapshot(self, sequence: int | None) -> Iterator[list[Any]]:
        """Yield the account's records at one point in time, newest version of each."""
        names = [n for n in self.names if sequence is None or int(n[33:43]) == sequence]
        if not names:
            raise Damage(f"there is no archive {sequence}")
        manifest, _ = self.archive(names[-1])
        older = sorted(manifest["archives"], key=lambda ref: -int(ref["sequence"]))
        seen: set[bytes] = set()
        for name in [names[-1], *(str(ref["name"]) for ref in older)]:
            for kind, record_id, body in self.archive(name)[1]:
                mark = blake(f"{kind}\0{record_id}".encode())[:12]
                if mark not in seen:
                    seen.add(mark)
                    if body is not None:
                        yield [kind, record_id, body]

    def blob(self, name: str) -> Iterator[bytes]:
        """Yield the pieces of a picture."""
        _, clear, key, rest = self.open(name, BLOB_MAGIC)
        for piece, _ in self.chunks(name, b"blob", clear, key, rest):
            if piece[0] == 2:
                yield piece[1:]


def main() -> int:
    """Read the arguments, print the records."""
    parser = argparse.ArgumentParser(description="Read a vaultd vault (format v1).")
    parser.add_argument("folder", type=Path)
    parser.add_argument("kit", type=Path)
    parser.add_argument("--sequence", type=int)
    parser.add_argument("--blobs", type=Path, help="write the pictures here")
    parser.add_argument("--dictionary", type=Path, help="records-v1.zdict")
    options = parser.parse_args()
    if LACKING:
        print(f"vault_reader: it needs the Python library {LACKING}", file=sys.stderr)
        return 2
    default = Path(__file__).resolve().parents[1] / "vaultd" / "vault" / "records-v1.zdict"
    dictionary = (options.dictionary or default).read_bytes()
    if hashlib.sha256(dictionary).hexdigest() != DICTIONARY_SHA256:
        print("vault_reader: this is not the dictionary of format 1", file=sys.stderr)
        return 2
    try:
        text = kit_words(options.kit.read_text("utf-8"))
        vault = Vault(options.folder, secret_from_words(text), dictionary)
        written: set[str] = set()
        for kind, record_id, body in vault.snapshot(options.sequence):
            record = {"kind": kind, "id": record_id, "body": body}
            print(json.dumps(record, ensure_ascii=sys.stdout.isatty()))
            name = body["blob"]["name"] if kind == "photo" and "blob" in body else ""
            if options.blobs and name and name not in written:
                if not NAME.fullmatch(name):
                    raise Damage(f"{name[:120]!r} is no picture's name")
                written.add(name)
                with (options.blobs / name[-64:]).open("wb") as file:
                    file.writelines(vault.blob(name))
    except WrongWords as error:
        print(f"vault_reader: {error}", file=sys.stderr)
        return 5
    except OSError as error:
        print(f"vault_reader: {error}", file=sys.stderr)
        return 2
    except (
        Damage, msgpack.UnpackException, ValueError, KeyError, TypeError, RecursionError,
        StopIteration, AttributeError,
    ) as error:  # fmt: skip
        print(f"vault_reader: {error or 'a record is not one'}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
