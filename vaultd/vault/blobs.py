"""Blobs: pictures as separate objects, encrypted once, named by a keyed hash of their content."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterator
from typing import BinaryIO, Final

from vaultd.errors import DamageError, ForgeryError
from vaultd.keys import PodKey, Recipient, Secrets
from vaultd.vault.clear_header import unknown_pod
from vaultd.vault.coding.object_stream import ObjectStream
from vaultd.vault.coding.sections import SectionWriter, binding, new_file_key, read_section
from vaultd.vault.file_key import unwrap_key, wrap_key
from vaultd.vault.header import Header, decode_header, encode_header, verify
from vaultd.vault.layout import (
    BLOB_MAGIC,
    FRAME_BLOB,
    FRAME_PADDING,
    FRAME_PLAIN,
    MAX_HEADER,
    SIGNATURE_SIZE,
    blob_name,
    whole_message,
)
from vaultd.vault.place import Place
from vaultd.vault.writer import PackedObject, seal

_READ: Final = FRAME_PLAIN - 1


def _keyed_hash(blob_key: bytes) -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=32, key=blob_key, person=b"vaultd-v1-blob")


def blob_digest(blob_key: bytes, data: BinaryIO) -> tuple[bytes, int]:
    """Return the keyed hash (32 bytes) and the size of what `data` holds from here to its end."""
    digest, size = _keyed_hash(blob_key), 0
    while piece := data.read(_READ):
        digest.update(piece)
        size += len(piece)
    return digest.digest(), size


def pack_blob(
    spool: BinaryIO, data: BinaryIO, digest: bytes, recipient: Recipient, pod_key: PodKey
) -> PackedObject:
    """Encrypt `data` into `spool` (ciphertext only) as the blob with this keyed hash."""
    key = new_file_key()
    header = Header(
        vault=bytes.fromhex(recipient.vault_id),
        sequence=0,
        previous=None,
        pod=pod_key.public,
        recipients=wrap_key(key, (recipient,)),
        blob=digest,
    )
    clear = encode_header(BLOB_MAGIC, header, pod_key)
    section = SectionWriter(key, binding(b"blob", clear), spool.write)
    while piece := data.read(_READ):
        section.write(bytes([FRAME_BLOB]) + piece)
    section.write_padding(len(clear) + SIGNATURE_SIZE)
    signature, whole = seal(clear, spool, pod_key)
    return PackedObject(
        name=blob_name(recipient.vault_id, digest),
        size=len(clear) + section.size + SIGNATURE_SIZE,
        hash=whole,
        _front=clear,
        _spool=spool,
        _behind=signature,
    )


def read_blob(
    place: Place, name: str, secrets: Secrets, blob_keys: Collection[bytes], pods: Collection[bytes]
) -> Iterator[bytes]:
    """Yield a blob's plain pieces.

    `blob_keys` are the naming keys the vault's manifests know, `pods` the trusted pod keys.
    Raises ObjectMissing, DamageError, ForgeryError naming the blob; what was yielded before an
    error is authentic, but the picture is not whole.
    """
    stream = ObjectStream(place, name)
    header, offset = decode_header(BLOB_MAGIC, stream.peek(MAX_HEADER + 128), name)
    clear = stream.read_exact(offset)
    if header.pod not in pods:
        raise unknown_pod(name, header.pod)
    if header.blob is None or blob_name(header.vault.hex(), header.blob) != name:
        raise DamageError(f"{name} is another blob under this name.")
    key = unwrap_key(header, secrets)
    if key is None:
        raise ForgeryError(f"{name} is not sealed to this kit.")
    digests = [_keyed_hash(blob_key) for blob_key in blob_keys]
    for chunk in read_section(key, binding(b"blob", clear), stream.read_exact, name):
        if chunk[:1] == bytes([FRAME_PADDING]):
            continue
        if chunk[:1] != bytes([FRAME_BLOB]):
            raise DamageError(f"{name} holds a chunk of an unknown type.")
        for digest in digests:
            digest.update(chunk[1:])
        yield chunk[1:]
    if not any(hmac.compare_digest(digest.digest(), header.blob) for digest in digests):
        raise DamageError(f"{name} does not hold the picture that its name promises.")
    message = whole_message(stream.digest())
    if not verify(header.pod, message, stream.read_exact(SIGNATURE_SIZE)) or not stream.at_end():
        raise DamageError(f"{name} does not end with its pod's signature.")
