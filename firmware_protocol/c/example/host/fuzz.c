/* Hostile bytes to the command port, under sanitizers: whatever came, an IDENTIFY behind it is answered within 100 ms.
 *
 *   fuzz [bytes [seed]]    so many made-up bytes, a million if nothing is said
 *   fuzz file ...          these files, one input each; afl-fuzz: `afl-fuzz -i seeds -o found -- ./fuzz @@`
 *   clang: -DLIBFUZZER -fsanitize=fuzzer */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static uint16_t request_id;
static bfp_decoder from_board;

/* Whether a RESPONSE to `request_id` is among what the board sent. */
static bool is_answered(void)
{
    static uint8_t sent[1 << 16];
    size_t n, k;
    bfp_found found;
    bfp_response response;
    bool answered = false;

    while ((n = host_sent(sent, sizeof sent)) > 0u)
        for (k = 0; k < n; k++)
            if (bfp_receive(&from_board, sent[k]))
                while (bfp_next(&from_board, &found)) {
                    if (found.fault != BFP_FAULT_NONE || found.type != BFP_TYPE_RESPONSE)
                        continue; /* INFO is longer than a board's decoder takes */
                    bfp_read_response(&found, &response);
                    answered |= response.request_id == request_id && response.opcode == BFP_OP_IDENTIFY;
                }
    return answered;
}

/* Each input is cut where its own bytes say, with a pause of up to 4 ms behind each piece. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static bool booted;
    uint8_t wire[1 + BFP_WIRE_SIZE(BFP_MAX_COMMAND)] = {0};
    bfp_command identify = {.opcode = BFP_OP_IDENTIFY};
    size_t at = 0;

    if (!booted) {
        booted = true;
        host_boot(0x600DB007u);
        bfp_decoder_init(&from_board);
    }
    while (at < n) {
        size_t piece = 1u + bytes[at];
        if (piece > n - at)
            piece = n - at;
        host_receive(bytes + at, piece);
        host_run(bytes[at] << 4 & 0xFFFu);
        at += piece;
    }
    host_run((uint32_t)(n * 10000000u / BAUD) + 2000u); /* until the last of them came */
    host_run(BFP_CACHE_MS * 1000u); /* and no request_id of theirs is remembered */
    (void)is_answered();
    identify.request_id = ++request_id;
    n = bfp_write_command(&identify, wire + 1, sizeof wire - 1);
    host_receive(wire, n + 1u);
    host_run(100000);
    if (!is_answered()) {
        fputs("IDENTIFY was not answered within 100 ms\n", stderr);
        abort();
    }
    return 0;
}

#ifndef LIBFUZZER

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
    command.request_id = (uint16_t)(chance(4) != 0u ? chance(65536) : chance(8));
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
    random_state = 0x9E3779B97F4A7C15u ^ (n_words > 2 ? strtoul(words[2], NULL, 10) : 1u);
    while (tried < wanted) {
        size_t n = make_input(bytes, sizeof bytes);
        LLVMFuzzerTestOneInput(bytes, n);
        tried += n;
        inputs++;
    }
    printf("%lu hostile bytes in %lu inputs: each IDENTIFY behind them was answered within 100 ms\n", tried, inputs);
    return EXIT_SUCCESS;
}
#endif
