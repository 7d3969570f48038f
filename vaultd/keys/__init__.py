"""Keys: the twelve words, what is derived from them, the kit, and the pod's signing key."""

from vaultd.keys import kit
from vaultd.keys.derive import Secrets, owner_signing_seed
from vaultd.keys.kit import Kit
from vaultd.keys.pod import PodKey, fingerprint, parse_pod_key
from vaultd.keys.recipient import Recipient
from vaultd.keys.sealing import SealingKey
from vaultd.keys.words import from_words, generate_secret, to_words

__all__ = [
    "Kit",
    "PodKey",
    "Recipient",
    "SealingKey",
    "Secrets",
    "fingerprint",
    "from_words",
    "generate_secret",
    "kit",
    "owner_signing_seed",
    "parse_pod_key",
    "to_words",
]
