/* The four functions that a C compiler may call unasked, as no library is linked. */

#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);

void *memcpy(void *to, const void *from, size_t n)
{
    uint8_t *target = to;
    const uint8_t *source = from;

    while (n-- > 0)
        *target++ = *source++;
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    uint8_t *target = to;
    const uint8_t *source = from;

    if (target <= source)
        return memcpy(to, from, n);
    while (n-- > 0)
        target[n] = source[n];
    return to;
}

void *memset(void *to, int value, size_t n)
{
    uint8_t *target = to;

    while (n-- > 0)
        *target++ = (uint8_t)value;
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *one = a, *other = b;

    for (; n-- > 0; one++, other++)
        if (*one != *other)
            return *one < *other ? -1 : 1;
    return 0;
}
