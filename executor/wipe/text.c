/* text.c - reading what the kernel says in /proc and /sys */
#include "wipe/text.h"

#include <errno.h>
#include <string.h>

#include "stopd/storage.h"

void closedir_cleanup(DIR **d)
{
    int saved = errno;

    if (*d)
        closedir(*d);
    errno = saved;
}

void fclose_cleanup(FILE **f)
{
    int saved = errno;

    if (*f)
        fclose(*f);
    errno = saved;
}

void process_name(const char *folder, char *ret, size_t size)
{
    char comm[64];

    sysfs_text(folder, "comm", comm, sizeof(comm));
    snprintf(ret, size, "process %s (%s)", strrchr(folder, '/') + 1, comm);
}

void text_unescape(char *s)
{
    char *to = s;

    for (; *s; s++) {
        if (s[0] == '\\' && strspn(s + 1, "01234567") >= 3) {
            *to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
            s += 3;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}
