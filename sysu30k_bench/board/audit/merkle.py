"""A Merkle root: one digest that commits to many, any of which can be asked for later."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def merkle_root(leaves: Sequence[str]) -> str:
    """Computes the root of a tree over digests, as RFC 6962 does over log entries.

    Leaves and nodes are hashed with different first bytes, so that no node can be passed off as a leaf.

    Args:
        leaves: SHA-256 digests in hex, at least one, in order.

    Returns:
        SHA-256, in hex.
    """
    level = [hashlib.sha256(b"\x00" + bytes.fromhex(leaf)).digest() for leaf in leaves]

    def root(part: list[bytes]) -> bytes:
        if len(part) == 1:
            return part[0]
        half = 1 << (len(part) - 1).bit_length() - 1
        return hashlib.sha256(b"\x01" + root(part[:half]) + root(part[half:])).digest()

    return root(level).hex()
