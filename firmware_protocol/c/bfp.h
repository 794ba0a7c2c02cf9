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
 * made: sizes */
/* end */
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
/* end */

/* Limits [10]. */
/* made: limits */
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
} bfp_event;

/* One struct for each type, with the fields of its table; `payload` is what follows them, as it stands on the wire.
 * How long it is follows from the other fields: bfp_payload_size().
 *
 * bfp_write_...() put a whole packet, COBS, CRC and delimiter, into `wire` and return its bytes. They return 0, and
 * write nothing, where a field among those that state the length is out of its range [7.2] or where `room` is less
 * than BFP_WIRE_SIZE(length of the packet). The payload is read where it lies (DATA: where DMA left it).
 *
 * bfp_read_...() take the fields from a frame of that type; `payload` then points into the decoder. */
/* made: packets */
/* end */

/* Bytes of the payload of a frame that was read; 0 where the type has none. */
uint16_t bfp_payload_size(const bfp_event *frame);

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

/* Take one byte off the wire. true: ask bfp_next() for events until it has none left, before the next byte.
 *
 *   if (bfp_receive(&decoder, byte))
 *       while (bfp_next(&decoder, &event))
 *           handle(&event);
 *
 * Both belong into one context, the main loop for instance; an interrupt only puts bytes into a ring. */
bool bfp_receive(bfp_decoder *decoder, uint8_t byte);
bool bfp_next(bfp_decoder *decoder, bfp_event *event);

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
