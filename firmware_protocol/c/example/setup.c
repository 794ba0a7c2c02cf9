/* What the board measures and how. The converter's registers are the truth of it; what is kept here is what they cannot
 * tell: the inputs to go back to when the test signal ends. */

#include "setup.h"

#include "ads1299.h"
#include "stream.h"

enum { N_OCTAVES = 7, ALL_CHANNELS = 255 };

#define SLOWEST_HZ 250u

static bool works; /* there is a converter, and it obeys */
static uint8_t octave, lead_off, test_signal, pattern;
static uint8_t channels[N_CHANNELS]; /* CHnSET without the test signal */

void setup_init(void)
{
    octave = lead_off = test_signal = pattern = 0;
    works = ads1299_init();
    if (works)
        ads1299_read(ADS1299_CH1SET, channels, N_CHANNELS);
}

static bool write(uint8_t first, const uint8_t *values, uint8_t n)
{
    return works && ads1299_write(first, values, n);
}

static uint8_t done(bool obeyed)
{
    return obeyed ? BFP_STATUS_OK : BFP_STATUS_FAILED;
}

static void copy_channels(uint8_t *to, const uint8_t *from)
{
    uint8_t k;

    for (k = 0; k < N_CHANNELS; k++)
        to[k] = from[k];
}

/* Write CHnSET of all channels, with `signal` in place of the electrodes. */
static bool switch_inputs(const uint8_t *wanted, uint8_t signal)
{
    uint8_t values[N_CHANNELS], k;

    copy_channels(values, wanted);
    if (signal != BFP_TEST_SIGNAL_OFF)
        for (k = 0; k < N_CHANNELS; k++)
            values[k] = (uint8_t)((values[k] & ~7u) | ADS1299_MUX_TEST);
    return write(ADS1299_CH1SET, values, N_CHANNELS);
}

uint8_t setup_rate(const uint8_t *arguments)
{
    uint64_t num = bfp_get_u32(arguments + BFP_SET_RATE_ARG_RATE_NUM);
    uint64_t den = bfp_get_u32(arguments + BFP_SET_RATE_ARG_RATE_DEN);
    uint8_t k, config1;

    for (k = 0; k < N_OCTAVES; k++)
        if (den != 0u && den * SLOWEST_HZ << k == num)
            break;
    if (k == N_OCTAVES)
        return BFP_STATUS_BAD_ARGUMENT; /* each rate is a multiple of 31.25 Hz, so AC lead-off refuses none */
    config1 = (uint8_t)(0x96u - k);
    if (!write(ADS1299_CONFIG1, &config1, 1))
        return BFP_STATUS_FAILED;
    octave = k;
    return BFP_STATUS_OK;
}

uint8_t setup_channel(const uint8_t *arguments)
{
    static const uint8_t gains[7] = {1, 2, 4, 6, 8, 12, 24};
    uint8_t channel = arguments[BFP_SET_CHANNEL_ARG_CHANNEL], gain = arguments[BFP_SET_CHANNEL_ARG_GAIN];
    uint8_t mux = arguments[BFP_SET_CHANNEL_ARG_MUX], power = arguments[BFP_SET_CHANNEL_ARG_POWER];
    uint8_t wanted[N_CHANNELS], code, k;

    for (code = 0; code < 7u; code++)
        if (gains[code] == gain)
            break;
    if ((channel >= N_CHANNELS && channel != ALL_CHANNELS) || code == 7u || mux > 7u || power > 1u)
        return BFP_STATUS_BAD_ARGUMENT;
    copy_channels(wanted, channels);
    for (k = 0; k < N_CHANNELS; k++)
        if (channel == k || channel == ALL_CHANNELS)
            wanted[k] = (uint8_t)((power == 0u ? ADS1299_POWER_DOWN : 0u) | (uint8_t)(code << 4) | mux);
    if (!switch_inputs(wanted, test_signal))
        return BFP_STATUS_FAILED;
    copy_channels(channels, wanted);
    return BFP_STATUS_OK;
}

uint8_t setup_lead_off(const uint8_t *arguments)
{
    uint8_t mode = arguments[BFP_LEAD_OFF_ARG_MODE];
    uint8_t loff = mode == BFP_LEAD_OFF_AC_31_25_HZ ? 2u : mode == BFP_LEAD_OFF_AC_QUARTER_RATE ? 3u : 0u;
    uint8_t inputs[2]; /* LOFF_SENSP, LOFF_SENSN */

    if (mode > BFP_LEAD_OFF_AC_QUARTER_RATE)
        return BFP_STATUS_BAD_ARGUMENT;
    inputs[0] = inputs[1] = mode == BFP_LEAD_OFF_OFF ? 0x00 : 0xFF;
    if (!write(ADS1299_LOFF, &loff, 1) || !write(ADS1299_LOFF_SENSP, inputs, 2))
        return BFP_STATUS_FAILED;
    lead_off = mode;
    return BFP_STATUS_OK;
}

uint8_t setup_test_signal(const uint8_t *arguments)
{
    static const uint8_t generator[4] = {0x00, 0x10, 0x11, 0x13}; /* off, slow, fast, DC */
    uint8_t mode = arguments[BFP_TEST_SIGNAL_ARG_MODE], amplitude = arguments[BFP_TEST_SIGNAL_ARG_AMPLITUDE];
    uint8_t config2;

    if (mode > BFP_TEST_SIGNAL_DC || amplitude < 1u || amplitude > 2u)
        return BFP_STATUS_BAD_ARGUMENT;
    config2 = (uint8_t)(0xC0u | generator[mode] | (amplitude - 1u) << 2);
    if (!write(ADS1299_CONFIG2, &config2, 1) || !switch_inputs(channels, mode))
        return BFP_STATUS_FAILED;
    test_signal = mode;
    return BFP_STATUS_OK;
}

uint8_t setup_pattern(const uint8_t *arguments)
{
    if (arguments[BFP_TEST_PATTERN_ARG_PATTERN] > BFP_PATTERN_PRBS)
        return BFP_STATUS_BAD_ARGUMENT;
    pattern = arguments[BFP_TEST_PATTERN_ARG_PATTERN];
    stream_pattern(pattern);
    return BFP_STATUS_OK;
}

/* ---- registers ----------------------------------------------------------------------------------------------- */

static bool is_free(uint8_t address, uint8_t value)
{
    switch (address) {
    case ADS1299_ID: /* of the converter itself */
    case ADS1299_LOFF_STATP:
    case ADS1299_LOFF_STATN:
    case ADS1299_CONFIG1: /* of a command */
    case ADS1299_CONFIG2:
    case ADS1299_LOFF:
    case ADS1299_LOFF_SENSP:
    case ADS1299_LOFF_SENSN:
        return false;
    default: /* of CHnSET the gain code 7 does not exist */
        return address < ADS1299_CH1SET || address >= ADS1299_CH1SET + N_CHANNELS || (value >> 4 & 7u) != 7u;
    }
}

uint8_t setup_write_register(const uint8_t *arguments, uint8_t n_values)
{
    uint8_t address = arguments[BFP_WRITE_REGISTER_ARG_ADDRESS], k;
    const uint8_t *values = arguments + BFP_WRITE_REGISTER_ARGS_SIZE;

    if (arguments[BFP_WRITE_REGISTER_ARG_CONVERTER] != 0u || address + n_values > ADS1299_REGISTERS)
        return BFP_STATUS_BAD_ARGUMENT;
    for (k = 0; k < n_values; k++)
        if (!is_free((uint8_t)(address + k), values[k]))
            return BFP_STATUS_BAD_ARGUMENT;
    if (!write(address, values, n_values))
        return BFP_STATUS_FAILED;
    for (k = 0; k < n_values; k++)
        if (address + k >= ADS1299_CH1SET && address + k < ADS1299_CH1SET + (int)N_CHANNELS)
            channels[address + k - ADS1299_CH1SET] = values[k];
    return BFP_STATUS_OK;
}

uint8_t setup_read_register(const uint8_t *arguments, uint8_t *values)
{
    uint8_t address = arguments[BFP_READ_REGISTER_ARG_ADDRESS], n = arguments[BFP_READ_REGISTER_ARG_COUNT];

    if (arguments[BFP_READ_REGISTER_ARG_CONVERTER] != 0u || n == 0u || address + n > ADS1299_REGISTERS)
        return BFP_STATUS_BAD_ARGUMENT;
    if (works)
        ads1299_read(address, values, n);
    return done(works);
}

/* ---- what it is ---------------------------------------------------------------------------------------------- */

uint32_t setup_rate_hz(void)
{
    return SLOWEST_HZ << octave;
}

uint8_t setup_flags(void)
{
    uint8_t flags = 0;

    if (test_signal != BFP_TEST_SIGNAL_OFF || pattern != BFP_PATTERN_OFF)
        flags |= BFP_FLAG_TEST_SIGNAL;
    if (lead_off == BFP_LEAD_OFF_AC_31_25_HZ || lead_off == BFP_LEAD_OFF_AC_QUARTER_RATE)
        flags |= BFP_FLAG_AC_LEAD_OFF;
    return flags;
}

void setup_describe(settings *info)
{
    uint8_t k;

    info->lead_off = lead_off;
    info->octave = octave;
    for (k = 0; k < N_CHANNELS; k++)
        info->gain[k] = channels[k] >> 4 & 7u;
}
