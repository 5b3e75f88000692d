/* file.h - the driver for image files */
#ifndef STOPD_STORAGE_FILE_H
#define STOPD_STORAGE_FILE_H

#include "stopd/storage.h"

/* Takes fd, open for reading, on success. */
int file_open(const char *path, int fd, struct storage_device **ret, struct error **err);

#endif
