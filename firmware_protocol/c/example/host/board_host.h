/* A PC in place of the board: the same sources, with a clock that only these functions move. */
#ifndef BOARD_HOST_H
#define BOARD_HOST_H

#include "board.h"

void host_boot(uint32_t boot_id);
void host_receive(const uint8_t *bytes, size_t n); /* on the line to the board, which carries BAUD */
void host_run(uint32_t us);                        /* time passes */
void host_stall(uint32_t us);                      /* time passes, and no instruction of the board runs */
size_t host_sent(uint8_t *bytes, size_t room);     /* what the board has sent since */

#endif
