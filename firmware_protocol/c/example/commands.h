/* COMMANDs and their RESPONSEs [5]. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "board.h"

void commands_init(void);

/* Do what it asks, once, and queue the answer. `at_us`: when its last byte came. */
void commands_obey(const bfp_command *command, uint64_t at_us);

/* Write the oldest RESPONSE that waits, and forget it; its bytes, 0: none waits. */
size_t commands_answer(uint8_t *wire, uint16_t link_seq);

#endif
