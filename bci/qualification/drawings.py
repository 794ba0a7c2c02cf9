"""What the operator puts at a board, as line drawings: SVG for a page, letters for a terminal.

All of them show the same board: ten terminals on its left (1 to 8, R the reference, B the bias), its cable on the
right. Nothing in them but numbers and units has to be translated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bci.language import _, padded

__all__ = ["KINDS", "drawing_svg", "drawing_text"]

Connect = Mapping[str, float | str]

TERMINALS = ("1", "2", "3", "4", "5", "6", "7", "8", "R", "B")
TOP, PITCH, X = 34, 15, 176  # of the terminals
BLUE, ORANGE, GREY, GREEN = "#0072B2", "#E69F00", "#7f8c8d", "#009E73"
WIRE = f'fill="none" stroke="{ORANGE}" stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round"'
EDGE = 'stroke="#24323d" stroke-width="1.6"'
SHAKE = f'fill="none" stroke="{GREEN}" stroke-width="2.4"'
LINE = f'fill="none" {EDGE} stroke-linejoin="round"'


def drawing_svg(connect: Connect) -> str:
    """The drawing for what a take connects, an `svg` element of 400 × 220."""
    draw = _SVG.get(str(connect.get("kind")), _nothing)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 220" width="400" height="220" '
        'font-family="system-ui, Noto Sans, sans-serif" font-size="11" fill="#24323d" role="img">'
        f"{_board()}{draw(connect)}</svg>"
    )


def drawing_text(connect: Connect) -> str:
    """The same in letters that every terminal has."""
    kind = str(connect.get("kind"))
    if kind == "generator" and connect.get("mode") == "common":
        kind = "generator-common"
    facts = {  # words as wide as the English ones, so that the lines around them stay where they are
        "free": padded(_("(inputs stay free)"), 18),
        "strap": padded(_("one strap"), 9),
        "shake": padded(_("shake"), 5),
        "gently": padded(_("gently"), 6),
        "air": padded(_("warm air"), 8),
        "supply": padded(_("supply"), 6),
        "chip": padded(_("chip"), 4),
        "kohm": f"{connect.get('kohm', 5.1):g} kOhm",
        "hertz": f"{_number(connect, 'frequency_hz'):g} Hz",
        "level": _volts(_number(connect, "amplitude_uv")),
    }
    lines = _TEXT.get(kind, _TEXT["nothing"]).split("\n")[1:]
    left = [line.format(**facts) for line in (lines + [""] * 8)[:8]]
    return "\n".join(padded(a, 34) + b.format(**facts) for a, b in zip(left, _TEXT_BOARD, strict=True))


def _board() -> str:
    pins = "".join(
        f'<circle cx="{X}" cy="{_y(k)}" r="4" fill="#fff" stroke="#24323d" stroke-width="1.4"/>'
        f'<text x="{X + 9}" y="{_y(k) + 4}">{name}</text>'
        for k, name in enumerate(TERMINALS)
    )
    return (
        f'<rect x="{X - 12}" y="18" width="150" height="172" rx="8" fill="#eef6f2" {EDGE}/>'
        f'<rect x="{X + 50}" y="72" width="52" height="52" rx="3" fill="#24323d"/>'
        f'<text x="{X + 76}" y="102" text-anchor="middle" fill="#fff" font-size="10">24 bit</text>'
        f'<rect x="{X + 130}" y="92" width="18" height="22" rx="2" fill="#fff" {EDGE}/>'
        f'<path d="M{X + 148} 103C{X + 180} 103 {X + 176} 150 {X + 216} 150" {LINE}/>'
        f'<text x="{X + 186}" y="168" font-size="10">USB</text>{pins}'
    )


def _y(k: int) -> int:
    return TOP + PITCH * k


def _nothing(connect: Connect) -> str:
    return f'<path d="M70 100h20m10 0h20m-14 -18l36 36m0 -36l-36 36" {LINE}/>'


def _shorted(connect: Connect) -> str:
    """One strap over all inputs, reference and bias."""
    taps = "".join(f"M{X - 44} {_y(k)}H{X - 4}" for k in range(10))
    return (
        f'<path d="M{X - 44} {_y(0)}V{_y(9)}{taps}" {WIRE}/>'
        f'<text x="{X - 60}" y="{(_y(0) + _y(9)) / 2 + 4}" text-anchor="end">0 Ω</text>'
    )


def _generator(connect: Connect) -> str:
    """Differential: all inputs against the reference. Common: inputs and reference together against the bias."""
    common = connect.get("mode") == "common"
    hot = range(9) if common else range(8)
    cold = 9 if common else 8
    taps = "".join(f"M{X - 44} {_y(k)}H{X - 4}" for k in hot)
    facts = f"{_number(connect, 'frequency_hz'):g} Hz, {_volts(_number(connect, 'amplitude_uv'))}"
    return (
        f'<rect x="16" y="62" width="78" height="66" rx="6" fill="#fff" {EDGE}/>'
        f'<path d="M30 95q8 -26 16 0t16 0t16 0" fill="none" stroke="{BLUE}" stroke-width="2"/>'
        f'<text x="55" y="54" text-anchor="middle">{facts}</text>'
        f'<text x="86" y="82" text-anchor="middle">+</text><text x="86" y="122" text-anchor="middle">−</text>'
        f'<path d="M94 78H{X - 44}M{X - 44} {_y(0)}V{_y(hot[-1])}{taps}" {WIRE}/>'
        f'<path d="M94 118H112V{_y(cold)}H{X - 4}" fill="none" stroke="{BLUE}" stroke-width="2.4"/>'
    )


def _resistors(connect: Connect) -> str:
    """One resistor from every input to the reference."""
    out = []
    for k in range(8):
        y = _y(k)
        out.append(
            f'<path d="M{X - 4} {y}h-16m-36 0h-20" {WIRE}/>'
            f'<rect x="{X - 56}" y="{y - 4}" width="36" height="8" fill="#fff" stroke="#24323d" stroke-width="1.3"/>'
        )
    out.append(f'<path d="M{X - 76} {_y(0)}V{_y(8)}H{X - 4}M{X - 76} {_y(8)}V{_y(9)}H{X - 4}" {WIRE}/>')
    out.append(
        f'<text x="{X - 84}" y="{_y(4)}" text-anchor="end" font-size="13" font-weight="600">'
        f"8 × {_number(connect, 'kohm', 5.1):g} kΩ</text>"
    )
    return "".join(out)


def _vibration(connect: Connect) -> str:
    """Inputs strapped as for noise, the board shaken."""
    arcs = "".join(
        f'<path d="M{x} 186q{bow} 10 0 20" {LINE}/>'
        for x, bow in ((X - 30, -8), (X - 40, -8), (X + 156, 8), (X + 166, 8))
    )
    arrow = f'<path d="M{X + 20} 206h86m-8 -6l8 6l-8 6m-70 0l-8 -6l8 -6" {SHAKE}/>'
    return _shorted(connect) + arcs + arrow


def _warming(connect: Connect) -> str:
    waves = "".join(
        f'<path d="M{x} 214q6 -8 0 -16q-6 -8 0 -14" fill="none" stroke="{ORANGE}" stroke-width="2.2"/>'
        for x in range(X + 10, X + 130, 22)
    )
    facts = f"{_number(connect, 'from_c', 25):g} → {_number(connect, 'to_c', 45):g} °C"
    return (
        f'{_shorted(connect)}{waves}<rect x="44" y="52" width="12" height="74" rx="6" {LINE}/>'
        f'<circle cx="50" cy="134" r="11" fill="{ORANGE}" {EDGE}/>'
        f'<path d="M50 134V84" stroke="{ORANGE}" stroke-width="5"/>'
        f'<text x="50" y="164" text-anchor="middle">{facts}</text>'
    )


def _supply(connect: Connect) -> str:
    facts = f"{_number(connect, 'from_mv', 3300) / 1000:.1f} → {_number(connect, 'to_mv', 3000) / 1000:.1f} V"
    return (
        f'{_shorted(connect)}<rect x="14" y="140" width="86" height="52" rx="5" fill="#fff" {EDGE}/>'
        f'<text x="57" y="160" text-anchor="middle">{facts}</text>'
        f'<circle cx="38" cy="178" r="4" fill="{BLUE}"/><circle cx="76" cy="178" r="4" fill="{ORANGE}"/>'
        f'<path d="M76 178V206H{X + 60}V190" {WIRE}/>'
        f'<path d="M38 178V214H{X + 84}V190" fill="none" stroke="{BLUE}" stroke-width="2.4"/>'
    )


def _number(connect: Connect, name: str, default: float = 0.0) -> float:
    return float(connect.get(name, default))


def _volts(uv: float) -> str:
    """An amplitude as it is read on a generator."""
    for factor, unit in ((1e6, "V"), (1e3, "mV")):
        if uv >= factor:
            return f"{uv / factor:.4g} {unit}"
    return f"{uv:.4g} µV"


_SVG: dict[str, Callable[[Connect], str]] = {
    "nothing": _nothing,
    "shorted": _shorted,
    "generator": _generator,
    "resistors": _resistors,
    "vibration": _vibration,
    "warming": _warming,
    "supply": _supply,
}
KINDS = tuple(_SVG)

_TEXT_BOARD = (
    "+------------------+",
    "o 1                |",
    "o 2     +------+   |",
    "o ..    | {chip} |   +== USB",
    "o 8     +------+   |",
    "o R                |",
    "o B                |",
    "+------------------+",
)
#: A line per line of the board; what is left out is empty.
_TEXT = {
    "nothing": """


      {free}
""",
    "shorted": """

                          +-------
                          +-------
           {strap}      +-------
                          +-------
                          +-------
                          +-------
""",
    "generator": """
 {hertz}, {level}
 +----------+              +------
 |  /\\      |+ ------------+------
 | /  \\  /  |              +------
 |     \\/   |              +------
 |          |- -------------------
 +----------+
""",
    "generator-common": """
 {hertz}, {level}
 +----------+              +------
 |  /\\      |+ ------------+------
 | /  \\  /  |              +------
 |     \\/   |              +------
 |          |-             +------
 +----------+ \\-------------------
""",
    "resistors": """

            +----[{kohm}]-------
            +----[{kohm}]-------
            +----[  ...   ]-------
            +----[{kohm}]-------
            +---------------------
            +---------------------
""",
    "vibration": """

                          +-------
    <==== {shake} ====>     +-------
                          +-------
    <==== {gently} ===>     +-------
                          +-------
                          +-------
""",
    "warming": """
      _
     | |                  +-------
     |#|                  +-------
     |#|  {air}  ~~>   +-------
     |#|            ~~>   +-------
     (#)                  +-------
                          +-------
""",
    "supply": """
 +----------+
 |  {supply}  |             +-------
 |  -    +  |             +-------
 +--+----+--+             +-------
    |    |                +-------
    |    +--------- VDD   +-------
    +-------------- GND   +-------
""",
}
