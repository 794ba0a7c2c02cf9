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
    {0x45, 0x10, 0x55, 0x22, 0x88, 0x2A, 0xE1, 0x3F}, /* gain 1: 0.536442 */
    {0x45, 0x10, 0x55, 0x22, 0x88, 0x2A, 0xD1, 0x3F}, /* gain 2: 0.268221 */
    {0x45, 0x10, 0x55, 0x22, 0x88, 0x2A, 0xC1, 0x3F}, /* gain 4: 0.13411 */
    {0x5C, 0xC0, 0xC6, 0x2D, 0x60, 0xE3, 0xB6, 0x3F}, /* gain 6: 0.089407 */
    {0x45, 0x10, 0x55, 0x22, 0x88, 0x2A, 0xB1, 0x3F}, /* gain 8: 0.0670552 */
    {0x5C, 0xC0, 0xC6, 0x2D, 0x60, 0xE3, 0xA6, 0x3F}, /* gain 12: 0.0447035 */
    {0x5C, 0xC0, 0xC6, 0x2D, 0x60, 0xE3, 0x96, 0x3F}, /* gain 24: 0.0223517 */
    /* end */
};

/* ---- CRC-32C [3.2] ------------------------------------------------------------------------------------------- */

#if BFP_CRC_TABLE == 256
static const uint32_t crc_table[256] = {
    /* made: crc256 */
    0x00000000u, 0xF26B8303u, 0xE13B70F7u, 0x1350F3F4u, 0xC79A971Fu, 0x35F1141Cu, 0x26A1E7E8u, 0xD4CA64EBu,
    0x8AD958CFu, 0x78B2DBCCu, 0x6BE22838u, 0x9989AB3Bu, 0x4D43CFD0u, 0xBF284CD3u, 0xAC78BF27u, 0x5E133C24u,
    0x105EC76Fu, 0xE235446Cu, 0xF165B798u, 0x030E349Bu, 0xD7C45070u, 0x25AFD373u, 0x36FF2087u, 0xC494A384u,
    0x9A879FA0u, 0x68EC1CA3u, 0x7BBCEF57u, 0x89D76C54u, 0x5D1D08BFu, 0xAF768BBCu, 0xBC267848u, 0x4E4DFB4Bu,
    0x20BD8EDEu, 0xD2D60DDDu, 0xC186FE29u, 0x33ED7D2Au, 0xE72719C1u, 0x154C9AC2u, 0x061C6936u, 0xF477EA35u,
    0xAA64D611u, 0x580F5512u, 0x4B5FA6E6u, 0xB93425E5u, 0x6DFE410Eu, 0x9F95C20Du, 0x8CC531F9u, 0x7EAEB2FAu,
    0x30E349B1u, 0xC288CAB2u, 0xD1D83946u, 0x23B3BA45u, 0xF779DEAEu, 0x05125DADu, 0x1642AE59u, 0xE4292D5Au,
    0xBA3A117Eu, 0x4851927Du, 0x5B016189u, 0xA96AE28Au, 0x7DA08661u, 0x8FCB0562u, 0x9C9BF696u, 0x6EF07595u,
    0x417B1DBCu, 0xB3109EBFu, 0xA0406D4Bu, 0x522BEE48u, 0x86E18AA3u, 0x748A09A0u, 0x67DAFA54u, 0x95B17957u,
    0xCBA24573u, 0x39C9C670u, 0x2A993584u, 0xD8F2B687u, 0x0C38D26Cu, 0xFE53516Fu, 0xED03A29Bu, 0x1F682198u,
    0x5125DAD3u, 0xA34E59D0u, 0xB01EAA24u, 0x42752927u, 0x96BF4DCCu, 0x64D4CECFu, 0x77843D3Bu, 0x85EFBE38u,
    0xDBFC821Cu, 0x2997011Fu, 0x3AC7F2EBu, 0xC8AC71E8u, 0x1C661503u, 0xEE0D9600u, 0xFD5D65F4u, 0x0F36E6F7u,
    0x61C69362u, 0x93AD1061u, 0x80FDE395u, 0x72966096u, 0xA65C047Du, 0x5437877Eu, 0x4767748Au, 0xB50CF789u,
    0xEB1FCBADu, 0x197448AEu, 0x0A24BB5Au, 0xF84F3859u, 0x2C855CB2u, 0xDEEEDFB1u, 0xCDBE2C45u, 0x3FD5AF46u,
    0x7198540Du, 0x83F3D70Eu, 0x90A324FAu, 0x62C8A7F9u, 0xB602C312u, 0x44694011u, 0x5739B3E5u, 0xA55230E6u,
    0xFB410CC2u, 0x092A8FC1u, 0x1A7A7C35u, 0xE811FF36u, 0x3CDB9BDDu, 0xCEB018DEu, 0xDDE0EB2Au, 0x2F8B6829u,
    0x82F63B78u, 0x709DB87Bu, 0x63CD4B8Fu, 0x91A6C88Cu, 0x456CAC67u, 0xB7072F64u, 0xA457DC90u, 0x563C5F93u,
    0x082F63B7u, 0xFA44E0B4u, 0xE9141340u, 0x1B7F9043u, 0xCFB5F4A8u, 0x3DDE77ABu, 0x2E8E845Fu, 0xDCE5075Cu,
    0x92A8FC17u, 0x60C37F14u, 0x73938CE0u, 0x81F80FE3u, 0x55326B08u, 0xA759E80Bu, 0xB4091BFFu, 0x466298FCu,
    0x1871A4D8u, 0xEA1A27DBu, 0xF94AD42Fu, 0x0B21572Cu, 0xDFEB33C7u, 0x2D80B0C4u, 0x3ED04330u, 0xCCBBC033u,
    0xA24BB5A6u, 0x502036A5u, 0x4370C551u, 0xB11B4652u, 0x65D122B9u, 0x97BAA1BAu, 0x84EA524Eu, 0x7681D14Du,
    0x2892ED69u, 0xDAF96E6Au, 0xC9A99D9Eu, 0x3BC21E9Du, 0xEF087A76u, 0x1D63F975u, 0x0E330A81u, 0xFC588982u,
    0xB21572C9u, 0x407EF1CAu, 0x532E023Eu, 0xA145813Du, 0x758FE5D6u, 0x87E466D5u, 0x94B49521u, 0x66DF1622u,
    0x38CC2A06u, 0xCAA7A905u, 0xD9F75AF1u, 0x2B9CD9F2u, 0xFF56BD19u, 0x0D3D3E1Au, 0x1E6DCDEEu, 0xEC064EEDu,
    0xC38D26C4u, 0x31E6A5C7u, 0x22B65633u, 0xD0DDD530u, 0x0417B1DBu, 0xF67C32D8u, 0xE52CC12Cu, 0x1747422Fu,
    0x49547E0Bu, 0xBB3FFD08u, 0xA86F0EFCu, 0x5A048DFFu, 0x8ECEE914u, 0x7CA56A17u, 0x6FF599E3u, 0x9D9E1AE0u,
    0xD3D3E1ABu, 0x21B862A8u, 0x32E8915Cu, 0xC083125Fu, 0x144976B4u, 0xE622F5B7u, 0xF5720643u, 0x07198540u,
    0x590AB964u, 0xAB613A67u, 0xB831C993u, 0x4A5A4A90u, 0x9E902E7Bu, 0x6CFBAD78u, 0x7FAB5E8Cu, 0x8DC0DD8Fu,
    0xE330A81Au, 0x115B2B19u, 0x020BD8EDu, 0xF0605BEEu, 0x24AA3F05u, 0xD6C1BC06u, 0xC5914FF2u, 0x37FACCF1u,
    0x69E9F0D5u, 0x9B8273D6u, 0x88D28022u, 0x7AB90321u, 0xAE7367CAu, 0x5C18E4C9u, 0x4F48173Du, 0xBD23943Eu,
    0xF36E6F75u, 0x0105EC76u, 0x12551F82u, 0xE03E9C81u, 0x34F4F86Au, 0xC69F7B69u, 0xD5CF889Du, 0x27A40B9Eu,
    0x79B737BAu, 0x8BDCB4B9u, 0x988C474Du, 0x6AE7C44Eu, 0xBE2DA0A5u, 0x4C4623A6u, 0x5F16D052u, 0xAD7D5351u,
    /* end */
};

static inline uint32_t crc_step(uint32_t reg, uint8_t byte)
{
    return crc_table[(reg ^ byte) & 0xFFu] ^ reg >> 8;
}
#elif BFP_CRC_TABLE == 16
static const uint32_t crc_table[16] = {
    /* made: crc16 */
    0x00000000u, 0x105EC76Fu, 0x20BD8EDEu, 0x30E349B1u,
    0x417B1DBCu, 0x5125DAD3u, 0x61C69362u, 0x7198540Du,
    0x82F63B78u, 0x92A8FC17u, 0xA24BB5A6u, 0xB21572C9u,
    0xC38D26C4u, 0xD3D3E1ABu, 0xE330A81Au, 0xF36E6F75u,
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
    [BFP_TYPE_DATA] = {20, 0, 0, 0, 0, 0},
    [BFP_TYPE_EVENT] = {24, 0, 0, 0, 0, 0},
    [BFP_TYPE_INFO] = {72, 7, 1, 24, 1, 16},
    [BFP_TYPE_RESPONSE] = {24, 16, 1, 1, 0, 40},
    [BFP_TYPE_HEARTBEAT] = {44, 0, 0, 0, 0, 0},
    [BFP_TYPE_LOG] = {16, 10, 2, 1, 0, 639},
    [BFP_TYPE_COMMAND] = {12, 7, 1, 1, 0, 116},
    [BFP_TYPE_HOST] = {20, 14, 2, 1, 0, 635},
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
    if (format & 4u) { /* without a division, which small processors have no instruction for */
        for (; n_channels >= per_converter; n_channels -= per_converter)
            conversion += 3u;
        if (n_channels != 0u)
            return 0;
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

uint16_t bfp_payload_size(const bfp_found *found)
{
    return (uint16_t)(found->size - length_rules[found->type & 15u].shortest);
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
    size_t blocks = length > 508u ? 3u : length > 254u ? 2u : 1u;
    writer w;
    uint8_t crc[BFP_CRC_SIZE];

    if (length > BFP_MAX_PACKET || room < length + blocks + 1u) /* BFP_WIRE_SIZE(length) */
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

size_t bfp_write_data(const bfp_data *frame, uint8_t *wire, size_t room)
{
    uint8_t head[BFP_DATA_SIZE];

    head[0] = BFP_VERSION << 4 | BFP_TYPE_DATA;
    head[1] = frame->flags;
    bfp_put_u16(head + 2, frame->link_seq);
    bfp_put_u32(head + BFP_DATA_AT_SAMPLE_INDEX, frame->sample_index);
    bfp_put_u32(head + BFP_DATA_AT_T_US, frame->t_us);
    head[BFP_DATA_AT_N_CHANNELS] = frame->n_channels;
    head[BFP_DATA_AT_N_SAMPLES] = frame->n_samples;
    head[BFP_DATA_AT_FORMAT] = frame->format;
    head[BFP_DATA_AT_CONFIG_ID] = frame->config_id;
    return write_stated(head, sizeof head, frame->payload, wire, room);
}

size_t bfp_write_event(const bfp_event *frame, uint8_t *wire, size_t room)
{
    uint8_t head[BFP_EVENT_SIZE];

    head[0] = BFP_VERSION << 4 | BFP_TYPE_EVENT;
    head[1] = frame->flags;
    bfp_put_u16(head + 2, frame->link_seq);
    bfp_put_u32(head + BFP_EVENT_AT_SAMPLE_INDEX, frame->sample_index);
    bfp_put_u32(head + BFP_EVENT_AT_T_US, frame->t_us);
    head[BFP_EVENT_AT_SOURCE] = frame->source;
    head[13] = 0;
    bfp_put_u16(head + BFP_EVENT_AT_CODE, frame->code);
    bfp_put_u32(head + BFP_EVENT_AT_VALUE, (uint32_t)frame->value);
    return write_stated(head, sizeof head, NULL, wire, room);
}

size_t bfp_write_info(const bfp_info *frame, uint8_t *wire, size_t room)
{
    uint8_t head[BFP_INFO_SIZE];

    head[0] = BFP_VERSION << 4 | BFP_TYPE_INFO;
    head[1] = frame->flags;
    bfp_put_u16(head + 2, frame->link_seq);
    head[BFP_INFO_AT_PAGE] = frame->page;
    head[BFP_INFO_AT_PAGES] = frame->pages;
    head[BFP_INFO_AT_FIRST_CHANNEL] = frame->first_channel;
    head[BFP_INFO_AT_PAGE_CHANNELS] = frame->page_channels;
    bfp_put_u32(head + BFP_INFO_AT_BOOT_ID, frame->boot_id);
    head[BFP_INFO_AT_CONFIG_ID] = frame->config_id;
    head[BFP_INFO_AT_STATE] = frame->state;
    head[BFP_INFO_AT_N_CHANNELS] = frame->n_channels;
    head[BFP_INFO_AT_FORMAT] = frame->format;
    bfp_put_u32(head + BFP_INFO_AT_RATE_NUM, frame->rate_num);
    bfp_put_u32(head + BFP_INFO_AT_RATE_DEN, frame->rate_den);
    head[BFP_INFO_AT_N_SAMPLES] = frame->n_samples;
    head[BFP_INFO_AT_LEAD_OFF] = frame->lead_off;
    head[26] = 0;
    head[27] = 0;
    copy(head + BFP_INFO_AT_DEVICE_ID, frame->device_id, sizeof frame->device_id);
    copy(head + BFP_INFO_AT_FIRMWARE, frame->firmware, sizeof frame->firmware);
    return write_stated(head, sizeof head, frame->payload, wire, room);
}

size_t bfp_write_response(const bfp_response *frame, uint8_t *wire, size_t room)
{
    uint8_t head[BFP_RESPONSE_SIZE];

    head[0] = BFP_VERSION << 4 | BFP_TYPE_RESPONSE;
    head[1] = frame->flags;
    bfp_put_u16(head + 2, frame->link_seq);
    bfp_put_u16(head + BFP_RESPONSE_AT_REQUEST_ID, frame->request_id);
    head[BFP_RESPONSE_AT_OPCODE] = frame->opcode;
    head[BFP_RESPONSE_AT_STATUS] = frame->status;
    bfp_put_u64(head + BFP_RESPONSE_AT_T_US, frame->t_us);
    head[BFP_RESPONSE_AT_LENGTH] = frame->length;
    head[17] = 0;
    head[18] = 0;
    head[19] = 0;
    return write_stated(head, sizeof head, frame->payload, wire, room);
}

size_t bfp_write_heartbeat(const bfp_heartbeat *frame, uint8_t *wire, size_t room)
{
    uint8_t head[BFP_HEARTBEAT_SIZE];

    head[0] = BFP_VERSION << 4 | BFP_TYPE_HEARTBEAT;
    head[1] = frame->flags;
    bfp_put_u16(head + 2, frame->link_seq);
    bfp_put_u32(head + BFP_HEARTBEAT_AT_BOOT_ID, frame->boot_id);
    bfp_put_u64(head + BFP_HEARTBEAT_AT_T_US, frame->t_us);
    bfp_put_u64(head + BFP_HEARTBEAT_AT_SAMPLE_INDEX, frame->sample_index);
    bfp_put_u64(head + BFP_HEARTBEAT_AT_DROPPED, frame->dropped);
    bfp_put_u32(head + BFP_HEARTBEAT_AT_RX_ERRORS, frame->rx_errors);
    bfp_put_u16(head + BFP_HEARTBEAT_AT_SUPPLY_MV, frame->supply_mv);
    bfp_put_u16(head + BFP_HEARTBEAT_AT_TEMPERATURE, (uint16_t)frame->temperature);
    return write_stated(head, sizeof head, NULL, wire, room);
}

size_t bfp_write_log(const bfp_log *frame, uint8_t *wire, size_t room)
{
    uint8_t head[BFP_LOG_SIZE];

    head[0] = BFP_VERSION << 4 | BFP_TYPE_LOG;
    head[1] = frame->flags;
    bfp_put_u16(head + 2, frame->link_seq);
    bfp_put_u32(head + BFP_LOG_AT_T_US, frame->t_us);
    head[BFP_LOG_AT_LEVEL] = frame->level;
    head[9] = 0;
    bfp_put_u16(head + BFP_LOG_AT_LENGTH, frame->length);
    return write_stated(head, sizeof head, frame->payload, wire, room);
}

size_t bfp_write_command(const bfp_command *frame, uint8_t *wire, size_t room)
{
    uint8_t head[BFP_COMMAND_SIZE];

    head[0] = BFP_VERSION << 4 | BFP_TYPE_COMMAND;
    head[1] = frame->flags;
    bfp_put_u16(head + 2, frame->link_seq);
    bfp_put_u16(head + BFP_COMMAND_AT_REQUEST_ID, frame->request_id);
    head[BFP_COMMAND_AT_OPCODE] = frame->opcode;
    head[BFP_COMMAND_AT_LENGTH] = frame->length;
    return write_stated(head, sizeof head, frame->payload, wire, room);
}
/* end */

/* made: readers */

void bfp_read_data(const bfp_found *found, bfp_data *frame)
{
    const uint8_t *packet = found->packet;

    frame->flags = packet[1];
    frame->link_seq = bfp_get_u16(packet + 2);
    frame->sample_index = bfp_get_u32(packet + BFP_DATA_AT_SAMPLE_INDEX);
    frame->t_us = bfp_get_u32(packet + BFP_DATA_AT_T_US);
    frame->n_channels = packet[BFP_DATA_AT_N_CHANNELS];
    frame->n_samples = packet[BFP_DATA_AT_N_SAMPLES];
    frame->format = packet[BFP_DATA_AT_FORMAT] & BFP_FORMAT_BITS;
    frame->config_id = packet[BFP_DATA_AT_CONFIG_ID];
    frame->payload = packet + BFP_DATA_SIZE;
}

void bfp_read_event(const bfp_found *found, bfp_event *frame)
{
    const uint8_t *packet = found->packet;

    frame->flags = packet[1];
    frame->link_seq = bfp_get_u16(packet + 2);
    frame->sample_index = bfp_get_u32(packet + BFP_EVENT_AT_SAMPLE_INDEX);
    frame->t_us = bfp_get_u32(packet + BFP_EVENT_AT_T_US);
    frame->source = packet[BFP_EVENT_AT_SOURCE];
    frame->code = bfp_get_u16(packet + BFP_EVENT_AT_CODE);
    frame->value = (int32_t)bfp_get_u32(packet + BFP_EVENT_AT_VALUE);
}

void bfp_read_info(const bfp_found *found, bfp_info *frame)
{
    const uint8_t *packet = found->packet;

    frame->flags = packet[1];
    frame->link_seq = bfp_get_u16(packet + 2);
    frame->page = packet[BFP_INFO_AT_PAGE];
    frame->pages = packet[BFP_INFO_AT_PAGES];
    frame->first_channel = packet[BFP_INFO_AT_FIRST_CHANNEL];
    frame->page_channels = packet[BFP_INFO_AT_PAGE_CHANNELS];
    frame->boot_id = bfp_get_u32(packet + BFP_INFO_AT_BOOT_ID);
    frame->config_id = packet[BFP_INFO_AT_CONFIG_ID];
    frame->state = packet[BFP_INFO_AT_STATE];
    frame->n_channels = packet[BFP_INFO_AT_N_CHANNELS];
    frame->format = packet[BFP_INFO_AT_FORMAT] & BFP_FORMAT_BITS;
    frame->rate_num = bfp_get_u32(packet + BFP_INFO_AT_RATE_NUM);
    frame->rate_den = bfp_get_u32(packet + BFP_INFO_AT_RATE_DEN);
    frame->n_samples = packet[BFP_INFO_AT_N_SAMPLES];
    frame->lead_off = packet[BFP_INFO_AT_LEAD_OFF];
    copy(frame->device_id, packet + BFP_INFO_AT_DEVICE_ID, sizeof frame->device_id);
    copy(frame->firmware, packet + BFP_INFO_AT_FIRMWARE, sizeof frame->firmware);
    frame->payload = packet + BFP_INFO_SIZE;
}

void bfp_read_response(const bfp_found *found, bfp_response *frame)
{
    const uint8_t *packet = found->packet;

    frame->flags = packet[1];
    frame->link_seq = bfp_get_u16(packet + 2);
    frame->request_id = bfp_get_u16(packet + BFP_RESPONSE_AT_REQUEST_ID);
    frame->opcode = packet[BFP_RESPONSE_AT_OPCODE];
    frame->status = packet[BFP_RESPONSE_AT_STATUS];
    frame->t_us = bfp_get_u64(packet + BFP_RESPONSE_AT_T_US);
    frame->length = packet[BFP_RESPONSE_AT_LENGTH];
    frame->payload = packet + BFP_RESPONSE_SIZE;
}

void bfp_read_heartbeat(const bfp_found *found, bfp_heartbeat *frame)
{
    const uint8_t *packet = found->packet;

    frame->flags = packet[1];
    frame->link_seq = bfp_get_u16(packet + 2);
    frame->boot_id = bfp_get_u32(packet + BFP_HEARTBEAT_AT_BOOT_ID);
    frame->t_us = bfp_get_u64(packet + BFP_HEARTBEAT_AT_T_US);
    frame->sample_index = bfp_get_u64(packet + BFP_HEARTBEAT_AT_SAMPLE_INDEX);
    frame->dropped = bfp_get_u64(packet + BFP_HEARTBEAT_AT_DROPPED);
    frame->rx_errors = bfp_get_u32(packet + BFP_HEARTBEAT_AT_RX_ERRORS);
    frame->supply_mv = bfp_get_u16(packet + BFP_HEARTBEAT_AT_SUPPLY_MV);
    frame->temperature = (int16_t)bfp_get_u16(packet + BFP_HEARTBEAT_AT_TEMPERATURE);
}

void bfp_read_log(const bfp_found *found, bfp_log *frame)
{
    const uint8_t *packet = found->packet;

    frame->flags = packet[1];
    frame->link_seq = bfp_get_u16(packet + 2);
    frame->t_us = bfp_get_u32(packet + BFP_LOG_AT_T_US);
    frame->level = packet[BFP_LOG_AT_LEVEL];
    frame->length = bfp_get_u16(packet + BFP_LOG_AT_LENGTH);
    frame->payload = packet + BFP_LOG_SIZE;
}

void bfp_read_command(const bfp_found *found, bfp_command *frame)
{
    const uint8_t *packet = found->packet;

    frame->flags = packet[1];
    frame->link_seq = bfp_get_u16(packet + 2);
    frame->request_id = bfp_get_u16(packet + BFP_COMMAND_AT_REQUEST_ID);
    frame->opcode = packet[BFP_COMMAND_AT_OPCODE];
    frame->length = packet[BFP_COMMAND_AT_LENGTH];
    frame->payload = packet + BFP_COMMAND_SIZE;
}
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
static void walk(const uint8_t *coded, uint16_t n, uint16_t wanted, walked *w)
{
    uint32_t at = 0, size = 0, reg = INITIAL, code = FULL_BLOCK;

    while (at < n && at + coded[at] <= n && size < wanted) {
        uint32_t k = code == FULL_BLOCK ? 1u : 0u; /* else the block before stands for a zero, now that one follows */
        for (code = coded[at]; k < code; k++) {
            uint8_t byte = k == 0u ? (uint8_t)0 : coded[at + k];
            if (size < sizeof w->head)
                w->head[size] = byte;
            reg = crc_step(reg, byte);
            size++;
        }
        at += code;
    }
    if (size == wanted && code == FULL_BLOCK && at < n && coded[at] == 1u)
        at++; /* an encoder may write it behind a full block at the end; no packet begins with a zero */
    w->end = (uint16_t)at;
    w->size = (uint16_t)size;
    w->reg = reg;
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

static bool intact(const walked *w)
{
    return w->size >= BFP_MIN_PACKET && w->reg == BFP_CRC_RESIDUE;
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

/* Text filled up with zeros. */
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
        if (channel[BFP_MAX_LABEL] != 0u || !is_text(channel, BFP_MAX_LABEL) ||
            !is_scale(channel + BFP_CHANNEL_LABEL_BYTES))
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
    if (decoder->closed || decoder->n > BFP_RX_CODED)
        return true; /* bfp_next() was not asked: this byte is lost, and no memory touched */
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
static bool tell(bfp_decoder *decoder, bfp_found *found, uint8_t fault, uint16_t n)
{
    found->fault = fault;
    found->type = 0;
    found->offset = decoder->offset + decoder->told;
    found->length = n;
    found->packet = NULL;
    found->size = 0;
    decoder->told = (uint16_t)(decoder->told + n);
    return true;
}

static bool tell_packet(bfp_decoder *decoder, bfp_found *found, const walked *w, bool missing)
{
    uint8_t *packet = decoder->stretch + decoder->told;

    unstuff(packet, w->end);
    (void)tell(decoder, found, judge(packet, w->size), w->end);
    found->type = packet[0] & 15u;
    found->packet = packet;
    found->size = w->size;
    decoder->missing = missing;
    return true;
}

/* Rule 3: the packet that `coded` begins with, if it ends within `limit` bytes. `whole` says what all of it holds. */
static bool has_prefix(const uint8_t *coded, uint16_t n, uint16_t limit, const walked *whole, walked *w)
{
    uint16_t length = whole->size > 0u ? bfp_stated_length(whole->head, whole->size) : (uint16_t)0;

    if (length == 0u || length > whole->size)
        return false;
    walk(coded, n, length, w);
    return w->size == length && w->end <= limit && intact(w);
}

bool bfp_next(bfp_decoder *decoder, bfp_found *found)
{
    const uint8_t *coded = decoder->stretch + decoder->told;
    uint16_t left = (uint16_t)(decoder->n - decoder->told);
    walked whole, prefix;
    uint8_t fault;

    if (decoder->missing) {
        decoder->missing = false;
        return tell(decoder, found, BFP_FAULT_MISSING_DELIMITER, 0);
    }
    if (decoder->closed && left > 0u) { /* rules 2 to 4 */
        walk(coded, left, UINT16_MAX, &whole);
        fault = whole.end < left ? BFP_FAULT_COBS : whole.size < BFP_MIN_PACKET ? BFP_FAULT_SHORT : BFP_FAULT_CRC;
        if (fault == BFP_FAULT_CRC && intact(&whole))
            return tell_packet(decoder, found, &whole, decoder->ending);
        if (has_prefix(coded, left, (uint16_t)(left - 1u), &whole, &prefix))
            return tell_packet(decoder, found, &prefix, true);
        return tell(decoder, found, decoder->ending ? BFP_FAULT_TRUNCATED : fault, left);
    }
    if (left > BFP_RX_CODED) {
        walk(coded, BFP_RX_CODED, UINT16_MAX, &whole);
        if (has_prefix(coded, BFP_RX_CODED, BFP_RX_CODED, &whole, &prefix))
            return tell_packet(decoder, found, &prefix, true);
        (void)tell(decoder, found, BFP_FAULT_UNDELIMITED, BFP_RX_CODED);
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
    {BFP_OP_IDENTIFY, 0, WHILE_STREAMING},
    {BFP_OP_START, 4, MAY_BE_LEFT_OUT},
    {BFP_OP_STOP, 0, WHILE_STREAMING},
    {BFP_OP_KEEPALIVE, 0, WHILE_STREAMING},
    {BFP_OP_SET_RATE, 8, 0},
    {BFP_OP_SET_CHANNEL, 4, WHILE_STREAMING},
    {BFP_OP_LEAD_OFF, 1, WHILE_STREAMING},
    {BFP_OP_TEST_SIGNAL, 2, WHILE_STREAMING},
    {BFP_OP_TEST_PATTERN, 1, WHILE_STREAMING},
    {BFP_OP_READ_REGISTER, 3, WHILE_STREAMING},
    {BFP_OP_WRITE_REGISTER, 2, MORE_FOLLOWS},
    {BFP_OP_RESET_COUNTERS, 0, WHILE_STREAMING},
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
