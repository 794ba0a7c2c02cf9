/* The firmware as a program of this computer, for tests: requests on its standard input, what the board sends on its
 * output. A request is a letter and a number (u32, little-endian):
 *
 *   'B' boot_id      boot
 *   'R' n, n bytes   bytes from the host
 *   'S' us           time passes, and no instruction of the board runs
 *   'E' off          electrodes that are off: positive inputs, and those of the negative ones above them
 *   'T' us           time passes; answered with what was sent since: its length (u32) and as many bytes */

#include <stdio.h>
#include <stdlib.h>

#include "ads1299_model.h"
#include "board_host.h"

int main(void)
{
    static uint8_t bytes[1 << 20];
    uint8_t head[5];

    host_boot(1);
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        uint32_t number = bfp_get_u32(head + 1);
        size_t n;
        switch (head[0]) {
        case 'B':
            host_boot(number);
            break;
        case 'R':
            if (number > sizeof bytes || fread(bytes, 1, number, stdin) != number)
                return EXIT_FAILURE;
            host_receive(bytes, number);
            break;
        case 'S':
            host_stall(number);
            break;
        case 'E':
            ads1299_model_electrodes((uint8_t)number, (uint8_t)(number >> 8));
            break;
        case 'T':
            host_run(number);
            n = host_sent(bytes, sizeof bytes);
            bfp_put_u32(head, (uint32_t)n);
            if (fwrite(head, 1, 4, stdout) != 4 || fwrite(bytes, 1, n, stdout) != n || fflush(stdout) != 0)
                return EXIT_FAILURE;
            break;
        default:
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}
