/* Start of a Cortex-M: vector table, memory, main(). */

#include <stdint.h>

int main(void);
void uart_rx_interrupt(void);
void timer0_interrupt(void);
void timer1_interrupt(void);
void reset(void);

/* Places that mps2.ld knows. */
extern uint32_t stack_end, data_begin, data_end, data_in_flash, bss_begin, bss_end;

/* A fault: start anew, under another boot_id, and the host sees it. */
static void fault(void)
{
    *(volatile uint32_t *)0xE000ED0Cu = 0x05FA0004u; /* AIRCR: system reset */
    for (;;)
        ;
}

/* Where a Cortex-M finds its stack and its handlers: exceptions 1 to 15, then 32 interrupts. */
__attribute__((section(".vectors"), used)) static const struct {
    const uint32_t *stack;
    void (*handlers[15 + 32])(void);
} vectors = {
    .stack = &stack_end,
    .handlers = {
        reset, fault, fault, fault, fault, fault, [10] = fault, [13] = fault, [14] = fault,
        [15 + 0] = uart_rx_interrupt,
        [15 + 8] = timer0_interrupt,
        [15 + 9] = timer1_interrupt,
    },
};

void reset(void)
{
    const uint32_t *from = &data_in_flash;
    uint32_t *to;

    for (to = &data_begin; to < &data_end;)
        *to++ = *from++;
    for (to = &bss_begin; to < &bss_end;)
        *to++ = 0;
    main();
    fault();
}
