/* Run this codec against the golden vectors:
 *
 *   cc -std=c99 -O2 -o bfp_check bfp_check.c bfp.c
 *   frame-validator vectors --check ./bfp_check
 *
 * docs/vectors.md has the exchange. A request is its length (u32, little-endian) and as many bytes: 'D' and wire bytes
 * to decode, or 'E' and a line of text that says what frame to encode. So is an answer: a line for each event, or the
 * wire bytes, none for a frame that cannot be. To try a codec of your own, replace the calls of bfp_...(). This program
 * is for a PC; its memory comes from the heap. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

#include "bfp.h"

static char *answer; /* grows as it is needed */
static size_t used, held;

static void *must(void *memory)
{
    if (memory == NULL) {
        fputs("bfp_check: out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

static void say(const char *text, size_t n)
{
    if (used + n > held) {
        held = 2 * (used + n);
        answer = must(realloc(answer, held));
    }
    memcpy(answer + used, text, n);
    used += n;
}

static void say_word(const char *word)
{
    say(word, strlen(word));
}

static void say_unsigned(const char *name, uint64_t value)
{
    char text[64];
    int n = snprintf(text, sizeof text, " %s=%llu", name, (unsigned long long)value);
    say(text, (size_t)n);
}

static void say_signed(const char *name, int64_t value)
{
    char text[64];
    int n = snprintf(text, sizeof text, " %s=%lld", name, (long long)value);
    say(text, (size_t)n);
}

static void say_hex(const char *name, const uint8_t *bytes, size_t n)
{
    static const char digit[] = "0123456789abcdef";
    size_t k;

    say(" ", 1);
    say_word(name);
    say("=", 1);
    for (k = 0; k < n; k++) {
        say(&digit[bytes[k] >> 4], 1);
        say(&digit[bytes[k] & 15], 1);
    }
}

/* ---- decode -------------------------------------------------------------------------------------------------- */

static const char *const type_names[16] = {
    [BFP_TYPE_DATA] = "DATA",           [BFP_TYPE_EVENT] = "EVENT",         [BFP_TYPE_INFO] = "INFO",
    [BFP_TYPE_RESPONSE] = "RESPONSE",   [BFP_TYPE_HEARTBEAT] = "HEARTBEAT", [BFP_TYPE_LOG] = "LOG",
    [BFP_TYPE_COMMAND] = "COMMAND",
};
static const char *const fault_names[] = {"",      "undelimited",  "cobs",  "short",  "crc",
                                          "unsupported", "host-on-wire", "field", "length", "missing-delimiter",
                                          "truncated"};

static void say_fields(const bfp_found *found)
{
    switch (found->type) {
    /* made: shown */
    case BFP_TYPE_DATA: {
        bfp_data f;
        bfp_read_data(found, &f);
        say_unsigned("flags", f.flags);
        say_unsigned("link_seq", f.link_seq);
        say_unsigned("sample_index", f.sample_index);
        say_unsigned("t_us", f.t_us);
        say_unsigned("n_channels", f.n_channels);
        say_unsigned("n_samples", f.n_samples);
        say_unsigned("format", f.format);
        say_unsigned("config_id", f.config_id);
        say_hex("payload", f.payload, bfp_payload_size(found));
        break;
    }
    case BFP_TYPE_EVENT: {
        bfp_event f;
        bfp_read_event(found, &f);
        say_unsigned("flags", f.flags);
        say_unsigned("link_seq", f.link_seq);
        say_unsigned("sample_index", f.sample_index);
        say_unsigned("t_us", f.t_us);
        say_unsigned("source", f.source);
        say_unsigned("code", f.code);
        say_signed("value", f.value);
        break;
    }
    case BFP_TYPE_INFO: {
        bfp_info f;
        bfp_read_info(found, &f);
        say_unsigned("flags", f.flags);
        say_unsigned("link_seq", f.link_seq);
        say_unsigned("page", f.page);
        say_unsigned("pages", f.pages);
        say_unsigned("first_channel", f.first_channel);
        say_unsigned("page_channels", f.page_channels);
        say_unsigned("boot_id", f.boot_id);
        say_unsigned("config_id", f.config_id);
        say_unsigned("state", f.state);
        say_unsigned("n_channels", f.n_channels);
        say_unsigned("format", f.format);
        say_unsigned("rate_num", f.rate_num);
        say_unsigned("rate_den", f.rate_den);
        say_unsigned("n_samples", f.n_samples);
        say_unsigned("lead_off", f.lead_off);
        say_hex("device_id", f.device_id, sizeof f.device_id);
        say_hex("firmware", f.firmware, sizeof f.firmware);
        say_hex("payload", f.payload, bfp_payload_size(found));
        break;
    }
    case BFP_TYPE_RESPONSE: {
        bfp_response f;
        bfp_read_response(found, &f);
        say_unsigned("flags", f.flags);
        say_unsigned("link_seq", f.link_seq);
        say_unsigned("request_id", f.request_id);
        say_unsigned("opcode", f.opcode);
        say_unsigned("status", f.status);
        say_unsigned("t_us", f.t_us);
        say_unsigned("length", f.length);
        say_hex("payload", f.payload, bfp_payload_size(found));
        break;
    }
    case BFP_TYPE_HEARTBEAT: {
        bfp_heartbeat f;
        bfp_read_heartbeat(found, &f);
        say_unsigned("flags", f.flags);
        say_unsigned("link_seq", f.link_seq);
        say_unsigned("boot_id", f.boot_id);
        say_unsigned("t_us", f.t_us);
        say_unsigned("sample_index", f.sample_index);
        say_unsigned("dropped", f.dropped);
        say_unsigned("rx_errors", f.rx_errors);
        say_unsigned("supply_mv", f.supply_mv);
        say_signed("temperature", f.temperature);
        break;
    }
    case BFP_TYPE_LOG: {
        bfp_log f;
        bfp_read_log(found, &f);
        say_unsigned("flags", f.flags);
        say_unsigned("link_seq", f.link_seq);
        say_unsigned("t_us", f.t_us);
        say_unsigned("level", f.level);
        say_unsigned("length", f.length);
        say_hex("payload", f.payload, bfp_payload_size(found));
        break;
    }
    case BFP_TYPE_COMMAND: {
        bfp_command f;
        bfp_read_command(found, &f);
        say_unsigned("flags", f.flags);
        say_unsigned("link_seq", f.link_seq);
        say_unsigned("request_id", f.request_id);
        say_unsigned("opcode", f.opcode);
        say_unsigned("length", f.length);
        say_hex("payload", f.payload, bfp_payload_size(found));
        break;
    }
    /* end */
    default:
        say_unsigned("number", found->type);
        say_unsigned("flags", found->packet[1]);
        say_unsigned("link_seq", bfp_get_u16(found->packet + 2));
        say_hex("payload", found->packet + 4, (size_t)found->size - 4u - BFP_CRC_SIZE);
        break;
    }
}

static void say_events(bfp_decoder *decoder)
{
    bfp_found found;

    while (bfp_next(decoder, &found)) {
        const char *name = type_names[found.type];
        if (found.fault != BFP_FAULT_NONE) {
            say_word("fault kind=");
            say_word(fault_names[found.fault]);
        } else {
            say_word(name != NULL ? name : "UNKNOWN");
        }
        say_unsigned("offset", found.offset);
        say_unsigned("bytes", found.length);
        if (found.fault == BFP_FAULT_NONE)
            say_fields(&found);
        say_word("\n");
    }
}

static void decode(const uint8_t *wire, size_t n)
{
    static bfp_decoder decoder;
    size_t k;

    bfp_decoder_init(&decoder);
    for (k = 0; k < n; k++)
        if (bfp_receive(&decoder, wire[k]))
            say_events(&decoder);
    if (bfp_finish(&decoder))
        say_events(&decoder);
}

/* ---- encode -------------------------------------------------------------------------------------------------- */

static const char *line;
static uint8_t payload[BFP_MAX_PACKET];

static bool is_type(const char *name)
{
    size_t n = strlen(name);
    return strncmp(line, name, n) == 0 && line[n] == ' ';
}

/* What stands behind " name=", or an empty text. */
static const char *value_of(const char *name)
{
    size_t n = strlen(name);
    const char *at = line;

    while ((at = strchr(at, ' ')) != NULL) {
        at++;
        if (strncmp(at, name, n) == 0 && at[n] == '=')
            return at + n + 1;
    }
    return "";
}

static uint64_t hear_unsigned(const char *name)
{
    return strtoull(value_of(name), NULL, 10);
}

static int64_t hear_signed(const char *name)
{
    return strtoll(value_of(name), NULL, 10);
}

static size_t hear_hex(const char *name, uint8_t *bytes, size_t room)
{
    const char *at = value_of(name);
    size_t n = 0;
    unsigned byte;

    for (; n < room && sscanf(at, "%2x", &byte) == 1; at += 2)
        bytes[n++] = (uint8_t)byte;
    return n;
}

static size_t encode(uint8_t *wire, size_t room)
{
    uint8_t head[4];
    size_t n = hear_hex("payload", payload, sizeof payload);

    /* made: taken */
    if (is_type("DATA")) {
        bfp_data f;
        f.flags = (uint8_t)hear_unsigned("flags");
        f.link_seq = (uint16_t)hear_unsigned("link_seq");
        f.sample_index = (uint32_t)hear_unsigned("sample_index");
        f.t_us = (uint32_t)hear_unsigned("t_us");
        f.n_channels = (uint8_t)hear_unsigned("n_channels");
        f.n_samples = (uint8_t)hear_unsigned("n_samples");
        f.format = (uint8_t)hear_unsigned("format");
        f.config_id = (uint8_t)hear_unsigned("config_id");
        f.payload = payload;
        return bfp_write_data(&f, wire, room);
    }
    if (is_type("EVENT")) {
        bfp_event f;
        f.flags = (uint8_t)hear_unsigned("flags");
        f.link_seq = (uint16_t)hear_unsigned("link_seq");
        f.sample_index = (uint32_t)hear_unsigned("sample_index");
        f.t_us = (uint32_t)hear_unsigned("t_us");
        f.source = (uint8_t)hear_unsigned("source");
        f.code = (uint16_t)hear_unsigned("code");
        f.value = (int32_t)hear_signed("value");
        return bfp_write_event(&f, wire, room);
    }
    if (is_type("INFO")) {
        bfp_info f;
        f.flags = (uint8_t)hear_unsigned("flags");
        f.link_seq = (uint16_t)hear_unsigned("link_seq");
        f.page = (uint8_t)hear_unsigned("page");
        f.pages = (uint8_t)hear_unsigned("pages");
        f.first_channel = (uint8_t)hear_unsigned("first_channel");
        f.page_channels = (uint8_t)hear_unsigned("page_channels");
        f.boot_id = (uint32_t)hear_unsigned("boot_id");
        f.config_id = (uint8_t)hear_unsigned("config_id");
        f.state = (uint8_t)hear_unsigned("state");
        f.n_channels = (uint8_t)hear_unsigned("n_channels");
        f.format = (uint8_t)hear_unsigned("format");
        f.rate_num = (uint32_t)hear_unsigned("rate_num");
        f.rate_den = (uint32_t)hear_unsigned("rate_den");
        f.n_samples = (uint8_t)hear_unsigned("n_samples");
        f.lead_off = (uint8_t)hear_unsigned("lead_off");
        hear_hex("device_id", f.device_id, sizeof f.device_id);
        hear_hex("firmware", f.firmware, sizeof f.firmware);
        f.payload = payload;
        return bfp_write_info(&f, wire, room);
    }
    if (is_type("RESPONSE")) {
        bfp_response f;
        f.flags = (uint8_t)hear_unsigned("flags");
        f.link_seq = (uint16_t)hear_unsigned("link_seq");
        f.request_id = (uint16_t)hear_unsigned("request_id");
        f.opcode = (uint8_t)hear_unsigned("opcode");
        f.status = (uint8_t)hear_unsigned("status");
        f.t_us = (uint64_t)hear_unsigned("t_us");
        f.length = (uint8_t)hear_unsigned("length");
        f.payload = payload;
        return bfp_write_response(&f, wire, room);
    }
    if (is_type("HEARTBEAT")) {
        bfp_heartbeat f;
        f.flags = (uint8_t)hear_unsigned("flags");
        f.link_seq = (uint16_t)hear_unsigned("link_seq");
        f.boot_id = (uint32_t)hear_unsigned("boot_id");
        f.t_us = (uint64_t)hear_unsigned("t_us");
        f.sample_index = (uint64_t)hear_unsigned("sample_index");
        f.dropped = (uint64_t)hear_unsigned("dropped");
        f.rx_errors = (uint32_t)hear_unsigned("rx_errors");
        f.supply_mv = (uint16_t)hear_unsigned("supply_mv");
        f.temperature = (int16_t)hear_signed("temperature");
        return bfp_write_heartbeat(&f, wire, room);
    }
    if (is_type("LOG")) {
        bfp_log f;
        f.flags = (uint8_t)hear_unsigned("flags");
        f.link_seq = (uint16_t)hear_unsigned("link_seq");
        f.t_us = (uint32_t)hear_unsigned("t_us");
        f.level = (uint8_t)hear_unsigned("level");
        f.length = (uint16_t)hear_unsigned("length");
        f.payload = payload;
        return bfp_write_log(&f, wire, room);
    }
    if (is_type("COMMAND")) {
        bfp_command f;
        f.flags = (uint8_t)hear_unsigned("flags");
        f.link_seq = (uint16_t)hear_unsigned("link_seq");
        f.request_id = (uint16_t)hear_unsigned("request_id");
        f.opcode = (uint8_t)hear_unsigned("opcode");
        f.length = (uint8_t)hear_unsigned("length");
        f.payload = payload;
        return bfp_write_command(&f, wire, room);
    }
    /* end */
    if (!is_type("UNKNOWN"))
        return 0;
    head[0] = (uint8_t)(BFP_VERSION << 4 | hear_unsigned("number"));
    head[1] = (uint8_t)hear_unsigned("flags");
    bfp_put_u16(head + 2, (uint16_t)hear_unsigned("link_seq"));
    return bfp_write(head, sizeof head, payload, n, wire, room);
}

/* ---- exchange ------------------------------------------------------------------------------------------------ */

int main(void)
{
    uint8_t prefix[4], wire[BFP_WIRE_SIZE(BFP_MAX_PACKET)];
    uint8_t *request = NULL;

#ifdef _WIN32
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
#endif
    while (fread(prefix, 1, sizeof prefix, stdin) == sizeof prefix) {
        size_t n = bfp_get_u32(prefix);
        request = must(realloc(request, n + 1));
        if (fread(request, 1, n, stdin) != n || n == 0)
            return 2;
        request[n] = 0;
        used = 0;
        if (request[0] == 'D') {
            decode(request + 1, n - 1);
        } else if (request[0] == 'E') {
            line = (const char *)request + 1;
            say((const char *)wire, encode(wire, sizeof wire));
        } else {
            return 2;
        }
        bfp_put_u32(prefix, (uint32_t)used);
        fwrite(prefix, 1, sizeof prefix, stdout);
        fwrite(answer, 1, used, stdout);
        fflush(stdout);
    }
    free(request);
    free(answer);
    return 0;
}
