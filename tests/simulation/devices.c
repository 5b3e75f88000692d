/* devices.c - what stands behind the paths of local disks: each device with a name of its own
 *
 * Theory of operation. What a device is follows from the life's seed, its number, and how often it
 * was exchanged for another: a serial number that no other has, and a size that a few share. In
 * some lives the first disk of each guest is one that never clears.
 */
#include "simulation/life.h"

#include <stdio.h>

static unsigned number_of(const char *path)
{
    unsigned number;

    if (sscanf(path, "/dev/nvme%un1", &number) != 1 || number >= DEVICES_MOST)
        abort();
    return number;
}

struct device devices_find(const struct life *life, const char *path)
{
    unsigned number = number_of(path), exchanges = life->exchanges[number];
    struct device d = {
        .bytes = (uint64_t)(1 + (number + exchanges + life->seed) % 3) << 30,
        .is_dead = life->temper.has_dead_disks && number % 2 == 0 && exchanges == 0,
    };

    snprintf(d.serial, sizeof(d.serial), "S%05uN%uX%u", (unsigned)(life->seed % 100000), number,
             exchanges);
    return d;
}

/* The one that was there at first can come back. */
void devices_exchange(struct life *life, const char *path)
{
    unsigned *exchanges = &life->exchanges[number_of(path)];

    *exchanges = *exchanges > 0 && dice_percent(&life->dice, 40) ? 0 : *exchanges + 1;
    tell(life, "  behind %s is %s now", path, devices_find(life, path).serial);
}
