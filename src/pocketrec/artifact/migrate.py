"""Old artifacts open for ever: one function per version of the manifest's form takes it to the next.

To change the form: raise :data:`VERSION`, add the step from the version before to :data:`STEPS`, and freeze an
artifact of the new version under ``tests/artifact/golden``. The outermost keys ``format``, ``version`` and ``sha256``
and the way the hash is made stay as they are in all versions. A step gets and gives plain JSON without ``sha256``; it
never sees tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pocketrec.spec.errors import ArtifactCorrupt, ArtifactVersion

__all__ = ["STEPS", "VERSION", "check_version", "migrate"]

VERSION = 1

STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From a version to the next one. Version 1 is the first."""


def check_version(version: Any, what: str) -> None:
    """Whether a manifest of this version can be read.

    Raises:
        ArtifactVersion: it is of a later version. ArtifactCorrupt: there never was such a version.
    """
    if type(version) is not int or version < min(STEPS, default=VERSION):
        raise ArtifactCorrupt(f"{what} says that its version is {str(version)[:80]}; there is none.")
    if version > VERSION:
        raise ArtifactVersion(
            f"{what} is of version {version}, written by a newer pocketrec; this one reads up to {VERSION}. "
            "Upgrade pocketrec."
        )


def migrate(body: dict[str, Any], what: str) -> dict[str, Any]:
    """The manifest in today's form.

    Raises:
        ArtifactCorrupt: a step did not find what its version must have.
    """
    for version in range(body["version"], VERSION):
        try:
            body = {**STEPS[version](body), "version": version + 1}
        except (KeyError, TypeError, ValueError, AttributeError) as wrong:
            raise ArtifactCorrupt(f"{what} is not of its version {version}: {wrong!r}.") from wrong
    return body
