/* What the firmware needs of a board. Porting is writing these functions anew (docs/firmware.md): board_mps2.c has them
 * for QEMU's mps2-an385, host/board_host.c for a PC. Everything else, from uart.c on, stays as it is. */
#ifndef BOARD_H
#define BOARD_H

#include "bfp.h"

#ifndef BAUD
#define BAUD 921600u
#endif

#define N_CHANNELS 8u                          /* of one ADS1299 */
#define N_SAMPLES 4u                           /* conversions in a full DATA packet */
#define CONVERSION_BYTES (3u + 3u * N_CHANNELS) /* the converter's burst: status word, samples */

void board_init(void); /* with interrupts locked out until device_init() is done: nothing may wait for one here */
void board_idle(void); /* nothing to do until the next interrupt */

/* us since boot: never backwards, and the same clock for all that has a t_us. Interrupts ask, too. */
uint64_t board_time_us(void);

/* Keep all interrupts away, and let them come again: `before` is what board_lock() returned. */
uint32_t board_lock(void);
void board_unlock(uint32_t before);

uint32_t board_boot_id(void);    /* random, new at every boot [4.3] */
uint16_t board_supply_mv(void);  /* 0: not measured */
int16_t board_temperature(void); /* 0.1 deg C; -32768: not measured */

/* ---- converter ----------------------------------------------------------------------------------------------- */

/* START pin: conversions at `rate_hz`, counted from 0; 0 ends them. Each calls stream_data_ready() from its interrupt,
 * the highest of all. */
void board_convert(uint32_t rate_hz);

/* Conversions since board_convert(), counted by hardware, so that those show which an interrupt came too late for: a
 * counter that the data-ready pin drives, or elapsed time times rate. `t_us`: data-ready of the newest. */
uint32_t board_conversions(uint32_t *t_us);

void spi_select(bool selected);
uint8_t spi_exchange(uint8_t out);

/* ---- UART ---------------------------------------------------------------------------------------------------- */

/* Give the UART one byte; false: it has no room. Its interrupts call uart_received() and uart_tick(). */
bool board_uart_put(uint8_t byte);

#endif
