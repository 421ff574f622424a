"""Who is compared: each peer is a module with a ``Program`` and its ``VERSIONS``, imported in a process of its own.

Whatever a peer needs is imported at the top of its module, so that imports are no part of any figure.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """``module`` holds the peer; ``needs`` is the import without which it is not there."""

    name: str
    module: str
    needs: str


PEERS = {
    peer.name: peer
    for peer in (
        Peer("genesis", "benchmarks.peers.genesis", "genesis"),
        Peer("eager", "benchmarks.peers.eager", "torch"),
        Peer("compile", "benchmarks.peers.inductor", "torch"),
        Peer("jax", "benchmarks.peers.jax", "jax"),
    )
}
