"""The visit that somebody names: by its folder, by the user, or by both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bci.errors import RecordingError
from bci.language import _

if TYPE_CHECKING:
    from bci.sessions.store import SessionStore

__all__ = ["visit_folder"]


def visit_folder(named: str | None, root: Path | None) -> Path:
    """Its folder; a path that exists comes first, and without a name it is the newest visit of all.

    Raises
    ------
    RecordingError
        If there is none.
    """
    from bci.sessions.store import SessionStore, default_root

    if named is not None and Path(named).exists():
        path = Path(named)
        return path.parent if path.is_file() else path
    root = default_root() if root is None else root
    if not root.is_dir():  # asking makes no folder
        raise RecordingError(
            _("There is no session in {root} yet; begin with `bci calibrate`.").format(root=root), path=root
        )
    with SessionStore(root) as store:
        if named is not None:
            user, _slash, name = named.partition("/")
            return store.folder(store.require(user).name, name).path
        newest = _newest(store)
    if newest is None:
        raise RecordingError(
            _("There is no session in {root} yet; begin with `bci calibrate`.").format(root=root), path=root
        )
    return newest


def _newest(store: SessionStore) -> Path | None:
    folders = [store.folder(user).path for user in store.users() if store.visits(user)]
    return max(folders, key=lambda folder: (folder / "session.json").stat().st_mtime, default=None)
