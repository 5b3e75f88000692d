/* text.h - reading what the kernel says in /proc and /sys */
#ifndef STOPD_WIPE_TEXT_H
#define STOPD_WIPE_TEXT_H

#include "stopd/error.h"

#include <dirent.h>
#include <stdio.h>

void closedir_cleanup(DIR **d);
void fclose_cleanup(FILE **f);

/* How a process is named to people: "process 123 (qemu-system-x86)". folder: "/proc/123". */
void process_name(const char *folder, char *ret, size_t size);

/* Undoes the octal escapes (\040) that the kernel writes in mount points and the like. In place. */
void text_unescape(char *s);

#endif
