/* What waits for the UART, and the loss account.
 *
 * One ring of small entries keeps the order; DATA lies in a ring of its own, so that it takes no room from the others
 * nor they from it: a board that drops conversions still says what happened. */

#include "outbox.h"

enum { N_ENTRIES = N_DATA + N_OTHERS };

static waiting entries[N_ENTRIES];
static uint8_t oldest, n_entries, n_others;

static data_packet data[N_DATA];
static uint8_t data_oldest, n_closed; /* closed: queued, not yet sent */

static account made; /* after the last DATA that was queued or dropped */
static account sent; /* after the last DATA that was handed to the UART */

void outbox_init(void)
{
    oldest = n_entries = n_others = 0;
    data_oldest = n_closed = 0;
    made.sample_index = made.dropped = 0;
    sent = made;
}

static uint8_t around(uint32_t place, uint8_t size)
{
    return (uint8_t)(place < size ? place : place - size);
}

static void append(const waiting *packet)
{
    entries[around((uint32_t)oldest + n_entries, N_ENTRIES)] = *packet;
    n_entries++;
}

/* ---- DATA, from the interrupt -------------------------------------------------------------------------------- */

data_packet *outbox_open(void)
{
    return n_closed < N_DATA ? &data[around((uint32_t)data_oldest + n_closed, N_DATA)] : NULL;
}

void outbox_close(data_packet *packet)
{
    static const waiting entry = {.type = BFP_TYPE_DATA};

    if (n_closed == 0u)
        sent = made; /* what was dropped while none waited lies before this DATA */
    made.sample_index += packet->n_samples;
    packet->after = made;
    n_closed++;
    append(&entry);
}

void outbox_drop(uint32_t n)
{
    if (n_closed == 0u)
        sent = made;
    made.sample_index += n;
    made.dropped += n;
}

/* ---- the rest, from the main loop ---------------------------------------------------------------------------- */

bool outbox_put(const waiting *packet)
{
    uint32_t before = board_lock();
    bool room = n_others < N_OTHERS;

    if (room) {
        append(packet);
        n_others++;
    }
    board_unlock(before);
    return room;
}

static bool is_same(const settings *a, const settings *b)
{
    uint8_t k;

    for (k = 0; k < N_CHANNELS; k++)
        if (a->gain[k] != b->gain[k])
            return false;
    return a->config_id == b->config_id && a->state == b->state && a->lead_off == b->lead_off &&
           a->octave == b->octave;
}

bool outbox_says(const settings *info)
{
    uint32_t before = board_lock();
    uint8_t k = n_entries;
    bool same = false;

    while (k-- > 0u) {
        const waiting *entry = &entries[around((uint32_t)oldest + k, N_ENTRIES)];
        if (entry->type == BFP_TYPE_INFO) {
            same = is_same(&entry->is.info, info);
            break;
        }
    }
    board_unlock(before);
    return same;
}

bool outbox_take(waiting *packet)
{
    uint32_t before = board_lock();
    bool any = n_entries > 0u;

    if (any) {
        *packet = entries[oldest];
        oldest = around(oldest + 1u, N_ENTRIES);
        n_entries--;
        if (packet->type != BFP_TYPE_DATA)
            n_others--;
    }
    board_unlock(before);
    return any;
}

const data_packet *outbox_data(void)
{
    return &data[data_oldest];
}

void outbox_data_sent(void)
{
    uint32_t before = board_lock();

    sent = data[data_oldest].after;
    data_oldest = around(data_oldest + 1u, N_DATA);
    n_closed--;
    board_unlock(before);
}

account outbox_account(void)
{
    uint32_t before = board_lock();
    account now = n_closed > 0u ? sent : made;

    board_unlock(before);
    return now;
}

account outbox_final(void)
{
    uint32_t before = board_lock();
    account now = made;

    board_unlock(before);
    return now;
}
