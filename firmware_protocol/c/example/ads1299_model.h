/* A converter that is not there: it answers spi_select() and spi_exchange() as an ADS1299 does. A board with the real
 * part leaves this file out. */
#ifndef ADS1299_MODEL_H
#define ADS1299_MODEL_H

#include "ads1299.h"

void ads1299_model_power_up(void);

/* Conversion `number` (from 0 at power-up) becomes ready; what was not read of the one before is gone. */
void ads1299_model_convert(uint32_t number);

/* Electrodes that are off, bit 0 for channel 1: what the lead-off comparators find while their excitation is on. */
void ads1299_model_electrodes(uint8_t off_p, uint8_t off_n);

#endif
