/* Conversions in, DATA packets out. The interrupt of data-ready does all of it; the main loop changes something only
 * with interrupts locked out.
 *
 * A DATA packet that was begun is sent for sure: the room for it was there when it was begun. So flags that the next
 * one has to carry are never lost with it. */

#include "stream.h"

#include "ads1299.h"

static bool converting;
static bool described;    /* INFO of what comes is queued or sent */
static uint8_t flags;     /* of all DATA */
static uint8_t once;      /* of the next one */
static uint8_t config_id;
static uint8_t pattern;
static uint32_t seen;     /* conversions since START, read or missed */
static data_packet *open; /* being filled; NULL: none */

void stream_init(void)
{
    converting = described = false;
    flags = once = config_id = pattern = 0;
    seen = 0;
    open = NULL;
}

/* The DATA being filled is sent as it is. */
static void cut(void)
{
    if (open != NULL)
        outbox_close(open);
    open = NULL;
}

void stream_start(uint32_t rate_hz)
{
    uint32_t before = board_lock();

    /* What a command changed while idle needs no mark; what was dropped at the end of the stream before does. */
    once = (uint8_t)((once & BFP_FLAG_OVERRUN) | BFP_FLAG_FIRST);
    seen = 0;
    converting = true;
    board_convert(rate_hz);
    board_unlock(before);
}

void stream_stop(void)
{
    uint32_t before = board_lock();

    stream_data_ready(); /* one that waits behind the lock counts */
    converting = false;
    board_convert(0);
    cut();
    board_unlock(before);
}

static void drop(uint32_t n)
{
    outbox_drop(n);
    once |= BFP_FLAG_OVERRUN;
}

static data_packet *begin(uint32_t t_us)
{
    data_packet *packet = described ? outbox_open() : NULL;

    if (packet != NULL) {
        packet->sample_index = (uint32_t)stream_next();
        packet->t_us = t_us;
        packet->flags = flags | once;
        packet->config_id = config_id;
        packet->n_samples = 0;
        once = 0;
    }
    return packet;
}

/* Known numbers in place of samples; the status word stays [6.6]. */
static void replace(uint8_t *burst, uint32_t number)
{
    uint8_t k;

    for (k = 0; k < N_CHANNELS; k++)
        bfp_put_int24(burst + 3u + 3u * k, pattern == BFP_PATTERN_RAMP ? bfp_ramp(number, k) : bfp_prbs(number, k));
}

void stream_data_ready(void)
{
    uint32_t t_us, ready = board_conversions(&t_us), n = ready - seen;
    uint8_t *burst;

    if (!converting || n == 0u)
        return;
    seen = ready;
    if (n > 1u) { /* this interrupt came late: only the newest can still be read */
        cut();
        drop(n - 1u);
    }
    if (open == NULL)
        open = begin(t_us);
    if (open == NULL) {
        drop(1);
        return;
    }
    burst = open->payload + open->n_samples * CONVERSION_BYTES;
    ads1299_conversion(burst);
    if (pattern != BFP_PATTERN_OFF)
        replace(burst, open->sample_index + open->n_samples);
    if (++open->n_samples == N_SAMPLES)
        cut();
}

void stream_change(uint8_t new_flags, uint8_t new_once)
{
    cut();
    flags = new_flags;
    once |= new_once;
}

void stream_new_config(void)
{
    config_id++;
}

void stream_described(bool is)
{
    described = is;
}

void stream_pattern(uint8_t new_pattern)
{
    pattern = new_pattern;
}

uint8_t stream_config_id(void)
{
    return config_id;
}

uint64_t stream_next(void)
{
    uint32_t before = board_lock();
    uint64_t next = outbox_final().sample_index + (open != NULL ? open->n_samples : 0u);

    board_unlock(before);
    return next;
}
