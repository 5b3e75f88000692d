/* file-clear.h - how a file is cleared and read back: members of the file driver's table */
#ifndef STOPD_STORAGE_FILE_CLEAR_H
#define STOPD_STORAGE_FILE_CLEAR_H

#include "stopd/storage.h"

int file_clear(struct storage_device *d, enum clear_method method, struct storage_span span,
               bool may_exit, const struct storage_pace *pace, struct storage_record *record,
               struct error **err);
int file_flush(struct storage_device *d, struct error **err);
int file_read(struct storage_device *d, const struct storage_reading *reading, struct error **err);
int file_write(struct storage_device *d, const struct storage_writing *writing, struct error **err);

#endif
