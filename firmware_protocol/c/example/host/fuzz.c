/* Hostile bytes to the command port, under sanitizers. Whatever came, the board answers an IDENTIFY behind it within
 * 100 ms, numbers its packets without a gap, and has sent or counted as dropped every conversion it made.
 *
 *   fuzz [bytes [seed]]    so many made-up bytes, a million if nothing is said, to one board that lives on
 *   fuzz file ...          these scripts, each to a board that was just switched on: what libFuzzer or AFL++ found
 *   -DLIBFUZZER            for libFuzzer, which has a main() of its own */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board_host.h"
#include "outbox.h"

#define BOOT_ID 0x600DB007u
#define OUR_REQUESTS 0x8000u /* no hostile COMMAND has such a request_id: one may still wait for its delimiter, ours */

int LLVMFuzzerTestOneInput(const uint8_t *script, size_t n);

/* ---- what the board sent ------------------------------------------------------------------------------------- */

static bfp_decoder from_board;
static uint64_t packets, conversions; /* since boot */
static uint16_t request_id;
static bool identified; /* the right answer to `request_id` came */

static void must(bool holds, const char *what)
{
    if (!holds) {
        (void)fprintf(stderr, "%s\n", what);
        abort();
    }
}

static void boot(void)
{
    host_boot(BOOT_ID);
    bfp_decoder_init(&from_board);
    packets = conversions = 0;
    request_id = OUR_REQUESTS;
}

static void look_at(const bfp_found *found)
{
    bfp_data data;
    bfp_response response;

    if (found->fault == BFP_FAULT_UNDELIMITED)
        return; /* INFO is longer than a board's decoder takes */
    must(found->fault == BFP_FAULT_NONE, "the board sent a damaged packet");
    must(bfp_get_u16(found->packet + 2) == (uint16_t)packets, "link_seq does not count the packets");
    if (found->type == BFP_TYPE_DATA) {
        bfp_read_data(found, &data);
        conversions += data.n_samples;
    } else if (found->type == BFP_TYPE_RESPONSE) {
        bfp_read_response(found, &response);
        identified |= response.request_id == request_id && response.opcode == BFP_OP_IDENTIFY &&
                      response.status == BFP_STATUS_OK && response.length == BFP_IDENTIFY_RESULTS_SIZE &&
                      bfp_get_u32(response.payload + BFP_IDENTIFY_RESULT_BOOT_ID) == BOOT_ID;
    }
}

static void hear(void)
{
    static uint8_t sent[1 << 16];
    size_t n, k;
    bfp_found found;

    while ((n = host_sent(sent, sizeof sent)) > 0u)
        for (k = 0; k < n; k++) {
            if (bfp_receive(&from_board, sent[k]))
                while (bfp_next(&from_board, &found))
                    look_at(&found);
            packets += sent[k] == 0u;
        }
}

/* ---- what it must do ----------------------------------------------------------------------------------------- */

static void ask(uint8_t opcode)
{
    uint8_t wire[1 + BFP_WIRE_SIZE(BFP_MAX_COMMAND)] = {0}; /* a delimiter goes ahead of each COMMAND */
    bfp_command command = {.opcode = opcode};

    hear();
    request_id = (uint16_t)((request_id + 1u) | OUR_REQUESTS);
    command.request_id = request_id;
    identified = false;
    host_receive(wire, 1u + bfp_write_command(&command, wire + 1, sizeof wire - 1));
}

/* Behind `n` bytes, of which some may still be on their way. */
static void must_answer(size_t n)
{
    host_run((uint32_t)(n * 10000000u / BAUD) + 2000u);
    host_run(BFP_CACHE_MS * 1000u); /* now no request_id is remembered */
    ask(BFP_OP_IDENTIFY);
    host_run(100000);
    hear();
    must(identified, "IDENTIFY was not answered within 100 ms");
}

static void must_account(void)
{
    account final;

    ask(BFP_OP_STOP);
    host_run(100000u + 10000000u / BAUD * 3000u); /* all that waits leaves */
    hear();
    final = outbox_final();
    must(final.sample_index - final.dropped == conversions, "a conversion was neither sent nor dropped");
}

/* ---- scripts ------------------------------------------------------------------------------------------------- */

/* A step: a byte that says what, the number of bytes that follow, and they. b0: they are opcode, request_id (1 byte)
 * and arguments of a COMMAND, whose CRC and COBS are made here, as no chance finds them; else they go out as they are.
 * b1-2: how much time passes then; b3: and no instruction of the board runs in it. Returns bytes sent. */
static size_t play(uint8_t what, const uint8_t *bytes, size_t n)
{
    static const uint32_t pauses_us[4] = {0, 1000, 20000, 1100000}; /* the last: longer than a request is remembered */
    uint8_t wire[1 + BFP_WIRE_SIZE(BFP_MAX_COMMAND)] = {0};
    bfp_command command = {0};

    if ((what & 1u) != 0u && n >= 2u && n <= 2u + BFP_MAX_COMMAND_PAYLOAD) {
        command.opcode = bytes[0];
        command.request_id = bytes[1];
        command.length = (uint8_t)(n - 2u);
        command.payload = bytes + 2;
        n = 1u + bfp_write_command(&command, wire + 1, sizeof wire - 1);
        bytes = wire;
    }
    host_receive(bytes, n);
    if ((what & 8u) != 0u)
        host_stall(pauses_us[what >> 1 & 3u]);
    else
        host_run(pauses_us[what >> 1 & 3u]);
    hear();
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *script, size_t n)
{
    size_t at = 0, sent = 0;

    boot();
    while (n - at >= 2u) {
        size_t length = script[at + 1];
        if (length > n - at - 2u)
            length = n - at - 2u;
        sent += play(script[at], script + at + 2, length);
        at += 2u + length;
    }
    must_answer(sent);
    must_account();
    return 0;
}

#ifndef LIBFUZZER

/* ---- made-up bytes ------------------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint32_t chance(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % below;
}

/* A COMMAND of any kind, mostly right. */
static size_t make_command(uint8_t *wire)
{
    static const uint8_t lengths[] = {0, 0, 4, 0, 0, 8, 4, 1, 2, 1, 3, 3, 0};
    uint8_t arguments[BFP_MAX_COMMAND_PAYLOAD], k;
    bfp_command command = {.payload = arguments};

    command.opcode = (uint8_t)(chance(16) != 0u ? chance(13) : chance(256));
    command.request_id = (uint16_t)(chance(4) != 0u ? chance(OUR_REQUESTS) : chance(8));
    command.length = command.opcode < sizeof lengths ? lengths[command.opcode] : 0;
    if (chance(8) == 0u)
        command.length = (uint8_t)chance(BFP_MAX_COMMAND_PAYLOAD + 1u);
    for (k = 0; k < sizeof arguments; k++)
        arguments[k] = (uint8_t)(chance(2) != 0u ? chance(9) : chance(256));
    if (command.opcode == BFP_OP_START && chance(2) != 0u)
        bfp_put_u32(arguments, 100u + chance(10000)); /* else the watchdog would be refused most of the time */
    if (command.opcode == BFP_OP_SET_RATE && chance(2) != 0u) {
        bfp_put_u32(arguments, 250u << chance(7));
        bfp_put_u32(arguments + 4, 1);
    }
    wire[0] = 0;
    return 1u + bfp_write_command(&command, wire + 1, BFP_WIRE_SIZE(BFP_MAX_COMMAND));
}

static size_t make_input(uint8_t *bytes, size_t room)
{
    size_t n = 0, k;

    while (n + 256u < room && chance(24) != 0u) {
        size_t piece;
        switch (chance(6)) {
        case 0: /* noise */
            for (piece = 1u + chance(200), k = 0; k < piece; k++)
                bytes[n + k] = (uint8_t)chance(256);
            break;
        case 1: /* one byte again and again */
            piece = 1u + chance(200);
            memset(bytes + n, (int)(chance(2) != 0u ? 0u : chance(256)), piece);
            break;
        default:
            piece = make_command(bytes + n);
            break;
        }
        if (chance(3) == 0u) /* damage */
            bytes[n + chance((uint32_t)piece)] ^= (uint8_t)(1u << chance(8));
        if (chance(6) == 0u) /* half of it */
            piece = chance((uint32_t)piece) + 1u;
        n += piece;
    }
    return n;
}

/* Cut where the bytes themselves say, with a pause of up to 4 ms behind each piece; in some of them the board stands
 * still. */
static void send(const uint8_t *bytes, size_t n)
{
    size_t at = 0;

    while (at < n) {
        size_t piece = 1u + bytes[at];
        if (piece > n - at)
            piece = n - at;
        host_receive(bytes + at, piece);
        if (bytes[at] % 8u == 7u)
            host_stall((uint32_t)bytes[at] << 4);
        else
            host_run((uint32_t)bytes[at] << 4);
        at += piece;
    }
}

static int replay(const char *name)
{
    static uint8_t bytes[1 << 16];
    FILE *file = fopen(name, "rb");
    size_t n;

    if (file == NULL) {
        perror(name);
        return EXIT_FAILURE;
    }
    n = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    return LLVMFuzzerTestOneInput(bytes, n);
}

int main(int n_words, char **words)
{
    static uint8_t bytes[4096];
    char *end = NULL;
    unsigned long wanted = 1000000, tried = 0, inputs = 0;
    int k;

    if (n_words > 1)
        wanted = strtoul(words[1], &end, 10);
    if (end != NULL && *end != '\0') {
        for (k = 1; k < n_words; k++)
            if (replay(words[k]) != 0)
                return EXIT_FAILURE;
        return EXIT_SUCCESS;
    }
    boot();
    random_state = 0x9E3779B97F4A7C15u ^ (n_words > 2 ? strtoul(words[2], NULL, 10) : 1u);
    while (tried < wanted) {
        size_t n = make_input(bytes, sizeof bytes);
        send(bytes, n);
        must_answer(n);
        if (inputs % 16u == 0u)
            must_account(); /* streams go on through the inputs between */
        tried += n;
        inputs++;
    }
    printf("%lu hostile bytes in %lu inputs: each IDENTIFY behind them was answered within 100 ms\n", tried, inputs);
    return EXIT_SUCCESS;
}
#endif
