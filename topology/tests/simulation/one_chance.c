/* Makes chance repeatable in one process: whoever asks the system for random bytes gets those of a seed, thread by thread. Put before the C
   library with LD_PRELOAD. It is for simulations alone: nothing that has to be secret may be made with it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

static __thread uint64_t state;
static __thread int is_seeded;

static uint64_t next(void) {
    if (!is_seeded) {
        const char *seed = getenv("PODWAY_SIMULATION_CHANCE");
        state = seed ? strtoull(seed, NULL, 10) : 1;
        is_seeded = 1;
    }
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

ssize_t getrandom(void *buffer, size_t length, unsigned int flags) {
    (void)flags;
    unsigned char *bytes = buffer;
    for (size_t place = 0; place < length; place++)
        bytes[place] = (unsigned char)next();
    return (ssize_t)length;
}
