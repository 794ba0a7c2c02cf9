"""The example firmware: the same sources on this computer, and built for a Cortex-M3 under QEMU."""
