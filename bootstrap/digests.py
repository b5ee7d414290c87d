"""Digests without `hashlib`, which loads OpenSSL first: that alone is a twentieth of a start."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import blake2b
else:
    from _blake2 import blake2b

Hasher = blake2b
_BYTES = 32


def new(data: bytes = b"") -> Hasher:
    """A BLAKE2b hasher of 32 bytes: as strong as SHA-256, and fast without a processor's help."""
    return blake2b(data, digest_size=_BYTES)
