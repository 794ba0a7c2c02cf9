/* An ADS1299 behind spi_select() and spi_exchange(): registers, and the burst of a conversion (Texas Instruments,
 * SBAS499C, sections 9.5 and 9.6). */
#ifndef ADS1299_H
#define ADS1299_H

#include "board.h"

enum {
    ADS1299_ID, ADS1299_CONFIG1, ADS1299_CONFIG2, ADS1299_CONFIG3, ADS1299_LOFF, ADS1299_CH1SET,
    ADS1299_LOFF_SENSP = 0x0F, ADS1299_LOFF_SENSN = 0x10, ADS1299_LOFF_STATP = 0x12, ADS1299_LOFF_STATN = 0x13,
    ADS1299_GPIO = 0x14, ADS1299_REGISTERS = 0x18
};

enum { /* commands on the bus */
    ADS1299_WAKEUP = 0x02, ADS1299_STANDBY = 0x04, ADS1299_RESET = 0x06, ADS1299_START = 0x08, ADS1299_STOP = 0x0A,
    ADS1299_RDATAC = 0x10, ADS1299_SDATAC = 0x11, ADS1299_RDATA = 0x12, ADS1299_RREG = 0x20, ADS1299_WREG = 0x40
};

#define ADS1299_IS_8_CHANNELS 0x3Eu /* ID register: ADS1299, eight channels */
#define ADS1299_POWER_DOWN 0x80u    /* CHnSET */
#define ADS1299_MUX_TEST 5u

/* Reset it and set it up for electrodes; false: what answers on the bus is no ADS1299. */
bool ads1299_init(void);

/* Both work while it converts, between two data-readys, and cost no conversion. ads1299_write() reads back what it
 * wrote; false: the converter did not take it, and has what it had. */
void ads1299_read(uint8_t first, uint8_t *values, uint8_t n);
bool ads1299_write(uint8_t first, const uint8_t *values, uint8_t n);

/* Burst of the newest conversion, after data-ready. From the interrupt. */
void ads1299_conversion(uint8_t burst[CONVERSION_BYTES]);

#endif
