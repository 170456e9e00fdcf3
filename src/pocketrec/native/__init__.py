"""Ops on tables: ids to addresses to vectors, gradients to compact pairs, pairs to moved rows. And two beside them: all
products of vectors, and the hash of tokens.

Everything that looks vectors up is: ids -> addresses -> gather and combine over regions (`pocketrec.native.program` has
the words). Each op is registered with torch as ``torch.ops.pocketrec.<name>`` with a fake kernel, and computed by C++
where that was built (`backend` says so), else by a plain-torch reference of the same meaning. On other devices than the
CPU the references compute.
"""

from pocketrec.native.addresses import addresses
from pocketrec.native.binding import backend, simd, simd_available, use_backend
from pocketrec.native.compact import compact
from pocketrec.native.hash63 import hash_bytes, hash_tokens
from pocketrec.native.interact import interact
from pocketrec.native.lookup import lookup
from pocketrec.native.mix import bucket, mix
from pocketrec.native.program import Access, BlockFlag, Column, Combining, Kind, Pooling, Storage, program_row
from pocketrec.native.threads import set_threads, threads, use_threads
from pocketrec.native.update import update

__all__ = [
    "Access",
    "BlockFlag",
    "Column",
    "Combining",
    "Kind",
    "Pooling",
    "Storage",
    "addresses",
    "backend",
    "bucket",
    "compact",
    "hash_bytes",
    "hash_tokens",
    "interact",
    "lookup",
    "mix",
    "program_row",
    "set_threads",
    "simd",
    "simd_available",
    "threads",
    "update",
    "use_backend",
    "use_threads",
]
