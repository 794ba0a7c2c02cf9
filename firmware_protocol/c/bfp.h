/* BFP, the BCI frame protocol, version 1: constants, encoder and decoder for microcontrollers.
 *
 * SPEC.md says what the bytes mean; numbers in brackets are its sections. Parts between "made" and "end" follow from
 * the same layout as the specification and are not edited by hand.
 *
 * C99 that needs <stdbool.h>, <stddef.h> and <stdint.h> and no library: no heap, no floating point, no recursion, no
 * global state. Compile bfp.c into the firmware and include this file.
 *
 *   -DBFP_CRC_TABLE=256   CRC by a table of 256 entries, 1 KiB of flash (what is taken if nothing is said)
 *   -DBFP_CRC_TABLE=16    by a table of 16 entries, 64 bytes; about twice the time
 *   -DBFP_CRC_TABLE=0     by bfp_crc() of your own: a CRC unit, for instance
 *   -DBFP_BOARD           the decoder hears COMMANDs only: it keeps 129 bytes in place of 659, and takes INFO and LOG
 *                         unread, which no host sends
 *
 * made: sizes
 * Flash of a board's share, all packets sent and COMMANDs heard, in bytes (arm-none-eabi-gcc 12.2.1 -Os -DBFP_BOARD,
 * what is not called left out by the linker):
 *
 *                     256 entries    16 entries
 *   cortex-m0plus         3308          2352
 *   cortex-m4             3252          2344
 *
 * RAM: a decoder takes 148 bytes (676 without -DBFP_BOARD), an encoder none; stack up to 200.
 * end
 */
#ifndef BFP_H
#define BFP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- numbers with a name ------------------------------------------------------------------------------------ */

/* made: codes */
#define BFP_VERSION                            1u
#define BFP_CRC_SIZE                           4u
#define BFP_CRC_RESIDUE                        0xB798B438u   /* register behind a packet with its CRC */

/* Types [3.1]. */
#define BFP_TYPE_DATA                          1u            /* samples */
#define BFP_TYPE_EVENT                         2u            /* something that happened at a conversion */
#define BFP_TYPE_INFO                          3u            /* what the device is and what its samples mean */
#define BFP_TYPE_RESPONSE                      4u            /* answer to a COMMAND */
#define BFP_TYPE_HEARTBEAT                     5u            /* the device's counters, once a second */
#define BFP_TYPE_LOG                           6u            /* text for people */
#define BFP_TYPE_COMMAND                       8u            /* request of the host */
#define BFP_TYPE_HOST                          15u           /* note of a recording program; never on a wire */

/* Flags [3.3]. */
/* conversions were dropped directly before these samples */
#define BFP_FLAG_OVERRUN                       0x01u
#define BFP_FLAG_FIRST                         0x02u         /* first samples after START */
/* test signal or test pattern in place of the electrodes */
#define BFP_FLAG_TEST_SIGNAL                   0x04u
#define BFP_FLAG_AC_LEAD_OFF                   0x08u         /* AC lead-off excitation is on */
/* a command took effect with the first of these samples */
#define BFP_FLAG_COMMAND_ACTED                 0x10u
/* the trigger line was active during one of these samples */
#define BFP_FLAG_TRIGGER                       0x20u
#define BFP_FLAG_CLOCK_STEPPED                 0x40u         /* t_us does not continue that of the samples before */
/* whoever does not know every part of this packet must not use it; any type */
#define BFP_FLAG_MUST_UNDERSTAND               0x80u

/* Opcodes [5.3]. */
#define BFP_OP_IDENTIFY                        0x01u         /* say who you are; all INFO pages follow */
#define BFP_OP_START                           0x02u         /* begin to convert */
#define BFP_OP_STOP                            0x03u         /* end converting; idle already: the same answer */
#define BFP_OP_KEEPALIVE                       0x04u         /* feed the watchdog; never answered */
#define BFP_OP_SET_RATE                        0x05u         /* sampling rate, one the converter has */
#define BFP_OP_SET_CHANNEL                     0x06u         /* gain, input and power of a channel */
#define BFP_OP_LEAD_OFF                        0x07u         /* lead-off excitation */
#define BFP_OP_TEST_SIGNAL                     0x08u         /* internal test signal in all channels */
#define BFP_OP_TEST_PATTERN                    0x09u         /* known numbers in place of samples */
#define BFP_OP_READ_REGISTER                   0x0Au         /* read registers of a converter */
#define BFP_OP_WRITE_REGISTER                  0x0Bu         /* write registers of a converter */
#define BFP_OP_RESET_COUNTERS                  0x0Cu         /* dropped and rx_errors to 0; answers what they were */

/* Statuses [5.4]. */
#define BFP_STATUS_OK                          0u            /* done */
#define BFP_STATUS_UNKNOWN_OPCODE              1u            /* the device does not know this opcode */
/* the arguments are too short or too long for the opcode */
#define BFP_STATUS_BAD_LENGTH                  2u
#define BFP_STATUS_BAD_ARGUMENT                3u            /* an argument is out of its range */
#define BFP_STATUS_BUSY                        4u            /* not while streaming */
/* another request carried this request_id less than 1 s ago */
#define BFP_STATUS_ID_REUSED                   5u
/* known, but this device or its present setting cannot do it */
#define BFP_STATUS_UNSUPPORTED                 6u
#define BFP_STATUS_FAILED                      7u            /* the hardware did not do it */

/* States [6.1]. */
#define BFP_STATE_IDLE                         0u            /* no conversions */
#define BFP_STATE_STREAMING                    1u            /* the converter runs, DATA flows */
#define BFP_STATE_WATCHDOG                     2u            /* as idle; the stream was ended by the watchdog */

/* Sources of an EVENT [4.2]. */
#define BFP_SOURCE_TRIGGER                     1u
#define BFP_SOURCE_BUTTON                      2u
#define BFP_SOURCE_DEVICE                      3u

/* Codes of an EVENT of source DEVICE [4.2]. */
#define BFP_EVENT_CODE_RUN_END                 1u
#define BFP_EVENT_CODE_WATCHDOG                2u

/* Levels of a LOG [4.6]. */
#define BFP_LEVEL_DEBUG                        0u
#define BFP_LEVEL_INFO                         1u
#define BFP_LEVEL_WARNING                      2u
#define BFP_LEVEL_ERROR                        3u

/* Lead-off excitation [5.3]. */
#define BFP_LEAD_OFF_OFF                       0u
#define BFP_LEAD_OFF_DC                        1u
#define BFP_LEAD_OFF_AC_31_25_HZ               2u
#define BFP_LEAD_OFF_AC_QUARTER_RATE           3u

/* Internal test signals [5.3]. */
#define BFP_TEST_SIGNAL_OFF                    0u
#define BFP_TEST_SIGNAL_SLOW                   1u
#define BFP_TEST_SIGNAL_FAST                   2u
#define BFP_TEST_SIGNAL_DC                     3u

/* Test patterns [6.6]. */
#define BFP_PATTERN_OFF                        0u
#define BFP_PATTERN_RAMP                       1u
#define BFP_PATTERN_PRBS                       2u

/* Faults, in the order of the decoder's tests [7.3]. */
#define BFP_FAULT_NONE                         0u            /* a frame */
/* 658 bytes without a delimiter, and no packet begins them */
#define BFP_FAULT_UNDELIMITED                  1u
#define BFP_FAULT_COBS                         2u            /* a code byte points past the end */
#define BFP_FAULT_SHORT                        3u            /* fewer than 8 bytes after COBS */
#define BFP_FAULT_CRC                          4u            /* the CRC does not fit */
#define BFP_FAULT_UNSUPPORTED                  5u            /* another version, or flag b7 */
#define BFP_FAULT_HOST_ON_WIRE                 6u            /* type 15 without the nonce of this recording */
#define BFP_FAULT_FIELD                        7u            /* a value out of its range */
#define BFP_FAULT_LENGTH                       8u            /* another length than the header states */
/* a whole packet that no delimiter ends; length 0, nothing is lost */
#define BFP_FAULT_MISSING_DELIMITER            9u
#define BFP_FAULT_TRUNCATED                    10u           /* the stream ends within a packet */

/* Arguments and results of commands: offsets in the payload, and bytes of all [5.3]. */
#define BFP_IDENTIFY_RESULT_BOOT_ID            0u            /* u32 */
#define BFP_IDENTIFY_RESULT_STATE              4u            /* u8 */
#define BFP_IDENTIFY_RESULT_CONFIG_ID          5u            /* u8 */
#define BFP_IDENTIFY_RESULT_N_CHANNELS         6u            /* u8 */
#define BFP_IDENTIFY_RESULT_PAGES              7u            /* u8 INFO packets that follow */
#define BFP_IDENTIFY_RESULTS_SIZE              8u
#define BFP_START_ARG_WATCHDOG_MS              0u            /* u32 ms 0 off, else 100-3,600,000; left out: 5000 */
#define BFP_START_ARGS_SIZE                    4u
#define BFP_START_RESULT_SAMPLE_INDEX          0u            /* u64 conversion number of the first sample */
#define BFP_START_RESULTS_SIZE                 8u
#define BFP_STOP_RESULT_BOOT_ID                0u            /* u32 random, new at every boot */
#define BFP_STOP_RESULT_T_US                   4u            /* u64 us the device's time now */
/* u64 every conversion below it was sent before this packet or is in `dropped` */
#define BFP_STOP_RESULT_SAMPLE_INDEX           12u
#define BFP_STOP_RESULT_DROPPED                20u           /* u64 of those, conversions the device could not send */
#define BFP_STOP_RESULT_RX_ERRORS              28u           /* u32 faults in what the device received */
#define BFP_STOP_RESULT_SUPPLY_MV              32u           /* u16 mV 0: not measured */
#define BFP_STOP_RESULT_TEMPERATURE            34u           /* i16 0.1 deg C -32768: not measured */
#define BFP_STOP_RESULTS_SIZE                  36u
#define BFP_SET_RATE_ARG_RATE_NUM              0u            /* u32 Hz numerator */
#define BFP_SET_RATE_ARG_RATE_DEN              4u            /* u32 denominator */
#define BFP_SET_RATE_ARGS_SIZE                 8u
#define BFP_SET_RATE_RESULT_CONFIG_ID          0u            /* u8 of the samples from now on */
#define BFP_SET_RATE_RESULTS_SIZE              1u
#define BFP_SET_CHANNEL_ARG_CHANNEL            0u            /* u8 from 0; 255: all */
#define BFP_SET_CHANNEL_ARG_GAIN               1u            /* u8 1, 2, 4, 6, 8, 12 or 24 */
/* u8 0-7, as the converter's MUX bits: 0 electrode, 1 shorted, 5 test signal */
#define BFP_SET_CHANNEL_ARG_MUX                2u
#define BFP_SET_CHANNEL_ARG_POWER              3u            /* u8 1 on, 0 off */
#define BFP_SET_CHANNEL_ARGS_SIZE              4u
#define BFP_SET_CHANNEL_RESULT_CONFIG_ID       0u            /* u8 of the samples from now on */
#define BFP_SET_CHANNEL_RESULTS_SIZE           1u
#define BFP_LEAD_OFF_ARG_MODE                  0u            /* u8 0 off, 1 DC, 2 AC 31.25 Hz, 3 AC rate/4 */
#define BFP_LEAD_OFF_ARGS_SIZE                 1u
/* u8 0 off, 1 slow square wave, 2 fast square wave, 3 DC */
#define BFP_TEST_SIGNAL_ARG_MODE               0u
#define BFP_TEST_SIGNAL_ARG_AMPLITUDE          1u            /* u8 1 or 2: times VREF/2400 */
#define BFP_TEST_SIGNAL_ARGS_SIZE              2u
#define BFP_TEST_PATTERN_ARG_PATTERN           0u            /* u8 0 off, 1 ramp, 2 pseudo-random, section 6.6 */
#define BFP_TEST_PATTERN_ARGS_SIZE             1u
#define BFP_READ_REGISTER_ARG_CONVERTER        0u            /* u8 from 0 */
#define BFP_READ_REGISTER_ARG_ADDRESS          1u            /* u8 of the first register */
#define BFP_READ_REGISTER_ARG_COUNT            2u            /* u8 1-40 */
#define BFP_READ_REGISTER_ARGS_SIZE            3u
#define BFP_WRITE_REGISTER_ARG_CONVERTER       0u            /* u8 from 0 */
#define BFP_WRITE_REGISTER_ARG_ADDRESS         1u            /* u8 of the first register */
#define BFP_WRITE_REGISTER_ARGS_SIZE           2u
#define BFP_WRITE_REGISTER_RESULT_CONFIG_ID    0u            /* u8 of the samples from now on */
#define BFP_WRITE_REGISTER_RESULTS_SIZE        1u
#define BFP_RESET_COUNTERS_RESULT_BOOT_ID      0u            /* u32 random, new at every boot */
#define BFP_RESET_COUNTERS_RESULT_T_US         4u            /* u64 us the device's time now */
/* u64 every conversion below it was sent before this packet or is in `dropped` */
#define BFP_RESET_COUNTERS_RESULT_SAMPLE_INDEX 12u
#define BFP_RESET_COUNTERS_RESULT_DROPPED      20u           /* u64 of those, conversions the device could not send */
#define BFP_RESET_COUNTERS_RESULT_RX_ERRORS    28u           /* u32 faults in what the device received */
#define BFP_RESET_COUNTERS_RESULT_SUPPLY_MV    32u           /* u16 mV 0: not measured */
#define BFP_RESET_COUNTERS_RESULT_TEMPERATURE  34u           /* i16 0.1 deg C -32768: not measured */
#define BFP_RESET_COUNTERS_RESULTS_SIZE        36u
/* end */

/* Limits [10]. */
/* made: limits */
#define BFP_MIN_PACKET                         8u            /* bytes: shortest packet: common header and CRC */
#define BFP_MAX_PACKET                         655u          /* bytes: longest packet, CRC included, before COBS */
#define BFP_MAX_CODED                          658u          /* bytes: longest COBS form, without the delimiter */
#define BFP_MAX_CHANNELS                       64u           /* channels of a device */
#define BFP_MAX_SAMPLES                        32u           /* conversions in one DATA packet */
#define BFP_MAX_PAGE_CHANNELS                  16u           /* channels on one INFO page */
#define BFP_MAX_LABEL                          15u           /* bytes: channel label, UTF-8 */
#define BFP_MAX_COMMAND                        128u          /* bytes: COMMAND packet, CRC included */
#define BFP_MAX_RESPONSE                       64u           /* bytes: RESPONSE packet, CRC included */
#define BFP_MAX_COMMAND_PAYLOAD                116u          /* bytes: arguments of a COMMAND */
#define BFP_MAX_RESPONSE_PAYLOAD               40u           /* bytes: results in a RESPONSE */
#define BFP_MAX_LOG_TEXT                       639u          /* bytes: text of a LOG, UTF-8 */
#define BFP_MAX_HOST_PAYLOAD                   635u          /* bytes: payload of a HOST packet */
#define BFP_RESPONSE_TIMEOUT_MS                250u          /* ms: the host waits this long for a RESPONSE */
#define BFP_COMMAND_TRIES                      3u            /* times the host sends a COMMAND before it gives up */
#define BFP_CACHE_SIZE                         8u            /* commands the device remembers for repeats */
#define BFP_CACHE_MS                           1000u         /* ms: for how long it remembers them */
#define BFP_WATCHDOG_DEFAULT_MS                5000u         /* ms: watchdog of a START without arguments */
#define BFP_WATCHDOG_MIN_MS                    100u          /* ms: shortest watchdog (0 switches it off) */
#define BFP_WATCHDOG_MAX_MS                    3600000u      /* ms: longest watchdog */
#define BFP_INFO_PERIOD_MS                     1000u         /* ms: between two rounds of INFO */
#define BFP_HEARTBEAT_PERIOD_MS                1000u         /* ms: between two HEARTBEATs */
#define BFP_ARRIVAL_PERIOD_MS                  100u          /* ms: longest time an arrival waits to be recorded */
/* ms: bytes without a delimiter are recorded as RAW after this time */
#define BFP_RAW_AFTER_MS                       100u
#define BFP_MAX_LOAD_PERCENT                   90u           /* %: of the link's byte rate that may be planned for */
/* end */

/* Wire bytes of a packet of `length` bytes (its CRC among them) at most: COBS and the delimiter [2.2]. */
#define BFP_WIRE_SIZE(length) ((length) + ((length) + 253u) / 254u + 1u)

/* Longest packet that this decoder takes, and its longest COBS form. */
#ifdef BFP_BOARD
#define BFP_RX_PACKET BFP_MAX_COMMAND
#else
#define BFP_RX_PACKET BFP_MAX_PACKET
#endif
#define BFP_RX_CODED (BFP_RX_PACKET + (BFP_RX_PACKET + 253u) / 254u)

/* Byte 14 of DATA and byte 15 of INFO: samples are int24; with status words; channels per converter 8, 6 or 4. */
#define BFP_FORMAT(has_status, channels_per_converter) \
    ((uint8_t)(((has_status) ? 4u : 0u) | (8u - (channels_per_converter)) / 2u << 4))
#define BFP_FORMAT_BITS 0x37u /* the others are reserved */

/* ---- packets ------------------------------------------------------------------------------------------------- */

/* What the decoder found: a frame, or damage [7]. */
typedef struct {
    uint8_t fault;         /* BFP_FAULT_NONE: a frame */
    uint8_t type;          /* BFP_TYPE_...; of a frame, also of one this version does not know */
    uint16_t length;       /* wire bytes, delimiter left out */
    uint32_t offset;       /* stream position of the first of them, modulo 2^32 */
    const uint8_t *packet; /* without COBS, its CRC included; lies in the decoder, until it is used again. NULL if no
                              packet could be had from these bytes */
    uint16_t size;         /* bytes of the packet */
} bfp_found;

/* One struct for each type, with the fields of its table; `payload` is what follows them, as it stands on the wire.
 * How long it is follows from the other fields: bfp_payload_size().
 *
 * bfp_write_...() put a whole packet, COBS, CRC and delimiter, into `wire` and return its bytes. They return 0, and
 * write nothing, where a field among those that state the length is out of its range [7.2] or where `room` is less
 * than BFP_WIRE_SIZE(length of the packet). The payload is read where it lies (DATA: where DMA left it).
 *
 * bfp_read_...() take the fields from a frame of that type; `payload` then points into the decoder. */
/* made: packets */

/* DATA [4.1]: samples. */
#define BFP_DATA_SIZE                          16u           /* fixed part, without the CRC */
#define BFP_DATA_AT_SAMPLE_INDEX               4u
#define BFP_DATA_AT_T_US                       8u
#define BFP_DATA_AT_N_CHANNELS                 12u
#define BFP_DATA_AT_N_SAMPLES                  13u
#define BFP_DATA_AT_FORMAT                     14u
#define BFP_DATA_AT_CONFIG_ID                  15u
typedef struct {
    uint8_t flags;               /* section 3.3 */
    uint16_t link_seq;           /* +1 per packet of any type, given when handed to the UART */
    uint32_t sample_index;       /* low 32 bits of the first sample's conversion number */
    uint32_t t_us;               /* us: low 32 bits of the device's time at that sample's data-ready */
    uint8_t n_channels;          /* 1-64 */
    uint8_t n_samples;           /* 1-32, all of one config_id */
    /* b0-1 samples: 0 int24, 1 float32; b2 status words; b4-5 channels per converter: 0 8, 1 6, 2 4 */
    uint8_t format;
    uint8_t config_id;           /* the INFO that says what the samples mean */
    /* n_samples x (with status words: per converter a 3-byte word, then its samples; else n_channels samples) */
    const uint8_t *payload;
} bfp_data;
size_t bfp_write_data(const bfp_data *frame, uint8_t *wire, size_t room);
void bfp_read_data(const bfp_found *found, bfp_data *frame);

/* EVENT [4.2]: something that happened at a conversion. */
#define BFP_EVENT_SIZE                         20u           /* fixed part, without the CRC */
#define BFP_EVENT_AT_SAMPLE_INDEX              4u
#define BFP_EVENT_AT_T_US                      8u
#define BFP_EVENT_AT_SOURCE                    12u
#define BFP_EVENT_AT_CODE                      14u
#define BFP_EVENT_AT_VALUE                     16u
typedef struct {
    uint8_t flags;               /* section 3.3 */
    uint16_t link_seq;           /* +1 per packet of any type, given when handed to the UART */
    uint32_t sample_index;       /* low 32 bits of the conversion during which it happened */
    uint32_t t_us;               /* us: low 32 bits of the device's time */
    uint8_t source;              /* 1 trigger line, 2 button, 3 device */
    uint16_t code;               /* which event of that source */
    int32_t value;               /* whatever goes with the code */
} bfp_event;
size_t bfp_write_event(const bfp_event *frame, uint8_t *wire, size_t room);
void bfp_read_event(const bfp_found *found, bfp_event *frame);

/* INFO [4.3]: what the device is and what its samples mean. */
#define BFP_INFO_SIZE                          68u           /* fixed part, without the CRC */
#define BFP_INFO_AT_PAGE                       4u
#define BFP_INFO_AT_PAGES                      5u
#define BFP_INFO_AT_FIRST_CHANNEL              6u
#define BFP_INFO_AT_PAGE_CHANNELS              7u
#define BFP_INFO_AT_BOOT_ID                    8u
#define BFP_INFO_AT_CONFIG_ID                  12u
#define BFP_INFO_AT_STATE                      13u
#define BFP_INFO_AT_N_CHANNELS                 14u
#define BFP_INFO_AT_FORMAT                     15u
#define BFP_INFO_AT_RATE_NUM                   16u
#define BFP_INFO_AT_RATE_DEN                   20u
#define BFP_INFO_AT_N_SAMPLES                  24u
#define BFP_INFO_AT_LEAD_OFF                   25u
#define BFP_INFO_AT_DEVICE_ID                  28u
#define BFP_INFO_DEVICE_ID_BYTES               24u
#define BFP_INFO_AT_FIRMWARE                   52u
#define BFP_INFO_FIRMWARE_BYTES                16u
#define BFP_CHANNEL_SIZE                       24u           /* label and uV per count of one channel */
#define BFP_CHANNEL_LABEL_BYTES                16u           /* the last of them 0 */
typedef struct {
    uint8_t flags;               /* section 3.3 */
    uint16_t link_seq;           /* +1 per packet of any type, given when handed to the UART */
    uint8_t page;                /* 0 ... pages - 1 */
    uint8_t pages;               /* 1-64 */
    uint8_t first_channel;       /* channel number, from 0, of the page's first channel */
    uint8_t page_channels;       /* 1-16 channels on this page */
    uint32_t boot_id;            /* random, new at every boot */
    uint8_t config_id;           /* what this INFO describes */
    uint8_t state;               /* 0 idle, 1 streaming, 2 stopped by the watchdog */
    uint8_t n_channels;          /* 1-64 */
    uint8_t format;              /* as byte 14 of DATA */
    uint32_t rate_num;           /* Hz: nominal sampling rate, numerator */
    uint32_t rate_den;           /* and denominator */
    uint8_t n_samples;           /* 1-32, conversions in a full DATA packet */
    uint8_t lead_off;            /* 0 off, 1 DC, 2 AC 31.25 Hz, 3 AC rate/4 */
    uint8_t device_id[24];       /* UTF-8, filled up with 0 */
    uint8_t firmware[16];        /* version, UTF-8, filled up with 0 */
    /* page_channels x (label: 16 bytes, UTF-8, at most 15 used, filled up with 0; uV per count: binary64) */
    const uint8_t *payload;
} bfp_info;
size_t bfp_write_info(const bfp_info *frame, uint8_t *wire, size_t room);
void bfp_read_info(const bfp_found *found, bfp_info *frame);

/* RESPONSE [4.4]: answer to a COMMAND. */
#define BFP_RESPONSE_SIZE                      20u           /* fixed part, without the CRC */
#define BFP_RESPONSE_AT_REQUEST_ID             4u
#define BFP_RESPONSE_AT_OPCODE                 6u
#define BFP_RESPONSE_AT_STATUS                 7u
#define BFP_RESPONSE_AT_T_US                   8u
#define BFP_RESPONSE_AT_LENGTH                 16u
typedef struct {
    uint8_t flags;               /* section 3.3 */
    uint16_t link_seq;           /* +1 per packet of any type, given when handed to the UART */
    uint16_t request_id;         /* of the COMMAND it answers */
    uint8_t opcode;              /* of that COMMAND */
    uint8_t status;              /* section 5.4 */
    uint64_t t_us;               /* us: the device's time when the COMMAND's last byte came */
    uint8_t length;              /* bytes: 0-40 */
    const uint8_t *payload;      /* length bytes of results, section 5.3 */
} bfp_response;
size_t bfp_write_response(const bfp_response *frame, uint8_t *wire, size_t room);
void bfp_read_response(const bfp_found *found, bfp_response *frame);

/* HEARTBEAT [4.5]: the device's counters, once a second. */
#define BFP_HEARTBEAT_SIZE                     40u           /* fixed part, without the CRC */
#define BFP_HEARTBEAT_AT_BOOT_ID               4u
#define BFP_HEARTBEAT_AT_T_US                  8u
#define BFP_HEARTBEAT_AT_SAMPLE_INDEX          16u
#define BFP_HEARTBEAT_AT_DROPPED               24u
#define BFP_HEARTBEAT_AT_RX_ERRORS             32u
#define BFP_HEARTBEAT_AT_SUPPLY_MV             36u
#define BFP_HEARTBEAT_AT_TEMPERATURE           38u
typedef struct {
    uint8_t flags;               /* section 3.3 */
    uint16_t link_seq;           /* +1 per packet of any type, given when handed to the UART */
    uint32_t boot_id;            /* random, new at every boot */
    uint64_t t_us;               /* us: the device's time now */
    uint64_t sample_index;       /* every conversion below it was sent before this packet or is in `dropped` */
    uint64_t dropped;            /* of those, conversions the device could not send */
    uint32_t rx_errors;          /* faults in what the device received */
    uint16_t supply_mv;          /* mV: 0: not measured */
    int16_t temperature;         /* 0.1 deg C: -32768: not measured */
} bfp_heartbeat;
size_t bfp_write_heartbeat(const bfp_heartbeat *frame, uint8_t *wire, size_t room);
void bfp_read_heartbeat(const bfp_found *found, bfp_heartbeat *frame);

/* LOG [4.6]: text for people. */
#define BFP_LOG_SIZE                           12u           /* fixed part, without the CRC */
#define BFP_LOG_AT_T_US                        4u
#define BFP_LOG_AT_LEVEL                       8u
#define BFP_LOG_AT_LENGTH                      10u
typedef struct {
    uint8_t flags;               /* section 3.3 */
    uint16_t link_seq;           /* +1 per packet of any type, given when handed to the UART */
    uint32_t t_us;               /* us: low 32 bits of the device's time */
    uint8_t level;               /* 0 debug, 1 info, 2 warning, 3 error */
    uint16_t length;             /* bytes: 0-639 */
    const uint8_t *payload;      /* length bytes of text, UTF-8 */
} bfp_log;
size_t bfp_write_log(const bfp_log *frame, uint8_t *wire, size_t room);
void bfp_read_log(const bfp_found *found, bfp_log *frame);

/* COMMAND [5.1]: request of the host. */
#define BFP_COMMAND_SIZE                       8u            /* fixed part, without the CRC */
#define BFP_COMMAND_AT_REQUEST_ID              4u
#define BFP_COMMAND_AT_OPCODE                  6u
#define BFP_COMMAND_AT_LENGTH                  7u
typedef struct {
    uint8_t flags;               /* section 3.3 */
    uint16_t link_seq;           /* +1 per packet of any type, given when handed to the UART */
    uint16_t request_id;         /* random at first, then +1 per new request */
    uint8_t opcode;              /* section 5.3 */
    uint8_t length;              /* bytes: 0-116 */
    const uint8_t *payload;      /* length bytes of arguments, section 5.3 */
} bfp_command;
size_t bfp_write_command(const bfp_command *frame, uint8_t *wire, size_t room);
void bfp_read_command(const bfp_found *found, bfp_command *frame);

/* HOST [9.1]: note of a recording program; never on a wire. */
#define BFP_HOST_SIZE                          16u           /* fixed part, without the CRC */
#define BFP_HOST_AT_NONCE                      4u
#define BFP_HOST_AT_KIND                       12u
#define BFP_HOST_AT_LENGTH                     14u
/* end */

/* Bytes of the payload of a frame that was read; 0 where the type has none. */
uint16_t bfp_payload_size(const bfp_found *found);

/* Length with CRC that the header of a packet states, 0 for none [7.2]. `size`: bytes that are there. */
uint16_t bfp_stated_length(const uint8_t *packet, size_t size);

/* Any packet: `head` is its fixed part, `payload` what follows up to the CRC. For types of your own. 0: no room. */
size_t bfp_write(const uint8_t *head, size_t head_size, const uint8_t *payload, size_t payload_size, uint8_t *wire,
                 size_t room);

/* ---- samples [4.1] ------------------------------------------------------------------------------------------- */

/* Three bytes, most significant first: a sample, or a status word of bfp_status_word(). */
void bfp_put_int24(uint8_t *bytes, int32_t value);
int32_t bfp_get_int24(const uint8_t *bytes);

/* 1100, eight positive and eight negative lead-off bits (bit 0: the converter's first channel), four GPIO bits. */
int32_t bfp_status_word(uint8_t lead_off_p, uint8_t lead_off_n, uint8_t gpio);

/* Test patterns [6.6]; the low 32 bits of the conversion number are enough. */
int32_t bfp_ramp(uint32_t sample_index, uint8_t channel);
int32_t bfp_prbs(uint32_t sample_index, uint8_t channel);

/* uV per count as INFO carries it [4.3], without computing in floating point: ADS1299, reference of 4.5 V, by the
 * three GAIN bits of CHnSET (gain 1, 2, 4, 6, 8, 12, 24). */
extern const uint8_t bfp_ads1299_uv_per_count[7][8];

/* ---- decoder [7] --------------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t stretch[BFP_RX_CODED + 1u];
    uint16_t n;         /* bytes held */
    uint16_t told;      /* of these, bytes that events have told of */
    bool closed;        /* by a delimiter, or by bfp_finish() */
    bool ending;        /* by bfp_finish() */
    bool discarding;    /* up to the next delimiter */
    bool missing;       /* the fault missing-delimiter comes next */
    uint32_t offset;    /* stream position of stretch[0] */
    uint32_t discarded; /* bytes skipped behind undelimited stretches */
} bfp_decoder;

void bfp_decoder_init(bfp_decoder *decoder);

/* Take one byte off the wire. true: ask bfp_next() for events until it has none left, before the next byte: one that
 * comes earlier is lost.
 *
 *   if (bfp_receive(&decoder, byte))
 *       while (bfp_next(&decoder, &found))
 *           handle(&found);
 *
 * Both belong into one context, the main loop for instance; an interrupt only puts bytes into a ring. */
bool bfp_receive(bfp_decoder *decoder, uint8_t byte);
bool bfp_next(bfp_decoder *decoder, bfp_found *found);

/* The stream has ended: what is left is taken as if its delimiter came [7.1, 6]. true: ask bfp_next(). */
bool bfp_finish(bfp_decoder *decoder);

/* Status of a COMMAND by opcode, length and state, in this order [5.4]; its arguments are yours to check. */
uint8_t bfp_check_command(const bfp_command *command, bool streaming);

/* ---- building blocks ----------------------------------------------------------------------------------------- */

/* CRC-32C register after `n` bytes more [3.2]. Begin with 0xFFFFFFFF; the CRC is the complement of the last. */
uint32_t bfp_crc(uint32_t reg, const uint8_t *bytes, size_t n);

/* Numbers on the wire are little-endian, whatever the processor is. */
void bfp_put_u16(uint8_t *bytes, uint16_t value);
void bfp_put_u32(uint8_t *bytes, uint32_t value);
void bfp_put_u64(uint8_t *bytes, uint64_t value);
uint16_t bfp_get_u16(const uint8_t *bytes);
uint32_t bfp_get_u32(const uint8_t *bytes);
uint64_t bfp_get_u64(const uint8_t *bytes);

#ifdef __cplusplus
}
#endif
#endif
