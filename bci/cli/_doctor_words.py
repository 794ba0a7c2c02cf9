"""The sentences of `bci doctor` in both languages: what was found, and what to do next."""

from __future__ import annotations

from typing import Literal

__all__ = ["VERDICTS", "WORDS", "Language"]

Language = Literal["en", "zh"]

#: Key of a finding -> language -> (what was found, next step or "").
WORDS: dict[str, dict[Language, tuple[str, str]]] = {
    "no-ports": {
        "en": (
            "This computer has no serial port.",
            "Plug in the board or its dongle and look again. If it stays so, its driver is missing (FTDI or CP210x); "
            "on Windows it then shows in Device Manager with a yellow mark. `bci simulate` gives a board to try with.",
        ),
        "zh": (
            "这台电脑上没有串口。",
            "请插上采集板或它的 USB 接收器后重试。若仍没有，说明缺少驱动（FTDI 或 CP210x）；Windows 设备管理器里会有"
            "黄色标记。没有硬件时可用 `bci simulate` 试用模拟板。",
        ),
    },
    "ports": {"en": ("Serial ports: {ports}", ""), "zh": ("串口：{ports}", "")},
    "no-such-port": {
        "en": (
            "{port} does not open: {detail}",
            "Choose one of the ports above with --port. A board that was plugged in again may have another name.",
        ),
        "zh": ("无法打开 {port}：{detail}", "请用 --port 选择现有串口（{known}）。重新插拔后名称可能改变。"),
    },
    "no-permission": {
        "en": (
            "{port} is there, but you may not open it.",
            "Linux: `sudo usermod -aG {group} $USER`, then log out and in again. macOS: allow the driver in System "
            "Settings, Privacy & Security. Windows: close other programs, or reinstall the driver.",
        ),
        "zh": (
            "{port} 存在，但您没有权限打开。",
            "Linux：运行 `sudo usermod -aG {group} $USER`，然后注销并重新登录。macOS：在“系统设置—隐私与安全性”中"
            "允许驱动。Windows：关闭其他程序，或重装驱动。",
        ),
    },
    "held": {
        "en": ("Another program holds {port}: {programs}.", "Close that program, then try again."),
        "zh": ("另一个程序正在使用 {port}：{programs}。", "请关闭该程序后重试。"),
    },
    "latency": {
        "en": ("The USB adapter of {port} waits {ms} ms before it hands samples on.", "{fix}"),
        "zh": ("{port} 的 USB 适配器会延迟 {ms} 毫秒才上传数据。", "{fix}"),
    },
    "other-version": {
        "en": (
            "The board on {port} speaks another protocol: {detail}",
            "Update the board's firmware or this program.",
        ),
        "zh": ("{port} 上的采集板使用另一种协议：{detail}", "请更新采集板固件或本程序。"),
    },
    "no-answer": {
        "en": (
            "No board answers on {port}: {detail}",
            "Is it switched on and charged, its cable in, the dongle's switch on GPIO 6? Is the speed right (--baud)? "
            "`frame-validator live {port}` shows every byte that comes.",
        ),
        "zh": (
            "{port} 上没有采集板应答：{detail}",
            "请检查：电源是否打开、电量是否充足、连接线是否插好、接收器开关是否拨到 GPIO 6、波特率是否正确（--baud）。"
            "`frame-validator live {port}` 可显示收到的每个字节。",
        ),
    },
    "board": {
        "en": ("{device} answers on {port}: {n_channels} channels at {fs_hz:g} Hz.", ""),
        "zh": ("{port} 上的 {device} 已应答：{n_channels} 通道，{fs_hz:g} Hz。", ""),
    },
    "budget": {
        "en": (
            "The line cannot carry this board's samples: {detail}",
            "Choose a lower rate or a faster line.",
        ),
        "zh": ("串口带宽不足：{detail}", "请降低采样率或提高波特率。"),
    },
    "lost": {
        "en": ("The board was lost while it streamed: {detail}", "Check plug, cable and battery."),
        "zh": ("采集过程中连接中断：{detail}", "请检查插头、连接线和电池。"),
    },
    "silent": {
        "en": (
            "The board answers, but sends no samples ({n_samples} came).",
            "Switch it off and on again. If it stays so, its converter or firmware is at fault.",
        ),
        "zh": (
            "采集板有应答，但没有数据（仅收到 {n_samples} 个采样）。",
            "请重启采集板；若仍如此，请检查转换芯片或固件。",
        ),
    },
    "rate": {
        "en": ("Measured rate {rate_hz:.2f} Hz, stated {nominal_hz:g} Hz ({error:+.1%}).", ""),
        "zh": ("实测采样率 {rate_hz:.2f} Hz，标称 {nominal_hz:g} Hz（{error:+.1%}）。", ""),
    },
    "no-loss": {
        "en": ("No sample lost, no damaged packet.", ""),
        "zh": ("没有丢失采样，没有损坏的数据包。", ""),
    },
    "loss-on-line": {
        "en": (
            "{lost} samples ({share:.1%}) lost, {faults} damaged packets: on the way here.",
            "Try another cable or USB port without a hub, bring the dongle nearer, move chargers away.",
        ),
        "zh": (
            "传输途中丢失 {lost} 个采样（{share:.1%}），{faults} 个损坏的数据包。",
            "请更换连接线或直接插到电脑 USB 口（不经集线器），让接收器靠近采集板，远离充电器。",
        ),
    },
    "loss-by-board": {
        "en": (
            "{lost} samples ({share:.1%}) lost, {by_board} of them dropped by the board itself.",
            "The line is too slow for it, or this computer reads too late: lower the rate, or close other programs.",
        ),
        "zh": (
            "丢失 {lost} 个采样（{share:.1%}），其中 {by_board} 个由采集板丢弃。",
            "串口速度不够或电脑读取太慢：请降低采样率，或关闭其他程序。",
        ),
    },
    "channels-flat": {
        "en": (
            "No signal at all: {channels}.",
            "Is the electrode's cable plugged in, and its channel switched on?",
        ),
        "zh": ("完全没有信号：{channels}。", "请检查电极线是否插好、该通道是否开启。"),
    },
    "channels-saturated": {
        "en": (
            "At the end of the range: {channels}.",
            "Check reference and ground first, then this electrode: dry gel, loose contact.",
        ),
        "zh": (
            "信号饱和：{channels}。",
            "请先检查参考电极和地电极，再检查该电极：导电膏是否变干、接触是否松动。",
        ),
    },
    "channels-off": {
        "en": ("Electrode off: {channels}.", "Put it back, with fresh gel."),
        "zh": ("电极脱落：{channels}。", "请重新安放电极并补充导电膏。"),
    },
    "channels-noisy": {
        "en": (
            "Much noise: {channels} (up to {worst_uv:.0f} µV).",
            "Better contact; ask the person to relax jaw and neck; fix the cables.",
        ),
        "zh": (
            "噪声过大：{channels}（最高 {worst_uv:.0f} µV）。",
            "请改善接触；请受试者放松下颌和颈部；固定导线。",
        ),
    },
    "channels-mains": {
        "en": (
            "Mains hum: {channels} (up to {worst_uv:.0f} µV).",
            "Run the computer on battery, move power supplies away, improve the ground electrode.",
        ),
        "zh": (
            "工频干扰：{channels}（最高 {worst_uv:.0f} µV）。",
            "请让电脑使用电池，移开电源适配器，改善地电极接触。",
        ),
    },
    "channels-fine": {
        "en": ("{n} of {n_channels} electrodes give a clean signal ({median_uv:.1f} µV rms, 1–40 Hz).", ""),
        "zh": ("{n_channels} 个电极中有 {n} 个信号良好（1–40 Hz 有效值 {median_uv:.1f} µV）。", ""),
    },
    "impedance": {
        "en": ("Impedances {lowest:.0f} to {highest:.0f} kΩ (± 25 %).", ""),
        "zh": ("电极阻抗 {lowest:.0f}–{highest:.0f} kΩ（± 25 %）。", ""),
    },
    "impedance-poor": {
        "en": (
            "Impedance above {limit_kohm:.0f} kΩ: {channels} (± 25 %).",
            "Part the hair, clean the skin, more gel.",
        ),
        "zh": ("阻抗高于 {limit_kohm:.0f} kΩ：{channels}（± 25 %）。", "请拨开头发、清洁皮肤、补充导电膏。"),
    },
    "all-fine": {
        "en": ("Everything is in order.", "Record with `bci record FILE.bfp --port {port}`."),
        "zh": ("一切正常。", "用 `bci record FILE.bfp --port {port}` 开始记录。"),
    },
    "look": {
        "en": ("There is something to put right, see above.", ""),
        "zh": ("有需要处理的问题，见上文。", ""),
    },
}

VERDICTS: dict[str, dict[Language, str]] = {
    "fine": {"en": "fine", "zh": "良好"},
    "flat": {"en": "flat", "zh": "无信号"},
    "saturated": {"en": "saturated", "zh": "饱和"},
    "off": {"en": "off", "zh": "脱落"},
    "noisy": {"en": "noisy", "zh": "噪声"},
    "mains": {"en": "mains", "zh": "工频"},
}
