/* How many instructions coding takes: `make bench`. QEMU counts an instruction as a nanosecond of its clock, and the
 * counter of the board ticks once in 40 of them. Each line is a name and a number. */

#include "bfp.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define UART_DATA REGISTER(0x40004000u)
#define UART_STATE REGISTER(0x40004004u)
#define UART_CTRL REGISTER(0x40004008u)
#define UART_DIVIDER REGISTER(0x40004010u)
#define COUNTER REGISTER(0x40028018u)
#define COUNTER_PRESCALE REGISTER(0x4002801Cu)
#define INSTRUCTIONS_A_TICK 40u

enum { ROUNDS = 500, PAYLOAD = 4 * 27 };

void uart_rx_interrupt(void); /* as the vector table of startup.c names them; none comes */
void timer0_interrupt(void);
void timer1_interrupt(void);

void uart_rx_interrupt(void)
{
}

void timer0_interrupt(void)
{
}

void timer1_interrupt(void)
{
}

static uint8_t payload[PAYLOAD], wire[BFP_WIRE_SIZE(BFP_DATA_SIZE + PAYLOAD + BFP_CRC_SIZE)];
static bfp_decoder decoder;

static void say(const char *text)
{
    while (*text != '\0') {
        while ((UART_STATE & 1u) != 0u)
            ;
        UART_DATA = (uint8_t)*text++;
    }
}

static void say_number(uint32_t number)
{
    char digits[11] = {0};
    char *at = digits + 10;

    do
        *--at = (char)('0' + number % 10u);
    while ((number /= 10u) != 0u);
    say(at);
}

static void tell(const char *name, uint32_t ticks, uint32_t rounds)
{
    say(name);
    say(" ");
    say_number(ticks * INSTRUCTIONS_A_TICK / rounds);
    say("\n");
}

static uint32_t encode(void)
{
    bfp_data frame = {.n_channels = 8, .n_samples = 4, .format = BFP_FORMAT(true, 8), .payload = payload};
    uint32_t begin = COUNTER, k;

    for (k = 0; k < ROUNDS; k++)
        (void)bfp_write_data(&frame, wire, sizeof wire);
    return COUNTER - begin;
}

static uint32_t hear(void)
{
    uint8_t arguments[4] = {0xD0, 0x07, 0, 0};
    bfp_command command = {.request_id = 0x1234, .opcode = BFP_OP_START, .length = 4, .payload = arguments};
    size_t n = bfp_write_command(&command, wire, sizeof wire), at;
    bfp_found found;
    uint32_t begin = COUNTER, k;

    bfp_decoder_init(&decoder);
    for (k = 0; k < ROUNDS; k++)
        for (at = 0; at < n; at++)
            if (bfp_receive(&decoder, wire[at]))
                while (bfp_next(&decoder, &found))
                    bfp_read_command(&found, &command);
    return COUNTER - begin;
}

int main(void)
{
    uint32_t ticks, k;

    COUNTER_PRESCALE = 0;
    UART_DIVIDER = 16;
    UART_CTRL = 1;
    for (k = 0; k < PAYLOAD; k++)
        payload[k] = (uint8_t)(k * 37u + 1u);
    ticks = encode();
    tell("encode-data", ticks, ROUNDS);
    tell("encode-per-payload-byte-times-100", ticks, ROUNDS * PAYLOAD / 100u);
    for (k = 0; k < PAYLOAD; k++)
        payload[k] = 0; /* every byte ends a COBS block */
    ticks = encode();
    tell("encode-zeros-per-payload-byte-times-100", ticks, ROUNDS * PAYLOAD / 100u);
    ticks = COUNTER;
    for (k = 0; k < ROUNDS; k++)
        (void)bfp_crc(0xFFFFFFFFu, payload, PAYLOAD);
    tell("crc-per-byte-times-100", COUNTER - ticks, ROUNDS * PAYLOAD / 100u);
    tell("hear-start-command", hear(), ROUNDS);
    say("end\n");
    return 0; /* start-up code then resets the board, which ends a QEMU with -no-reboot */
}
