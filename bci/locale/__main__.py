"""`python -m bci.locale`: compile the translations, or list what is missing (`--missing`)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bci.language import LANGUAGES
from bci.locale._catalogue import compiled, entries, mo_path
from bci.locale._sentences import Sentence, of_project


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(prog="python -m bci.locale", description=__doc__)
    options.add_argument("--missing", action="store_true", help="list untranslated sentences, ready to paste")
    missing = options.parse_args(argv).missing
    spoken = said_everywhere(Path(__file__).resolve().parents[2])
    found = 0
    for language in LANGUAGES[1:]:
        known = {entry.sentences[0] for entry in entries(language) if all(entry.said)}
        if missing:
            for forms, places in spoken.items():
                if forms[0] not in known:
                    found += 1
                    sys.stdout.write(_stub(forms, places))
            continue
        path = mo_path(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(compiled(language))
        sys.stdout.write(f"{path}: {len(known)} sentences\n")
    return 1 if found else 0


def said_everywhere(root: Path) -> dict[tuple[str, ...], list[str]]:
    """Sentences of code, templates, pages and clinic's commands, and where each stands."""
    from bci.cli._language import clinic_sentences

    places: dict[tuple[str, ...], list[str]] = {}
    in_help = (Sentence((says,), place) for says, place in clinic_sentences())
    for sentence in (*of_project(root), *in_help):
        places.setdefault(sentence.forms, []).append(sentence.place)
    return places


def _stub(forms: tuple[str, ...], places: list[str]) -> str:
    import json

    lines = [f"#: {place}" for place in places]
    lines.append(f"msgid {json.dumps(forms[0], ensure_ascii=False)}")
    if len(forms) > 1:
        lines += [f"msgid_plural {json.dumps(forms[1], ensure_ascii=False)}", 'msgstr[0] ""']
    else:
        lines.append('msgstr ""')
    return "\n".join(lines) + "\n\n"


if __name__ == "__main__":
    sys.exit(main())
