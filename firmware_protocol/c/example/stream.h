/* Conversions in, DATA packets out [4.1, 6.4]. */
#ifndef STREAM_H
#define STREAM_H

#include "outbox.h"

void stream_init(void);
void stream_start(uint32_t rate_hz);
void stream_stop(void);

/* The interrupt of data-ready: count what became ready, read the newest, drop and count what it came too late for. */
void stream_data_ready(void);

/* With interrupts locked out. The DATA being filled is sent as it is; `flags` are those of all DATA from now on, `once`
 * goes into the next. */
void stream_change(uint8_t flags, uint8_t once);

void stream_new_config(void); /* the next config_id */

/* Whether INFO of what comes is queued or sent; until it is, conversions are dropped [6.4]. */
void stream_described(bool is);

void stream_pattern(uint8_t pattern);
uint8_t stream_config_id(void);

/* Number of the next conversion. */
uint64_t stream_next(void);

#endif
