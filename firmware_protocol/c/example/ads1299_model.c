/* A model of an ADS1299 at its bus: register file with resets, modes, status word, test signal, lead-off bits (Texas
 * Instruments, SBAS499C). Integers only.
 *
 * At the electrodes lies something like an EEG at rest: a 10 Hz rhythm, strongest at the back of the head, and noise.
 * Level and phase of a signal follow from the number of the conversion alone. */

#include "ads1299_model.h"

enum { IDLE, ADDRESS_OF_READ, ADDRESS_OF_WRITE, READING, WRITING, SHIFTING }; /* what the next byte on the bus is */

#define FULL_SCALE 8388607 /* counts */

static uint8_t registers[ADS1299_REGISTERS];
static uint8_t burst[CONVERSION_BYTES];
static bool continuous; /* RDATAC: registers do not answer */
static bool fresh;      /* first byte since it was selected */
static uint8_t next, at, left;
static uint8_t electrodes_off_p, electrodes_off_n;

static void reset(void)
{
    uint8_t k;

    for (k = 0; k < ADS1299_REGISTERS; k++)
        registers[k] = 0;
    registers[ADS1299_ID] = ADS1299_IS_8_CHANNELS;
    registers[ADS1299_CONFIG1] = 0x96; /* 250 conversions a second */
    registers[ADS1299_CONFIG2] = 0xC0;
    registers[ADS1299_CONFIG3] = 0x60;
    registers[ADS1299_GPIO] = 0x0F;
    for (k = 0; k < N_CHANNELS; k++)
        registers[ADS1299_CH1SET + k] = 0x61; /* gain of 24, inputs shorted */
    continuous = true;
}

void ads1299_model_power_up(void)
{
    uint8_t k;

    reset();
    for (k = 0; k < CONVERSION_BYTES; k++)
        burst[k] = 0;
    fresh = false;
    next = IDLE;
    at = left = 0;
    electrodes_off_p = electrodes_off_n = 0;
}

void ads1299_model_electrodes(uint8_t off_p, uint8_t off_n)
{
    electrodes_off_p = off_p;
    electrodes_off_n = off_n;
}

/* ---- conversions --------------------------------------------------------------------------------------------- */

/* Half a wave of a sine by a parabola, for a phase of 2^32 a turn: -1024 ... 1024. */
static int32_t wave(uint32_t phase)
{
    int32_t x = (int32_t)(phase >> 20 & 0x7FFu) - 1024; /* twice a turn from -1024 to 1023 */
    int32_t half = 1024 - (x * x >> 10);

    return phase >> 31 != 0u ? -half : half;
}

/* nV at a channel's input: a rhythm of 10 Hz of 6 to 20 uV, and 4 uV of noise. */
static int32_t electrode_nv(uint32_t number, uint8_t channel)
{
    uint32_t turn = 0xFFFFFFFFu / 1600u << (registers[ADS1299_CONFIG1] & 7u); /* 10 Hz of 16 kHz, 8 kHz ... */
    int32_t rhythm = wave(number * turn + channel * 0x08000000u) * (6000 + 2000 * channel) / 1024;

    return rhythm + (bfp_prbs(number, channel) >> 11);
}

/* +-VREF / 2400, or twice that: positive from conversion 0 on, half a period of 2^20 (fast: 2^19) converter clocks. */
static int32_t test_counts(uint32_t number, int32_t gain)
{
    uint8_t config2 = registers[ADS1299_CONFIG2];
    uint32_t log2_half = 13u - (registers[ADS1299_CONFIG1] & 7u) - (config2 & 1u);
    int32_t level = gain * ((config2 & 4u) != 0u ? 2 * FULL_SCALE : FULL_SCALE) / 2400;

    if ((config2 & 0x10u) == 0u)
        return 0; /* the generator is off */
    return (config2 & 3u) != 3u && (number >> log2_half & 1u) != 0u ? -level : level;
}

static int32_t counts(uint32_t number, uint8_t channel)
{
    static const uint8_t gains[8] = {1, 2, 4, 6, 8, 12, 24, 24};
    uint8_t set = registers[ADS1299_CH1SET + channel];
    int32_t gain = gains[set >> 4 & 7u];

    if ((set & ADS1299_POWER_DOWN) != 0u)
        return 0;
    switch (set & 7u) {
    case 0: /* electrode; 1 nV is 1/536.4 of a count at a gain of 1 */
        return electrode_nv(number, channel) * gain / 536;
    case ADS1299_MUX_TEST:
        return test_counts(number, gain);
    default: /* inputs shorted, and what else lies inside the part */
        return (bfp_prbs(number, channel) >> 20) * gain / 24;
    }
}

void ads1299_model_convert(uint32_t number)
{
    uint8_t k;

    /* A comparator with its excitation off finds nothing. */
    registers[ADS1299_LOFF_STATP] = electrodes_off_p & registers[ADS1299_LOFF_SENSP];
    registers[ADS1299_LOFF_STATN] = electrodes_off_n & registers[ADS1299_LOFF_SENSN];
    bfp_put_int24(burst, bfp_status_word(registers[ADS1299_LOFF_STATP], registers[ADS1299_LOFF_STATN],
                                         registers[ADS1299_GPIO] >> 4));
    for (k = 0; k < N_CHANNELS; k++)
        bfp_put_int24(burst + 3u + 3u * k, counts(number, k));
}

/* ---- bus ----------------------------------------------------------------------------------------------------- */

static bool is_writable(uint8_t address)
{
    return address < ADS1299_REGISTERS && address != ADS1299_ID && address != ADS1299_LOFF_STATP &&
           address != ADS1299_LOFF_STATN;
}

static void obey(uint8_t opcode)
{
    if (opcode == ADS1299_RDATAC || opcode == ADS1299_SDATAC) {
        continuous = opcode == ADS1299_RDATAC;
    } else if (opcode == ADS1299_RESET) {
        reset();
    } else if (!continuous && opcode == ADS1299_RDATA) {
        next = SHIFTING;
        at = 0;
    } else if (!continuous && ((opcode & 0xE0u) == ADS1299_RREG || (opcode & 0xE0u) == ADS1299_WREG)) {
        next = (opcode & 0xE0u) == ADS1299_RREG ? ADDRESS_OF_READ : ADDRESS_OF_WRITE;
        at = opcode & 31u;
    }
}

static uint8_t shifted(void)
{
    return at < CONVERSION_BYTES ? burst[at++] : 0;
}

void spi_select(bool selected)
{
    fresh = selected;
    next = IDLE;
    at = 0;
}

uint8_t spi_exchange(uint8_t out)
{
    uint8_t in = 0;

    switch (next) {
    case ADDRESS_OF_READ:
    case ADDRESS_OF_WRITE:
        left = (uint8_t)((out & 31u) + 1u);
        next = next == ADDRESS_OF_READ ? READING : WRITING;
        break;
    case READING:
        in = at < ADS1299_REGISTERS ? registers[at] : 0;
        at++;
        next = --left > 0u ? READING : IDLE;
        break;
    case WRITING:
        if (is_writable(at))
            registers[at] = out;
        at++;
        next = --left > 0u ? WRITING : IDLE;
        break;
    case SHIFTING:
        in = shifted();
        break;
    default:
        if (fresh && out != 0u) {
            obey(out);
        } else if (continuous) { /* with zeros on its input it shifts the conversion out */
            next = SHIFTING;
            in = shifted();
        }
        break;
    }
    fresh = false;
    return in;
}
