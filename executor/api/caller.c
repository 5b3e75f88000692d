/* caller.c - who is at the other end of a Unix socket, and what any caller may do
 *
 * Theory of operation. The kernel says who connected: the credentials are those of the process at
 * the moment of its connect(), supplementary groups included, so that no directory service has to
 * be asked while a request waits, and none that is away can hold up another caller. The user's
 * name, which is only there to be read, is looked for in the host's own /etc/passwd for the same
 * reason. The groups that the configuration names are resolved when it is read, by whatever the
 * host resolves names with.
 *
 * Membership is the process's, not the name service's: somebody who was added to a group has to
 * log in again, as everywhere.
 */
#include "api/caller.h"

#include "stopd/log.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void fclose_cleanup(FILE **f)
{
    if (*f)
        fclose(*f);
}

static void name_user(uid_t uid, char *ret, size_t size)
{
    _cleanup_(fclose) FILE *passwd = fopen("/etc/passwd", "re");
    char buffer[1024];
    struct passwd user, *found;

    while (passwd && fgetpwent_r(passwd, &user, buffer, sizeof(buffer), &found) == 0)
        if (user.pw_uid == uid) {
            snprintf(ret, size, "unix:uid=%u(%.64s)", (unsigned)uid, user.pw_name);
            return;
        }
    snprintf(ret, size, "unix:uid=%u", (unsigned)uid);
}

/* The peer's supplementary groups and, last, its own. */
static int read_groups(int fd, gid_t own, struct caller *c)
{
    socklen_t size = 0;
    size_t n;

    /* With no room the kernel says how much there must be. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) < 0 && errno != ERANGE)
        size = 0;
    n = size / sizeof(gid_t);
    c->groups = calloc(n + 1, sizeof(gid_t));
    if (!c->groups)
        return -ENOMEM;
    if (n > 0 && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, c->groups, &size) < 0)
        n = 0;
    c->groups[n] = own;
    c->n_groups = n + 1;
    return 0;
}

int caller_of_unix_socket(struct MHD_Connection *http, struct caller *ret)
{
    int fd = MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return -errno;
    *ret = (struct caller){.kind = CALLER_PROCESS, .is_local_root = peer.uid == 0};
    name_user(peer.uid, ret->name, sizeof(ret->name));
    return read_groups(fd, peer.gid, ret);
}

void caller_clear(struct caller *c)
{
    free(c->groups);
    san_list_clear(&c->names);
    *c = (struct caller){0};
}

int group_from_word(const char *word, gid_t *ret)
{
    struct group group, *found = NULL;
    char buffer[16384], *end;
    unsigned long id;

    if (getgrnam_r(word, &group, buffer, sizeof(buffer), &found) == 0 && found) {
        *ret = group.gr_gid;
        return 0;
    }
    id = strtoul(word, &end, 10);
    if (*word < '0' || *word > '9' || *end || id >= UINT32_MAX)
        return -ENOENT;
    *ret = (gid_t)id;
    return 0;
}

static int group_list_set(struct group_list *ret, const struct api_words *words, const char *key)
{
    *ret = (struct group_list){.items = calloc(words->n + 1, sizeof(gid_t))};
    if (!ret->items)
        return -ENOMEM;
    for (size_t i = 0; i < words->n; i++) {
        if (text_equal(words->items[i], "*"))
            ret->anybody = true;
        else if (group_from_word(words->items[i], &ret->items[ret->n]) == 0)
            ret->n++;
        else
            log_warning("%s: there is no group %s; it stands for nobody", key, words->items[i]);
    }
    return 0;
}

int access_set(struct access *ret, const struct api_settings *settings)
{
    struct access new = {0};

    if (group_list_set(&new.operators, &settings->operators, "api.operators") < 0 ||
        group_list_set(&new.readers, &settings->readers, "api.readers") < 0 ||
        san_list_of_words(&settings->tls_clients, "api.tls_clients", &new.tls_clients) < 0 ||
        san_list_of_words(&settings->tls_readers, "api.tls_readers", &new.tls_readers) < 0) {
        access_clear(&new);
        return -ENOMEM;
    }
    access_clear(ret);
    *ret = new;
    return 0;
}

void access_clear(struct access *a)
{
    free(a->operators.items);
    free(a->readers.items);
    san_list_clear(&a->tls_clients);
    san_list_clear(&a->tls_readers);
    *a = (struct access){0};
}

static bool is_listed(const struct group_list *list, const struct caller *c)
{
    if (list->anybody)
        return true;
    for (size_t i = 0; i < list->n; i++)
        for (size_t k = 0; k < c->n_groups; k++)
            if (list->items[i] == c->groups[k])
                return true;
    return false;
}

static enum right access_of_process(const struct access *a, const struct caller *c)
{
    /* A host's operator has to be able to empty it whatever the configuration says. */
    if (c->is_local_root || is_listed(&a->operators, c))
        return RIGHT_CHANGE;
    return is_listed(&a->readers, c) ? RIGHT_READ : RIGHT_NONE;
}

static enum right access_of_certificate(const struct access *a, struct caller *c)
{
    const struct san *name = san_list_match(&a->tls_clients, &c->names);
    enum right right = name ? RIGHT_CHANGE : RIGHT_NONE;

    if (!name) {
        name = san_list_match(&a->tls_readers, &c->names);
        right = name ? RIGHT_READ : RIGHT_NONE;
    }
    if (name)
        snprintf(c->name, sizeof(c->name), "tls:%s:%s", san_type_to_string(name->type),
                 name->value);
    return right;
}

enum right access_of(const struct access *a, struct caller *c)
{
    switch (c->kind) {
    case CALLER_PROCESS:
        return access_of_process(a, c);
    case CALLER_CERTIFICATE:
        return access_of_certificate(a, c);
    case CALLER_LOOPBACK:
        return RIGHT_CHANGE;
    }
    return RIGHT_NONE;
}
