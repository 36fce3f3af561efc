"""Go on with the shards that an earlier run has left at a place, or clear them away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from digitvae.base.atomic import UNFINISHED
from digitvae.base.errors import OutputError
from digitvae.output import manifest
from digitvae.output.formats import FORMATS
from digitvae.output.manifest import Manifest
from digitvae.output.spec import OutputSpec
from digitvae.output.stores import Entry, Store
from digitvae.output.stores.store import exists_already, is_missing

_SHARD = re.compile(
    r"digits-([0-9]{5,})-of-([0-9]{5,})("
    + "|".join(re.escape(kind.extension) for kind in FORMATS.values() if kind.extension)
    + ")",
    re.ASCII,
)
_OURS = re.compile(f"{_SHARD.pattern}|{UNFINISHED.pattern}")


def shard_name(spec: OutputSpec, index: int) -> str:
    """Name of shard ``index``, 0 … number − 1."""
    width = max(5, len(str(spec.shards)))
    extension = FORMATS[spec.format].extension
    return f"digits-{index:0{width}d}-of-{spec.shards:0{width}d}{extension}"


def is_shard(name: str) -> bool:
    """Tell if a file has the name of a shard, of whatever output."""
    return _SHARD.fullmatch(name) is not None


def clear(store: Store) -> None:
    """Delete an output in shards, but nothing else.

    Raises:
        OutputError: The place holds anything that its manifest does not know, which the message
            names. Shards of that output that are not finished are known, too.
    """
    try:
        found = manifest.read(store)
    except OutputError as error:
        if not is_missing(error):
            raise OutputError(f"will not replace '{store}': {error}") from error
        found = None

    entries = store.entries()
    for entry in entries:
        is_known = found is not None and (entry.name == manifest.NAME or _knows(found, entry.name))
        if not entry.plain or not (is_known or UNFINISHED.fullmatch(entry.name)):
            raise OutputError(
                f"will not replace '{store}': it holds '{entry.name}', which digitvae did not "
                "write; move it away, or choose another name"
            )
    if found is not None:
        # First of all it says no longer that everything is there. It goes last, so that a run that
        # dies meanwhile leaves what another knows, and may delete.
        manifest.write(store, replace(found, complete=False, files=[]))
    for entry in entries:
        if entry.name != manifest.NAME:
            store.delete(entry.name)
    store.delete(manifest.NAME)


def _knows(found: Manifest, name: str) -> bool:
    """Tell if a file is a shard, finished or not, of the output that a manifest describes."""
    shard = _SHARD.fullmatch(name)
    if shard is None:
        return False
    count, size, kind = (found.asked.get(key) for key in ("count", "shard_size", "format"))
    if not isinstance(count, int) or not isinstance(size, int) or size < 1 or kind not in FORMATS:
        return any(record.name == name for record in found.files)
    spec, index = OutputSpec("", str(kind), count, shard_size=size), int(shard[1])
    return index < spec.shards and name == shard_name(spec, index)


def take_over(store: Store, asked: Mapping[str, object], *, resume: bool) -> Manifest | None:
    """See what an earlier run has left, and remove what it has not finished.

    Args:
        store: The place, locked.
        asked: What is asked for.
        resume: Whether there may be anything.

    Returns:
        The manifest of the earlier run, ``None`` if there was none.

    Raises:
        ValueError: The earlier run was asked for something else; nothing is touched.
        OutputError: The place holds what it may not, or has no readable manifest.
    """
    entries = store.entries()
    others = [entry.name for entry in entries if not UNFINISHED.fullmatch(entry.name)]
    if not resume and entries:
        raise exists_already(store)
    for entry in entries:  # under our names; others lead elsewhere, or nowhere
        is_ours = entry.name == manifest.NAME or _OURS.fullmatch(entry.name)
        if is_ours and not entry.plain:
            raise OutputError(
                f"cannot resume '{store}': '{entry.name}' in it is a link, a folder or the like, "
                "not a file; remove it, or choose another name"
            )
    found = None
    if manifest.NAME in others:
        found = manifest.read(store)
        for field in dict.fromkeys([*asked, *found.asked]):
            before, now = found.asked.get(field), asked.get(field)
            if before != now:
                raise ValueError(
                    f"cannot resume '{store}': it was begun with {field} {before!r}, not {now!r}; "
                    "ask for the same, choose another name, or begin again with force (--force)"
                )
    elif others and all(map(_OURS.fullmatch, others)):
        raise OutputError(
            f"cannot resume '{store}': it holds shards but no {manifest.NAME}: nobody knows what "
            "they are, nor does force (--force) delete them; move them away, or choose another name"
        )
    elif others:
        raise OutputError(
            f"cannot resume '{store}': it holds '{others[0]}' but no {manifest.NAME}, so it is not "
            "an output in shards; choose another name"
        )
    remove_unfinished(store, entries)
    return found


def remove_unfinished(store: Store, entries: Iterable[Entry]) -> None:
    """Delete, of what a place holds, what runs or workers that were killed were writing."""
    for entry in entries:
        if entry.plain and UNFINISHED.fullmatch(entry.name):
            store.delete(entry.name)
