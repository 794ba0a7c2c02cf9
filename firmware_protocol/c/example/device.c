/* The board as the host knows it. All of this runs in the main loop; interrupts move bytes and conversions (uart.c,
 * stream.c), and a main loop that is late delays packets and loses nothing. */

#include "device.h"

#include "commands.h"
#include "setup.h"
#include "stream.h"
#include "uart.h"

#define MS 1000u /* us */

static uint32_t boot_id;
static uint8_t state;
static uint32_t rx_errors;
static uint64_t dropped_before; /* RESET_COUNTERS */
static uint32_t watchdog_ms;    /* 0: off */
static uint64_t fed_us;         /* when the last COMMAND came */
static uint64_t info_due_us, heartbeat_due_us;
static uint16_t link_seq;
static bool owes_info, owes_heartbeat, owes_event; /* packets that must come and found no room yet */
static waiting event;
static bfp_decoder decoder;

void device_init(void)
{
    boot_id = board_boot_id();
    state = BFP_STATE_IDLE;
    rx_errors = watchdog_ms = 0;
    dropped_before = fed_us = info_due_us = heartbeat_due_us = 0;
    link_seq = 0;
    owes_info = owes_heartbeat = owes_event = false;
    bfp_decoder_init(&decoder);
    uart_init();
    outbox_init();
    stream_init();
    setup_init();
    commands_init();
}

/* ---- state --------------------------------------------------------------------------------------------------- */

uint8_t device_state(void)
{
    return state;
}

uint32_t device_boot_id(void)
{
    return boot_id;
}

void device_fed(uint64_t at_us)
{
    fed_us = at_us;
}

void device_start(uint32_t new_watchdog_ms, uint64_t at_us)
{
    state = BFP_STATE_STREAMING;
    watchdog_ms = new_watchdog_ms;
    fed_us = at_us;
    stream_described(false);
    device_owe_info();
    stream_start(setup_rate_hz());
}

void device_stop(uint8_t new_state)
{
    stream_stop();
    state = new_state;
}

void device_reset_counters(void)
{
    dropped_before = outbox_account().dropped;
    rx_errors = 0;
}

void device_counters(uint8_t *results, account at)
{
    bfp_put_u32(results + BFP_STOP_RESULT_BOOT_ID, boot_id);
    bfp_put_u64(results + BFP_STOP_RESULT_T_US, board_time_us());
    bfp_put_u64(results + BFP_STOP_RESULT_SAMPLE_INDEX, at.sample_index);
    bfp_put_u64(results + BFP_STOP_RESULT_DROPPED, at.dropped - dropped_before);
    bfp_put_u32(results + BFP_STOP_RESULT_RX_ERRORS, rx_errors);
    bfp_put_u16(results + BFP_STOP_RESULT_SUPPLY_MV, board_supply_mv());
    bfp_put_u16(results + BFP_STOP_RESULT_TEMPERATURE, (uint16_t)board_temperature());
}

/* ---- what must come ------------------------------------------------------------------------------------------ */

static void describe(settings *info)
{
    setup_describe(info);
    info->state = state;
    info->config_id = stream_config_id();
}

/* A round of INFO that still waits and says the same will do: it follows, too. */
static void pay(void)
{
    waiting packet;

    if (owes_event)
        owes_event = !outbox_put(&event);
    if (owes_info) {
        packet.type = BFP_TYPE_INFO;
        describe(&packet.is.info);
        owes_info = !outbox_says(&packet.is.info) && !outbox_put(&packet);
        if (!owes_info)
            stream_described(true);
    }
    if (owes_heartbeat) {
        packet.type = BFP_TYPE_HEARTBEAT;
        owes_heartbeat = !outbox_put(&packet);
    }
}

void device_owe_info(void)
{
    owes_info = true;
    pay();
}

void device_owe_heartbeat(void)
{
    owes_heartbeat = true;
    pay();
}

/* ---- the clock ----------------------------------------------------------------------------------------------- */

/* Nothing came for watchdog_ms: end the stream as STOP does, and say so [6.5]. */
static void watch(uint64_t now_us)
{
    if (state != BFP_STATE_STREAMING || watchdog_ms == 0u || now_us < fed_us + (uint64_t)watchdog_ms * MS)
        return;
    device_stop(BFP_STATE_WATCHDOG);
    event.type = BFP_TYPE_EVENT;
    event.is.event.sample_index = (uint32_t)stream_next();
    event.is.event.t_us = (uint32_t)now_us;
    event.is.event.value = (int32_t)watchdog_ms;
    owes_event = true;
    pay();
}

/* Whether it is time; the next time is on the same grid, so a late one does not move those after it [6.7]. */
static bool is_due(uint64_t *due_us, uint64_t now_us, uint32_t period_us)
{
    if (now_us < *due_us)
        return false;
    while (*due_us <= now_us)
        *due_us += period_us;
    return true;
}

static void keep_cadence(uint64_t now_us)
{
    if (is_due(&info_due_us, now_us, BFP_INFO_PERIOD_MS * MS))
        device_owe_info();
    if (is_due(&heartbeat_due_us, now_us, BFP_HEARTBEAT_PERIOD_MS * MS))
        device_owe_heartbeat();
}

/* ---- from the host ------------------------------------------------------------------------------------------- */

static bool take(const bfp_found *found, uint64_t at_us)
{
    bfp_command command;

    if (found->fault == BFP_FAULT_NONE && found->type == BFP_TYPE_COMMAND) {
        bfp_read_command(found, &command);
        commands_obey(&command, at_us);
        return true;
    }
    /* Damage, and what no host sends, is counted and never answered; types of later versions are skipped [5.2]. */
    if (found->fault != BFP_FAULT_NONE || (found->type >= BFP_TYPE_DATA && found->type <= BFP_TYPE_LOG))
        rx_errors++;
    return false;
}

/* What has come, up to the end of a COMMAND: a flood of them must not keep the loop from sending. */
static void hear(uint64_t now_us)
{
    uint64_t at_us = now_us; /* of an undelimited command; a delimiter has the time of its own */
    bfp_found found;
    bool obeyed = false;
    uint8_t byte;

    while (!obeyed && uart_take(&byte, &at_us))
        if (bfp_receive(&decoder, byte))
            while (bfp_next(&decoder, &found))
                obeyed |= take(&found, at_us);
}

/* ---- to the host --------------------------------------------------------------------------------------------- */

static size_t write_data(uint8_t *wire)
{
    const data_packet *data = outbox_data();
    bfp_data frame = {
        .flags = data->flags,
        .link_seq = link_seq,
        .sample_index = data->sample_index,
        .t_us = data->t_us,
        .n_channels = N_CHANNELS,
        .n_samples = data->n_samples,
        .format = BFP_FORMAT(true, 8u),
        .config_id = data->config_id,
        .payload = data->payload,
    };
    size_t n = bfp_write_data(&frame, wire, WIRE_SIZE);

    outbox_data_sent();
    return n;
}

/* What follows the fixed part is put together at the end of the buffer that it is coded into: the encoder, which takes
 * a byte before it writes one, never overtakes what it reads, and the stack stays small. */
static size_t write_info(const settings *info, uint8_t *wire)
{
    static const uint8_t labels[N_CHANNELS][4] = {"Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2"};
    uint8_t *channels = wire + WIRE_SIZE - N_CHANNELS * BFP_CHANNEL_SIZE, *at = channels, k, c;
    bfp_info frame = {
        .link_seq = link_seq,
        .pages = 1,
        .page_channels = N_CHANNELS,
        .boot_id = boot_id,
        .config_id = info->config_id,
        .state = info->state,
        .n_channels = N_CHANNELS,
        .format = BFP_FORMAT(true, 8u),
        .rate_num = 250u << info->octave,
        .rate_den = 1,
        .n_samples = N_SAMPLES,
        .lead_off = info->lead_off,
        .device_id = "BFP example board",
        .firmware = "1.0",
        .payload = channels,
    };

    for (c = 0; c < N_CHANNELS; c++) {
        for (k = 0; k < BFP_CHANNEL_LABEL_BYTES; k++)
            *at++ = k < sizeof labels[c] ? labels[c][k] : 0;
        for (k = 0; k < 8u; k++)
            *at++ = bfp_ads1299_uv_per_count[info->gain[c]][k];
    }
    return bfp_write_info(&frame, wire, WIRE_SIZE);
}

/* Its numbers are taken here, between two packets, so that they belong to its place in the stream [6.4]. */
static size_t write_heartbeat(uint8_t *wire)
{
    account now = outbox_account();
    bfp_heartbeat frame = {
        .link_seq = link_seq,
        .boot_id = boot_id,
        .t_us = board_time_us(),
        .sample_index = now.sample_index,
        .dropped = now.dropped - dropped_before,
        .rx_errors = rx_errors,
        .supply_mv = board_supply_mv(),
        .temperature = board_temperature(),
    };

    return bfp_write_heartbeat(&frame, wire, WIRE_SIZE);
}

static size_t write_event(const waiting *packet, uint8_t *wire)
{
    bfp_event frame = {
        .link_seq = link_seq,
        .sample_index = packet->is.event.sample_index,
        .t_us = packet->is.event.t_us,
        .source = BFP_SOURCE_DEVICE,
        .code = BFP_EVENT_CODE_WATCHDOG,
        .value = packet->is.event.value,
    };

    return bfp_write_event(&frame, wire, WIRE_SIZE);
}

static size_t write_next(uint8_t *wire)
{
    waiting packet;
    size_t n = commands_answer(wire, link_seq);

    if (n > 0u || !outbox_take(&packet))
        return n;
    switch (packet.type) {
    case BFP_TYPE_DATA:
        return write_data(wire);
    case BFP_TYPE_INFO:
        return write_info(&packet.is.info, wire);
    case BFP_TYPE_HEARTBEAT:
        return write_heartbeat(wire);
    default:
        return write_event(&packet, wire);
    }
}

static void hand_over(void)
{
    uint8_t *wire;
    size_t n;

    while ((wire = uart_buffer()) != NULL && (n = write_next(wire)) > 0u) {
        uart_send(n);
        link_seq++;
    }
}

void device_step(void)
{
    uint64_t now_us = board_time_us();

    hear(now_us);
    watch(now_us);
    keep_cadence(now_us);
    pay();
    hand_over();
}
