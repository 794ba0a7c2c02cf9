/* BFP, the BCI frame protocol, version 1: reference encoder and decoder. bfp.h says how to use them. */

#include "bfp.h"

#ifndef BFP_CRC_TABLE
#define BFP_CRC_TABLE 256
#endif

#define INITIAL 0xFFFFFFFFu
#define FULL_BLOCK 255u /* a COBS block of 254 bytes that stands for no zero [2.2] */

/* ---- numbers ------------------------------------------------------------------------------------------------- */

void bfp_put_u16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

void bfp_put_u32(uint8_t *bytes, uint32_t value)
{
    bfp_put_u16(bytes, (uint16_t)value);
    bfp_put_u16(bytes + 2, (uint16_t)(value >> 16));
}

void bfp_put_u64(uint8_t *bytes, uint64_t value)
{
    bfp_put_u32(bytes, (uint32_t)value);
    bfp_put_u32(bytes + 4, (uint32_t)(value >> 32));
}

uint16_t bfp_get_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | (uint16_t)(bytes[1] << 8));
}

uint32_t bfp_get_u32(const uint8_t *bytes)
{
    return bfp_get_u16(bytes) | (uint32_t)bfp_get_u16(bytes + 2) << 16;
}

uint64_t bfp_get_u64(const uint8_t *bytes)
{
    return bfp_get_u32(bytes) | (uint64_t)bfp_get_u32(bytes + 4) << 32;
}

static int32_t signed24(uint32_t word)
{
    return (int32_t)(word & 0x7FFFFFu) - (int32_t)(word & 0x800000u);
}

void bfp_put_int24(uint8_t *bytes, int32_t value)
{
    uint32_t word = (uint32_t)value;
    bytes[0] = (uint8_t)(word >> 16);
    bytes[1] = (uint8_t)(word >> 8);
    bytes[2] = (uint8_t)word;
}

int32_t bfp_get_int24(const uint8_t *bytes)
{
    return signed24((uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2]);
}

int32_t bfp_status_word(uint8_t lead_off_p, uint8_t lead_off_n, uint8_t gpio)
{
    return (int32_t)(0xC00000u | (uint32_t)lead_off_p << 12 | (uint32_t)lead_off_n << 4 | (gpio & 15u));
}

int32_t bfp_ramp(uint32_t sample_index, uint8_t channel)
{
    return signed24(sample_index * 0x010203u + channel * 0x610000u);
}

int32_t bfp_prbs(uint32_t sample_index, uint8_t channel)
{
    uint32_t x = sample_index + ((uint32_t)channel << 24);
    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    return signed24((x ^ x >> 16) >> 8);
}

const uint8_t bfp_ads1299_uv_per_count[7][8] = {
    /* made: scales */
    /* end */
};

/* ---- CRC-32C [3.2] ------------------------------------------------------------------------------------------- */

#if BFP_CRC_TABLE == 256
static const uint32_t crc_table[256] = {
    /* made: crc256 */
    /* end */
};

static inline uint32_t crc_step(uint32_t reg, uint8_t byte)
{
    return crc_table[(reg ^ byte) & 0xFFu] ^ reg >> 8;
}
#elif BFP_CRC_TABLE == 16
static const uint32_t crc_table[16] = {
    /* made: crc16 */
    /* end */
};

static inline uint32_t crc_step(uint32_t reg, uint8_t byte)
{
    reg ^= byte;
    reg = crc_table[reg & 15u] ^ reg >> 4;
    return crc_table[reg & 15u] ^ reg >> 4;
}
#elif BFP_CRC_TABLE != 0
#error "BFP_CRC_TABLE is 256, 16, or 0 with a bfp_crc() of your own"
#endif

#if BFP_CRC_TABLE != 0
uint32_t bfp_crc(uint32_t reg, const uint8_t *bytes, size_t n)
{
    while (n-- > 0)
        reg = crc_step(reg, *bytes++);
    return reg;
}
#else
static inline uint32_t crc_step(uint32_t reg, uint8_t byte)
{
    return bfp_crc(reg, &byte, 1);
}
#endif

/* ---- what a header states [7.2] ------------------------------------------------------------------------------ */

/* By type: bytes of the fixed part with CRC (0: unknown type), then where a number that counts what follows stands, its
 * bytes, what each unit of it takes, and its range; `at` 0: the length is fixed, or DATA's. */
static const struct {
    uint8_t shortest, at, bytes, each, least;
    uint16_t most;
} length_rules[16] = {
    /* made: lengths */
    /* end */
};

static uint16_t stated_by_data(const uint8_t *packet)
{
    uint32_t n_channels = packet[BFP_DATA_AT_N_CHANNELS];
    uint32_t n_samples = packet[BFP_DATA_AT_N_SAMPLES];
    uint32_t format = packet[BFP_DATA_AT_FORMAT];
    uint32_t per_converter = 8u - 2u * (format >> 4 & 3u); /* 8, 6, 4 */
    uint32_t conversion, length;

    if ((format & 3u) > 1u || per_converter < 4u)
        return 0;
    if (n_channels < 1u || n_channels > BFP_MAX_CHANNELS || n_samples < 1u || n_samples > BFP_MAX_SAMPLES)
        return 0;
    conversion = n_channels * (3u + (format & 3u)); /* int24 or float32 */
    if (format & 4u) {
        if (n_channels % per_converter != 0u)
            return 0;
        conversion += 3u * (n_channels / per_converter);
    }
    length = BFP_DATA_SIZE + BFP_CRC_SIZE + n_samples * conversion;
    return (uint16_t)(length <= BFP_MAX_PACKET ? length : 0u);
}

uint16_t bfp_stated_length(const uint8_t *packet, size_t size)
{
    uint32_t type = packet[0] & 15u;
    uint32_t shortest = length_rules[type].shortest;
    uint32_t at = length_rules[type].at;
    uint32_t number;

    if (packet[0] >> 4 != BFP_VERSION || shortest == 0u)
        return 0;
    if (size < shortest)
        return (uint16_t)shortest;
    if (type == BFP_TYPE_DATA)
        return stated_by_data(packet);
    if (at == 0u)
        return (uint16_t)shortest;
    number = packet[at];
    if (length_rules[type].bytes == 2u)
        number |= (uint32_t)packet[at + 1u] << 8;
    if (number < length_rules[type].least || number > length_rules[type].most)
        return 0;
    return (uint16_t)(shortest + number * length_rules[type].each);
}

uint16_t bfp_payload_size(const bfp_event *frame)
{
    return (uint16_t)(frame->size - length_rules[frame->type & 15u].shortest);
}

/* ---- encoder [2] --------------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t *code; /* place of the open block's code byte */
    uint8_t *out;  /* behind its last byte */
    uint32_t reg;  /* CRC */
} writer;

/* COBS and CRC in one pass. A full block is closed only by the byte behind it: at the end of a packet there is none. */
static void put(writer *w, const uint8_t *bytes, size_t n)
{
    uint8_t *code = w->code, *out = w->out;
    uint32_t reg = w->reg;

    while (n-- > 0) {
        uint8_t byte = *bytes++;
        reg = crc_step(reg, byte);
        if ((size_t)(out - code) == FULL_BLOCK) {
            *code = (uint8_t)FULL_BLOCK;
            code = out++;
        }
        if (byte != 0u) {
            *out++ = byte;
        } else {
            *code = (uint8_t)(out - code);
            code = out++;
        }
    }
    w->code = code;
    w->out = out;
    w->reg = reg;
}

size_t bfp_write(const uint8_t *head, size_t head_size, const uint8_t *payload, size_t payload_size, uint8_t *wire,
                 size_t room)
{
    size_t length = head_size + payload_size + BFP_CRC_SIZE;
    writer w;
    uint8_t crc[BFP_CRC_SIZE];

    if (length > BFP_MAX_PACKET || room < BFP_WIRE_SIZE(length))
        return 0;
    w.code = wire;
    w.out = wire + 1;
    w.reg = INITIAL;
    put(&w, head, head_size);
    put(&w, payload, payload_size);
    bfp_put_u32(crc, ~w.reg);
    put(&w, crc, BFP_CRC_SIZE);
    *w.code = (uint8_t)(w.out - w.code);
    *w.out++ = 0;
    return (size_t)(w.out - wire);
}

static size_t write_stated(const uint8_t *head, size_t head_size, const uint8_t *payload, uint8_t *wire, size_t room)
{
    size_t shortest = head_size + BFP_CRC_SIZE;
    size_t length = bfp_stated_length(head, shortest);

    return length < shortest ? 0 : bfp_write(head, head_size, payload, length - shortest, wire, room);
}

static void copy(void *to, const void *from, size_t n)
{
    uint8_t *target = (uint8_t *)to;
    const uint8_t *source = (const uint8_t *)from;

    while (n-- > 0)
        *target++ = *source++;
}

/* made: writers */
/* end */

/* made: readers */
/* end */

/* ---- decoder [7] --------------------------------------------------------------------------------------------- */

/* What a walk over COBS blocks found. No byte is moved, so that what fails can be tried in another way. */
typedef struct {
    uint16_t end;     /* coded bytes of the blocks walked over */
    uint16_t size;    /* packet bytes they give */
    uint32_t reg;     /* CRC register over these */
    uint8_t head[20]; /* the first of these */
} walked;

/* Whole blocks of coded[0 ... n - 1], up to one that gives `wanted` packet bytes. */
static void walk(const uint8_t *coded, uint16_t n, uint16_t wanted, walked *found)
{
    uint32_t at = 0, size = 0, reg = INITIAL, code = FULL_BLOCK;

    while (at < n && at + coded[at] <= n && size < wanted) {
        uint32_t k = 1;
        if (code == FULL_BLOCK) {
            code = coded[at];
        } else { /* the block before stands for a zero, now that one follows */
            code = coded[at];
            k = 0;
        }
        for (; k < code; k++) {
            uint8_t byte = k == 0u ? (uint8_t)0 : coded[at + k];
            if (size < sizeof found->head)
                found->head[size] = byte;
            reg = crc_step(reg, byte);
            size++;
        }
        at += code;
    }
    if (size == wanted && code == FULL_BLOCK && at < n && coded[at] == 1u)
        at++; /* an encoder may write it behind a full block at the end; no packet begins with a zero */
    found->end = (uint16_t)at;
    found->size = (uint16_t)size;
    found->reg = reg;
}

/* Remove COBS where the bytes lie: what is written never comes before what is still to be read. */
static void unstuff(uint8_t *coded, uint16_t n)
{
    uint32_t at = 0, size = 0;

    while (at < n) {
        uint32_t code = coded[at], k;
        for (k = 1; k < code; k++)
            coded[size++] = coded[at + k];
        at += code;
        if (code != FULL_BLOCK && at < n)
            coded[size++] = 0;
    }
}

static bool intact(const walked *found)
{
    return found->size >= BFP_MIN_PACKET && found->reg == BFP_CRC_RESIDUE;
}

#ifndef BFP_BOARD
static bool is_utf8(const uint8_t *text, uint32_t n)
{
    uint32_t at = 0;

    while (at < n) {
        uint32_t first = text[at++], least, more;
        if (first < 0x80u)
            continue;
        if (first < 0xC2u || first > 0xF4u)
            return false;
        more = first < 0xE0u ? 1u : first < 0xF0u ? 2u : 3u;
        least = first == 0xE0u ? 0xA0u : first == 0xF0u ? 0x90u : 0x80u; /* shorter forms there are refused */
        if (at + more > n || text[at] < least)
            return false;
        if ((first == 0xEDu && text[at] > 0x9Fu) || (first == 0xF4u && text[at] > 0x8Fu))
            return false; /* surrogates, numbers above 0x10FFFF */
        for (; more > 0u; more--)
            if ((text[at++] & 0xC0u) != 0x80u)
                return false;
    }
    return true;
}

/* Text filled up with zeros, of `most` bytes before them at most. */
static bool is_text(const uint8_t *field, uint32_t n)
{
    uint32_t k;

    while (n > 0u && field[n - 1u] == 0u)
        n--;
    for (k = 0; k < n; k++)
        if (field[k] == 0u)
            return false;
    return is_utf8(field, n);
}

/* uV per count: binary64 that is finite and not 0. */
static bool is_scale(const uint8_t *bytes)
{
    uint64_t magnitude = bfp_get_u64(bytes) & 0x7FFFFFFFFFFFFFFFu;

    return magnitude != 0u && magnitude < 0x7FF0000000000000u;
}

static bool is_info(const uint8_t *packet)
{
    uint32_t n_here = packet[BFP_INFO_AT_PAGE_CHANNELS], pages = packet[BFP_INFO_AT_PAGES], k;
    const uint8_t *channel = packet + BFP_INFO_SIZE;
    uint8_t data[BFP_DATA_SIZE];

    data[0] = BFP_VERSION << 4 | BFP_TYPE_DATA; /* could a DATA packet hold this? */
    data[BFP_DATA_AT_N_CHANNELS] = packet[BFP_INFO_AT_N_CHANNELS];
    data[BFP_DATA_AT_N_SAMPLES] = packet[BFP_INFO_AT_N_SAMPLES];
    data[BFP_DATA_AT_FORMAT] = packet[BFP_INFO_AT_FORMAT];
    if (stated_by_data(data) == 0u)
        return false;
    if (pages < 1u || pages > BFP_MAX_CHANNELS || packet[BFP_INFO_AT_PAGE] >= pages)
        return false;
    if (packet[BFP_INFO_AT_FIRST_CHANNEL] + n_here > packet[BFP_INFO_AT_N_CHANNELS])
        return false;
    if (bfp_get_u32(packet + BFP_INFO_AT_RATE_NUM) == 0u || bfp_get_u32(packet + BFP_INFO_AT_RATE_DEN) == 0u)
        return false;
    if (!is_text(packet + BFP_INFO_AT_DEVICE_ID, BFP_INFO_DEVICE_ID_BYTES) ||
        !is_text(packet + BFP_INFO_AT_FIRMWARE, BFP_INFO_FIRMWARE_BYTES))
        return false;
    for (k = 0; k < n_here; k++, channel += BFP_CHANNEL_SIZE)
        if (!is_text(channel, BFP_CHANNEL_LABEL_BYTES) || !is_scale(channel + BFP_CHANNEL_LABEL_BYTES))
            return false;
    return true;
}
#endif

/* What a packet with a right CRC is: rule 5. */
static uint8_t judge(const uint8_t *packet, uint16_t size)
{
    uint32_t type = packet[0] & 15u;
    uint16_t length = bfp_stated_length(packet, size);

    if (packet[0] >> 4 != BFP_VERSION || (packet[1] & BFP_FLAG_MUST_UNDERSTAND) != 0u)
        return BFP_FAULT_UNSUPPORTED;
    if (type == BFP_TYPE_HOST)
        return BFP_FAULT_HOST_ON_WIRE;
    if (length != size && length_rules[type].shortest != 0u)
        return length != 0u ? BFP_FAULT_LENGTH : BFP_FAULT_FIELD;
    if (size > BFP_MAX_PACKET)
        return BFP_FAULT_LENGTH;
#ifndef BFP_BOARD
    if (type == BFP_TYPE_INFO && !is_info(packet))
        return BFP_FAULT_FIELD;
    if (type == BFP_TYPE_LOG && !is_utf8(packet + BFP_LOG_SIZE, size - BFP_LOG_SIZE - BFP_CRC_SIZE))
        return BFP_FAULT_FIELD;
#endif
    return BFP_FAULT_NONE;
}

void bfp_decoder_init(bfp_decoder *decoder)
{
    decoder->n = decoder->told = 0;
    decoder->closed = decoder->ending = decoder->discarding = decoder->missing = false;
    decoder->offset = decoder->discarded = 0;
}

bool bfp_receive(bfp_decoder *decoder, uint8_t byte)
{
    if (decoder->discarding) {
        decoder->discarding = byte != 0u;
        decoder->discarded++;
        decoder->offset++;
    } else if (byte != 0u) {
        decoder->stretch[decoder->n++] = byte;
        return decoder->n > BFP_RX_CODED;
    } else if (decoder->n == 0u) {
        decoder->offset++; /* a delimiter behind another means nothing */
    } else {
        decoder->closed = true;
        return true;
    }
    return false;
}

bool bfp_finish(bfp_decoder *decoder)
{
    decoder->discarding = false;
    decoder->closed = decoder->ending = decoder->n > 0u;
    return decoder->closed;
}

/* Tell of the next `n` bytes of the stretch. */
static bool tell(bfp_decoder *decoder, bfp_event *event, uint8_t fault, uint16_t n)
{
    event->fault = fault;
    event->type = 0;
    event->offset = decoder->offset + decoder->told;
    event->length = n;
    event->packet = NULL;
    event->size = 0;
    decoder->told = (uint16_t)(decoder->told + n);
    return true;
}

static bool tell_packet(bfp_decoder *decoder, bfp_event *event, const walked *found, bool missing)
{
    uint8_t *packet = decoder->stretch + decoder->told;

    unstuff(packet, found->end);
    (void)tell(decoder, event, judge(packet, found->size), found->end);
    event->type = packet[0] & 15u;
    event->packet = packet;
    event->size = found->size;
    decoder->missing = missing;
    return true;
}

/* Rule 3: the packet that `coded` begins with, if it ends within `limit` bytes. `whole` says what all of it holds. */
static bool has_prefix(const uint8_t *coded, uint16_t n, uint16_t limit, const walked *whole, walked *found)
{
    uint16_t length = whole->size > 0u ? bfp_stated_length(whole->head, whole->size) : (uint16_t)0;

    if (length == 0u || length > whole->size)
        return false;
    walk(coded, n, length, found);
    return found->size == length && found->end <= limit && intact(found);
}

bool bfp_next(bfp_decoder *decoder, bfp_event *event)
{
    const uint8_t *coded = decoder->stretch + decoder->told;
    uint16_t left = (uint16_t)(decoder->n - decoder->told);
    walked whole, prefix;
    uint8_t fault;

    if (decoder->missing) {
        decoder->missing = false;
        return tell(decoder, event, BFP_FAULT_MISSING_DELIMITER, 0);
    }
    if (decoder->closed && left > 0u) { /* rules 2 to 4 */
        walk(coded, left, UINT16_MAX, &whole);
        fault = whole.end < left ? BFP_FAULT_COBS : whole.size < BFP_MIN_PACKET ? BFP_FAULT_SHORT : BFP_FAULT_CRC;
        if (fault == BFP_FAULT_CRC && intact(&whole))
            return tell_packet(decoder, event, &whole, decoder->ending);
        if (has_prefix(coded, left, (uint16_t)(left - 1u), &whole, &prefix))
            return tell_packet(decoder, event, &prefix, true);
        return tell(decoder, event, decoder->ending ? BFP_FAULT_TRUNCATED : fault, left);
    }
    if (left > BFP_RX_CODED) {
        walk(coded, BFP_RX_CODED, UINT16_MAX, &whole);
        if (has_prefix(coded, BFP_RX_CODED, BFP_RX_CODED, &whole, &prefix))
            return tell_packet(decoder, event, &prefix, true);
        (void)tell(decoder, event, BFP_FAULT_UNDELIMITED, BFP_RX_CODED);
        decoder->discarding = true;
        decoder->discarded++; /* the byte that was one too many */
        decoder->told = decoder->n;
        return true;
    }
    /* All is told of: what is left begins the next stretch. */
    copy(decoder->stretch, coded, left);
    decoder->n = left;
    decoder->offset += decoder->told + (uint32_t)(decoder->closed && !decoder->ending);
    decoder->told = 0;
    decoder->closed = decoder->ending = false;
    return false;
}

/* ---- commands [5.3, 5.4] ------------------------------------------------------------------------------------- */

enum { WHILE_STREAMING = 1, MORE_FOLLOWS = 2, MAY_BE_LEFT_OUT = 4 };

static const struct {
    uint8_t opcode, size, rules;
} commands[] = {
    /* made: commands */
    /* end */
};

uint8_t bfp_check_command(const bfp_command *command, bool streaming)
{
    size_t k;

    for (k = 0; k < sizeof commands / sizeof commands[0]; k++) {
        uint8_t size = commands[k].size, rules = commands[k].rules;
        bool right = (rules & MORE_FOLLOWS) != 0u ? command->length > size : command->length == size;
        if (commands[k].opcode != command->opcode)
            continue;
        if (!right && !((rules & MAY_BE_LEFT_OUT) != 0u && command->length == 0u))
            return BFP_STATUS_BAD_LENGTH;
        return streaming && (rules & WHILE_STREAMING) == 0u ? BFP_STATUS_BUSY : BFP_STATUS_OK;
    }
    return BFP_STATUS_UNKNOWN_OPCODE;
}
