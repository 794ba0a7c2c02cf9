/* The board as the host knows it: state, counters, cadence, watchdog [6]. */
#ifndef DEVICE_H
#define DEVICE_H

#include "outbox.h"

void device_init(void);

/* One round of the main loop: hear, look at the clock, send. Returns at once. */
void device_step(void);

/* ---- for commands.c ------------------------------------------------------------------------------------------ */

uint8_t device_state(void);
uint32_t device_boot_id(void);
void device_fed(uint64_t at_us); /* a COMMAND with a right CRC came */
void device_start(uint32_t watchdog_ms, uint64_t at_us);
void device_stop(uint8_t state);
void device_reset_counters(void);
void device_owe_info(void); /* INFO and HEARTBEAT are queued now, or as soon as there is room */
void device_owe_heartbeat(void);

/* Results of STOP and RESET_COUNTERS: BFP_STOP_RESULTS_SIZE bytes. */
void device_counters(uint8_t *results, account at);

#endif
