/* COMMANDs and their RESPONSEs.
 *
 * The last eight commands are remembered for a second, so that one that comes again is answered again and not done
 * again. Eight answers can wait beside them, each with its results: the command may be forgotten before they leave. */

#include "commands.h"

#include "device.h"
#include "setup.h"
#include "stream.h"
#include "uart.h"

enum { MAX_RESULTS = BFP_STOP_RESULTS_SIZE }; /* of READ_REGISTER 24 at most */

typedef struct {
    uint8_t status, length;
    uint8_t results[MAX_RESULTS];
} outcome;

static struct {
    uint64_t at_us;     /* when it came */
    uint32_t arguments; /* CRC-32C of them, begun with their length */
    uint16_t request_id;
    uint8_t opcode;
    outcome outcome;
} done[BFP_CACHE_SIZE];
static uint8_t n_done, newest;

static struct {
    uint64_t t_us;
    uint16_t request_id;
    uint8_t opcode;
    outcome outcome;
} answers[BFP_CACHE_SIZE];
static uint8_t n_answers, oldest;

void commands_init(void)
{
    n_done = newest = n_answers = oldest = 0;
}

/* ---- what they do -------------------------------------------------------------------------------------------- */

static uint8_t identify(uint8_t *results)
{
    device_owe_info();
    bfp_put_u32(results + BFP_IDENTIFY_RESULT_BOOT_ID, device_boot_id());
    results[BFP_IDENTIFY_RESULT_STATE] = device_state();
    results[BFP_IDENTIFY_RESULT_CONFIG_ID] = stream_config_id();
    results[BFP_IDENTIFY_RESULT_N_CHANNELS] = N_CHANNELS;
    results[BFP_IDENTIFY_RESULT_PAGES] = 1;
    return BFP_STATUS_OK;
}

static uint8_t start(const bfp_command *command, uint64_t at_us, uint8_t *results)
{
    uint32_t ms = BFP_WATCHDOG_DEFAULT_MS;

    if (command->length > 0u)
        ms = bfp_get_u32(command->payload + BFP_START_ARG_WATCHDOG_MS);
    if (ms != 0u && (ms < BFP_WATCHDOG_MIN_MS || ms > BFP_WATCHDOG_MAX_MS))
        return BFP_STATUS_BAD_ARGUMENT;
    bfp_put_u64(results + BFP_START_RESULT_SAMPLE_INDEX, stream_next());
    device_start(ms, at_us);
    return BFP_STATUS_OK;
}

static uint8_t stop(uint8_t *results)
{
    device_stop(BFP_STATE_IDLE);
    device_owe_heartbeat();
    device_counters(results, outbox_final()); /* as it will be when the queue is empty */
    return BFP_STATUS_OK;
}

static uint8_t reset_counters(uint8_t *results)
{
    device_counters(results, outbox_account());
    device_reset_counters();
    return BFP_STATUS_OK;
}

static uint8_t change(const bfp_command *command)
{
    const uint8_t *arguments = command->payload;

    switch (command->opcode) {
    case BFP_OP_SET_RATE:
        return setup_rate(arguments);
    case BFP_OP_SET_CHANNEL:
        return setup_channel(arguments);
    case BFP_OP_LEAD_OFF:
        return setup_lead_off(arguments);
    case BFP_OP_TEST_SIGNAL:
        return setup_test_signal(arguments);
    case BFP_OP_TEST_PATTERN:
        return setup_pattern(arguments);
    default:
        return setup_write_register(arguments, (uint8_t)(command->length - BFP_WRITE_REGISTER_ARGS_SIZE));
    }
}

static bool rescales(uint8_t opcode)
{
    return opcode == BFP_OP_SET_RATE || opcode == BFP_OP_SET_CHANNEL || opcode == BFP_OP_WRITE_REGISTER;
}

/* Commands that change samples: DATA that was begun ends before, the next carries b4, and INFO comes between them. */
static uint8_t act(const bfp_command *command)
{
    uint32_t before = board_lock(); /* shorter than a conversion takes, so it costs none */
    uint8_t status = change(command);

    if (status == BFP_STATUS_OK) {
        stream_change(setup_flags(), BFP_FLAG_COMMAND_ACTED);
        if (rescales(command->opcode))
            stream_new_config();
        stream_described(false);
        device_owe_info();
    }
    board_unlock(before);
    return status;
}

static uint8_t execute(const bfp_command *command, uint64_t at_us, outcome *end)
{
    uint8_t *results = end->results;
    uint8_t status = bfp_check_command(command, device_state() == BFP_STATE_STREAMING);

    end->length = 0;
    if (status != BFP_STATUS_OK)
        return status;
    switch (command->opcode) {
    case BFP_OP_IDENTIFY:
        end->length = BFP_IDENTIFY_RESULTS_SIZE;
        return identify(results);
    case BFP_OP_START:
        end->length = BFP_START_RESULTS_SIZE;
        return start(command, at_us, results);
    case BFP_OP_STOP:
        end->length = BFP_STOP_RESULTS_SIZE;
        return stop(results);
    case BFP_OP_RESET_COUNTERS:
        end->length = BFP_RESET_COUNTERS_RESULTS_SIZE;
        return reset_counters(results);
    case BFP_OP_READ_REGISTER:
        end->length = command->payload[BFP_READ_REGISTER_ARG_COUNT];
        return setup_read_register(command->payload, results);
    default:
        status = act(command);
        if (rescales(command->opcode)) {
            end->length = BFP_SET_RATE_RESULTS_SIZE; /* of all three: config_id */
            results[BFP_SET_RATE_RESULT_CONFIG_ID] = stream_config_id();
        }
        return status;
    }
}

/* ---- each once ----------------------------------------------------------------------------------------------- */

static void answer(const bfp_command *command, uint64_t at_us, const outcome *end)
{
    uint8_t place;

    if (n_answers == BFP_CACHE_SIZE) { /* of more than eight the oldest is lost; the host asks again [5.2] */
        oldest = (uint8_t)((oldest + 1u) % BFP_CACHE_SIZE);
        n_answers--;
    }
    place = (uint8_t)((oldest + n_answers++) % BFP_CACHE_SIZE);
    answers[place].t_us = at_us;
    answers[place].request_id = command->request_id;
    answers[place].opcode = command->opcode;
    answers[place].outcome = *end;
}

void commands_obey(const bfp_command *command, uint64_t at_us)
{
    static const outcome reused = {.status = BFP_STATUS_ID_REUSED};
    uint32_t arguments = bfp_crc(command->length, command->payload, command->length);
    uint8_t k;

    device_fed(at_us);
    if (command->opcode == BFP_OP_KEEPALIVE)
        return;
    for (k = 0; k < n_done; k++) {
        bool same = done[k].opcode == command->opcode && done[k].arguments == arguments;
        if (done[k].request_id == command->request_id && at_us - done[k].at_us < BFP_CACHE_MS * 1000u) {
            answer(command, at_us, same ? &done[k].outcome : &reused);
            return;
        }
    }
    newest = n_done < BFP_CACHE_SIZE ? n_done++ : (uint8_t)((newest + 1u) % BFP_CACHE_SIZE);
    done[newest].at_us = at_us;
    done[newest].arguments = arguments;
    done[newest].request_id = command->request_id;
    done[newest].opcode = command->opcode;
    done[newest].outcome.status = execute(command, at_us, &done[newest].outcome);
    if (done[newest].outcome.status != BFP_STATUS_OK)
        done[newest].outcome.length = 0;
    answer(command, at_us, &done[newest].outcome);
}

size_t commands_answer(uint8_t *wire, uint16_t link_seq)
{
    uint8_t place = oldest;
    bfp_response frame = {
        .link_seq = link_seq,
        .request_id = answers[place].request_id,
        .opcode = answers[place].opcode,
        .status = answers[place].outcome.status,
        .t_us = answers[place].t_us,
        .length = answers[place].outcome.length,
        .payload = answers[place].outcome.results,
    };

    if (n_answers == 0u)
        return 0;
    oldest = (uint8_t)((oldest + 1u) % BFP_CACHE_SIZE);
    n_answers--;
    return bfp_write_response(&frame, wire, WIRE_SIZE);
}
