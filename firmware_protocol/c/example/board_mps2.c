/* The board: Arm's MPS2 with its AN385 image (a Cortex-M3 at 25 MHz), as QEMU models it (`-M mps2-an385`).
 *
 *   FPGAIO counter     free-running microseconds, the clock of everything
 *   CMSDK timer 0      stands for the converter's data-ready pin
 *   CMSDK timer 1      1 ms: bytes to the UART
 *   CMSDK UART 0       the host
 *
 * There is no converter on this board: ads1299_model.c answers on the bus. */

#include "ads1299_model.h"
#include "stream.h"
#include "uart.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define CLOCK_HZ 25000000u

/* CMSDK timers. */
#define TIMER0 0x40000000u
#define TIMER1 0x40001000u
#define TIMER_CTRL(timer) REGISTER((timer) + 0x0u)
#define TIMER_VALUE(timer) REGISTER((timer) + 0x4u)
#define TIMER_RELOAD(timer) REGISTER((timer) + 0x8u)
#define TIMER_CLEAR(timer) REGISTER((timer) + 0xCu)
#define TIMER_ON 9u /* enable, interrupt */

/* CMSDK UART 0. */
#define UART_DATA REGISTER(0x40004000u)
#define UART_STATE REGISTER(0x40004004u)
#define UART_CTRL REGISTER(0x40004008u)
#define UART_CLEAR REGISTER(0x4000400Cu)
#define UART_DIVIDER REGISTER(0x40004010u)
#define UART_TX_FULL 1u
#define UART_RX_FULL 2u
#define UART_ON 0xBu /* send, receive, interrupt on receiving */

/* FPGAIO. */
#define COUNTER REGISTER(0x40028018u)
#define COUNTER_PRESCALE REGISTER(0x4002801Cu)

/* Cortex-M3. */
#define NVIC_ENABLE REGISTER(0xE000E100u)
#define NVIC_PRIORITY ((volatile uint8_t *)0xE000E400u)
#define IRQ_UART_RX 0u
#define IRQ_TIMER0 8u
#define IRQ_TIMER1 9u

/* RAM that start-up leaves alone, at a fixed address: it outlives a reset. A board with a random number generator asks
 * that in board_boot_id(); here QEMU puts a number into `seed` (-device loader), and off electrodes, if any. */
static struct {
    uint32_t seed;
    uint8_t electrodes_off_p, electrodes_off_n;
    uint16_t spare;
    uint32_t resets;
} kept __attribute__((section(".kept")));

void uart_rx_interrupt(void); /* as the vector table of startup.c names them */
void timer0_interrupt(void);
void timer1_interrupt(void);

static uint32_t half_period; /* of conversions, in half us; 0: none are made */
static uint32_t ready_half_us, conversions, converted; /* newest data-ready; since START; since boot */

/* ---- clock and interrupts ------------------------------------------------------------------------------------ */

uint32_t board_lock(void)
{
    uint32_t before;

    __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(before) : : "memory");
    return before;
}

void board_unlock(uint32_t before)
{
    __asm volatile("msr primask, %0" : : "r"(before) : "memory");
}

uint64_t board_time_us(void)
{
    static uint32_t last, wraps;
    uint32_t before = board_lock();
    uint32_t now = COUNTER;
    uint64_t time;

    wraps += now < last; /* every 71 minutes; the loop looks more often */
    last = now;
    time = (uint64_t)wraps << 32 | now;
    board_unlock(before);
    return time;
}

static void timer_start(uint32_t timer, uint32_t period)
{
    TIMER_CTRL(timer) = 0;
    TIMER_VALUE(timer) = period - 1u;
    TIMER_RELOAD(timer) = period - 1u;
    TIMER_CLEAR(timer) = 1;
    TIMER_CTRL(timer) = TIMER_ON;
}

void board_init(void)
{
    kept.resets++;
    COUNTER_PRESCALE = CLOCK_HZ / 1000000u - 1u;
    COUNTER = 0;
    ads1299_model_power_up();
    ads1299_model_electrodes(kept.electrodes_off_p, kept.electrodes_off_n);
    UART_DIVIDER = (CLOCK_HZ + BAUD / 2u) / BAUD;
    UART_CTRL = UART_ON;
    timer_start(TIMER1, CLOCK_HZ / 1000u);
    NVIC_PRIORITY[IRQ_TIMER0] = 0x00; /* a conversion waits for nothing */
    NVIC_PRIORITY[IRQ_UART_RX] = 0x40;
    NVIC_PRIORITY[IRQ_TIMER1] = 0x80;
    NVIC_ENABLE = 1u << IRQ_TIMER0 | 1u << IRQ_UART_RX | 1u << IRQ_TIMER1;
}

/* An interrupt that comes just before is not waited for longer than to the next tick of timer 1. With -DSPIN time is
 * spent in instructions: under `-icount` QEMU then counts all of it, and a busy computer makes no interrupt late. */
void board_idle(void)
{
#ifdef SPIN
    uint32_t k;

    for (k = 0; k < 200u; k++)
        __asm volatile("");
#else
    __asm volatile("wfi");
#endif
}

uint32_t board_boot_id(void)
{
    uint32_t x = kept.seed + kept.resets * 0x9E3779B9u;

    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    return x ^ x >> 16;
}

uint16_t board_supply_mv(void)
{
    return 0;
}

int16_t board_temperature(void)
{
    return INT16_MIN;
}

/* ---- converter ----------------------------------------------------------------------------------------------- */

void board_convert(uint32_t rate_hz)
{
    TIMER_CTRL(TIMER0) = 0;
    TIMER_CLEAR(TIMER0) = 1;
    half_period = rate_hz == 0u ? 0u : 2000000u / rate_hz;
    conversions = 0;
    ready_half_us = COUNTER * 2u;
    if (rate_hz != 0u)
        timer_start(TIMER0, CLOCK_HZ / rate_hz);
}

/* Not the interrupts are counted but the time that passed: how many came late, and by how much, changes nothing. */
uint32_t board_conversions(uint32_t *t_us)
{
    uint32_t now = COUNTER, n = half_period == 0u ? 0u : (now * 2u - ready_half_us) / half_period;

    if (n > 0u) {
        conversions += n;
        converted += n;
        ready_half_us += n * half_period;
        ads1299_model_convert(converted - 1u);
    }
    *t_us = now - (now * 2u - ready_half_us) / 2u;
    return conversions;
}

void timer0_interrupt(void)
{
    TIMER_CLEAR(TIMER0) = 1;
    stream_data_ready();
}

/* ---- UART ---------------------------------------------------------------------------------------------------- */

bool board_uart_put(uint8_t byte)
{
    if ((UART_STATE & UART_TX_FULL) != 0u)
        return false;
    UART_DATA = byte;
    return true;
}

void uart_rx_interrupt(void)
{
    UART_CLEAR = 2; /* before reading: a byte that comes meanwhile raises it anew */
    while ((UART_STATE & UART_RX_FULL) != 0u)
        uart_received((uint8_t)UART_DATA, board_time_us());
}

void timer1_interrupt(void)
{
    TIMER_CLEAR(TIMER1) = 1;
    uart_tick(board_time_us());
}
