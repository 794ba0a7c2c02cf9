/* An ADS1299 behind SPI.
 *
 * It powers up in "read data continuously" (RDATAC): whatever is clocked out is the last conversion, and registers do
 * not answer. So each access to registers is SDATAC, RREG or WREG, RDATAC, with the data-ready interrupt kept away; a
 * conversion that becomes ready meanwhile is read right after. */

#include "ads1299.h"

static void command(uint8_t opcode)
{
    spi_select(true);
    (void)spi_exchange(opcode); /* a real bus waits 4 t_CLK, 2 us, behind each command byte (SBAS499C, 9.5.3) */
    spi_select(false);
}

static void read_registers(uint8_t first, uint8_t *values, uint8_t n)
{
    spi_select(true);
    (void)spi_exchange((uint8_t)(ADS1299_RREG | first));
    (void)spi_exchange((uint8_t)(n - 1u));
    while (n-- > 0u)
        *values++ = spi_exchange(0);
    spi_select(false);
}

static void write_registers(uint8_t first, const uint8_t *values, uint8_t n)
{
    spi_select(true);
    (void)spi_exchange((uint8_t)(ADS1299_WREG | first));
    (void)spi_exchange((uint8_t)(n - 1u));
    while (n-- > 0u)
        (void)spi_exchange(*values++);
    spi_select(false);
}

void ads1299_read(uint8_t first, uint8_t *values, uint8_t n)
{
    uint32_t before = board_lock();

    command(ADS1299_SDATAC);
    read_registers(first, values, n);
    command(ADS1299_RDATAC);
    board_unlock(before);
}

/* GPIO holds the levels of its input pins, whatever is written. */
static bool is_as_written(uint8_t first, const uint8_t *wanted, const uint8_t *found, uint8_t n)
{
    uint8_t k;

    for (k = 0; k < n; k++)
        if (wanted[k] != found[k] && first + k != ADS1299_GPIO)
            return false;
    return true;
}

bool ads1299_write(uint8_t first, const uint8_t *values, uint8_t n)
{
    uint8_t old[ADS1299_REGISTERS], found[ADS1299_REGISTERS];
    uint32_t before = board_lock();
    bool done;

    command(ADS1299_SDATAC);
    read_registers(first, old, n);
    write_registers(first, values, n);
    read_registers(first, found, n);
    done = is_as_written(first, values, found, n);
    if (!done)
        write_registers(first, old, n);
    command(ADS1299_RDATAC);
    board_unlock(before);
    return done;
}

bool ads1299_init(void)
{
    static const uint8_t internal_reference = 0xE0; /* CONFIG3: reference buffer on */
    static const uint8_t electrodes[N_CHANNELS] = {0x60, 0x60, 0x60, 0x60, 0x60, 0x60, 0x60, 0x60}; /* gain of 24 */
    uint8_t id;

    command(ADS1299_SDATAC);
    command(ADS1299_RESET);
    command(ADS1299_SDATAC); /* a reset brings RDATAC back */
    read_registers(ADS1299_ID, &id, 1);
    return id == ADS1299_IS_8_CHANNELS && ads1299_write(ADS1299_CONFIG3, &internal_reference, 1) &&
           ads1299_write(ADS1299_CH1SET, electrodes, N_CHANNELS);
}

void ads1299_conversion(uint8_t burst[CONVERSION_BYTES])
{
    uint8_t k;

    spi_select(true); /* 27 bytes; on a board with DMA, the transfer that data-ready starts */
    for (k = 0; k < CONVERSION_BYTES; k++)
        burst[k] = spi_exchange(0);
    spi_select(false);
}
