/* Bytes to and from the host.
 *
 * Receiving: the interrupt puts each byte into a ring and does nothing else. A byte that finds no room is lost, and the
 * CRC of its packet tells.
 *
 * Sending stands for DMA: a packet is handed over whole, and while it leaves the next one is encoded into the other
 * buffer. Bytes leave at BAUD / 10 a second and no faster: QEMU's UART would take them at once, and no queue would ever
 * fill. On a board with DMA uart_tick() becomes the end-of-transfer interrupt (docs/firmware.md). */

#include "uart.h"

enum { RX_SIZE = 256, STAMPS = 8 }; /* both divide 2^32 */

#define BYTE_CREDIT 1000000u /* a byte costs so much; a us brings BAUD / 10 */

static volatile uint8_t rx[RX_SIZE];
static volatile uint32_t rx_in, rx_out;          /* bytes since boot, modulo 2^32 */
static volatile uint64_t stamps[STAMPS];         /* when the newest delimiters came */
static volatile uint32_t stamps_in, stamps_out;

static uint8_t wire[2][WIRE_SIZE];
static volatile uint16_t size[2]; /* bytes to send; 0: free */
static volatile uint8_t sending;  /* buffer that leaves */
static uint8_t filling;           /* buffer for the next packet */
static uint16_t sent;             /* bytes of `sending` that left */
static uint64_t ticked_us, credit;

void uart_init(void)
{
    rx_in = rx_out = stamps_in = stamps_out = 0;
    size[0] = size[1] = sent = 0;
    sending = filling = 0;
    ticked_us = credit = 0;
}

/* ---- from the host ------------------------------------------------------------------------------------------- */

void uart_received(uint8_t byte, uint64_t at_us)
{
    if (rx_in - rx_out == RX_SIZE)
        return;
    if (byte == 0u) {
        stamps[stamps_in % STAMPS] = at_us;
        stamps_in++;
    }
    rx[rx_in % RX_SIZE] = byte;
    rx_in++;
}

bool uart_take(uint8_t *byte, uint64_t *at_us)
{
    uint32_t before;

    if (rx_in == rx_out)
        return false;
    *byte = rx[rx_out % RX_SIZE];
    if (*byte == 0u) {
        before = board_lock();
        /* More delimiters than stamps: of a flood of them the oldest times are gone, and the next one must do. */
        if (stamps_in - stamps_out > STAMPS)
            *at_us = stamps[stamps_in % STAMPS];
        else
            *at_us = stamps[stamps_out % STAMPS];
        stamps_out++;
        board_unlock(before);
    }
    rx_out++;
    return true;
}

/* ---- to the host --------------------------------------------------------------------------------------------- */

uint8_t *uart_buffer(void)
{
    return size[filling] == 0u ? wire[filling] : NULL;
}

void uart_send(size_t n)
{
    uint32_t before = board_lock();

    size[filling] = (uint16_t)n; /* from here on it is the interrupt's */
    filling ^= 1u;
    board_unlock(before);
}

void uart_tick(uint64_t now_us)
{
    credit += (now_us - ticked_us) * (BAUD / 10u);
    ticked_us = now_us;
    while (size[sending] != 0u) {
        if (credit < BYTE_CREDIT)
            return; /* the rest of it counts for the next byte */
        if (!board_uart_put(wire[sending][sent]))
            break;
        credit -= BYTE_CREDIT;
        if (++sent == size[sending]) {
            sent = 0;
            size[sending] = 0;
            sending ^= 1u;
        }
    }
    credit = 0; /* time in which the line stood still is gone */
}
