/* Example firmware of an EEG acquisition board that speaks BFP: eight channels of an ADS1299, a UART. docs/firmware.md
 * says how to build it, run it under QEMU, and move it to a board of your own. */

#include "device.h"

int main(void)
{
    uint32_t before = board_lock(); /* an interrupt that comes now waits: what it works on is not set up yet */

    board_init();
    device_init();
    board_unlock(before);
    for (;;) {
        device_step();
        board_idle();
    }
}
