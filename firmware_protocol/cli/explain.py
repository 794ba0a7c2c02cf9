"""What a rule asks for, why, and what to change. Without a rule: the list of all.

frame-validator explain FP104
frame-validator explain crc-byte-order
"""

from __future__ import annotations

import argparse
import json
import sys

from firmware_protocol.errors import ProtocolError

SUMMARY = "explain a rule, or list them all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rules", nargs="*", metavar="RULE", help="identifier, its beginning (FP1) or name")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="auto: in a terminal"
    )


def run(args: argparse.Namespace) -> int:
    import firmware_protocol.conform  # noqa: F401 (its steps are rules, too)
    from firmware_protocol.validator import RULES
    from firmware_protocol.validator.paint import Paint, wants_colour
    from firmware_protocol.validator.report import Selection
    from firmware_protocol.validator.text import explanation

    selection = Selection(tuple(args.rules))
    unknown = selection.unknown()
    if unknown:
        close = ", ".join(
            _near(unknown[0], [name for rule in RULES.values() for name in (rule.id, rule.name)])
        )
        raise ProtocolError(
            f"no rule is called {', '.join(unknown)}"
            + (f"; did you mean {close}?" if close else "; `frame-validator explain` lists them")
        )
    rules = sorted((rule for rule in RULES.values() if selection.takes(rule)), key=lambda rule: rule.id)
    if args.json:
        keys = ("id", "name", "section", "text", "hint")
        forms = [{key: getattr(rule, key) for key in keys} | {"level": rule.level.name} for rule in rules]
        print(json.dumps(forms, ensure_ascii=False, indent=2))
        return 0
    paint = Paint(colour=wants_colour(sys.stdout, args.color))
    for rule in rules:
        if args.rules:
            for line in explanation(rule, paint):
                print(line)
        else:
            level = "cause" if rule.is_cause else rule.level.name
            print(f"{rule.id}  {level:<7} {paint(f'{rule.name:<28}', 'bold')} {_sentence(rule.text)}")
    return 0


def _sentence(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split()).split(". ")[0].rstrip(".")


def _near(word: str, names: list[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(word, names, n=2)
