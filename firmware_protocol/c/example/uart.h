/* Bytes to and from the host: a ring for what comes, two buffers for what goes. */
#ifndef UART_H
#define UART_H

#include "board.h"

/* Longest packet sent: INFO of all channels. */
#define WIRE_SIZE BFP_WIRE_SIZE(BFP_INFO_SIZE + BFP_CHANNEL_SIZE * N_CHANNELS + BFP_CRC_SIZE)

void uart_init(void);

/* Next byte that came; `at_us`: for a delimiter, when it came. false: none. */
bool uart_take(uint8_t *byte, uint64_t *at_us);

/* A free buffer of WIRE_SIZE bytes for the next packet, NULL: both are on their way; then send `n` bytes of it. */
uint8_t *uart_buffer(void);
void uart_send(size_t n);

/* From interrupts: a byte came; time passed, so bytes may leave. */
void uart_received(uint8_t byte, uint64_t at_us);
void uart_tick(uint64_t now_us);

#endif
