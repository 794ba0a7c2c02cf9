"""All visits of all users of a clinic in one folder: a backup is a copy of it.

```
bci-sessions/
  index.sqlite                     what `bci sessions` lists; made anew from the folders whenever it is missing
  users/u-7k3f9q/
    user.json                      when it was made, and free text that somebody may have typed
    profile.toml                   this user's limits, grips and control
    visits/001-20261123/           session.json, recordings, model, logs, report.html
```

A user is a generated id; nothing here names a person. Visits are counted, so their order stands whatever the
computer's clock says. Files are readable by their owner only.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bci._version import __version__
from bci.chunks import SignalInfo
from bci.errors import BciError, ProfileError, RecordingError
from bci.files import write_private
from bci.language import _, system_reason
from bci.prosthesis import Profile, read_profile
from bci.report.visit import Equipment, Visit, read_visit, write_visit
from bci.sessions.store_index import StoreIndex, VisitRow

__all__ = ["SessionStore", "VisitFolder", "default_root"]

ENVIRONMENT = "BCI_SESSIONS"
#: Letters and digits that nobody confuses when reading an id aloud.
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
ID_LENGTH = 6
#: A check, a calibration and a control within so long are one visit, s.
SAME_VISIT_S = 6 * 3600.0
#: Clocks that differ by less were not changed, only corrected, s.
CLOCK_SLACK_S = 120.0


def default_root() -> Path:
    """The folder that BCI_SESSIONS names, else `bci-sessions` in the user's home folder.

    Raises
    ------
    RecordingError
        If this computer knows no home folder.
    """
    named = os.environ.get(ENVIRONMENT)
    try:
        return Path(named).expanduser() if named else Path.home() / "bci-sessions"
    except RuntimeError as err:
        path = Path(named or "~/bci-sessions")
        raise RecordingError(
            _(
                "This computer knows no home folder for {path}. Name a folder with --store, or with the variable "
                "{variable}."
            ).format(path=path, variable=ENVIRONMENT),
            path=path,
        ) from err


@dataclass(frozen=True, slots=True)
class VisitFolder:
    """Paths of one visit."""

    path: Path

    @property
    def session(self) -> Path:
        return self.path / "session.json"

    @property
    def model(self) -> Path:
        return self.path / "model.safetensors"

    def reference_of(self, model: str) -> Path:
        """What the signal was like when this model of the folder was learnt."""
        return self.path / f"{model.replace('model', 'reference', 1).removesuffix('.safetensors')}.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def free(self, stem: str, suffix: str) -> Path:
        """A name that no file has yet: a part that is done twice in a visit overwrites nothing."""
        path = self.path / f"{stem}{suffix}"
        number = 1
        while path.exists():
            number += 1
            path = self.path / f"{stem}-{number}{suffix}"
        return path

    def read(self) -> Visit:
        """What is known of the visit. RecordingError as of `read_visit`."""
        return read_visit(self.session)


class SessionStore:
    """The folder of all visits; made when it is first written to.

    Parameters
    ----------
    root : Path, optional
        Default: `default_root`.
    wall_clock : callable
        Seconds since 1970.

    Raises
    ------
    RecordingError
        If the folder cannot be made or written to.
    """

    def __init__(self, root: Path | None = None, *, wall_clock: Callable[[], float] = time.time) -> None:
        self.root = default_root() if root is None else Path(root)
        self.wall_clock = wall_clock
        self._private(self.users_folder)
        self._index = StoreIndex(self.root / "index.sqlite")
        if self._index.made_anew:
            self.rebuild()

    @property
    def users_folder(self) -> Path:
        return self.root / "users"

    # ---- users

    def new_user(self, *, note: str = "") -> str:
        """A new user; returns the id."""
        while True:
            user = "u-" + "".join(secrets.choice(ALPHABET) for _i in range(ID_LENGTH))
            if not (self.users_folder / user).exists():
                break
        self._private(self.users_folder / user / "visits")
        facts = {"id": user, "note": note, "made_s": self.wall_clock(), "software": __version__}
        write_private(self.users_folder / user / "user.json", json.dumps(facts, ensure_ascii=False) + "\n")
        self._index.add_user(user, note, float(facts["made_s"]))  # type: ignore[arg-type]
        return user

    def users(self) -> list[str]:
        """Ids of all users, oldest first."""
        return self._index.users()

    def note(self, user: str) -> str:
        """What somebody typed about this user, "" if nothing."""
        return self._index.note(user)

    def set_note(self, user: str, note: str) -> None:
        """Keep free text with a user."""
        path = self.require(user) / "user.json"
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            facts = {"id": user, "made_s": self.wall_clock(), "software": __version__}
        write_private(path, json.dumps({**facts, "note": note}, ensure_ascii=False) + "\n")
        self._index.add_user(user, note, float(facts.get("made_s", 0.0)))

    def require(self, user: str) -> Path:
        """The folder of a user.

        Raises
        ------
        RecordingError
            If there is none; the message names those that there are.
        """
        folder = self.users_folder / user
        safe = user.startswith("u-") and all(c in ALPHABET for c in user[2:])
        if not safe or not folder.is_dir():
            known = ", ".join(self.users()) or _("none yet")
            raise RecordingError(
                _("There is no user {user} in {root}; there are: {known}.").format(
                    user=user, root=self.root, known=known
                ),
                path=self.root,
            )
        return folder

    def profile(self, user: str) -> Profile | None:
        """The profile in this user's folder, None where nobody has put one there.

        Raises
        ------
        ProfileError
            If it cannot be read or holds something that is not allowed.
        """
        path = self.require(user) / "profile.toml"
        return read_profile(path) if path.exists() else None

    def keep_profile(self, user: str, source: Path) -> None:
        """Check a profile and copy it into the user's folder.

        Raises
        ------
        ProfileError
            As of `read_profile`; then the old one stays.
        """
        read_profile(source)
        try:
            text = source.read_text(encoding="utf-8")
        except OSError as err:
            raise ProfileError(f"{source}: {system_reason(err)}", path=source) from err
        write_private(self.require(user) / "profile.toml", text)

    def delete_user(self, user: str) -> int:
        """Delete everything of a user: recordings, models, logs, reports, profile and index. Returns the files."""
        folder = self.require(user)
        n = sum(path.is_file() for path in folder.rglob("*"))
        try:
            shutil.rmtree(folder)
        except OSError as err:
            raise RecordingError(
                _(
                    "{path} cannot be deleted ({reason}); close programs that have it open, then try again."
                ).format(path=err.filename or folder, reason=system_reason(err)),
                path=folder,
            ) from err
        self._index.forget(user)
        return n

    # ---- visits

    def visit(self, user: str, info: SignalInfo, *, equipment: Equipment, anew: bool = False) -> VisitFolder:
        """The visit that is under way with this equipment, or a new one.

        A visit goes on while its last part is less than six hours old and montage and rate are the same. If the
        computer's clock stands before the last visit, a new visit begins and its notes say so.
        """
        folder, now = self.require(user) / "visits", self.wall_clock()
        existing = self._folders(user)
        notes: tuple[str, ...] = ()
        if existing and not anew:
            newest = self._readable(existing[-1])
            if newest is not None:
                age = now - _last_s(newest)
                same = (newest.equipment.channels, newest.equipment.fs_hz) == (info.channels, info.fs_hz)
                if same and -CLOCK_SLACK_S <= age < SAME_VISIT_S:
                    return existing[-1]
        if (warning := self.clock_warning(user)) != "":
            notes = (warning,)
        number = 1 + max((int(old.path.name[:3]) for old in existing), default=0)
        name = f"{number:03d}-{time.strftime('%Y%m%d', time.localtime(now))}"
        self._private(folder / name)
        made = VisitFolder(folder / name)
        self.keep(
            made,
            Visit(
                session=name, user=user, started_s=now, equipment=equipment, who=self.note(user), notes=notes
            ),
        )
        return made

    def clock_warning(self, user: str) -> str:
        """A sentence if this computer's clock stands before the last visit of the user, else ""."""
        existing = self._folders(user)
        newest = self._readable(existing[-1]) if existing else None
        if newest is None or self.wall_clock() >= _last_s(newest) - CLOCK_SLACK_S:
            return ""
        return _(
            "The clock of this computer was set back: the last visit is dated {last}, now it is {now}. Visits keep "
            "their order by number; a calibration from before has to be done again. Set the clock right."
        ).format(last=_date(_last_s(newest)), now=_date(self.wall_clock()))

    def visits(self, user: str) -> list[VisitRow]:
        """A user's visits in order, as the index knows them."""
        self.require(user)
        return self._index.visits(user)

    def folder(self, user: str, session: str = "") -> VisitFolder:
        """One visit, by default the newest.

        Raises
        ------
        RecordingError
            If there is none.
        """
        existing = self._folders(user)
        chosen = [f for f in existing if f.path.name == session] if session else existing[-1:]
        if not chosen:
            raise RecordingError(
                _(
                    "User {user} has no visit {session} yet; begin with `bci quality` or `bci calibrate`."
                ).format(user=user, session=session),
                path=self.root,
            )
        return chosen[0]

    def keep(self, folder: VisitFolder, visit: Visit) -> None:
        """Write a visit's `session.json` and its line in the index."""
        write_visit(folder.session, visit)
        self._index.add_visit(VisitRow.of(visit))

    def rebuild(self) -> int:
        """Make the index anew from the folders; returns the number of visits."""
        self._index.clear()
        n = 0
        for user_folder in sorted(self.users_folder.iterdir()):
            if not user_folder.is_dir():
                continue
            facts: dict[str, object] = {}
            with contextlib.suppress(OSError, ValueError):
                facts = json.loads((user_folder / "user.json").read_text(encoding="utf-8"))
            made_s = facts.get("made_s", 0.0)
            self._index.add_user(
                user_folder.name,
                str(facts.get("note", "")),
                float(made_s) if isinstance(made_s, int | float) else 0.0,
            )
            for visit in (self._readable(folder) for folder in self._folders(user_folder.name)):
                if visit is not None:
                    self._index.add_visit(VisitRow.of(visit))
                    n += 1
        return n

    def close(self) -> None:
        """Twice is fine."""
        self._index.close()

    def __enter__(self) -> SessionStore:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # ---- below

    def _folders(self, user: str) -> list[VisitFolder]:
        return list(self._each(self.users_folder / user / "visits"))

    @staticmethod
    def _each(folder: Path) -> Iterator[VisitFolder]:
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path.is_dir() and path.name[:3].isdecimal():
                    yield VisitFolder(path)

    @staticmethod
    def _readable(folder: VisitFolder) -> Visit | None:
        with contextlib.suppress(BciError):
            return folder.read()
        return None

    def _private(self, folder: Path) -> None:
        """Make a folder and those above it up to the root, for their owner only."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            while True:
                if folder == self.root or self.root in folder.parents:
                    folder.chmod(0o700)
                if folder == self.root or self.root not in folder.parents:
                    break
                folder = folder.parent
        except OSError as err:
            raise RecordingError(
                _(
                    "{path} cannot be made ({reason}); name another folder with --store, or set {variable}."
                ).format(path=folder, reason=system_reason(err), variable=ENVIRONMENT),
                path=folder,
            ) from err


def _last_s(visit: Visit) -> float:
    """When the newest part of a visit was done."""
    parts = (visit.before, visit.calibration, visit.control, visit.after)
    return max([visit.started_s, *(part.at_s for part in parts if part is not None)])


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
