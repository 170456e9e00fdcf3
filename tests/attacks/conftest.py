"""What an attacker has: our format and our hashes. Nothing here is secret, so whatever is forged can be hashed anew."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pocketrec.artifact import Manifest, load_artifact, save_artifact
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError


class Forger:
    """A good artifact, taken apart. Change `body` and `raw`, then :meth:`forge` puts it together with right hashes.

    Attributes:
        path: the artifact's folder.
        body: the manifest's JSON. Its first file holds the tables, its second the nets.
        raw: the bytes of its tensor files, in the order of the manifest.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.body: dict[str, Any] = json.loads((path / "manifest.json").read_text())
        self.raw = [(path / file["name"]).read_bytes() for file in self.body["files"]]
        self._names = [file["name"] for file in self.body["files"]]

    @property
    def file(self) -> dict[str, Any]:
        """What the manifest says of the first file."""
        return self.body["files"][0]  # type: ignore[no-any-return]

    def header(self) -> dict[str, Any]:
        """The header of the first file."""
        length = int.from_bytes(self.raw[0][:8], "little")
        return json.loads(self.raw[0][8 : 8 + length])  # type: ignore[no-any-return]

    def set_header(self, header: dict[str, Any] | str | bytes) -> None:
        """Give the first file another header before the same data."""
        text = json.dumps(header) if isinstance(header, dict) else header
        coded = text.encode() if isinstance(text, str) else text
        room = -(-(len(coded) + 8) // 4096) * 4096 - 8
        self.raw[0] = room.to_bytes(8, "little") + coded.ljust(room) + self.raw[0][4096:]

    def set_length(self, length: int) -> None:
        """Let the first file claim a header of so many bytes."""
        self.raw[0] = length.to_bytes(8, "little") + self.raw[0][8:]

    def hash_files(self) -> None:
        """Let the manifest tell the truth about the bytes of the files, and name them accordingly."""
        chunk = self.body["chunk_bytes"]
        for file, raw, old in zip(self.body["files"], self.raw, self._names, strict=True):
            hashes = [hashlib.sha256(raw[k : k + chunk]).hexdigest() for k in range(0, len(raw), chunk)]
            stands_for = hashlib.sha256(b"".join(map(bytes.fromhex, hashes))).hexdigest()[:12]
            file |= {"bytes": len(raw), "sha256": hashes, "name": f"{file['part']}-{stands_for}.safetensors"}
            (self.path / old).unlink(missing_ok=True)
            (self.path / file["name"]).write_bytes(raw)

    def hash_manifest(self) -> None:
        """Write the manifest with its right hash."""
        self.body.pop("sha256", None)
        text = json.dumps(self.body, sort_keys=True, separators=(",", ":"))
        self.body["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        (self.path / "manifest.json").write_text(json.dumps(self.body))

    def forge(self) -> None:
        """All of it."""
        self.hash_files()
        self.hash_manifest()


@pytest.fixture
def new_forger(tmp_path: Path) -> Callable[[], Forger]:
    def make() -> Forger:
        parts = {
            "tables": {"codes": torch.arange(7, dtype=torch.int8), "rows": torch.arange(1200.0).reshape(300, 4)},
            "nets": {"w": torch.ones(16)},
        }
        save_artifact(tmp_path / "model", Manifest(kind="model", content={"dim": 4}), parts, chunk_bytes=4096)
        return Forger(tmp_path / "model")

    return make


@pytest.fixture
def forger(new_forger: Callable[[], Forger]) -> Forger:
    """A good artifact to forge from: 7 bytes of codes, a gap, 300 x 4 float32; and nets."""
    return new_forger()


# What opening may take, whatever the numbers in the files say. (The honest artifact takes 60 kB.)
PEAK_BYTES = 2 * 2**20


@pytest.fixture
def refuse() -> Callable[..., None]:
    """Check that an artifact is refused, lazily and in full, with this error and little memory."""

    def check(path: Path, why: str | None = None, error: type[ArtifactError] = ArtifactCorrupt) -> None:
        for verify in ("lazy", "full"):
            tracemalloc.start()
            try:
                with pytest.raises(error, match=why) as caught:
                    load_artifact(path, verify=verify)  # type: ignore[arg-type]
                assert caught.type is error
                assert tracemalloc.get_traced_memory()[1] < PEAK_BYTES
            finally:
                tracemalloc.stop()

    return check
