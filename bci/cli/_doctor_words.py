"""The sentences of `bci doctor`: what was found, and what to do next. Said through `_` when they are shown."""

from __future__ import annotations

from bci.language import N_

__all__ = ["VERDICTS", "WORDS"]

#: Key of a finding -> (what was found, next step or "").
WORDS: dict[str, tuple[str, str]] = {
    "no-ports": (
        N_("This computer has no serial port."),
        N_(
            "Plug in the board or its dongle and look again. If it stays so, its driver is missing (FTDI "
            "or CP210x); on Windows it then shows in Device Manager with a yellow mark. `bci simulate` "
            "gives a board to try with."
        ),
    ),
    "ports": (N_("Serial ports: {ports}"), ""),
    "no-such-port": (
        N_("{port} does not open: {detail}"),
        N_(
            "Choose one of the ports above with --port ({known}). A board that was plugged in again may "
            "have another name."
        ),
    ),
    "no-permission": (
        N_("{port} is there, but you may not open it."),
        N_(
            "Linux: `sudo usermod -aG {group} $USER`, then log out and in again. macOS: allow the driver "
            "in System Settings, Privacy & Security. Windows: close other programs, or reinstall the "
            "driver."
        ),
    ),
    "held": (N_("Another program holds {port}: {programs}."), N_("Close that program, then try again.")),
    "latency": (N_("The USB adapter of {port} waits {ms} ms before it hands samples on."), "{fix}"),
    "other-version": (
        N_("The board on {port} speaks another protocol: {detail}"),
        N_("Update the board's firmware or this program."),
    ),
    "no-answer": (
        N_("No board answers on {port}: {detail}"),
        N_(
            "Is it switched on and charged, its cable in, the dongle's switch on GPIO 6? Is the speed "
            "right (--baud)? `frame-validator live {port}` shows every byte that comes."
        ),
    ),
    "board": (N_("{device} answers on {port}: {n_channels} channels at {fs_hz:g} Hz."), ""),
    "budget": (
        N_("The line cannot carry this board's samples: {detail}"),
        N_("Choose a lower rate or a faster line."),
    ),
    "lost": (N_("The board was lost while it streamed: {detail}"), N_("Check plug, cable and battery.")),
    "silent": (
        N_("The board answers, but sends no samples ({n_samples} came)."),
        N_("Switch it off and on again. If it stays so, its converter or firmware is at fault."),
    ),
    "rate": (N_("Measured rate {rate_hz:.2f} Hz, stated {nominal_hz:g} Hz ({error:+.1%})."), ""),
    "no-loss": (N_("No sample lost, no damaged packet."), ""),
    "loss-on-line": (
        N_("{lost} samples ({share:.1%}) lost, {faults} damaged packets: on the way here."),
        N_("Try another cable or USB port without a hub, bring the dongle nearer, move chargers away."),
    ),
    "loss-by-board": (
        N_("{lost} samples ({share:.1%}) lost, {by_board} of them dropped by the board itself."),
        N_(
            "The line is too slow for it, or this computer reads too late: lower the rate, or close other "
            "programs."
        ),
    ),
    "channels-flat": (
        N_("No signal at all: {channels}."),
        N_("Is the electrode's cable plugged in, and its channel switched on?"),
    ),
    "channels-saturated": (
        N_("At the end of the range: {channels}."),
        N_("Check reference and ground first, then this electrode: dry gel, loose contact."),
    ),
    "channels-off": (N_("Electrode off: {channels}."), N_("Put it back, with fresh gel.")),
    "channels-noisy": (
        N_("Much noise: {channels} (up to {worst_uv:.0f} µV)."),
        N_("Better contact; ask the person to relax jaw and neck; fix the cables."),
    ),
    "channels-mains": (
        N_("Mains hum: {channels} (up to {worst_uv:.0f} µV)."),
        N_("Run the computer on battery, move power supplies away, improve the ground electrode."),
    ),
    "channels-fine": (
        N_("{n} of {n_channels} electrodes give a clean signal ({median_uv:.1f} µV rms, 1–40 Hz)."),
        "",
    ),
    "impedance": (N_("Impedances {lowest:.0f} to {highest:.0f} kΩ (± 25 %)."), ""),
    "impedance-poor": (
        N_("Impedance above {limit_kohm:.0f} kΩ: {channels} (± 25 %)."),
        N_("Part the hair, clean the skin, more gel."),
    ),
    "all-fine": (N_("Everything is in order."), N_("Record with `bci record FILE.bfp --port {port}`.")),
    "look": (N_("There is something to put right, see above."), ""),
}

VERDICTS: dict[str, str] = {
    "fine": N_("fine"),
    "flat": N_("flat"),
    "saturated": N_("saturated"),
    "off": N_("off"),
    "noisy": N_("noisy"),
    "mains": N_("mains"),
}
