/* A PC in place of the board. Interrupts are calls between two rounds of the main loop, in the order of their times. */

#include "board_host.h"

#include <stdlib.h>
#include <string.h>

#include "ads1299_model.h"
#include "device.h"
#include "stream.h"
#include "uart.h"

#define TICK_HALF_US 2000u /* of the UART: 1 ms */

enum { LINE = 1 << 20, ROUNDS = 16 }; /* bytes under way in each direction; of the main loop after each interrupt */

static uint64_t now_half_us, tick_half_us;
static uint32_t boot;
static uint64_t half_period, ready_half_us; /* of conversions; 0: none are made */
static uint32_t conversions, converted;
static uint32_t locked;
static uint8_t to_board[LINE], from_board[LINE];
static size_t to_board_in, to_board_out, from_board_in;

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* ---- what board.h asks for ----------------------------------------------------------------------------------- */

void board_init(void)
{
}

void board_idle(void)
{
}

uint64_t board_time_us(void)
{
    return now_half_us / 2u;
}

uint32_t board_lock(void)
{
    return locked++;
}

void board_unlock(uint32_t before)
{
    must(before == --locked); /* each lock is opened, the last one first */
}

uint32_t board_boot_id(void)
{
    return boot;
}

uint16_t board_supply_mv(void)
{
    return 3300;
}

int16_t board_temperature(void)
{
    return 365;
}

void board_convert(uint32_t rate_hz)
{
    half_period = rate_hz == 0u ? 0u : 2000000u / rate_hz;
    ready_half_us = now_half_us;
    conversions = 0;
}

uint32_t board_conversions(uint32_t *t_us)
{
    uint64_t n = half_period == 0u ? 0u : (now_half_us - ready_half_us) / half_period;

    if (n > 0u) {
        conversions += (uint32_t)n;
        converted += (uint32_t)n;
        ready_half_us += n * half_period;
        ads1299_model_convert(converted - 1u);
    }
    *t_us = (uint32_t)(ready_half_us / 2u);
    return conversions;
}

bool board_uart_put(uint8_t byte)
{
    if (from_board_in == LINE)
        return false;
    from_board[from_board_in++] = byte;
    return true;
}

/* ---- what a test does ---------------------------------------------------------------------------------------- */

void host_boot(uint32_t boot_id)
{
    now_half_us = tick_half_us = 0;
    boot = boot_id;
    half_period = 0;
    conversions = converted = locked = 0;
    to_board_in = to_board_out = from_board_in = 0;
    ads1299_model_power_up();
    device_init();
}

void host_receive(const uint8_t *bytes, size_t n)
{
    if (to_board_out == to_board_in)
        to_board_out = to_board_in = 0;
    must(to_board_in + n <= LINE);
    memcpy(to_board + to_board_in, bytes, n);
    to_board_in += n;
}

static void go_round(void)
{
    int k;

    for (k = 0; k < ROUNDS; k++)
        device_step();
    must(locked == 0u);
}

static void tick(void)
{
    size_t k;

    for (k = 0; k < BAUD / 10000u && to_board_out < to_board_in; k++)
        uart_received(to_board[to_board_out++], board_time_us());
    uart_tick(board_time_us());
}

void host_run(uint32_t us)
{
    uint64_t end = now_half_us + 2u * (uint64_t)us;

    while (now_half_us < end) {
        uint64_t next = end;
        if (half_period != 0u && ready_half_us + half_period < next)
            next = ready_half_us + half_period;
        if (tick_half_us < next)
            next = tick_half_us;
        if (next > now_half_us) /* else it is late */
            now_half_us = next;
        if (half_period != 0u && now_half_us >= ready_half_us + half_period)
            stream_data_ready();
        if (now_half_us >= tick_half_us) {
            tick_half_us = now_half_us + TICK_HALF_US;
            tick();
        }
        go_round();
    }
}

void host_stall(uint32_t us)
{
    now_half_us += 2u * (uint64_t)us;
}

size_t host_sent(uint8_t *bytes, size_t room)
{
    size_t n = from_board_in < room ? from_board_in : room;

    memcpy(bytes, from_board, n);
    memmove(from_board, from_board + n, from_board_in - n);
    from_board_in -= n;
    return n;
}
