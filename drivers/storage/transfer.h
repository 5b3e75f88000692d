/* transfer.h - many reads or writes in flight on one descriptor */
#ifndef STOPD_STORAGE_TRANSFER_H
#define STOPD_STORAGE_TRANSFER_H

#include "stopd/storage.h"

/* Offsets, lengths and memory are multiples of this, whatever the device would take. */
#define TRANSFER_ALIGNMENT 4096

/* Reads every span of the reading. What lies past `size` is not looked at. */
int transfer_read(int fd, uint64_t size, const struct storage_reading *reading, struct error **err);

/* Writes every span of the writing, which are whole blocks of the device. */
int transfer_write(int fd, uint64_t size, const struct storage_writing *writing,
                   struct error **err);

/* Writes zeros over the span; its end need not be aligned where it is the device's end, which a
 * block device's is by itself. done of total bytes go to pace, counted from the span's start. */
int transfer_zero(int fd, struct storage_span span, const struct storage_pace *pace,
                  struct error **err);

#endif
