/* storage.h - opening with another seam than the kernel's, for tests */
#ifndef STOPD_DRIVERS_STORAGE_H
#define STOPD_DRIVERS_STORAGE_H

#include "seam.h"
#include "stopd/storage.h"

int storage_open_through(const char *path, const struct storage_seam *seam,
                         struct storage_device **ret, struct error **err);

#endif
