/* zeros.h - is all of this memory zero? */
#ifndef STOPD_WIPE_ZEROS_H
#define STOPD_WIPE_ZEROS_H

#include <stddef.h>

/* The offset of the first byte that is not zero, or n. */
size_t zeros_first_other(const void *data, size_t n);

#endif
