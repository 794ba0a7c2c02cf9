"""Programs at the other end of a stream, on this computer alone: `python -m tests.interop.lsl_bench WHAT NAME`.

`ours` sends with `LslOutlets`, `foreign` with pylsl alone, as other programs do; `listen` takes with pylsl alone what
the test sends. Each says "ready" on stdout and ends when its stdin does.
"""

from __future__ import annotations

import json
import sys
import time
from fractions import Fraction

import numpy as np

from bci.chunks import Chunk, Marker, SignalInfo

CONFIG = """[ports]
IPv6 = disable
[multicast]
ResolveScope = machine
[lab]
KnownPeers = {127.0.0.1}
[log]
level = -2
"""

INFO = SignalInfo(("C3", "Cz", "C4"), Fraction(250), (0.0223517,) * 3, "OpenBCI Cyton v3.1", "A2")
FOREIGN = ("C3", "C4", "X")


def made_uv(first: int, n: int) -> np.ndarray:
    """µV that float32 holds exactly, told from the sample number."""
    numbers = np.arange(first, first + n)
    return np.asfortranarray(np.stack([numbers * 0.25, -numbers * 0.5, numbers % 7 * 1000.0]))


def chunks() -> list[Chunk]:
    """A run of 500 samples, 30 of them lost on the way, with two markers, then a second run."""
    return [
        Chunk(made_uv(0, 200), 0, restart=True, markers=(Marker(120, "right", 770),)),
        Chunk(made_uv(230, 270), 230, lost_before=30, markers=(Marker(400, "休息", 769),)),
    ]


def main(what: str, name: str) -> None:
    {"ours": ours, "foreign": foreign, "listen": listen}[what](name)


def ours(name: str) -> None:
    from bci.interop.lsl import LslOutlets

    outlets = LslOutlets(INFO, name=name)
    say("ready")
    for _ in sys.stdin:  # each line: send all of it
        at_ns = 1_000_000_000_000
        for chunk in chunks():
            outlets.signal(chunk, arrived_ns=at_ns + round(chunk.end_sample / 250 * 1e9))
        say("sent")


def foreign(name: str) -> None:
    """Two electrodes in mV as doubles and a channel of acceleration; markers as printed numbers."""
    import pylsl

    info = pylsl.StreamInfo(name, "EEG", 3, 100, pylsl.cf_double64, f"source of {name}")
    node = info.desc().append_child("channels")
    for label, unit, kind in zip(FOREIGN, ("millivolts", "mV", "g"), ("EEG", "EEG", "ACC"), strict=True):
        channel = node.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("unit", "mV" if unit == "millivolts" else unit)
        channel.append_child_value("type", kind)
    signal = pylsl.StreamOutlet(info)
    marks = pylsl.StreamOutlet(
        pylsl.StreamInfo(f"{name}-cues", "Markers", 1, 0, pylsl.cf_string, f"cues of {name}")
    )
    say("ready")
    for _ in sys.stdin:
        now = pylsl.local_clock()
        values = np.arange(300)[:, None] * np.array([0.001, -0.002, 1.0])
        marks.push_sample(["2.000000000000000"], now + 1.501)
        signal.push_chunk(values, (now + np.arange(300) / 100).tolist())
        say("sent")


def listen(name: str) -> None:
    """What comes of every stream whose name begins so, as JSON once stdin says how many samples to wait for."""
    import pylsl

    resolver = pylsl.ContinuousResolver()
    infos: dict[str, pylsl.StreamInfo] = {}
    while len(infos) < 5:
        time.sleep(0.05)
        infos = {i.name(): i for i in resolver.results() if i.name().startswith(name)}
    inlets = {key: pylsl.StreamInlet(info) for key, info in infos.items()}
    for inlet in inlets.values():
        inlet.open_stream(timeout=60)
    say("ready")
    expected = json.loads(sys.stdin.readline())
    told = {}
    for key, inlet in inlets.items():
        samples: list[object] = []
        stamps: list[float] = []
        while len(samples) < expected[key]:
            rows, times = inlet.pull_chunk(timeout=0.2, max_samples=4096)
            samples += rows
            stamps += times
        full = inlet.info(timeout=60)
        desc = full.desc()
        told[key] = {
            "type": full.type(),
            "rate": full.nominal_srate(),
            "labels": full.get_channel_labels(),
            "units": full.get_channel_units(),
            "types": full.get_channel_types(),
            "manufacturer": desc.child("acquisition").child_value("manufacturer"),
            "model": desc.child("acquisition").child_value("model"),
            "reference": desc.child("reference").child_value("label"),
            "filter": desc.child("channels").child("channel").child("filtering").child_value("lower"),
            "samples": samples,
            "stamps": stamps,
        }
    say(json.dumps(told))


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
