/* webhook-token.c - see webhook-token.h */
#include "webhook-token.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static ssize_t read_all(int fd, char *to, size_t room)
{
    size_t size = 0;

    for (;;) {
        ssize_t n = read(fd, to + size, room - size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? n : (ssize_t)size;
        size += (size_t)n;
    }
}

int webhook_token_read(const char *path, char **ret, struct error **err)
{
    char text[WEBHOOK_TOKEN_MOST + 1];
    _cleanup_(close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t size = fd < 0 ? -1 : read_all(fd, text, WEBHOOK_TOKEN_MOST);
    const char *token = text;
    size_t length = 0;

    if (size < 0)
        return error_set_errno(err, ERROR_IO, errno, "the token file %s cannot be read", path);
    text[size] = '\0';
    token += strspn(token, " \t\r\n");
    while (token[length] > ' ' && token[length] < 0x7f)
        length++;
    if (length == 0 || token[length + strspn(token + length, " \t\r\n")] != '\0' ||
        strlen(text) != (size_t)size || size == WEBHOOK_TOKEN_MOST)
        return error_set(err, ERROR_IO,
                         "the token file %s has to hold one word of printable ASCII characters, "
                         "and nothing else",
                         path);
    *ret = strndup(token, length);
    return *ret ? 0 : error_no_memory(err);
}
