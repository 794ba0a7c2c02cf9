/* What the board measures and how: the commands that change it [5.3]. Each function is a command, with its arguments as
 * they came, and returns its status; only BFP_STATUS_OK has changed anything. */
#ifndef SETUP_H
#define SETUP_H

#include "outbox.h"

void setup_init(void);

uint8_t setup_rate(const uint8_t *arguments);
uint8_t setup_channel(const uint8_t *arguments);
uint8_t setup_lead_off(const uint8_t *arguments);
uint8_t setup_test_signal(const uint8_t *arguments);
uint8_t setup_pattern(const uint8_t *arguments);
uint8_t setup_write_register(const uint8_t *arguments, uint8_t n_values);
uint8_t setup_read_register(const uint8_t *arguments, uint8_t *values);

uint32_t setup_rate_hz(void);
uint8_t setup_flags(void);          /* b2 and b3 of DATA */
void setup_describe(settings *info); /* all of it but state and config_id */

#endif
