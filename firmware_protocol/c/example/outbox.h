/* What waits for the UART, in the order in which it was made, and the loss account that follows from it [6.3, 6.4].
 * RESPONSEs are not here: they go ahead of all this (commands.c). */
#ifndef OUTBOX_H
#define OUTBOX_H

#include "board.h"

#define N_DATA 6u   /* DATA packets that wait or are being filled: 96 ms at 250 conversions a second */
#define N_OTHERS 8u /* packets of other types that wait */

/* Every conversion below `sample_index` was sent, or is one of the `dropped`. */
typedef struct {
    uint64_t sample_index, dropped;
} account;

/* DATA. The data-ready interrupt fills it where it lies, and there the encoder reads it. */
typedef struct {
    account after; /* once it is sent */
    uint32_t sample_index, t_us;
    uint8_t flags, config_id, n_samples;
    uint8_t payload[N_SAMPLES * CONVERSION_BYTES];
} data_packet;

/* What INFO has to say, as it was when it was queued. */
typedef struct {
    uint8_t config_id, state, lead_off;
    uint8_t octave;           /* 250 conversions a second, doubled so many times */
    uint8_t gain[N_CHANNELS]; /* GAIN bits of CHnSET */
} settings;

typedef struct {
    uint8_t type; /* DATA: then outbox_data(); HEARTBEAT: filled in when it is sent */
    union {
        settings info;
        struct {
            uint32_t sample_index, t_us;
            int32_t value;
        } event; /* WATCHDOG */
    } is;
} waiting;

void outbox_init(void);

/* From the data-ready interrupt, or with it locked out: a DATA packet to fill (NULL: all are taken), then queue it, or
 * count conversions that found no room. */
data_packet *outbox_open(void);
void outbox_close(data_packet *data);
void outbox_drop(uint32_t n);

/* Queue any other packet; false: no room. */
bool outbox_put(const waiting *packet);

/* Whether the newest INFO that still waits says the same as this one. */
bool outbox_says(const settings *info);

/* Take the oldest packet; false: none waits. DATA is read at outbox_data() until outbox_data_sent(). */
bool outbox_take(waiting *packet);
const data_packet *outbox_data(void);
void outbox_data_sent(void);

account outbox_account(void); /* at this place of the stream */
account outbox_final(void);   /* once all is sent that waits */

#endif
