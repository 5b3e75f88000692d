/* webhook-token.c - see webhook-token.h */
#include "webhook-token.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int webhook_token_read(const char *path, char **ret, struct error **err)
{
    char text[WEBHOOK_TOKEN_MOST + 1];
    _cleanup_(close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t size = fd < 0 ? -errno : read_up_to(fd, text, WEBHOOK_TOKEN_MOST);
    const char *token = text;
    size_t length = 0;

    if (size < 0)
        return error_set_errno(err, ERROR_IO, (int)size, "the token file %s cannot be read", path);
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
